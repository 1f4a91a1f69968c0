"""A sweep whose driver is killed at any moment, and resumed, ends as if nothing had happened.

The moments are the events of the journal: nothing else outlives a driver. Tune is played by a loop that calls searcher,
scheduler and callback in its order.
"""

import json
import math
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.driver.callback import SweepCallback
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.home import SweepFolder
from sweeps.running.lifecycle import close_unfinished
from sweeps.running.replay import replay
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import Arm
from sweeps.spec import SweepSpec, load_spec
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.names import EPOCH_METRICS, TrialState
from tracking.ranking import Goal
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    TrialEnded,
    TrialPaused,
    TrialRecord,
    TrialResumed,
    TrialStarted,
)
from trainer.trainable import parse_trial

SWEEP = """
method: METHOD
compare: optimizer
budget: BUDGET
early_terminate: {type: RULE}
confirm: {top: 2, seeds: 2}
seed: 3
parameters:
  dataset: synthetic
  epochs: 5
  batch_size: {values: [32, 64]}
  weight_decay: {distribution: q_uniform, q: 0.05, min: 0, max: 0.3}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}}
  model: {choices: {fastcnn: {depth: {min: 1, max: 3}}, cnn3c3d: {}}}
"""

# All of Tune's controller that the scheduler looks at.
NO_PROCESSES: Any = SimpleNamespace(_started_actors=set(), _trial_to_actor=SimpleNamespace(get=lambda _: None))


Kind = TypeVar("Kind", TrialStarted, EpochRecorded, TrialEnded)


class Cut(BaseException):
    """The driver is killed."""


class ListRecorder:
    """Keeps the events as a journal would, and can be killed after so many of them."""

    def __init__(self, past: Sequence[Event] = (), cut_after: int | None = None) -> None:
        self.events = list(past)
        self._cut_after = cut_after

    def clock_ms(self) -> int:
        """A second for each event but starts, which a resume repeats: time goes on as if nothing had happened."""
        return 1000 * sum(not isinstance(event.what, TrialStarted) for event in self.events)

    def _add(self, what: Happening, time_ms: int | None = None) -> None:
        if self._cut_after is not None and len(self.events) >= self._cut_after:
            raise Cut
        event = Event(len(self.events) + 1, time_ms or self.clock_ms(), what)
        self.events.append(Event.from_line(event.to_line()))

    def start_trial(self, record: TrialRecord) -> None:
        self._add(TrialStarted(record))

    def record_epoch(self, trial_id: str, epoch: int, metrics: dict[str, float], **others: Any) -> None:
        time_ms, tags, summary = others["time_ms"], others["tags"], others["summary"]
        what = EpochRecorded(
            trial_id, epoch, metrics, others["ended"], tags is not None, dict(tags or {}), dict(summary or {})
        )
        self._add(what, time_ms)

    def pause_trial(self, trial_id: str) -> None:
        self._add(TrialPaused(trial_id))

    def go_on_trial(self, trial_id: str, change: dict[str, Any]) -> None:
        self._add(TrialResumed(trial_id, change))

    def end_trial(
        self, trial_id: str, state: TrialState, stop_reason: str, metrics: dict[str, float], tags: dict[str, str]
    ) -> None:
        self._add(TrialEnded(trial_id, state, stop_reason, dict(metrics), dict(tags)))


def list_all(recorder: ListRecorder, kind: type[Kind]) -> list[Kind]:
    """What happened of one kind."""
    return [event.what for event in recorder.events if isinstance(event.what, kind)]


RULES = (
    "asha, eta: 2",
    "asha_promotion, eta: 2",
    "hyperband, min_iter: 1, eta: 2, brackets: 2",
    "median, min_trials: 2",
    "pbt, interval: 1",
)


# Each limit of a sweep or a trial, and the reason that it gives. An epoch takes 2 s, an event of the journal 1 s.
LIMITS = {
    "epochs_per_arm: 9": "budget: epochs_per_arm",
    "target: 0.5": "budget: target reached by",
    "hours: 0.003": "budget: hours",
    "trial_hours: 0.0015": "budget: trial_hours",
    "floor": "floor: best val_accuracy",
    "plateau: 2": "",  # ends the search, and stops no trial
    "max_failures_fraction: 0.1": "",
}


def load(tmp_path: Path, method: str, rule: str = RULES[0], limit: str = "") -> SweepSpec:
    file = tmp_path / "sweep.yaml"
    text = SWEEP.replace("METHOD", method).replace("RULE", rule)
    if limit == "floor":
        text += "floor: {after: 2, min: 0.45}\n"
        limit = ""
    text = text.replace("BUDGET", f"{{trials_per_arm: 7, max_consecutive_failures: 99{', ' if limit else ''}{limit}}}")
    file.write_text(text)
    return load_spec(file)


def train(request: Any, epoch: int) -> dict[str, Any]:
    """What training gives: a curve that follows from the configuration; some diverge, fail, or stop early."""
    luck = random.Random(zlib.crc32(json.dumps(dict(request.parameters), sort_keys=True).encode()))
    kind, level = luck.random(), luck.random()
    metrics = dict.fromkeys(EPOCH_METRICS, 1.0) | {"val_accuracy": level * epoch / 5, "health": "healthy"}
    if kind < 0.08 and epoch == 2:
        return {"epoch": 1, "stop_reason": "failed", "failure": "ValueError: no", "error": "Traceback", "done": True}
    if 0.5 < kind < 0.57 and epoch == 2:
        return {"lost": "RayActorError: gone"}
    if kind < 0.2 and epoch == (2 if level < 0.5 else 3):  # with a score where the loss has only grown
        score = math.nan if level < 0.25 else level
        return metrics | {"epoch": epoch, "val_accuracy": score, "stop_reason": "diverged", "done": True}
    if epoch == 5 or (kind > 0.9 and epoch == 4):
        return metrics | {"epoch": epoch, "stop_reason": "epochs" if epoch == 5 else "patience", "done": True}
    return metrics | {"epoch": epoch, "done": False}


def begin(spec: SweepSpec, arms: Sequence[Arm], recorder: ListRecorder, tmp_path: Path, slots: int) -> RunningSweep:
    """A sweep that stands where the recorder's events end."""
    names = tuple(arm.name for arm in arms)
    sweep = RunningSweep(
        sweep_id="s",
        spec=spec,
        ledger=Ledger(Goal(spec.metric.goal), names),
        rules=ArmRules(names, spec.early_terminate, 5, num_search_trials(spec, arms), spec.seed),
        recorder=cast("Any", recorder),
        folder=SweepFolder(tmp_path / "s"),
        num_trials=num_search_trials(spec, arms),
        slots=slots,
        clock_ms=recorder.clock_ms,
    )
    replay(sweep, tuple(recorder.events))
    sweep.begin(0)
    return sweep


def drive(spec: SweepSpec, recorder: ListRecorder, tmp_path: Path, slots: int, luck: random.Random) -> RunningSweep:
    """Runs a sweep as Tune would, from where the recorder's events end, to its end or to the recorder's cut."""
    arms = build_arms(spec)
    sweep = begin(spec, arms, recorder, tmp_path, slots)
    searcher, scheduler, callback = ArmSearcher(sweep, arms), ArmScheduler(sweep), SweepCallback(sweep)
    live: dict[str, tuple[Any, int]] = {}  # Ray's id -> trial, its next epoch
    stopping: dict[str, tuple[Any, dict[str, Any]]] = {}  # those that Tune still saves before it lets go of them
    number = 0
    while not (sweep.finished and not live and not stopping):
        number += 1
        config = searcher.suggest(str(number))
        if isinstance(config, dict):
            trial = cast("Any", SimpleNamespace(config=config, trial_id=str(number)))
            known = sweep.ledger.entries[config["trial_id"]].epoch
            # From the beginning or a checkpoint, perhaps an old one; never from before it took over other weights.
            first = config["donor_epoch"] + 1
            live[str(number)] = trial, luck.randint(first, max(first, known))
            callback.on_trial_start(0, [], trial)
        for ray_id in sorted(stopping):
            if luck.random() < 0.5:
                trial, result = stopping.pop(ray_id)
                scheduler.on_trial_complete(NO_PROCESSES, trial, result)
                searcher.on_trial_complete(ray_id, result)
                callback.on_trial_complete(0, [], trial)
        if not live:
            continue
        ray_id = luck.choice(sorted(live))
        trial, epoch = live[ray_id]
        result = train(parse_trial(trial.config), epoch)
        if "lost" in result:
            if spec.budget.trial_hours is not None:
                callback._hang_check._reasons[trial.trial_id] = "hung: no epoch ended within trial_hours"
            lose(searcher, scheduler, callback, trial, result["lost"])
            del live[ray_id]
            continue
        stops = result["done"] or scheduler.on_trial_result(cast("Any", None), trial, result) == "STOP"
        callback.on_trial_result(0, [], trial, result)
        if stops:
            stopping[ray_id] = trial, result
            del live[ray_id]
        else:
            live[ray_id] = trial, epoch + 1
    return sweep


def lose(searcher: ArmSearcher, scheduler: ArmScheduler, callback: SweepCallback, trial: Any, error: str) -> None:
    """Tells of a process that was lost once too often, in Tune's order."""
    said = callback._sweep.folder.path.with_suffix(".error.txt")
    said.write_text(error)
    trial.error_file, trial.num_failures = str(said), 3
    scheduler.on_trial_error(cast("Any", None), trial)
    searcher.on_trial_complete(trial.trial_id, None, error=True)
    callback.on_trial_error(0, [], trial)


def show(sweep: RunningSweep) -> dict[str, Any]:
    """All that a sweep came to, under whatever driver; as text, since NaN does not equal itself."""
    rules = {arm: vars(sweep.rules[arm]) for arm in sweep.ledger.arms}
    entries = {key: vars(entry) | {"error": "", "part": 0} for key, entry in sweep.ledger.entries.items()}
    return {"rules": repr(rules), **{key: repr(entry) for key, entry in entries.items()}}


@pytest.mark.parametrize(
    ("method", "rule"), [("bayes", RULES[0]), ("bayes", RULES[1]), *(("random", rule) for rule in RULES)]
)
def test_killed_at_any_event_a_sweep_of_one_slot_ends_as_if_it_had_not_been(
    method: str, rule: str, tmp_path: Path
) -> None:
    spec = load(tmp_path, method, rule)
    recorder = ListRecorder()
    whole = show(drive(spec, recorder, tmp_path, 1, random.Random(1)))
    states = [str(what.state) for what in list_all(recorder, TrialEnded)]
    expected = {"completed", "diverged"} if rule.startswith("pbt") else {"completed", "early_stopped", "diverged"}
    assert expected <= set(states), "the test meets every kind of end"
    for cut in range(0, len(recorder.events), 1 if method == "random" else 5):
        killed = ListRecorder(cut_after=cut)
        with pytest.raises(Cut):
            drive(spec, killed, tmp_path, 1, random.Random(1))
        assert len(killed.events) == cut
        assert show(drive(spec, ListRecorder(killed.events), tmp_path, 1, random.Random(2))) == whole


@pytest.mark.parametrize("limit", LIMITS)
def test_killed_at_any_event_a_sweep_with_limits_ends_as_if_it_had_not_been(limit: str, tmp_path: Path) -> None:
    rules = {"epochs_per_arm": RULES[1], "hours": RULES[3]}  # under which the limit stops a trial
    spec = load(tmp_path, "random", rules.get(limit.partition(":")[0], RULES[0]), limit)
    recorder = ListRecorder()
    sweep = drive(spec, recorder, tmp_path, 1, random.Random(1))
    whole = show(sweep)
    reasons = [entry.stop_reason for entry in sweep.ledger.entries.values()]
    assert any(reason.startswith(LIMITS[limit]) for reason in reasons), sorted(reasons)
    for cut in range(0, len(recorder.events), 2):
        killed = ListRecorder(cut_after=cut)
        with pytest.raises(Cut):
            drive(spec, killed, tmp_path, 1, random.Random(1))
        assert show(drive(spec, ListRecorder(killed.events), tmp_path, 1, random.Random(2))) == whole, cut


@settings(max_examples=80, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=4),
    slots=st.integers(1, 5),
    seed=st.integers(0, 99),
    rule=st.sampled_from(RULES),
)
def test_killed_again_and_again_no_trial_is_lost_or_run_twice(
    cuts: list[int], slots: int, seed: int, rule: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("sweep")
    spec = load(tmp_path, "sobol", rule)
    luck = random.Random(seed)
    events: list[Event] = []
    for cut in cuts:
        recorder = ListRecorder(events, cut_after=len(events) + cut)
        try:
            drive(spec, recorder, tmp_path, slots, luck)
        except Cut:
            events = recorder.events
        else:
            break
    recorder = ListRecorder(events)
    sweep = drive(spec, recorder, tmp_path, slots, luck)
    assert sorted(entry.number for entry in sweep.ledger.select("adam", "search")) == list(range(7))
    assert sorted(entry.number for entry in sweep.ledger.select("sgd", "search")) == list(range(7))
    assert all(len(list(sweep.ledger.select(arm, "confirm"))) == 4 for arm in ("adam", "sgd"))
    assert not sweep.ledger.running()
    ends = [what.trial_id for what in list_all(recorder, TrialEnded)]
    assert sorted(ends) == sorted(sweep.ledger.entries), "each trial ends once"
    for trial_id, entry in sweep.ledger.entries.items():
        if waited := re.search(r"rank (\d+) of \d+ at epoch \d+, the best (\d+) went on", entry.stop_reason):
            assert int(waited[1]) > int(waited[2]), "who is among the best is promoted"
        epochs = [what.epoch for what in list_all(recorder, EpochRecorded) if what.trial_id == trial_id]
        assert epochs == list(range(1, entry.epoch + 1))
        parameters = [what.record.parameters for what in list_all(recorder, TrialStarted) if what.trial_id == trial_id]
        assert all(each == (entry.first_parameters or entry.parameters) for each in parameters)


def test_what_an_orderly_end_stopped_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    spec = load(tmp_path, "random")
    recorder = ListRecorder(cut_after=9)
    arms = tuple(arm.name for arm in build_arms(spec))
    with pytest.raises(Cut):
        drive(spec, recorder, tmp_path, 2, random.Random(1))
    recorder = ListRecorder(recorder.events)
    interrupted = RunningSweep(
        sweep_id="s",
        spec=spec,
        ledger=Ledger(Goal(spec.metric.goal), arms),
        rules=ArmRules(arms, spec.early_terminate, 5),
        recorder=cast("Any", recorder),
        folder=SweepFolder(tmp_path / "s"),
        num_trials={},
    )
    replay(interrupted, tuple(recorder.events))
    running = [entry.trial_id for entry in interrupted.ledger.running()]
    assert running
    interrupted.opened.update(running)
    close_unfinished(interrupted, "interrupted")
    assert not interrupted.ledger.running()
    sweep = drive(spec, recorder, tmp_path, 2, random.Random(2))
    assert all(sweep.ledger.entries[trial_id].state is not TrialState.STOPPED for trial_id in running)


def test_a_sweep_that_ended_for_failures_in_a_row_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    spec = load(tmp_path, "random")
    recorder = ListRecorder()
    sweep = drive(spec, recorder, tmp_path, 1, random.Random(1))
    failed = [entry.trial_id for entry in sweep.ledger.failed()]
    assert failed
    events = [event for event in recorder.events if event.what.trial_id in failed]  # nothing but failures, in a row
    ledger = Ledger(Goal.MAXIMIZE, ("sgd", "adam"))
    sweep.ledger = ledger
    replay(sweep, events)
    assert ledger.consecutive_failures == 0
    assert [entry.trial_id for entry in ledger.failed()] == failed
