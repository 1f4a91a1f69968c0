"""Trials whose process hangs: it gives no sign of life for so long that it is killed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import ray
from ray.tune.experiment import Trial

from sweeps.running.sweep import RunningSweep
from trainer.heartbeat import forget_signs, read_sign, read_trouble
from trainer.trainable import parse_trial


@dataclass(frozen=True)
class HangLimits:
    """For how long a trial may give no sign of life, which is a batch or the end of an epoch.

    They are generous: what hangs costs a slot, and what was only slow costs a trial.

    Attributes:
        start_seconds: From the start of its process, queueing not counted, to the first sign.
        first_epoch_seconds: Until its process has ended an epoch: images are prepared, and steps may be compiled.
        epoch_seconds: Later, at least.
        epoch_factor: Later, in units of the longest epoch that the sweep has measured.
        look_seconds: How often the signs are looked at.
        missed_seconds: A driver that has not looked for so long stood still, and nobody is to blame for that time.
    """

    start_seconds: float = 3600.0
    first_epoch_seconds: float = 3600.0
    epoch_seconds: float = 600.0
    epoch_factor: float = 20.0
    look_seconds: float = 10.0
    missed_seconds: float = 20.0


LIMITS = HangLimits()


@dataclass
class _Watch:
    """What is known of the process of a trial.

    Attributes:
        trial: Tune's.
        sign_at: When it was last heard of.
        epoch_at: When it last ended an epoch, or its start.
        look_at: When its signs are read next.
        sign: The last that was read.
        has_ended_epoch: Whether this process has ended one.
    """

    trial: Trial
    sign_at: float
    epoch_at: float
    look_at: float
    sign: bytes | None = None
    has_ended_epoch: bool = False

    @property
    def is_starting(self) -> bool:
        """Whether its process has said nothing so far."""
        return self.sign is None and not self.has_ended_epoch

    def pass_over(self, seconds: float) -> None:
        """Does not count a time in which nobody listened."""
        self.sign_at += seconds
        self.epoch_at += seconds


class HangCheck:
    """Ends the trials that hang. With `budget.trial_hours`, also those that end no epoch within so many hours.

    Args:
        sweep: Whose trials they are.
        limits: None for `LIMITS`.
    """

    def __init__(self, sweep: RunningSweep, limits: HangLimits | None = None) -> None:
        self._sweep = sweep
        self._limits = limits or LIMITS
        self._watched: dict[str, _Watch] = {}  # Ray's id -> trial that has a process
        self._reasons: dict[str, str] = {}  # Ray's id -> why its process was killed
        self._looked_at = time.monotonic()

    def watch(self, trial: Trial) -> None:
        """Begins with a trial whose process has started."""
        now = time.monotonic()
        self._watched[trial.trial_id] = _Watch(trial, sign_at=now, epoch_at=now, look_at=now)

    def hear(self, trial: Trial) -> None:
        """Notes that a trial has ended an epoch."""
        if (watch := self._watched.get(trial.trial_id)) is not None:
            watch.sign_at = watch.epoch_at = time.monotonic()
            watch.has_ended_epoch = True

    def forget(self, trial: Trial) -> None:
        """Notes that a trial has no process, or none yet."""
        if self._watched.pop(trial.trial_id, None) is not None:
            forget_signs(trial.trial_id)

    def find_reason(self, trial: Trial) -> str:
        """Why a trial was ended here; "" for one that was not."""
        return self._reasons.get(trial.trial_id, "")

    def look(self) -> None:
        """Reads the signs of the trials that run, and kills the process of each that hangs."""
        now = time.monotonic()
        missed, self._looked_at = now - self._looked_at, now
        troubles = []
        for watch in list(self._watched.values()):
            if missed > self._limits.missed_seconds:
                watch.pass_over(missed)
            if watch.trial.status != Trial.RUNNING:
                continue
            self._read_sign(watch, now)
            if trouble := read_trouble(watch.sign):
                watch.epoch_at = now
                troubles.append(f"{parse_trial(watch.trial.config).trial_id} waits to save its state: {trouble}")
            if reason := self._judge(watch, now):
                self._end(watch.trial, reason)
        self._sweep.full_disk = troubles[0] if troubles else ""

    def _read_sign(self, watch: _Watch, now: float) -> None:
        if now < watch.look_at:
            return
        watch.look_at = now + self._limits.look_seconds
        try:
            sign = read_sign(watch.trial.trial_id)
        except Exception:  # noqa: BLE001  # of Ray's client; a trial that cannot be heard is not to blame
            watch.sign_at = now
            return
        if sign != watch.sign:
            watch.sign, watch.sign_at = sign, now

    def _judge(self, watch: _Watch, now: float) -> str:
        """Why a trial is ended now; "" if it is not."""
        hours = self._sweep.spec.budget.trial_hours
        if hours is not None and now - watch.epoch_at > 3600 * hours:
            return f"hung: no epoch ended within trial_hours, {hours:g}"
        limit = self._find_limit(watch)
        if now - watch.sign_at <= limit:
            return ""
        if watch.is_starting:
            return f"hung: no training began within {limit:.0f} s of the start of its process"
        return f"hung: no epoch ended within {limit:.0f} s of its last sign of life"

    def _find_limit(self, watch: _Watch) -> float:
        """Seconds for which a trial may say nothing at the moment."""
        if watch.is_starting:
            return self._limits.start_seconds
        least = self._limits.epoch_seconds if watch.has_ended_epoch else self._limits.first_epoch_seconds
        return max(least, self._limits.epoch_factor * self._sweep.ledger.longest_epoch)

    def _end(self, trial: Trial, reason: str) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        self.forget(trial)
        self._reasons[trial.trial_id] = reason
        trial.max_failures = 0  # it would only hang again
        ray.kill(actor)
