"""Whether what a sweep has left behind agrees with itself: journal, MLflow, trials.csv, report and log files.

`check_sweep` is called at the end of tests that interrupt, kill or otherwise disturb a sweep. It knows nothing of what
was done to the sweep: it tells everything that no sweep may show, whatever happened.
"""

from __future__ import annotations

import csv
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from sweeps.home import Home, SweepFolder
from sweeps.running.replay import DeafRecorder, drop_retried, replay
from sweeps.running.sweep import RunningSweep
from sweeps.spec import SweepSpec, load_spec, load_spec_text
from sweeps.spec.arms import build_arms, build_defaults, constant_of, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.confirm import Retraining, choose, list_candidates, list_retrainings, list_selection
from sweeps.trials.ledger import Ledger, TrialEntry, TrialPhase
from tracking import names
from tracking.analysis.labels import format_number, format_percent
from tracking.analysis.leaderboard import build_leaderboard, find_standing, find_winner, format_cells
from tracking.analysis.race import find_dropped
from tracking.names import (
    LOST,
    STAGE_CONFIRM,
    STAGE_SEARCH,
    STAGE_SELECT,
    TEST_ACCURACY,
    TESTED_STAGES,
    SweepState,
    TrialState,
)
from tracking.ranking import Goal
from tracking.recording.events import (
    EpochRecorded,
    Event,
    JournalRepaired,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialPaused,
    TrialRecord,
    TrialResumed,
    TrialStarted,
)
from tracking.store.connection import open_client
from tracking.store.queries import load_sweep
from tracking.store.registry import model_name
from tracking.store.runs import search_sweep
from tracking.table import SweepTable, TrialRow, Value, parse_value
from trainer.config.changes import parse_changes

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

    from tracking.recording.recorder import Recorder

Points = list[tuple[int, float]]


def check_sweep(home: Home, sweep_id: str) -> None:
    """Returns when a sweep that has ended, and whose events were all delivered, agrees with itself.

    Args:
        home: Where its folder is; MLflow is that of `home.tracking_uri`.
        sweep_id: The sweep.

    Raises:
        AssertionError: With every violation in a line of its own.
    """
    left = _Remains(home, sweep_id)
    found = list(_check_files(left))
    if not found:
        found = [violation for check in _CHECKS for violation in check(left)]
    if found:
        raise AssertionError("\n- ".join((f"{sweep_id} contradicts itself in {len(found)} points:", *found)))


# What is there to be read


@dataclass
class _Told:
    """What the journal tells of a trial.

    Attributes:
        epochs: In the order in which they are told.
        points: Of each metric, as MLflow is to hold them.
        state: How it ended; None while it runs.
    """

    record: TrialRecord
    epochs: list[int] = field(default_factory=list)
    points: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    state: TrialState | None = None
    reason: str = ""
    num_ends: int = 0

    def take_epoch(self, what: EpochRecorded) -> None:
        """An epoch's finite metrics; others are told in tags."""
        self.epochs.append(what.epoch)
        for name, value in what.metrics.items():
            if math.isfinite(value):
                self.points[name].append((what.epoch, value))

    def end(self, what: TrialEnded) -> None:
        """Its state, and the metrics of the whole trial, which stand at its last epoch."""
        self.state, self.reason = what.state, what.stop_reason
        self.num_ends += what.state is not TrialState.STOPPED
        step = max(self.epochs, default=0)
        for name, value in what.metrics.items():
            if math.isfinite(value) and all(step > known for known, _ in self.points[name]):
                self.points[name].append((step, value))


@dataclass(frozen=True)
class _Remains:
    """All that a sweep has left behind, each part read when it is first asked for."""

    home: Home
    sweep_id: str

    @property
    def folder(self) -> SweepFolder:
        return self.home.folder(self.sweep_id)

    @cached_property
    def spec(self) -> SweepSpec:
        return load_spec(self.folder.resolved_file)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """In the order of their lines; a line that a crash has torn tells nothing."""
        events = []
        for line in self.folder.journal.read_bytes().splitlines():
            try:
                events.append(Event.from_line(line))
            except ValueError:
                continue
        return tuple(events)

    @property
    def was_confirmed_again(self) -> bool:
        """Whether retrainings were added after the sweep had ended, after which another trial may have won."""
        specs = [event.what.record.resolved for event in self.events if isinstance(event.what, SweepStarted)]
        return bool(self.earlier) or len({load_spec_text(spec, "journal").confirm for spec in specs}) > 1

    @cached_property
    def earlier(self) -> list[tuple[SweepSpec, frozenset[str]]]:
        """What the sweep was, and the trials that it had, each time before its search was made larger."""
        found: list[tuple[SweepSpec, frozenset[str]]] = []
        known: set[str] = set()
        before = ""
        for event in self.events:
            if isinstance(event.what, TrialStarted):
                known.add(event.what.record.trial_id)
            elif isinstance(event.what, SweepStarted):
                record = event.what.record
                if record.manifest.get("drivers", ({},))[-1].get("extended"):
                    found.append((load_spec_text(before, "journal"), frozenset(known)))
                before = record.resolved
        return found

    @cached_property
    def told(self) -> Mapping[str, _Told]:
        """What the journal tells of each trial; one left open when a driver ended, or another began, was stopped."""
        told: dict[str, _Told] = {}
        for event in drop_retried(self.events):
            match event.what:
                case TrialStarted(record):
                    trial = told.setdefault(record.trial_id, _Told(record))
                    trial.state, trial.reason = None, ""
                case EpochRecorded(trial_id) as epoch if trial_id in told:
                    told[trial_id].take_epoch(epoch)
                case TrialEnded(trial_id) as ended if trial_id in told:
                    told[trial_id].end(ended)
                case SweepStarted() | SweepEnded():
                    for trial in told.values():
                        trial.state = trial.state or TrialState.STOPPED
        return told

    @cached_property
    def client(self) -> Any:
        return open_client(self.home.tracking_uri)

    @cached_property
    def runs(self) -> list[Run]:
        """All runs of the sweep that were not deleted."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        found = search_sweep(self.client, experiments, self.sweep_id)
        return [run for run in found if run.info.lifecycle_stage == "active"]

    @cached_property
    def parents(self) -> list[Run]:
        return [run for run in self.runs if names.TRIAL_ID not in run.data.tags]

    @cached_property
    def children(self) -> Mapping[str, list[Run]]:
        """The runs of each trial."""
        children: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            if names.TRIAL_ID in run.data.tags:
                children[run.data.tags[names.TRIAL_ID]].append(run)
        return children

    def pairs(self) -> Iterator[tuple[str, Run, _Told]]:
        """The trials that are in MLflow and in the journal."""
        for trial_id, told in self.told.items():
            for run in self.children.get(trial_id, ()):
                yield trial_id, run, told

    @cached_property
    def points(self) -> Mapping[str, dict[str, Points]]:
        """By run, all points of all metrics, those that are there twice as well."""
        return {run.info.run_id: self._read_points(run) for runs in self.children.values() for run in runs}

    def _read_points(self, run: Run) -> dict[str, Points]:
        histories = {name: self.client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        return {name: sorted((each.step, each.value) for each in history) for name, history in histories.items()}

    @cached_property
    def series(self) -> Mapping[str, Points]:
        """All points of the metrics of the sweep's own run."""
        (parent,) = self.parents
        return self._read_points(parent)

    @cached_property
    def table(self) -> SweepTable:
        return load_sweep(self.sweep_id, self.home.tracking_uri)

    @cached_property
    def lines(self) -> Mapping[str, dict[str, str]]:
        """The lines of trials.csv by trial."""
        with self.folder.trials.open(newline="") as file:
            return {line["trial_id"]: line for line in csv.DictReader(file)}

    @cached_property
    def page(self) -> _Page:
        page = _Page()
        page.feed(self.folder.report.read_text())
        return page

    @property
    def searched(self) -> tuple[str, ...]:
        """The parameters that have a column of their own in the report."""
        return tuple(name for name in self.table.searched if name not in self.table.compared)

    @cached_property
    def versions(self) -> list[ModelVersion]:
        """The registered models of the sweep."""
        found = self.client.search_model_versions(f"name = '{model_name(self.spec.project)}'")
        return [version for version in found if version.tags.get(names.SWEEP_ID) == self.sweep_id]


class _Page(HTMLParser):
    """The tables and facts of a report.

    Attributes:
        tables: Class and rows of each table; a row is a text for each title of a column.
        facts: What stands in lists of names and values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[tuple[str, list[dict[str, str]]]] = []
        self.facts: dict[str, str] = {}
        self._titles: list[str] = []
        self._row: list[str] = []
        self._text: list[str] = []
        self._name = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append((dict(attributes).get("class") or "", []))
            self._titles = []
        elif tag == "tr":
            self._row = []
        elif tag in ("th", "td", "dt", "dd"):
            self._text = []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = "".join(self._text).strip()
        if tag == "th":
            self._titles.append(text)
        elif tag == "td":
            self._row.append(text)
        elif tag == "tr" and self._row:
            self.tables[-1][1].append(dict(zip(self._titles, self._row, strict=True)))
        elif tag == "dt":
            self._name = text
        elif tag == "dd":
            self.facts.setdefault(self._name, text)

    def rows(self, name: str) -> list[dict[str, str]]:
        """Of all tables of a class."""
        return [row for known, rows in self.tables if known == name for row in rows]


# Files


def _check_files(left: _Remains) -> Iterator[str]:
    """Without these there is nothing to compare."""
    folder = left.folder
    for file in (folder.resolved_file, folder.journal, folder.trials, folder.report):
        if not file.exists():
            yield f"{file.name} is not there"
    if folder.journal.exists() and len(left.parents) != 1:
        yield f"MLflow has {len(left.parents)} runs of the sweep itself, not one"


def _check_folder(left: _Remains) -> Iterator[str]:
    folder, secrets = left.folder, _list_secrets(left.home)
    for trial_id, told in left.told.items():
        if told.state is TrialState.FAILED and not folder.trial_log(trial_id).exists():
            yield f"{trial_id} failed and has no {folder.trial_log(trial_id).relative_to(folder.path)}"
    for path in sorted(folder.path.rglob("*")):
        name = path.relative_to(folder.path)
        if name.parts[0] != folder.ray.name and (path.name.startswith(".") or path.suffix in (".new", ".tmp")):
            yield f"{name} was left behind unfinished"
        if secrets and path.is_file() and any(secret in path.read_bytes() for secret in secrets):
            yield f"{name} has a password in it"


def _check_checkpoints(left: _Remains) -> Iterator[str]:
    """Which trials of a sweep that is complete have checkpoints.

    Those that run again, weights that are not registered, and one retraining of each arm that has not won, which may.
    """
    (parent,) = left.parents
    if parent.data.tags[names.SWEEP_STATE] != SweepState.COMPLETED:
        return
    for trial_id in sorted(left.folder.trials_with_checkpoints()):
        told = left.told.get(trial_id)
        if told is None:
            yield f"{trial_id} is not in the journal and has checkpoints"
            continue
        unregistered = told.record.stage == STAGE_CONFIRM and not left.versions
        standing = find_standing(left.table, told.record.arm)
        may_win = standing is not None and trial_id == standing.trial_id and standing != find_winner(left.table)
        if told.state not in (TrialState.STOPPED, TrialState.FAILED) and not unregistered and not may_win:
            yield f"{trial_id} is {told.state} in a sweep that is complete, and still has checkpoints"


def _list_secrets(home: Home) -> list[bytes]:
    """Each password of MLflow, as it is written in the URI and as it is."""
    parts = urlsplit(home.tracking_uri)
    query = parse_qs(parts.query)
    found = [
        parts.password or "",
        *(value for name in ("password", "passwd", "token") for value in query.get(name, ())),
    ]
    found += [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    return sorted(
        {text.encode() for secret in found if secret for text in (secret, unquote(secret), quote(secret, safe=""))}
    )


def _check_sequence(left: _Remains) -> Iterator[str]:
    sequences = [event.sequence for event in left.events]
    for before, after in pairwise((0, *sequences)):
        if after != before + 1:
            yield f"the journal goes on with event {after} after event {before}"
    marker = left.folder.journal.with_name(left.folder.journal.name + ".delivered")
    delivered = marker.read_text().strip() if marker.exists() else "nothing"
    if delivered != str(sequences[-1]):
        yield f"{marker.name} says {delivered}, and the last event of the journal is {sequences[-1]}"


# Runs and states


def _check_runs(left: _Remains) -> Iterator[str]:
    (parent,) = left.parents
    for trial_id in sorted(left.told.keys() | left.children.keys()):
        number = len(left.children.get(trial_id, ()))
        if trial_id not in left.told:
            yield f"{trial_id} has a run in MLflow and is not in the journal"
        elif number != 1:
            yield f"{trial_id} is in the journal and has {number} runs in MLflow"
    for run in left.runs:
        if run.info.status == "RUNNING":
            yield f"{run.info.run_name} is RUNNING in MLflow"
        if run is not parent and run.data.tags.get(names.PARENT_RUN_ID) != parent.info.run_id:
            yield f"{run.info.run_name} is not a child of the sweep's run in MLflow"
    for trial_id, told in left.told.items():
        if told.num_ends > 1:
            yield f"{trial_id} ended {told.num_ends} times, by the journal"


def _check_trial_states(left: _Remains) -> Iterator[str]:
    shown = {row["trial"]: row["state"].replace(" ", "_") for row in left.page.rows("trials")}
    for trial_id, run, told in left.pairs():
        tag = run.data.tags[names.TRIAL_STATE]
        in_csv = left.lines.get(trial_id, {}).get("state", "missing")
        in_report = shown.get(trial_id, "missing")
        states = {"journal": str(told.state), "MLflow": tag, "trials.csv": in_csv, "report": in_report}
        if len(set(states.values())) > 1:
            yield f"{trial_id} is " + ", ".join(f"{state} in the {where}" for where, state in states.items())
        if tag in tuple(TrialState) and run.info.status != TrialState(tag).mlflow_status:
            yield f"{trial_id} is {tag} by its tag and {run.info.status} as a run of MLflow"
        if told.reason and run.data.tags.get(names.TRIAL_STOP_REASON) != told.reason:
            found = run.data.tags.get(names.TRIAL_STOP_REASON)
            yield f"{trial_id} ended because {told.reason!r} in the journal and because {found!r} in MLflow"
    for name, known in {"trials.csv": set(left.lines), "report.html": set(shown)}.items():
        for trial_id in sorted(known - left.told.keys()):
            yield f"{trial_id} is in {name} and not in the journal"


def _check_sweep_state(left: _Remains) -> Iterator[str]:
    (parent,) = left.parents
    last = [event.what for event in left.events if isinstance(event.what, SweepStarted | SweepEnded)][-1:]
    told = str(last[0].state) if last and isinstance(last[0], SweepEnded) else names.STATE_RUNNING
    tag, reported = parent.data.tags[names.SWEEP_STATE], left.page.facts.get("state", "missing")
    if not told == tag == reported:
        yield f"the sweep is {told} in the journal, {tag} in MLflow, {reported} in the report"
    if tag in tuple(SweepState) and parent.info.status != SweepState(tag).mlflow_status:
        yield f"the sweep is {tag} by its tag and {parent.info.status} as a run of MLflow"
    if phase := parent.data.tags.get(names.SWEEP_PHASE):
        yield f"the sweep has ended and its phase is still {phase}"


# Epochs and other numbers


def _check_epochs(left: _Remains) -> Iterator[str]:
    for trial_id, told in left.told.items():
        if told.epochs != list(range(1, len(told.epochs) + 1)):
            yield f"{trial_id} has the epochs {told.epochs} in the journal, which are not each once from 1 on"
    for trial_id, run, told in left.pairs():
        recorded = left.points[run.info.run_id]
        wrong: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in sorted(recorded.keys() | told.points.keys()):
            steps, expected = ([step for step, _ in each.get(name, ())] for each in (recorded, told.points))
            if steps != expected:
                wrong[str(steps), str(expected)].append(name)
                continue
            for (step, value), (_, said) in zip(recorded.get(name, ()), told.points.get(name, ()), strict=True):
                if value != said:
                    yield f"{trial_id} has {name} {value} at epoch {step} in MLflow and {said} in the journal"
        for (those, truth), metrics in wrong.items():
            yield f"{trial_id} has {', '.join(metrics)} at epochs {those} in MLflow and at {truth} in the journal"


def _check_series(left: _Remains) -> Iterator[str]:
    """The sweep's own metrics grow with it: each step once, none missing, with the numbers that the journal tells."""
    was_repaired = any(isinstance(event.what, JournalRepaired) for event in left.events)
    for name, points in left.series.items():
        steps = [step for step, _ in points]
        if len(steps) > len(set(steps)):
            yield f"the sweep has {name} at the steps {steps}, which are not each once"
    if not was_repaired:  # what is known of a damaged journal's order is not what it was
        yield from _compare("the sweep", _read_series(left), _tell_series(left), ("MLflow", "the journal"))


def _read_series(left: _Remains) -> dict[str, object]:
    """The series whose every point follows from the order of events; of the others, the values without repetitions."""
    found: dict[str, object] = {}
    for name, points in left.series.items():
        values = [value for _, value in points]
        if name.startswith(names.BEST_BY_TRIALS):
            found[name] = points
        elif name.startswith(names.BEST_BY_SECONDS):
            found[name] = [value for value, _ in groupby(values)]
        elif name == names.EPOCHS_SPENT:
            found[name] = values[-1] if values == sorted(values) else values
        else:
            found[name] = [value for value, _ in groupby(values)]  # the end of a driver repeats the last one
    return found


def _tell_series(left: _Remains) -> dict[str, object]:
    """The same, counted from the journal."""
    goal, metric = Goal(left.spec.metric.goal), left.spec.metric.name
    records: dict[str, TrialRecord] = {}
    ended: list[str] = []
    ended_with_none = False  # whether a driver has ended before the first of them
    epochs: set[tuple[str, int]] = set()
    bests: dict[str, list[float]] = defaultdict(list)  # each arm's improvements
    by_trials: dict[str, Points] = defaultdict(list)
    for event in left.events:
        match event.what:
            case TrialStarted(record):
                records[record.trial_id] = record
            case EpochRecorded(trial_id, epoch, metrics) if trial_id in records and (trial_id, epoch) not in epochs:
                epochs.add((trial_id, epoch))
                record, score = records[trial_id], metrics.get(metric, math.nan)
                if record.stage == STAGE_SEARCH and math.isfinite(score):
                    known = bests[record.arm]
                    if not known or goal.best((score, known[-1])) != known[-1]:
                        known.append(score)
            case TrialEnded(trial_id, state) if state is not TrialState.STOPPED and trial_id in records:
                if trial_id in ended:
                    continue  # it had failed, and ran once more
                ended.append(trial_id)
                arm = records[trial_id].arm
                number = sum(records[each].arm == arm and records[each].stage == STAGE_SEARCH for each in ended)
                if records[trial_id].stage == STAGE_SEARCH and bests[arm]:
                    by_trials[arm].append((number, bests[arm][-1]))
            case SweepEnded():
                ended_with_none = ended_with_none or not ended
    told: dict[str, object] = {names.BEST_BY_TRIALS + arm: points for arm, points in by_trials.items()}
    told |= {names.BEST_BY_SECONDS + arm: values for arm, values in bests.items() if values}
    counts = [float(number) for number in range(0 if ended_with_none else 1, len(ended) + 1)]
    return told | {names.TRIALS_ENDED: counts, names.EPOCHS_SPENT: float(len(epochs))}


def _check_test_split(left: _Remains) -> Iterator[str]:
    """Test images are read once by each retraining, and by nothing else."""
    for trial_id, run, told in left.pairs():
        for name in (TEST_ACCURACY, names.TEST_LOSS):
            number = len(left.points[run.info.run_id].get(name, ()))
            if told.record.stage not in TESTED_STAGES and number:
                yield f"{trial_id} is a trial of the {told.record.stage} and has a {name}"
            elif number > 1:
                yield f"{trial_id} has {name} {number} times"
            elif not number and told.record.stage in TESTED_STAGES and told.state is TrialState.COMPLETED:
                yield f"{trial_id} was retrained to its end and has no {name}"


# Early stopping


def _check_decisions(left: _Remains) -> Iterator[str]:
    """Goes through the journal with fresh rules: what they decide is what happened."""
    sweep, unknown = _build_sweep(left), _list_unknown_arms(left)
    for event in drop_retried(left.events):
        entry = sweep.ledger.entries.get(event.what.trial_id)
        if entry is not None and entry.arm not in unknown and (violation := _find_contradiction(sweep, entry, event)):
            yield violation
        try:
            replay(sweep, (event,))
        except (ValueError, KeyError) as error:
            yield f"event {event.sequence} of the journal cannot have happened: {error}"
            return


def _list_unknown_arms(left: _Remains) -> set[str]:
    """Arms of which a trial is lost, or a part of it: nobody can recompute what was decided with it."""
    lost = {trial for event in left.events if isinstance(event.what, JournalRepaired) for trial in event.what.trials}
    return {left.told[trial].record.arm for trial in lost if trial in left.told}


def _build_sweep(left: _Remains) -> RunningSweep:
    """The sweep before its first event."""
    spec, arms = left.spec, build_arms(left.spec)
    arm_names, num_trials = tuple(arm.name for arm in arms), num_search_trials(spec, arms)
    num_epochs = int(constant_of(spec, "epochs")) if spec.early_terminate is not None else 0
    return RunningSweep(
        sweep_id=left.sweep_id,
        spec=spec,
        ledger=Ledger(Goal(spec.metric.goal), arm_names),
        rules=ArmRules(arm_names, spec.early_terminate, num_epochs, num_trials, spec.seed),
        recorder=cast("Recorder", DeafRecorder()),
        folder=left.folder,
        num_trials=num_trials,
    )


def _find_contradiction(sweep: RunningSweep, entry: TrialEntry, event: Event) -> str:
    """What an event has against what the rules and limits had decided by then; "" for nothing."""
    trial, phase = f"event {event.sequence}: {entry.trial_id}", entry.phase
    decided = f"it is {phase}" + (f" ({entry.stop_reason})" if entry.stop_reason else "") + ", by the rules"
    match event.what:
        case EpochRecorded(epoch=epoch) if phase is not TrialPhase.RUNNING:
            return f"{trial} ends epoch {epoch}, though {decided}"
        case TrialPaused() if phase is not TrialPhase.PAUSING:
            return f"{trial} pauses, though {decided}"
        case TrialResumed(change=change):
            return _find_wrong_promotion(sweep, entry, str(change.get("donor_id", "")), trial)
        case TrialEnded(state=TrialState.EARLY_STOPPED, stop_reason=reason):
            if reason not in _list_reasons(sweep, entry, event.time_ms):
                return f"{trial} is stopped early ({reason}), though {decided}"
        case TrialEnded(state=TrialState.COMPLETED | TrialState.DIVERGED as state) if phase is not TrialPhase.RUNNING:
            return f"{trial} is {state}, though {decided}"
    return ""


def _list_reasons(sweep: RunningSweep, entry: TrialEntry, time_ms: int) -> set[str]:
    """Why a trial may be stopped early now."""
    if entry.phase is TrialPhase.STOPPING:
        return {entry.stop_reason}
    if entry.phase is not TrialPhase.PAUSED:
        return set()
    limit, rule = sweep.search_end(entry.arm, time_ms), sweep.rules[entry.arm]
    if limit or rule.next_promoted() == entry.number:
        return {limit} - {""}
    return {rule.explain_pause(entry.number)}


def _find_wrong_promotion(sweep: RunningSweep, entry: TrialEntry, donor_id: str, trial: str) -> str:
    rule = sweep.rules[entry.arm]
    earned = rule.next_promoted()
    if earned is None:  # when no more trials come
        rule.close(sum(1 for _ in sweep.ledger.select(entry.arm, STAGE_SEARCH)))
        earned = rule.next_promoted()
    if earned is None and sweep.ledger.count(entry.arm, TrialState.COMPLETED) == 0:
        earned = rule.best_paused()
    if entry.phase is not TrialPhase.PAUSED:
        return f"{trial} goes on after a pause, though it is {entry.phase}"
    if earned != entry.number:
        return f"{trial} goes on after a pause, though trial {earned} of {entry.arm} has earned that, by the rules"
    number = rule.find_donor(entry.number, entry.epoch)
    donor = next((each for each in sweep.ledger.select(entry.arm, STAGE_SEARCH) if each.number == number), None)
    expected = donor.trial_id if donor else ""
    if expected != donor_id:
        return f"{trial} goes on as a copy of {donor_id or 'none'}, and of {expected or 'none'} by the rules"
    return ""


# Settings, and the numbers beside them


def _check_settings(left: _Remains) -> Iterator[str]:
    """The settings of every trial are the same wherever they are told, and so is what stands beside them."""
    rows = {trial.trial_id: trial for trial in left.table.trials}
    for trial_id, run, told in left.pairs():
        recorded = {name: parse_value(text) for name, text in run.data.params.items()}
        yield from _compare(trial_id, recorded, told.record.parameters, ("MLflow", "the journal"))
        if trial_id in left.lines and trial_id in rows:
            yield from _compare(
                trial_id, _flatten(left.lines[trial_id]), _list_facts(rows[trial_id]), ("trials.csv", "MLflow")
            )


def _compare(
    trial_id: str, found: Mapping[str, object], truth: Mapping[str, object], where: tuple[str, str]
) -> Iterator[str]:
    for name in sorted(found.keys() | truth.keys()):
        one, other = found.get(name, "nothing"), truth.get(name, "nothing")
        if one != other:
            yield f"{trial_id} has {name} {one} in {where[0]} and {other} in {where[1]}"


def _flatten(line: Mapping[str, str]) -> dict[str, object]:
    """The settings and numbers of a line of trials.csv."""
    facts: dict[str, object] = {name: line[name] for name in ("arm", "stage", "stop_reason")}
    facts |= {name: int(line[name]) for name in ("number", "seed", "epochs")}
    for name, text in line.items():
        kind, _, key = name.partition(".")
        if text and kind == "param":
            facts[key] = parse_value(text)
        elif text and kind == "metric":
            facts[name] = float(text)
    return facts


def _list_facts(trial: TrialRow) -> dict[str, object]:
    """The same of a trial of MLflow."""
    numbers = {f"metric.{name}": value for name, value in trial.summary.items()}
    plain = {name: getattr(trial, name) for name in ("arm", "stage", "stop_reason", "number", "seed")}
    return {**plain, "epochs": trial.num_epochs, **trial.parameters, **numbers}


def _check_retrainings(left: _Remains) -> Iterator[str]:
    """What is retrained is what ranks first by the values that are recorded, with the seeds that all arms share.

    Before the search of a sweep was made larger, that was what ranked first of the trials that there were then.
    """
    dropped = find_dropped(left.table)
    everything = frozenset(trial.trial_id for trial in left.table.trials)
    for arm in left.table.arms:
        earlier = [each for spec, known in left.earlier for each in _list_wanted(left.table, arm, spec, known)]
        wanted = _list_wanted(left.table, arm, left.spec, everything)
        yield from _compare_retrained(left, arm, (STAGE_SELECT,), wanted, earlier, is_whole=True)
        yield from _compare_retrained(left, arm, TESTED_STAGES, wanted, earlier, is_whole=arm not in dropped)


def _list_wanted(table: SweepTable, arm: str, spec: SweepSpec, known: frozenset[str]) -> list[Retraining]:
    """What is to be trained again of an arm, by those trials."""
    candidates = list_candidates([_to_entry(table, each) for each in table.ranking(arm) if each.trial_id in known])
    selected = [_to_entry(table, each) for each in table.select(arm, STAGE_SELECT) if each.trial_id in known]
    chosen = choose(candidates, selected, Goal(table.goal))
    default = build_defaults(spec).get(arm)
    selection = list_selection(candidates, spec.confirm.select, spec.seed)
    return [*selection, *list_retrainings(chosen, default, spec.confirm, spec.seed)]


def _compare_retrained(
    left: _Remains,
    arm: str,
    stages: Sequence[str],
    wanted: Sequence[Retraining],
    earlier: Sequence[Retraining],
    *,
    is_whole: bool,
) -> Iterator[str]:
    """Compares an arm's trials of some stages with those that there should be; all of them, where that is said."""
    expected = [(each.stage, each.parameters) for each in wanted if each.stage in stages]
    allowed = [*expected, *((each.stage, each.parameters) for each in earlier)]
    trials = [trial for stage in stages for trial in left.table.select(arm, stage)]
    found = [(trial.stage, dict(trial.parameters)) for trial in trials]
    lost = _list_lost(left.table, arm)
    for trial, each in zip(trials, found, strict=True):
        if each not in allowed and trial.configuration not in lost:
            first = next((best.trial_id for best in left.table.ranking(arm)), "none")
            yield f"{trial.trial_id} has not the settings, or not the seed, of a retraining of the first ({first})"
        elif found.count(each) > 1:
            yield f"{trial.trial_id} retrains what another retraining does, with the same seed"
    num_missing = sum(each not in found for each in expected)
    if found and is_whole and left.table.state == SweepState.COMPLETED and num_missing:
        yield f"{arm} lacks {num_missing} retrainings of {len(expected)}, of the stages {' and '.join(stages)}"


def _list_lost(table: SweepTable, arm: str) -> list[Mapping[str, Value]]:
    """Settings that were retrained, it may be, before a damaged journal lost a part of their trial."""
    return [
        trial.configuration
        for trial in table.select(arm, STAGE_SEARCH)
        if trial.state is TrialState.FAILED and trial.stop_reason.startswith(LOST)
    ]


def _to_entry(table: SweepTable, trial: TrialRow) -> TrialEntry:
    entry = TrialEntry(trial.trial_id, trial.arm, trial.stage, trial.number, trial.seed, trial.parameters)
    entry.state, entry.course = trial.state, trial.course
    value = table.value(trial)
    entry.best_score = math.nan if value is None else value
    return entry


def _check_leaderboard(left: _Remains) -> Iterator[str]:
    """Each row says of its arm what trials.csv says: settings, the test accuracy of those very settings, and counts."""
    rows = build_leaderboard(left.table)
    header, cells = format_cells(rows)
    shown = [tuple(row.get(title, "missing") for title in header) for row in left.page.rows("leaderboard")]
    if shown != list(cells):
        yield f"the leaderboard of the report has the rows {shown}, and by MLflow they are {list(cells)}"
    for row in rows:
        own = [line for line in left.lines.values() if line["arm"] == row.arm]
        search = [line for line in own if line["stage"] == STAGE_SEARCH]
        best = next((trial for trial in left.table.trials if trial.trial_id == row.best_trial_id), None)
        settings = {} if best is None else dict(best.course or _configure(left.lines[best.trial_id]))
        same = [line for line in own if line["stage"] == STAGE_CONFIRM and best and _configure(line) == settings]
        tests = [float(text) for line in same if (text := line.get(f"metric.{TEST_ACCURACY}"))]
        if changes := settings.get("changes"):
            epochs = sorted(parse_changes(str(changes)))
            settings["changes"] = f"after {'epoch' if len(epochs) == 1 else 'epochs'} {' '.join(map(str, epochs))}"
        found: dict[str, object] = {
            "trials": dict(Counter(line["state"] for line in search)),
            "epochs": sum(int(line["epochs"]) for line in own),
            "best settings": {name: settings.get(name) for name in row.best_parameters},
            "test accuracy": math.fsum(tests) / len(tests) if tests else None,
        }
        told = dict(row.num_by_state), row.num_epochs, dict(row.best_parameters), row.test_accuracy
        yield from _compare(row.arm, dict(zip(found, told, strict=True)), found, ("the leaderboard", "trials.csv"))


def _configure(line: Mapping[str, str]) -> dict[str, Value]:
    """All settings of a line of trials.csv but the seed."""
    settings = {name.removeprefix("param."): text for name, text in line.items() if name.startswith("param.") and text}
    return {name: parse_value(text) for name, text in settings.items() if name != "seed"}


def _check_trial_tables(left: _Remains) -> Iterator[str]:
    """Each row of the report's tables of trials says what the line of trials.csv says."""
    for row in left.page.rows("trials"):
        line = left.lines.get(row["trial"])
        if line is None:
            yield f"{row['trial']} is in the report and not in trials.csv"
            continue
        settings, test = _configure(line), line.get(f"metric.{TEST_ACCURACY}")
        expected = {name: format_number(settings[name]) if name in settings else "–" for name in left.searched}
        expected |= {"seed": line["seed"], "epochs": line["epochs"], "ended because": line["stop_reason"]}
        expected["test accuracy"] = format_percent(float(test) if test else None)
        shown = {
            name: row.get(name, text) for name, text in expected.items()
        }  # seeds stand beside test accuracies only
        if line["stage"] == STAGE_CONFIRM and test:
            shown["test accuracy"] = row.get("test accuracy", "nothing")
        yield from _compare(row["trial"], shown, expected, ("the report", "trials.csv"))


# The model


def _check_model(left: _Remains) -> Iterator[str]:
    """The registered model, if there is one, is the winner's and says so."""
    (parent,) = left.parents
    trials = [version.tags.get(names.TRIAL_ID) for version in left.versions]
    if len(trials) > len(set(trials)) or (len(trials) > 1 and not left.was_confirmed_again):
        yield f"the sweep has {len(left.versions)} registered models"
    winner = find_winner(left.table)
    for version in sorted(left.versions, key=lambda each: int(each.version))[-1:]:
        where = f"version {version.version} of the registered model"
        if winner is None:
            yield f"{where} is of a sweep that has no winner"
            continue
        expected = {
            names.TRIAL_ID: winner.trial_id,
            names.TRIAL_ARM: winner.arm,
            names.SWEEP_DATASET: parent.data.tags[names.SWEEP_DATASET],
            names.TEST_ACCURACY: f"{winner.summary[TEST_ACCURACY]:.4f}",
        }
        found = {name: version.tags.get(name, "nothing") for name in expected}
        yield from _compare(where, found, expected, ("its tags", "the winner's run"))
        if version.run_id != parent.info.run_id:
            yield f"{where} is not of the sweep's run"


_CHECKS: Sequence[Callable[[_Remains], Iterator[str]]] = (
    _check_folder,
    _check_checkpoints,
    _check_sequence,
    _check_runs,
    _check_trial_states,
    _check_sweep_state,
    _check_epochs,
    _check_series,
    _check_test_split,
    _check_decisions,
    _check_settings,
    _check_retrainings,
    _check_leaderboard,
    _check_trial_tables,
    _check_model,
)
