"""Every experiment, tag, parameter and metric key that the project writes to MLflow, once."""

from __future__ import annotations

import re
from enum import StrEnum

# Tags of a sweep (the parent run)
SWEEP_ID = "sweep.id"  # on the children as well
SWEEP_NAME = "sweep.name"
SWEEP_STATE = "sweep.state"  # running | completed | interrupted | failed
SWEEP_METHOD = "sweep.method"
SWEEP_DATASET = "sweep.dataset"
SWEEP_FALLBACK = "sweep.fallback"
SWEEP_GOAL_METRIC = "sweep.goal_metric"
SWEEP_GOAL = "sweep.goal"
SWEEP_METRICS = "sweep.metrics"  # where there are several: names and directions, the goal among them
SWEEP_COMPARE = "sweep.compare"
SWEEP_ARMS = "sweep.arms"  # JSON list
SWEEP_SEARCHED = "sweep.searched"  # JSON list
SWEEP_NOTICES = "sweep.notices"  # JSON list
SWEEP_CONFIRM = "sweep.confirm"  # JSON: how the best are confirmed, and how often seeds were added
SWEEP_HEADLINE = "sweep.headline"  # the verdict in one sentence; begins with "So far" while it runs
SWEEP_VERDICT = "sweep.verdict"  # its grounds
SWEEP_WARNINGS = "sweep.warnings"  # JSON list: what makes it weaker than it looks
SWEEP_REQUEST = "sweep.request"  # what somebody asks of its driver: a Request, "@", seconds since 1970
SWEEP_SECONDS = "sweep.driver_seconds"  # how long it has run under its drivers, when the last one ended
SWEEP_PHASE = "sweep.phase"  # what the driver makes of it: "" | paused | stopping | cancelling
SWEEP_HEARTBEAT = "sweep.heartbeat"  # seconds since 1970 at the driver's last sign of life
SWEEP_JOB = "sweep.job"  # submission id of the Ray job that drives it; absent for a sweep that was not submitted

# Tags of a trial (a child run)
TRIAL_ID = "trial.id"
TRIAL_NUMBER = "trial.number"
TRIAL_ARM = "trial.arm"
TRIAL_STAGE = "trial.stage"  # one of STAGES
TRIAL_STATE = "trial.state"  # running, then a TrialState
TRIAL_STOP_REASON = "trial.stop_reason"
TRIAL_COURSE = "trial.course"  # under population based training: settings that train its weights from the start
TRIAL_LINEAGE = "trial.lineage"  # under population based training: whose copy the trial became, and when
TRIAL_HEALTH = "trial.health"  # healthy | diverged | exploding | vanishing | dead | stalled, after its last epoch
TRIAL_CURVATURE = "trial.curvature"  # saddle | sharp | flat, where it was asked for
TRIAL_SEED = "trial.seed"
NONFINITE_PREFIX = "nonfinite."  # nonfinite.train_loss = "nan at epoch 3": MLflow's charts cannot show such a value

# Tags of a model version; TRIAL_ID, TRIAL_ARM and SWEEP_ID are on it as well
MODEL_ANSWERS = "model.answers"  # what it answers where it is served; absent on those that answer with logits

# Tags with a meaning in MLflow itself
PARENT_RUN_ID = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
ENTRY_POINT = "mlflow.project.entryPoint"
GIT_COMMIT = "mlflow.source.git.commit"
GIT_DIRTY = "mlflow.source.git.dirty"
DATASET_CONTEXT = "mlflow.data.context"  # of an input of a run

LOST = "the sweep's journal was damaged"  # how the reason of a trial begins of which something is lost

STAGE_SEARCH = "search"
STAGE_SELECT = "select"  # a second look at the best of an arm, by validation
STAGE_CONFIRM = "confirm"
STAGE_DEFAULT = "default"  # an arm's untuned defaults, beside what was confirmed
STAGES = (STAGE_SEARCH, STAGE_SELECT, STAGE_CONFIRM, STAGE_DEFAULT)
TESTED_STAGES = (STAGE_CONFIRM, STAGE_DEFAULT)  # which read the test split
# The stages for which trials of a stage are chosen from: once they have begun, another trial could change the choice.
CHOSEN_BY = {STAGE_SEARCH: (STAGE_SELECT, *TESTED_STAGES), STAGE_SELECT: TESTED_STAGES}
STATE_RUNNING = "running"
PHASE_PAUSED = "paused"

# Artifacts of a sweep
SWEEP_FILE_ARTIFACT = "sweep.yaml"
RESOLVED_ARTIFACT = "resolved.yaml"
MANIFEST_ARTIFACT = "manifest.json"
REPORT_ARTIFACT = "report.html"

# Metrics
TRAIN_LOSS = "train_loss"
TRAIN_ACCURACY = "train_accuracy"
VAL_LOSS = "val_loss"
VAL_ACCURACY = "val_accuracy"
LR = "lr"
TRAIN_SECONDS = "train_seconds"
VALIDATION_SECONDS = "validation_seconds"
NUM_SAMPLES = "num_samples"
NUM_STEPS = "num_steps"
NUM_GRADIENT_EVALUATIONS = "num_gradient_evaluations"
BEST_VAL_ACCURACY = "best_val_accuracy"
BEST_EPOCH = "best_epoch"
SETTING_PREFIX = "setting."  # what a setting was in an epoch, where it may change from one to the next
HEALTH_PREFIX = "health."  # gradient norms, size of steps, dead units: trainer.loop.health
HESSIAN_LARGEST, HESSIAN_SMALLEST = "hessian_largest", "hessian_smallest"
TEST_LOSS = "test_loss"
TEST_ACCURACY = "test_accuracy"

# Metrics of a sweep's own run: tracking.recording.progress. MLflow makes a section of what stands before the stroke.
BEST_BY_TRIALS = "best_by_trials/"  # and the arm's name
BEST_BY_SECONDS = "best_by_seconds/"
TRIALS_ENDED = "progress/trials_ended"
EPOCHS_SPENT = "progress/epochs_spent"

EPOCH_METRICS = (
    TRAIN_LOSS,
    TRAIN_ACCURACY,
    VAL_LOSS,
    VAL_ACCURACY,
    LR,
    TRAIN_SECONDS,
    VALIDATION_SECONDS,
    NUM_SAMPLES,
    NUM_STEPS,
    NUM_GRADIENT_EVALUATIONS,
)


_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")  # a folder's name has up to 255 bytes


def is_sweep_id(text: str) -> bool:
    """Whether a text can be the id of a sweep: the name of a folder that no path, glob or filter reads otherwise."""
    return _PLAIN.fullmatch(text) is not None


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopped"
    DIVERGED = "diverged"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def mlflow_status(self) -> str:
        """The run status in MLflow's own words."""
        return _TRIAL_STATUS[self]


class SweepState(StrEnum):
    """How a sweep ended."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def mlflow_status(self) -> str:
        """The run status in MLflow's own words."""
        return _SWEEP_STATUS[self]


_TRIAL_STATUS = {
    TrialState.COMPLETED: "FINISHED",
    TrialState.EARLY_STOPPED: "KILLED",
    TrialState.DIVERGED: "FAILED",
    TrialState.FAILED: "FAILED",
    TrialState.STOPPED: "KILLED",
}
_SWEEP_STATUS = {
    SweepState.COMPLETED: "FINISHED",
    SweepState.INTERRUPTED: "KILLED",
    SweepState.FAILED: "FAILED",
}
