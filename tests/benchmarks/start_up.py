"""How long a small sweep takes to its first trial, its first epoch, and from its last epoch to its report.

    .venv/bin/python tests/benchmarks/start_up.py [repetitions] [file]

Runs `sweeps run` in turns: as it is, and with workers that Ray starts by itself and that import torch each. Each run
has a results folder of its own, so that the store of MLflow is new, as for a newcomer. The file is the small one of the
tests where none is given.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_sweep import IMAGES, SMALL

WAYS = {"workers are forks": "True", "workers import": "False"}
PROGRAM = (
    "import sys, sweeps.driver.cluster as c; c.can_fork = lambda: {}; from sweeps.cli.__main__ import main; main()"
)
STEPS = ("first trial", "first epoch", "all trials", "report after the last epoch", "end after the last epoch")


def measure(file: Path, can_fork: str) -> list[float]:
    """Seconds to each of the steps."""
    with tempfile.TemporaryDirectory() as home:
        start = time.time()
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(can_fork), "run", str(file)],
            env={"PATH": "/usr/bin:/bin", "HOME": home, "SWEEPS_HOME": f"{home}/results"},
            cwd=home,
            check=True,
            capture_output=True,
        )
        end = time.time()
        (journal,) = Path(home, "results").glob("*/journal.jsonl")
        written = journal.with_name("report.html").stat().st_mtime
        events = [json.loads(line) for line in journal.read_text().splitlines()]
    times = {kind: [e["time_ms"] / 1000 for e in events if e["kind"] == kind] for kind in ("start_trial", "epoch")}
    first_trial, first_epoch, last_epoch = times["start_trial"][0], times["epoch"][0], times["epoch"][-1]
    after = [written - last_epoch, end - last_epoch]
    return [first_trial - start, first_epoch - start, last_epoch - first_trial, *after]


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    file = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else Path(tempfile.mkdtemp()) / "small.yaml"
    if len(sys.argv) <= 2:
        file.write_text(SMALL.replace(f"imagefolder\n  data_dir: {IMAGES}", "synthetic"))
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(repetitions):
        for way, can_fork in WAYS.items():
            found[way].append(measure(file, can_fork))
    for way, rows in found.items():
        print(f"{way} (n = {repetitions}), seconds, median (least to most):")
        for step, values in zip(STEPS, zip(*rows, strict=True), strict=True):
            print(f"  {step:<28} {statistics.median(values):5.1f} ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
