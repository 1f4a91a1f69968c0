"""The tags by which a sweep's runs are found again in MLflow. Pure."""

from __future__ import annotations

import json

from tracking import names
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.origin import build_source_tags


def build_sweep_tags(record: SweepRecord) -> dict[str, str]:
    """Tags of a sweep's run while it runs."""
    tags = {
        names.SWEEP_ID: record.sweep_id,
        names.SWEEP_NAME: record.name,
        names.SWEEP_STATE: names.STATE_RUNNING,
        names.SWEEP_PHASE: "",
        names.SWEEP_GOAL_METRIC: record.goal_metric,
        names.SWEEP_GOAL: record.goal,
        names.SWEEP_COMPARE: record.compare or "",
        names.SWEEP_ARMS: json.dumps(record.arms),
        names.SWEEP_SEARCHED: json.dumps(record.searched),
        names.SWEEP_NOTICES: json.dumps(record.notices),
    }
    if record.description:
        tags[names.NOTE] = record.description
    return (
        tags
        | build_source_tags(record.manifest, record.tags)
        | {str(key): str(value) for key, value in record.tags.items()}
    )


def build_trial_tags(sweep_id: str, record: TrialRecord) -> dict[str, str]:
    """Tags of a trial's run while it runs."""
    return {
        names.SWEEP_ID: sweep_id,
        names.TRIAL_ID: record.trial_id,
        names.TRIAL_NUMBER: str(record.number),
        names.TRIAL_ARM: record.arm,
        names.TRIAL_STAGE: record.stage,
        names.TRIAL_SEED: str(record.seed),
        names.TRIAL_STATE: names.STATE_RUNNING,
    }
