"""What is known of a sweep before it starts, and no fault: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sweeps.search.methods import METHODS
from sweeps.space.arms import Arm, size
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.spec.models import SweepSpec
from tracking.statistics.levels import MIN_WINNER_SEEDS, MIN_WINNER_TRIALS

FEW = 4  # trials to a configuration, from which on repeats are worth a word


def list_notes(spec: SweepSpec) -> tuple[str, ...]:
    """Sentences on what a sweep will do that its file does not show."""
    arms = build_arms(spec)
    limits = num_search_trials(spec, arms)
    repeats = dict.fromkeys(note for arm in arms for note in _list_repeats(spec, arm, limits[arm.name]))
    return (*repeats, *(_list_verdicts(spec, arms, limits) if len(arms) > 1 else ()))


def _list_verdicts(spec: SweepSpec, arms: Sequence[Arm], limits: Mapping[str, int | None]) -> Iterator[str]:
    """That no arm can be called better, whatever comes out, where several seeds ask for a verdict."""
    seeds, what = spec.confirm.seeds, " and ".join(spec.compare)
    if spec.confirm.top == 0 or seeds < 2:  # no verdict is asked for
        return
    if seeds < MIN_WINNER_SEEDS:
        yield f"confirm: {seeds} seeds cannot show a winner, whatever they come to; {MIN_WINNER_SEEDS} can"
    searched = [limits[arm.name] for arm in arms if size(arm) != 1]
    fewest = min((number for number in searched if number is not None), default=None)
    if fewest is not None and fewest < MIN_WINNER_TRIALS and not METHODS[spec.method].is_exhaustive:
        trials = "1 trial" if fewest == 1 else f"{fewest} trials"
        yield (
            f"budget: {trials} of each arm can show whose settings are better, and not which {what} is, since that may "
            f"be the luck of the draws; {MIN_WINNER_TRIALS} are the least that can, and 24 do so more often"
        )


def _list_repeats(spec: SweepSpec, arm: Arm, num_trials: int | None) -> Iterator[str]:
    """That an arm's trials repeat configurations, since there are few of them."""
    method, num_points = METHODS[spec.method], size(arm)
    if method.is_exhaustive or num_points is None or num_trials is None or num_trials < 2:
        return
    every = f"method: grid tries each of the {num_points} once"
    if method.learns or method.shares_points:  # which draw neither by chance alone
        if num_trials > num_points:
            yield f"{arm.name}: {num_trials} trials of {num_points} configurations repeat some; {every}"
    elif num_points < FEW * num_trials:
        different = num_points * (1 - (1 - 1 / num_points) ** num_trials)
        yield (
            f"{arm.name}: {num_trials} draws by {method.name} from {num_points} configurations try about "
            f"{different:.0f} different ones; {every}"
        )
