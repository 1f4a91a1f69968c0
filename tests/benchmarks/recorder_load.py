"""What recording costs the driver, and how many epochs a second reach MLflow.

    .venv/bin/python tests/benchmarks/recorder_load.py [--trials 200] [--epochs 27] [--uri postgresql://...]

Prints the time that the driver waits per epoch (call), the rate at which MLflow took everything, and the memory that
the recorder's process has gained.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from tracking.names import EPOCH_METRICS, STAGE_SEARCH, TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--uri", default="")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="recorder-load-"))
    uri = arguments.uri or f"sqlite:///{folder / 'mlflow.db'}"
    recorder = Recorder(uri, folder / "sweep" / "journal.jsonl", artifact_root=folder / "artifacts")
    recorder.start_sweep(
        SweepRecord(
            sweep_id="load-20260101-000000-0000",
            name="load",
            project="load",
            description="",
            sweep_file="",
            resolved="",
            manifest={},
            tags={},
            goal_metric="val_accuracy",
            goal="maximize",
            compare=None,
            arms=("all",),
            searched=("lr",),
        )
    )
    assert recorder.flush(120.0), recorder.problem
    memory, start = psutil.Process().memory_info().rss, time.perf_counter()
    calls = []
    trials = [f"all-{number:04d}" for number in range(arguments.trials)]
    for number, trial_id in enumerate(trials):
        recorder.start_trial(TrialRecord(trial_id, number, "all", STAGE_SEARCH, number, {"lr": 0.1, "epochs": 27}))
    for epoch in range(1, arguments.epochs + 1):
        for trial_id in trials:
            before = time.perf_counter()
            recorder.record_epoch(trial_id, epoch, dict.fromkeys(EPOCH_METRICS, 1 / epoch))
            calls.append(time.perf_counter() - before)
    for trial_id in trials:
        recorder.end_trial(trial_id, TrialState.COMPLETED, "epochs")
    called = time.perf_counter() - start
    recorder.end_sweep("completed")
    assert recorder.close(1800.0), recorder.problem
    seconds = time.perf_counter() - start
    num = len(calls)
    gained = (psutil.Process().memory_info().rss - memory) / 2**20
    print(
        f"{num} epochs of {len(trials)} trials: {statistics.median(calls) * 1e6:.0f} us median and "
        f"{max(calls) * 1e3:.1f} ms longest per call, {num / called:,.0f} epochs/s taken; "
        f"{num / seconds:,.0f} epochs/s in MLflow; {gained:.0f} MB gained"
    )


if __name__ == "__main__":
    main()
