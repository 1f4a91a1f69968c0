"""How long a sweep will take, reckoned from the first epochs of its own trials, and whether the disk has room for it.

Nothing waits for either: importing torch to measure a checkpoint would keep the first trial waiting for seconds.
"""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeps.driver.measuring import check_room, find_footprint, find_storage
from sweeps.errors import BadUsage
from sweeps.plan.build import build_plan
from sweeps.plan.costs import CostKey, build_cost_key
from sweeps.plan.words import summarize
from sweeps.running.sweep import RunningSweep, TrialEvent
from tracking.files import write_file
from trainer.cost import Cost

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.plan.plan import Plan
    from sweeps.trials.ledger import TrialEntry
    from trainer.data.dataset import Dataset

_EPOCHS_PER_SLOT = 1  # that are waited for, besides the first of each process
_SETUP_SECONDS = 0.3  # between two trials in one process


class Pace:
    """A listener that says once, from a thread of its own, how long the sweep will take, and notes it in its manifest.

    The first epoch of each process takes longer than others, since torch prepares itself in it, so it does not count.

    Where the plan is without the disk, what the sweep will take of it is found out as well, and said where there is not
    enough room.

    Args:
        plan: What the sweep will come to, as far as that was known before it began: without times.
        data: The images.
        home: Where its results go.
        say: Takes the line.
    """

    def __init__(self, plan: Plan, data: Dataset, home: Home, say: Callable[[str], None]) -> None:
        self._plan, self._data, self._home, self._say = plan, data, home, say
        self._spent: dict[str, float] = {}  # seconds of each trial's epochs so far
        self._seconds: list[tuple[CostKey, float]] | None = []  # of each epoch that counts; None once it has been said

    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Takes note of an epoch."""
        if self._seconds is None or entry is None or event is not TrialEvent.EPOCH:
            return
        is_known, is_first_in_process = entry.trial_id in self._spent, len(self._spent) < sweep.slots
        before = self._spent.get(entry.trial_id, 0.0)
        self._spent[entry.trial_id] = entry.train_seconds
        if is_known or (entry.epoch == 1 and not is_first_in_process):
            self._seconds.append((build_cost_key(entry.parameters), entry.train_seconds - before))
        if len(self._seconds) >= _EPOCHS_PER_SLOT * sweep.slots:
            found, self._seconds = self._seconds, None
            threading.Thread(target=self._tell, args=(sweep, found), name="plan", daemon=True).start()

    def _tell(self, sweep: RunningSweep, found: list[tuple[CostKey, float]]) -> None:
        costs = {key: _build_cost([seconds for other, seconds in found if other == key]) for key, _ in found}
        timed = build_plan(sweep.spec, self._plan.slots, costs, self._data.num_bytes)
        plan = replace(
            self._plan, wall_seconds=timed.wall_seconds, core_hours=timed.core_hours, gpu_hours=timed.gpu_hours
        )
        _note(plan, sweep)
        self._say(summarize(plan))
        if plan.disk is None and (storage := find_storage(find_footprint(sweep.spec, self._data), self._home)):
            plan = replace(plan, disk=build_plan(sweep.spec, plan.slots, costs, self._data.num_bytes, storage).disk)
            _note(plan, sweep)
            if warning := _find_warning(plan, self._home):
                self._say(warning)


def _note(plan: Plan, sweep: RunningSweep) -> None:
    manifest = json.loads(sweep.folder.manifest.read_text("utf-8"))
    with suppress(OSError):  # a full disk: the plan stays as it was
        write_file(sweep.folder.manifest, json.dumps({**manifest, "plan": plan.to_json()}, indent=2) + "\n")


def _find_warning(plan: Plan, home: Home) -> str:
    """One sentence on a disk that is or may become full: a sweep that runs is not ended for it, but waits for room."""
    try:
        return check_room(plan, home)
    except BadUsage as error:
        return str(error)


def _build_cost(seconds: list[float]) -> Cost:
    return Cost(
        epoch_seconds=statistics.median(seconds),
        low_seconds=min(seconds),
        high_seconds=max(seconds),
        setup_seconds=_SETUP_SECONDS,
        test_seconds=0.0,
        memory_bytes=0,
        checkpoint_bytes=0,
    )
