import random

from sweeps.stopping.ranked import RankedScores


def build(*scores: float) -> RankedScores:
    ranked = RankedScores()
    for trial, score in enumerate(scores):
        ranked.add(trial, score)
    return ranked


def test_of_equal_scores_the_earlier_is_ahead() -> None:
    ranked = build(0.2, 0.5, 0.5, 0.1)
    assert [ranked.find_rank(trial) for trial in ranked] == [3, 1, 2, 4]


def test_the_first_score_of_a_trial_stays() -> None:
    ranked = build(0.2, 0.5)
    ranked.add(0, 0.9)
    assert (ranked, ranked.find_rank(0)) == ({0: 0.2, 1: 0.5}, 2)


def test_ranks_and_counts_are_those_of_counting() -> None:
    luck = random.Random(3)
    ranked, scores = RankedScores(), {}
    for trial in luck.sample(range(500), 300):
        scores[trial] = luck.choice((0.1, 0.2, 0.3, luck.random(), float("-inf")))
        ranked.add(trial, scores[trial])
        ahead = [each for each in scores if scores[each] > scores[trial]]
        level = [each for each in scores if scores[each] == scores[trial]]  # it came last
        assert ranked.find_rank(trial) == len(ahead) + len(level)
        assert ranked.count_from(scores[trial]) == len(ahead) + len(level)
    assert list(ranked) == list(scores)
