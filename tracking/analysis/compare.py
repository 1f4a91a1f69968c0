"""Several sweeps beside each other: what they were, what they found, and whether that may be compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tracking.analysis.findings import build_headline, build_verdict
from tracking.analysis.labels import format_number, title_of
from tracking.analysis.leaderboard import LeaderboardRow, build_leaderboard, find_best
from tracking.analysis.outcomes import list_outcomes, show_interval
from tracking.table import SweepTable, Value

ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """One thing in which the sweeps differ.

    Attributes:
        name: Dotted key of the sweep file, or what the sweep ran with.
        values: One text per sweep; `ABSENT` where a sweep has no such thing.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What one sweep found.

    Attributes:
        leader: The arm that leads, None where no trial succeeded.
        best_value: The leader's best value of the sweep's goal metric.
        test_accuracy: Mean over the retrainings of its best settings, 0..1; None where there was none.
        num_seeds: How many retrainings that mean is over.
        headline: One sentence on the outcome; `verdict` says what may be concluded from it.
    """

    sweep_id: str
    state: str
    num_trials: int
    num_epochs: int
    goal_metric: str
    leader: str | None
    best_value: float | None
    test_accuracy: float | None
    num_seeds: int
    headline: str
    verdict: str


@dataclass(frozen=True)
class SweepComparison:
    """Sweeps beside each other.

    Attributes:
        obstacles: Sentences on why their numbers may not be compared; empty where they may.
        differences: In what they differ, in the order of the sweep file, then what they ran with.
        findings: One per sweep, as they were given.
        pairs: Sentences on the leaders of each two sweeps over seeds that both have; none where there are obstacles.
    """

    obstacles: tuple[str, ...]
    differences: tuple[Difference, ...]
    findings: tuple[Finding, ...]
    pairs: tuple[str, ...]


def compare_sweeps(
    tables: Sequence[SweepTable], settings: Sequence[Mapping[str, str]], tasks: Sequence[Mapping[str, Sequence[Value]]]
) -> SweepComparison:
    """Sweeps beside each other.

    Args:
        tables: Two or more sweeps.
        settings: For each, its sweep file as dotted key -> text.
        tasks: For each, as `find_obstacles` takes it.
    """
    obstacles = find_obstacles(tables, tasks)
    ran_with = [_describe_ground(table) for table in tables]
    return SweepComparison(
        obstacles=obstacles,
        differences=(*_find_differences(settings), *_find_differences(ran_with)),
        findings=tuple(_find(table) for table in tables),
        pairs=() if obstacles else _pair_leaders(tables),
    )


def find_obstacles(tables: Sequence[SweepTable], tasks: Sequence[Mapping[str, Sequence[Value]]]) -> tuple[str, ...]:
    """Why the numbers of sweeps may not be compared: other images, another split, metric, length of training or model.

    Args:
        tables: Two or more sweeps.
        tasks: For each, setting -> the values that it takes in the trials, of those settings that make up the task. One
            that varies is no obstacle where it takes the same values in all sweeps.
    """
    found = [
        _tell_data("the images", tables, "digest"),
        _tell_data("the split into training and validation images", tables, "split_digest"),
        _tell("the metric", tables, [f"{table.goal} {table.goal_metric}" for table in tables]),
    ]
    for name in dict.fromkeys(name for task in tasks for name in task):
        values = [", ".join(map(format_number, task.get(name, ()))) or ABSENT for task in tasks]
        found.append(_tell(title_of(name), tables, values))
    return tuple(sentence for sentence in found if sentence)


def _tell_data(what: str, tables: Sequence[SweepTable], key: str) -> str:
    described = [table.manifest.get("data") for table in tables]
    data = [each if isinstance(each, Mapping) else {} for each in described]
    unknown = [table.sweep_id for table, each in zip(tables, data, strict=True) if not each.get(key)]
    if unknown:
        return f"It is not known whether {what} are the same: the manifest of {', '.join(unknown)} does not say."
    names = [f"{each.get('name')} {str(each[key]).removeprefix('sha256:')[:12]}" for each in data]
    return _tell(what, tables, names)


def _tell(what: str, tables: Sequence[SweepTable], values: Sequence[str]) -> str:
    """A sentence where the values are not all the same, else ""."""
    if len(set(values)) == 1:
        return ""
    each = "; ".join(f"{value} in {table.sweep_id}" for table, value in zip(tables, values, strict=True))
    return f"They differ in {what}: {each}."


def _find_differences(described: Sequence[Mapping[str, str]]) -> tuple[Difference, ...]:
    names = list(dict.fromkeys(name for each in described for name in each))
    rows = (Difference(name, tuple(each.get(name, ABSENT) for each in described)) for name in names)
    return tuple(row for row in rows if len(set(row.values)) > 1)


def _describe_ground(table: SweepTable) -> dict[str, str]:
    """What a sweep ran with, as its manifest has it."""
    manifest = table.manifest
    packages = manifest.get("packages")
    versions = packages if isinstance(packages, Mapping) else {}
    described = {"git commit": manifest.get("git_commit"), "python": manifest.get("python"), **versions}
    described |= {"processor": manifest.get("processor"), "processors": manifest.get("num_cpus")}
    return {f"ran with {name}": str(value) for name, value in described.items() if value is not None}


def _find(table: SweepTable) -> Finding:
    rows = build_leaderboard(table)
    leader = next((row for row in rows if row.best_value is not None), None)
    return Finding(
        sweep_id=table.sweep_id,
        state=table.state,
        num_trials=len(table.select()),
        num_epochs=sum(trial.num_epochs for trial in table.trials),
        goal_metric=table.goal_metric,
        leader=leader.arm if leader else None,
        best_value=leader.best_value if leader else None,
        test_accuracy=leader.test_accuracy if leader else None,
        num_seeds=leader.num_confirmed if leader else 0,
        headline=build_headline(table, rows),
        verdict=build_verdict(table, rows),
    )


def _pair_leaders(tables: Sequence[SweepTable]) -> tuple[str, ...]:
    leaders = [(table, rows[0]) for table in tables if (rows := build_leaderboard(table))]
    return tuple(text for one, other in combinations(leaders, 2) if (text := _tell_pair(*one, *other)))


def _tell_pair(table: SweepTable, row: LeaderboardRow, other: SweepTable, other_row: LeaderboardRow) -> str:
    """A sentence on two leaders over the seeds that both were retrained with; "" for fewer than two of them."""
    import numpy as np

    from tracking.statistics.intervals import student_interval

    here, there = _list_leader(table, row), _list_leader(other, other_row)
    shared = sorted(here.keys() & there.keys())
    if len(shared) < 2:
        return ""
    differences = np.array([np.nan_to_num(here[seed]) - np.nan_to_num(there[seed]) for seed in shared])
    interval = student_interval(differences)
    mean, shown = float(differences.mean()), f" (95 % interval {show_interval(interval)})" if interval else ""
    more = f"{100 * abs(mean):.2f} points {'less' if mean < 0 else 'more'}{shown}"
    return (
        f"With the same {len(shared)} seeds {row.arm} of {table.sweep_id} reaches {more} than {other_row.arm} of "
        f"{other.sweep_id}. That is no verdict: each was chosen as the best of its sweep."
    )


def _list_leader(table: SweepTable, row: LeaderboardRow) -> dict[int, float]:
    best = find_best(table, row.arm)
    return list_outcomes(table.retrainings(best)) if best else {}
