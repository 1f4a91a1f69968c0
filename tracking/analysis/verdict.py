"""Who is best, by how much and how sure that is, from the retrainings of each arm. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from tracking.analysis.labels import format_percent
from tracking.analysis.leaderboard import LeaderboardRow, find_best, ranked_by_test
from tracking.analysis.outcomes import WORST, count_lacking_seeds, list_outcomes, show_interval
from tracking.analysis.race import find_dropped
from tracking.analysis.search_luck import judge_luck
from tracking.statistics.levels import spent_alpha, verdict_alpha
from tracking.statistics.verdict import Verdict
from tracking.table import SweepTable

if TYPE_CHECKING:
    from tracking.statistics.arms import ArmSummary
    from tracking.statistics.comparison import Comparison
    from tracking.statistics.pairs import Pair
    from tracking.statistics.race import DroppedArm
    from tracking.statistics.search_luck import SearchLuck

_JUDGEMENT = "judgement"
MIN_SEEDS = 2  # with one, nothing is known of the noise


@dataclass(frozen=True)
class Judgement:
    """The retrainings of all arms beside each other.

    Attributes:
        comparison: Of all pairs; the first one of `arms` is the best.
        by_seeds: The same of the settings that were found, whether or not they are luck.
        arms: Mean, spread and interval of each, best first.
        alpha: The chance that any arm is wrongly called better, now or at any look before.
        later_alpha: The level of the next verdict, once seeds or trials are added.
        margin: The largest difference in accuracy that does not matter.
        dropped: Arms that the race dropped.
        luck: Arm -> the search trials of the best arm beside its own.
    """

    comparison: Comparison
    by_seeds: Comparison
    arms: Mapping[str, ArmSummary]
    alpha: float
    later_alpha: float
    margin: float
    dropped: Mapping[str, DroppedArm]
    luck: Mapping[str, SearchLuck]

    @property
    def winner(self) -> str | None:
        """The arm that is better than each other one; None for none."""
        return self.comparison.winner(tuple(self.arms))

    def pair(self, arm: str) -> Pair | None:
        """The best arm beside this one, seen from the best; None for itself, or where they share no seed."""
        return self.comparison.find(self.comparison.best, arm)


def judge_retrainings(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Judgement | None:
    """Compares the arms over the seeds with which the best settings of each were trained again.

    None as long as nothing can be said: fewer than two arms, an arm with a best trial that was not retrained, one with
    fewer than two seeds, or one that lacks some of its seeds. A verdict at some seed of the plan would be one more look
    at the data, for which its level has not paid.

    The seeds say which settings are better. An arm is called better only where the search trials show as well that it
    does not owe its settings to luck (`statistics.search_luck`); else there are not enough trials.

    Args:
        table: The sweep.
        rows: Its leaderboard.
    """
    if _JUDGEMENT not in table.worked_out:
        table.worked_out[_JUDGEMENT] = _judge(table, rows)
    return cast("Judgement | None", table.worked_out[_JUDGEMENT])


def _judge(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Judgement | None:
    from tracking.statistics.arms import summarize_arm
    from tracking.statistics.comparison import compare_arms

    if not ranked_by_test(rows) or count_lacking(table, rows):
        return None
    best = {row.arm: find_best(table, row.arm) for row in rows if row.best_value is not None}
    outcomes = {arm: list_outcomes(table.retrainings(trial)) for arm, trial in best.items() if trial is not None}
    if len(outcomes) < 2 or min(map(len, outcomes.values())) < MIN_SEEDS:
        return None
    how, dropped = table.confirmation, find_dropped(table)
    later_alpha = verdict_alpha(raced=how.race, num_extensions=how.extensions + 1)
    comparison = compare_arms(
        outcomes,
        WORST,
        alpha=verdict_alpha(raced=how.race, num_extensions=how.extensions),
        margin=how.margin,
        dropped=dropped,
        later_alpha=later_alpha,
    )
    if comparison is None:
        return None
    luck = judge_luck(table, outcomes, comparison.best, verdict_alpha(raced=how.race, num_extensions=how.extensions))
    beside = {other: each for (arm, other), each in luck.items() if arm == comparison.best}
    summaries = {arm: summarize_arm(each, WORST, bounds=(0.0, 1.0)) for arm, each in outcomes.items()}
    known = {arm: summary for arm, summary in summaries.items() if summary is not None}
    best_first = sorted(known, key=lambda arm: (arm != comparison.best, arm in dropped, -known[arm].mean))
    alpha = spent_alpha(raced=how.race, num_extensions=how.extensions)
    arms = {arm: known[arm] for arm in best_first}
    return Judgement(_doubt_luck(comparison, luck), comparison, arms, alpha, later_alpha, how.margin, dropped, beside)


def _doubt_luck(comparison: Comparison, luck: Mapping[tuple[str, str], SearchLuck]) -> Comparison:
    """The same with no arm called better that may owe it to the luck of its search."""
    pairs = (
        replace(pair, verdict=Verdict.NOT_ENOUGH_TRIALS)
        if (pair.verdict is Verdict.BETTER and luck[pair.arm, pair.other].is_luck)
        or (pair.verdict is Verdict.WORSE and luck[pair.other, pair.arm].is_luck)
        else pair
        for pair in comparison.pairs
    )
    return replace(comparison, pairs=tuple(pairs))


def count_lacking(table: SweepTable, rows: Sequence[LeaderboardRow]) -> dict[str, int]:
    """Arm -> how many of its planned retrainings are still to end; none once the sweep has ended, or dropped the arm.

    Args:
        table: The sweep.
        rows: Its leaderboard.
    """
    dropped, lacking = find_dropped(table), {}
    for row in rows:
        best = find_best(table, row.arm)
        if best is not None and row.arm not in dropped:
            lacking[row.arm] = count_lacking_seeds(table, table.retrainings(best))
    return {arm: number for arm, number in lacking.items() if number}


def tell_headline(judgement: Judgement) -> str:
    """One sentence: who is best, or that there is a tie, or that seeds are missing."""
    best = judgement.comparison.best
    reached = f"{format_percent(judgement.arms[best].mean)} test accuracy"
    if judgement.winner:
        return f"{best} is best with {reached}"
    verdicts = {pair.verdict for pair in judgement.comparison.to_best()}
    if verdicts <= {Verdict.TIE, Verdict.BETTER}:
        tied = _list_by(judgement, Verdict.TIE)
        return f"A tie between {_join([best, *tied])} at {reached}"
    return f"No winner yet: {best} leads with {reached}"


def tell_verdict(judgement: Judgement) -> str:
    """What may be concluded, with differences, intervals, what is missing, and how sure all of it is."""
    best = judgement.comparison.best
    better = [arm for arm in _list_by(judgement, Verdict.BETTER) if arm not in judgement.dropped]
    sentences = [f"{best} is better than {_tell_lead(judgement, arm)}." for arm in better]
    lucky = _list_by(judgement, Verdict.NOT_ENOUGH_TRIALS)
    if found := [arm for arm in lucky if arm not in judgement.dropped]:
        leads = _join([_tell_lead(judgement, arm) for arm in found])
        sentences.append(f"The settings that were found for {best} are better than those for {leads}.")
    sentences += [_tell_dropped(each) for arm, each in judgement.dropped.items() if arm in judgement.arms]
    if lucky:
        sentences.append(_tell_luck(best, judgement, lucky))
    if tied := _list_by(judgement, Verdict.TIE):
        verb = "differs" if len(tied) == 1 else "differ"
        margin = f"{100 * judgement.margin:g} points"
        sentences.append(f"{_join(tied)} {verb} from {best} by less than {margin}, which does not matter.")
    if unclear := _list_by(judgement, Verdict.NOT_ENOUGH_SEEDS):
        sentences.append(_tell_unclear(best, judgement, unclear))
    sentences.append(
        f"The chance that an arm is wrongly called better is at most {100 * judgement.alpha:g} %, over all pairs."
    )
    return " ".join(sentences)


def _tell_luck(best: str, judgement: Judgement, arms: Sequence[str]) -> str:
    found = [judgement.luck[arm] for arm in arms]
    ahead = [f"{each.num_ahead} did better than the best of {each.other}" for each in found]
    if len({each.num_ahead for each in found}) == 1 and len(found) > 1:
        ahead = [f"{found[0].num_ahead} did better than the best of each of these"]
    others = [each for arm, each in judgement.luck.items() if arm not in arms]
    may_win = all(each.num_needed is not None and each.num_ahead >= each.num_needed for each in others)
    needed = [each.num_needed if may_win else each.num_needed_alone for each in found]
    enough = "so few show nothing" if None in needed else f"{max(filter(None, needed))} would show it"
    return (
        f"That may be the luck of its search: of the {found[0].num_trials} trials of {best}, {_join(ahead)}; {enough}."
    )


def tell_luck(judgement: Judgement) -> str:
    """A sentence on the lead of the best arm, as far as it may be the luck of its search; "" where it is not."""
    lucky = _list_by(judgement, Verdict.NOT_ENOUGH_TRIALS)
    best = judgement.comparison.best
    return f"{best} leads {_join(lucky)}, but its search is too short to show that this is no luck." if lucky else ""


def _tell_lead(judgement: Judgement, arm: str) -> str:
    """`sgd by 3.00 points (95 % interval 2.41 to 3.58, 6 seeds)`."""
    pair = judgement.pair(arm)
    assert pair is not None
    text = f"{arm} by {100 * pair.difference:.2f} points"
    if pair.interval is not None:
        text += f" (95 % interval {show_interval(pair.interval)}, {pair.num_seeds} seeds)"
    return text


def _tell_dropped(dropped: DroppedArm) -> str:
    return (
        f"The race dropped {dropped.arm} after {dropped.num_seeds} seeds: by then it was "
        f"{100 * abs(dropped.difference):.2f} points of validation accuracy behind {dropped.beaten_by}."
    )


def _tell_unclear(best: str, judgement: Judgement, arms: Sequence[str]) -> str:
    pairs = [pair for arm in arms if (pair := judgement.pair(arm)) is not None]
    more = [pair.num_more_seeds for pair in pairs]
    needed = max((number for number in more if number is not None), default=0)
    text = f"{best} and {_join(arms)} cannot be told apart with {min(pair.num_seeds for pair in pairs)} seeds"
    if None in more or not needed:
        return f"{text}, and by the noise so far no affordable number of seeds would do."
    return f"{text}: by the noise so far {needed} more would decide with 80 % probability."


def format_comparison(judgement: Judgement) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells of the comparison as text: a row for each arm, best first, beside the best one."""
    header = (
        "arm", "mean test accuracy", "SD", "95 % interval", "seeds", "behind the best", "95 % interval of that",
        "p", "best wins", "trials ahead", "verdict", "seeds missing",
    )  # fmt: skip
    return header, tuple(_format_arm(judgement, arm) for arm in judgement.arms)


def format_confirmed(
    table: SweepTable, rows: Sequence[LeaderboardRow]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells of what the best settings of each arm reached when they were trained again, best first.

    Beside the best arm where the arms can be judged, else each by itself; no cells where none was trained again.
    """
    if judgement := judge_retrainings(table, rows):
        return format_comparison(judgement)
    from tracking.statistics.arms import summarize_arm

    header, cells = ("arm", "mean test accuracy", "SD", "95 % interval", "seeds"), []
    for row in rows:
        best = find_best(table, row.arm)
        summary = summarize_arm(list_outcomes(table.retrainings(best)), WORST, bounds=(0.0, 1.0)) if best else None
        if summary is not None:
            cells.append((row.arm, *_format_summary(summary)))
    return header, tuple(cells)


def _format_summary(summary: ArmSummary) -> tuple[str, ...]:
    interval = summary.interval
    return (
        format_percent(summary.mean),
        "–" if summary.sd is None else f"{100 * summary.sd:.2f}",
        "–" if interval is None else f"{100 * interval.low:.2f} to {100 * interval.high:.2f}",
        str(summary.num_seeds) + (f" ({summary.num_diverged} diverged)" if summary.num_diverged else ""),
    )


def _format_arm(judgement: Judgement, arm: str) -> tuple[str, ...]:
    pair = judgement.pair(arm)
    cells = (arm, *_format_summary(judgement.arms[arm]))
    if pair is None:
        return (*cells, *("–" for _ in range(5)), "best" if judgement.winner == arm else "leads", "")
    wins = pair.win_interval
    missing = "none would do" if pair.num_more_seeds is None else str(pair.num_more_seeds or "–")
    return (
        *cells,
        f"{100 * pair.difference:.2f}",
        "–" if pair.interval is None else show_interval(pair.interval),
        "–" if pair.p_adjusted is None else f"{pair.p_adjusted:.2g}",
        f"{pair.win_share:.0%} ({100 * wins.low:.0f} to {100 * wins.high:.0f})".replace("%", " %"),
        f"{judgement.luck[arm].num_ahead} of {judgement.luck[arm].num_trials}",
        "worse, by the race" if pair.by_race and pair.verdict is Verdict.BETTER else str(pair.verdict.reversed),
        missing,
    )


def _list_by(judgement: Judgement, verdict: Verdict) -> list[str]:
    """The arms about which the best one has this verdict, best first."""
    return [arm for arm in judgement.arms if (pair := judgement.pair(arm)) is not None and pair.verdict is verdict]


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
