"""The disk that a sweep takes: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.plan.plan import ArmPlan, DiskPlan, Range, add_ranges
from sweeps.spec.arms import build_arms
from sweeps.stopping.rules import RULES

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from trainer.cost import Footprint

# Bytes, measured on sweeps of 20 to 400 trials and 1 to 100 epochs.
STORE = 950_000  # an empty SQLite store of MLflow
STORE_TRIAL, STORE_TRIAL_METRIC, STORE_METRIC = 4_000, 200, 300  # a run, each metric that it has, each of its values
JOURNAL_TRIAL, JOURNAL_METRIC = 650, 47
REPORT, REPORT_TRIAL, REPORT_EPOCH = 4_850_000, 950, 160  # report.html and trials.csv; MLflow keeps a copy
TUNE_TRIAL, TUNE_SNAPSHOT_TRIAL = 4_200, 33_000  # the folder and the log; what is written again and again as it runs
MODEL = 300_000  # a registered model, its weights aside

_CHECKPOINTS_OF_A_RUNNING_TRIAL = 3  # the last two, and one that is being written
_CHECKPOINTS_OF_A_MEMBER = 4  # of a population, whose members take over what others had at the last pause but one


@dataclass(frozen=True)
class Storage:
    """What is known of the disk that results go to.

    Attributes:
        footprint: Of the trial that leaves most.
        free_bytes: Room in the results folder.
        has_store: Whether MLflow keeps everything there too, in SQLite.
    """

    footprint: Footprint
    free_bytes: int
    has_store: bool


def build_disk_plan(
    spec: SweepSpec, arms: tuple[ArmPlan, ...], num_trials: Mapping[str, float], slots: int, storage: Storage
) -> DiskPlan:
    """The disk that a sweep takes.

    Args:
        spec: The sweep.
        arms: What is planned for each.
        num_trials: Search trials of each arm, at most.
        slots: Trials that run at a time.
        storage: Of this machine.
    """
    checkpoint = storage.footprint.checkpoint_bytes
    num_search, num_confirm = sum(num_trials.values()), sum(arm.num_confirm for arm in arms)
    rule = None if spec.early_terminate is None else RULES[spec.early_terminate.type]
    running = _CHECKPOINTS_OF_A_RUNNING_TRIAL * slots
    waiting = num_confirm + (num_search if rule is not None and rule.pauses else 0)
    if rule is not None and rule.changes_settings:
        waiting += (_CHECKPOINTS_OF_A_MEMBER - 1) * num_search
    num_metrics = storage.footprint.num_metrics
    if rule is not None and rule.changes_settings:
        num_metrics += max(len(arm.parameters) for arm in build_arms(spec))
    trial, epoch = _find_rates(num_metrics, has_store=storage.has_store)
    fixed = _find_fixed(storage)
    fixed += MODEL + checkpoint // 2 if num_confirm and storage.has_store else 0  # weights, without what trains them
    kept = checkpoint * (len(arms) - 1) if num_confirm else 0  # one of each arm that has not won
    logged = add_ranges([arm.epochs for arm in arms]).times(epoch)
    recorded = add_ranges([logged, Range(*[fixed + (num_search + num_confirm) * trial] * 3)])
    snapshots = (num_search + num_confirm) * TUNE_SNAPSHOT_TRIAL
    return DiskPlan(
        checkpoint_bytes=checkpoint,
        first_bytes=_find_fixed(storage) + running * checkpoint,
        peak_bytes=round(recorded.high + snapshots + (running + waiting) * checkpoint),
        end_bytes=add_ranges([recorded, Range(kept, kept, kept)]),
        free_bytes=storage.free_bytes,
    )


def _find_fixed(storage: Storage) -> int:
    """Bytes of the report and of an empty store."""
    return REPORT + (REPORT + STORE if storage.has_store else 0)


def _find_rates(num_metrics: int, *, has_store: bool) -> tuple[int, int]:
    """Bytes of each trial and of each epoch, where nothing but text is left of them."""
    trial = JOURNAL_TRIAL + REPORT_TRIAL + TUNE_TRIAL
    epoch = num_metrics * JOURNAL_METRIC + REPORT_EPOCH
    if has_store:
        trial += STORE_TRIAL + num_metrics * STORE_TRIAL_METRIC + REPORT_TRIAL
        epoch += num_metrics * STORE_METRIC + REPORT_EPOCH
    return trial, epoch
