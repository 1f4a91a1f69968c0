"""At a rung a better value never loses to a worse one, whatever arrives in whatever order."""

import math
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.stopping.asha import Asha, Rungs, rung_epochs
from sweeps.stopping.rule import CONTINUE, Decision
from sweeps.stopping.rules import ArmRules

QUICK = settings(deadline=None, max_examples=100)

FINITE = st.integers(0, 4).map(lambda tenths: tenths / 10) | st.floats(allow_nan=False, allow_infinity=False)
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])
SCORE = FINITE | NOT_FINITE
ETA = st.integers(2, 5)
EPOCHS = (1, 3, 9)


@st.composite
def draw_events(draw: st.DrawFn) -> list[tuple[int, int, float]]:
    """Results of some trials as they come in: (trial, epoch, score), no trial twice at one epoch."""
    trials = st.integers(0, 7)
    keys = draw(st.lists(st.tuples(trials, st.integers(1, 10)), unique=True, max_size=40))
    return [(trial, epoch, draw(SCORE)) for trial, epoch in keys]


def list_going(scores: Sequence[float], eta: int) -> list[bool]:
    """Which of some trials go on that arrive at one rung in this order."""
    rungs = Rungs((1,), eta)
    return [rungs.judge(trial, 1, score) is CONTINUE for trial, score in enumerate(scores)]


@QUICK
@given(scores=st.lists(SCORE, min_size=1, max_size=20), eta=ETA, data=st.data())
def test_a_better_value_never_loses_a_rung_that_a_worse_one_passes(
    scores: list[float], eta: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(scores) - 1), label="index")
    worse, better = sorted([data.draw(FINITE, label="one score"), data.draw(FINITE, label="other score")])
    with_worse, with_better = ([*scores[:index], score, *scores[index + 1 :]] for score in (worse, better))
    assert list_going(with_worse, eta)[index] <= list_going(with_better, eta)[index]


@QUICK
@given(scores=st.lists(SCORE, min_size=1, max_size=20), eta=ETA)
def test_a_trial_goes_on_exactly_while_it_is_among_the_best_of_those_that_have_arrived(
    scores: list[float], eta: int
) -> None:
    going = list_going(scores, eta)
    for index, score in enumerate(scores):
        arrived = [each if math.isfinite(each) else -math.inf for each in scores[: index + 1]]
        best_first = sorted(range(index + 1), key=lambda trial: -arrived[trial])  # stable: an equal earlier one first
        num_kept = max(1, (index + 1) // eta)
        assert going[index] == (math.isfinite(score) and index in best_first[:num_kept])


@QUICK
@given(scores=st.lists(SCORE, min_size=1, max_size=20), eta=ETA)
def test_a_score_that_is_not_finite_never_passes(scores: list[float], eta: int) -> None:
    assert not any(
        going and not math.isfinite(score) for going, score in zip(list_going(scores, eta), scores, strict=True)
    )


@QUICK
@given(scores=st.lists(SCORE, min_size=1, max_size=20), eta=ETA)
def test_the_best_so_far_always_passes(scores: list[float], eta: int) -> None:
    best = -math.inf
    for score, going in zip(scores, list_going(scores, eta), strict=True):
        if math.isfinite(score) and score > best:
            assert going
            best = score


@QUICK
@given(score=FINITE, num_trials=st.integers(1, 40), eta=ETA)
def test_of_equal_trials_the_first_alone_goes_on(score: float, num_trials: int, eta: int) -> None:
    assert list_going([score] * num_trials, eta) == [True] + [False] * (num_trials - 1)


@QUICK
@given(scores=st.lists(FINITE, min_size=1, max_size=20), eta=ETA)
def test_a_field_that_only_gets_worse_runs_on_with_its_first_alone(scores: list[float], eta: int) -> None:
    assert list_going(sorted(scores, reverse=True), eta) == [True] + [False] * (len(scores) - 1)


@QUICK
@given(events=draw_events(), eta=ETA, data=st.data())
def test_results_that_come_again_change_nothing(
    events: list[tuple[int, int, float]], eta: int, data: st.DataObject
) -> None:
    once, again = Rungs(EPOCHS, eta), Rungs(EPOCHS, eta)
    decisions: dict[tuple[int, int], Decision] = {}
    for index, (trial, epoch, score) in enumerate(events):
        decisions[trial, epoch] = once.judge(trial, epoch, score)
        assert again.judge(trial, epoch, score) == decisions[trial, epoch]
        for old in data.draw(st.lists(st.integers(0, index), max_size=2), label="again"):
            # A trial that is replayed may come to another number, on other hardware say.
            old_trial, old_epoch, _ = events[old]
            assert again.judge(old_trial, old_epoch, data.draw(SCORE)) == decisions[old_trial, old_epoch]
    assert (again.scores, again.decisions) == (once.scores, once.decisions)


@QUICK
@given(events=draw_events(), eta=ETA)
def test_rungs_and_arms_know_nothing_of_each_other(events: list[tuple[int, int, float]], eta: int) -> None:
    asha = Asha(min_iter=1, eta=eta)
    together = ArmRules(("early", "late"), asha, 10)
    found = [together["early" if trial < 4 else "late"].judge(trial, epoch, score) for trial, epoch, score in events]
    for (trial, epoch, _), decision in zip(events, found, strict=True):
        alone = Rungs((epoch,) if epoch in rung_epochs(1, 10, eta) else (), eta)
        rivals = [each for each in events if each[1] == epoch and (each[0] < 4) == (trial < 4)]
        assert {name: alone.judge(name, epoch, score) for name, _, score in rivals}[trial] == decision


@QUICK
@given(epoch=st.integers(1, 10), score=SCORE, eta=ETA)
def test_a_trial_that_ended_counts_at_the_rung_it_ended_on_or_diverged_before(
    epoch: int, score: float, eta: int
) -> None:
    rungs = Rungs(EPOCHS, eta)
    rungs.record_ended(0, epoch, score)
    reached = next((rung for rung in EPOCHS if rung >= epoch), None)
    counts = reached is not None and (reached == epoch or not math.isfinite(score))
    value = score if math.isfinite(score) else -math.inf
    assert rungs.scores == ({reached: {0: value}} if counts else {})


@QUICK
@given(min_iter=st.integers(1, 20), max_iter=st.integers(1, 300), eta=ETA)
def test_rungs_lie_below_the_end_each_eta_times_the_one_before(min_iter: int, max_iter: int, eta: int) -> None:
    epochs = rung_epochs(min_iter, max_iter, eta)
    assert list(epochs) == [min_iter * eta**power for power in range(10) if min_iter * eta**power < max_iter]
