"""A process that records a sweep and is killed on the way; arguments: a store and a journal."""

from __future__ import annotations

import sys
from pathlib import Path

from tracking.names import TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder

NUM_TRIALS = 3
NUM_EPOCHS = 40


def main(uri: str, journal: str) -> None:
    recorder = Recorder(uri, Path(journal))
    recorder.start_sweep(
        SweepRecord(
            sweep_id="crash-1",
            name="crash",
            project="crashes",
            description="",
            sweep_file="",
            resolved="",
            manifest={},
            tags={},
            goal_metric="val_loss",
            goal="minimize",
            compare=None,
            arms=("all",),
            searched=("lr",),
        )
    )
    for number in range(NUM_TRIALS):
        recorder.start_trial(TrialRecord(f"all-{number:03d}", number, "all", "search", number, {"lr": 0.1}))
    for epoch in range(1, NUM_EPOCHS + 1):
        for number in range(NUM_TRIALS):
            recorder.record_epoch(f"all-{number:03d}", epoch, {"val_loss": 1 / epoch})
        if epoch == NUM_EPOCHS // 2:
            recorder.flush(60.0)
            sys.stdout.write("half\n")
            sys.stdout.flush()
    sys.stdout.write("all\n")
    sys.stdout.flush()
    sys.stdin.read()  # as long as whoever started it wants to wait before the end
    for number in range(NUM_TRIALS):
        recorder.end_trial(f"all-{number:03d}", TrialState.COMPLETED, "epochs", {"best_val_loss": 1 / NUM_EPOCHS})
    recorder.end_sweep("completed")
    recorder.close(60.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
