"""What a trial costs the driver as trials pile up: the driver's own code, without Ray and MLflow.

    .venv/bin/python tests/benchmarks/driver_growth.py [--trials 100 1000 10000] [--method random] [--rule asha]

Tune is played by a loop with 8 slots, training by a formula. Prints, for each number of trials, the processor time of
the process per trial, over all of them and over the last hundred, how much memory it has gained, and a digest of what
was run (ids, settings, epochs, ends): two versions with the same digest ran the same trials.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from played_trials import RULES, PlayedTune, build_growing_sweep, digest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--method", default="random")
    parser.add_argument("--rule", default="asha", choices=RULES)
    arguments = parser.parse_args()
    for num_trials in arguments.trials:
        with tempfile.TemporaryDirectory() as folder:
            sweep = build_growing_sweep(Path(folder), arguments.method, arguments.rule, num_trials)
            memory, start = psutil.Process().memory_info().rss, time.process_time()
            stamps = [start, *PlayedTune(sweep).run()]
        num = len(stamps) - 1
        last = stamps[-min(num, 100) - 1]
        print(
            f"{arguments.method}, {arguments.rule}, {num} trials: {1e3 * (stamps[-1] - start) / num:.2f} ms per trial, "
            f"{1e3 * (stamps[-1] - last) / min(num, 100):.2f} ms of the last; "
            f"{(psutil.Process().memory_info().rss - memory) / 2**20:.0f} MB gained; {digest(sweep)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
