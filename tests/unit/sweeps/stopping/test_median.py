import math

from sweeps.stopping.median import MedianRule
from sweeps.stopping.rule import CONTINUE


def run(rule: MedianRule, trial: int, scores: list[float]) -> str:
    """What is said of a trial that has these scores, as far as it goes."""
    for epoch, score in enumerate(scores, 1):
        decision = rule.judge(trial, epoch, score)
        if decision is not CONTINUE:
            return decision.reason
    return ""


def test_a_trial_behind_the_median_of_the_running_means_is_stopped() -> None:
    rule = MedianRule(min_iter=2, min_trials=3)
    for trial, level in enumerate((0.2, 0.4, 0.6)):
        assert run(rule, trial, [level, level + 0.2, level + 0.4]) == ""
    # means to epoch 2 are .3, .5, .7; the best score so far counts, not the last
    assert run(rule, 3, [0.49, 0.1]) == "median: 2 of 3 others are ahead at epoch 2"
    assert run(rule, 4, [0.51, 0.1]) == ""


def test_nobody_is_judged_before_min_iter_or_among_too_few() -> None:
    rule = MedianRule(min_iter=3, min_trials=2)
    assert run(rule, 0, [0.9, 0.9, 0.9]) == ""
    assert run(rule, 1, [0.1, 0.1, 0.1]) == ""  # one other
    assert run(rule, 2, [0.05, 0.05]) == ""  # two epochs
    assert run(rule, 3, [0.05, 0.05, 0.05]) == "median: 2 of 2 others are ahead at epoch 3"


def test_of_a_field_of_equal_trials_the_late_ones_are_stopped() -> None:
    rule = MedianRule(min_iter=1, min_trials=3)
    assert [run(rule, trial, [0.1, 0.1]) == "" for trial in range(6)] == [True] * 3 + [False] * 3


def test_a_score_that_is_not_finite_is_the_worst_there_is() -> None:
    rule = MedianRule(min_iter=1, min_trials=1)
    assert run(rule, 0, [math.nan, 0.5]) == ""  # alone
    assert run(rule, 1, [math.inf]) == "median: no finite score by epoch 1"
    assert rule.means == {1: {0: -math.inf, 1: -math.inf}, 2: {0: -math.inf}}
    assert run(rule, 2, [0.01]) == ""


def test_what_was_said_stays() -> None:
    rule = MedianRule(min_iter=1, min_trials=1)
    rule.judge(0, 1, 0.5)
    said = rule.judge(1, 1, 0.4)
    assert said.action == "stop"
    before = repr(rule)
    assert rule.judge(1, 1, 0.9) == said
    assert repr(rule) == before
