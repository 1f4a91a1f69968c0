"""What a sweep costs its driver, with as many workers as are asked for: processes that report epochs and do not train.

    .venv/bin/python tests/benchmarks/driver_load.py [--workers 100] [--trials 300] [--epochs 9] [--seconds 5]

A worker takes about 0.1 GB; what a thousand of them would send is had from fewer with shorter epochs: the load is
workers divided by seconds per epoch. Prints the processor time of the driver's process per epoch and per trial, its
memory, how far MLflow (SQLite, or MLFLOW_TRACKING_URI) was behind at most, and the rate beside that of the workers.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import ray

import sweeps.driver.driver
import sweeps.driver.tuning
from sweeps.driver.cluster import _ENVIRONMENT
from sweeps.home import Home
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.spec import load_spec
from sweeps.trials.ledger import TrialEntry
from tracking.names import EPOCH_METRICS
from trainer.trainable import CifarTrainable

SWEEP = """
name: load
method: METHOD
budget: {{trials: {trials}}}
early_terminate: null
confirm: {{top: 0}}
parameters:
  dataset: synthetic
  train_size: 1000
  epochs: {epochs}
  optimizer: sgd
  lr: {{distribution: log_uniform_values, min: 1e-3, max: 1}}
"""


def build_sleeper(seconds: float, num_epochs: int) -> type[CifarTrainable]:
    """A trainable that waits where training would be."""

    class Sleeper(CifarTrainable):
        def _step(self) -> dict[str, Any]:
            time.sleep(seconds)
            epoch = self.iteration + 1
            result = dict.fromkeys(EPOCH_METRICS, 1.0) | {"epoch": epoch, "done": epoch == num_epochs}
            return result | ({"stop_reason": "epochs"} if epoch == num_epochs else {})

    return Sleeper


def watch(
    samples: list[tuple[float, float, int, int, int]],
) -> Callable[[RunningSweep, TrialEntry | None, TrialEvent], None]:
    """Keeps time, processor time, trials started, epochs and what MLflow has not got yet."""
    process, counts = psutil.Process(), {"started": 0, "epoch": 0}

    def look(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        if event in counts:
            counts[event] += 1
            used = process.cpu_times()
            samples.append(
                (time.monotonic(), used.user + used.system, counts["started"], counts["epoch"], sweep.recorder.pending)
            )

    return look


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--method", default="bayes")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="driver-load-"))
    (folder / "load.yaml").write_text(
        SWEEP.format(trials=arguments.trials, epochs=arguments.epochs).replace("METHOD", arguments.method)
    )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray.init(
        num_cpus=arguments.workers,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        logging_level="ERROR",
        log_to_driver=False,
    )
    sweeps.driver.tuning.CifarTrainable = build_sleeper(arguments.seconds, arguments.epochs)  # type: ignore[misc]
    samples: list[tuple[float, float, int, int, int]] = []
    outcome = sweeps.driver.driver.run_sweep(load_spec(folder / "load.yaml"), Home(folder), listeners=[watch(samples)])
    # The middle, when all workers run: without the start of their processes and without the end.
    full = [each for each in samples if each[2] >= arguments.workers]
    first, last = full[0], next(each for each in reversed(full) if each[2] < arguments.trials)
    seconds, used = last[0] - first[0], last[1] - first[1]
    num_trials, num_epochs = last[2] - first[2], last[3] - first[3]
    print(
        f"{outcome.state}: {arguments.workers} workers, {num_epochs / seconds:.1f} epochs/s of "
        f"{arguments.workers / arguments.seconds:.1f} that the workers could send; {num_trials} trials started in "
        f"{seconds:.0f} s; driver {100 * used / seconds:.0f} % of a core, {1e3 * used / num_epochs:.1f} ms per epoch; "
        f"{psutil.Process().memory_info().rss / 2**20:.0f} MB; at most {max(each[4] for each in full)} events behind"
    )


if __name__ == "__main__":
    main()
