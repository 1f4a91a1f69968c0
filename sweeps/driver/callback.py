"""Tune's callback: feeds the recorder and the terminal.

Tune runs callbacks in its only loop, and an exception in one ends the sweep: nothing here waits or raises. The recorder
takes events into a queue, the terminal redraws in a thread of its own.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.driver.cluster import count_slots_now
from sweeps.running.lifecycle import close_trial, open_trial
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import searched
from sweeps.spec.arms import build_arms
from sweeps.stopping.rules import RULES
from sweeps.trials.ledger import TrialEntry
from tracking.names import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    EPOCH_METRICS,
    HEALTH_PREFIX,
    HESSIAN_LARGEST,
    HESSIAN_SMALLEST,
    SETTING_PREFIX,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_SECONDS,
    TRIAL_CURVATURE,
    TRIAL_HEALTH,
    VALIDATION_SECONDS,
    TrialState,
)
from trainer.trainable import CURVATURE, HEALTH, REPORTED_AT_END, parse_trial

# Recorded once, when the trial ends: metrics, and words as tags.
_SUMMARY = (BEST_VAL_ACCURACY, BEST_EPOCH, TEST_LOSS, TEST_ACCURACY, HESSIAN_LARGEST, HESSIAN_SMALLEST)
_MARKS = {HEALTH: TRIAL_HEALTH, CURVATURE: TRIAL_CURVATURE}


_COUNT_SECONDS = 2.0  # how often the cluster's nodes are counted, and trials that hang looked for
_MISSED_SECONDS = 20.0  # a driver that has not looked for so long stood still


class SweepCallback(Callback):  # type: ignore[misc]  # Ray ships no types
    """Follows every trial from its start to its end, and the cluster as nodes join and leave it."""

    def __init__(self, sweep: RunningSweep) -> None:
        self._sweep = sweep
        self._next_count_at = time.monotonic() + _COUNT_SECONDS
        rule = sweep.spec.early_terminate
        changes = rule is not None and RULES[rule.type].changes_settings
        self._looked_at = time.monotonic()
        self._heard: dict[str, tuple[Trial, float]] = {}  # trials that run, and when they were last heard of
        self._changing = {arm.name: searched(arm) for arm in build_arms(sweep.spec)} if changes else {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Counts how many trials can run at a time (nodes that joined get some), and ends trials that hang."""
        if time.monotonic() >= self._next_count_at:
            self._next_count_at = time.monotonic() + _COUNT_SECONDS
            self._sweep.slots = max(1, count_slots_now(self._sweep.spec.resources))
            self._end_hung()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Opens the trial's run, once, however often its process is restarted."""
        entry = self._entry(trial)
        self._heard[entry.trial_id] = trial, time.monotonic()
        open_trial(self._sweep, entry)

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Records one epoch."""
        entry = self._entry(trial)
        self._heard[entry.trial_id] = trial, time.monotonic()
        metrics = {
            name: float(value)
            for name, value in result.items()
            if name in EPOCH_METRICS or name.startswith(HEALTH_PREFIX)
        }
        metrics |= self._list_settings(entry)
        entry.marks.update({tag: result[key] for key, tag in _MARKS.items() if key in result})
        entry.summary.update({name: float(result[name]) for name in _SUMMARY if name in result})
        score = metrics.get(self._sweep.spec.metric.name)
        if score is None:  # a failed trial's result has no metrics
            return
        seconds = metrics[TRAIN_SECONDS] + metrics[VALIDATION_SECONDS]
        if self._sweep.ledger.record_epoch(entry.trial_id, result["epoch"], score, seconds, metrics):
            kept: dict[str, Any] = {"ended": True} if REPORTED_AT_END in result else {}
            if entry.pausing or entry.stop_reason:  # it may be closed by a later driver, which has not seen its results
                kept = {"marks": dict(entry.marks), "summary": dict(entry.summary)}
            self._sweep.recorder.record_epoch(entry.trial_id, result["epoch"], metrics, kept)
            self._sweep.notify(entry, "epoch")

    def _end_hung(self) -> None:
        """Kills the process of each trial that has not ended an epoch within all the hours that a trial may take."""
        hours = self._sweep.spec.budget.trial_hours
        if hours is None:
            return
        now = time.monotonic()
        missed, self._looked_at = now - self._looked_at, now
        for trial_id, (trial, heard_at) in list(self._heard.items()):
            if missed > _MISSED_SECONDS:  # the driver stood still, and what trials said meanwhile is still to be read
                self._heard[trial_id] = trial, heard_at + missed
            elif now - heard_at > 3600 * hours and trial.status == Trial.RUNNING:
                del self._heard[trial_id]
                self._entry(trial).hung = True
                trial.max_failures = 0  # it would only hang again
                ray.kill(trial.temporary_state.ray_actor)

    def _list_settings(self, entry: TrialEntry) -> dict[str, float]:
        """The numbers among the settings that are searched, where a rule changes them as training goes on."""
        numbers = {name: entry.parameters.get(name) for name in self._changing.get(entry.arm, ())}
        return {
            f"{SETTING_PREFIX}{name}": float(value)
            for name, value in numbers.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Closes the run as the searcher settled it; that of a paused trial stays open."""
        entry = self._entry(trial)
        self._heard.pop(entry.trial_id, None)
        if entry.paused:
            self._sweep.recorder.pause_trial(entry.trial_id)
            self._sweep.notify(entry, "paused")
        else:
            self._close(entry)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Closes the run of a trial that hung, or whose process was lost, or could not save, too often."""
        entry = self._entry(trial)
        self._heard.pop(entry.trial_id, None)
        error = str(trial.get_error() or "")
        if entry.hung:
            entry.stop_reason = f"hung: no epoch ended within trial_hours, {self._sweep.spec.budget.trial_hours:g}"
        elif error and entry.state is TrialState.FAILED:
            entry.stop_reason = f"gave up after {trial.num_failures} restarts: {error.strip().splitlines()[-1]}"
            entry.error = error
        self._close(entry)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Says that a trial goes on after its process was lost."""
        entry = self._entry(trial)
        self._heard.pop(entry.trial_id, None)  # until it has a process again
        self._sweep.notify(entry, "recovered")

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Lets the terminal look."""
        self._sweep.notify(None, "step")

    def _entry(self, trial: Trial) -> TrialEntry:
        return self._sweep.ledger.entries[parse_trial(trial.config).trial_id]

    def _close(self, entry: TrialEntry) -> None:
        close_trial(self._sweep, entry)
        if entry.error:
            with contextlib.suppress(OSError):  # a full disk must not end the sweep; the reason is recorded anyway
                log = self._sweep.folder.trial_log(entry.trial_id)
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(entry.error)
