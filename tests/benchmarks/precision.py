"""Does bf16 train worse than float32? Three optimizers, five seeds, each trained in both: the paired differences.

    .venv/bin/python tests/benchmarks/precision.py [--images 3000] [--epochs 8] [--seeds 5]

bf16 here is autocast as trials use it: convolutions and products in bf16, the rest in float32. Without bf16 units it is
emulated, slowly and with the same rounding, so that the accuracies are those of hardware that has them.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import sys

from real_images import load_real_images
from scipy import stats

from trainer.config import build_trial_config
from trainer.data.dataset import Dataset
from trainer.loop.training_run import TrainingRun

OPTIMIZERS = {"nesterov": 0.1, "adam": 3e-3, "rmsprop": 1e-3}
PRECISIONS = ("fp32", "bf16")
Job = tuple[str, int, str]  # optimizer, seed, precision
DATA: Dataset | None = None  # of the processes, which are forked


def train_one(call: tuple[Job, int, int]) -> tuple[Job, float]:
    """The validation accuracy after the last epoch."""
    (optimizer, seed, precision), num_images, num_epochs = call
    config = build_trial_config(
        {
            "dataset": "imagefolder",
            "data_dir": "given",
            "model": "fastcnn",
            "width": 0.25,
            "optimizer": optimizer,
            "lr": OPTIMIZERS[optimizer],
            "schedule": "one_cycle",
            "train_size": num_images,
            "epochs": num_epochs,
            "crop_padding": 2,
            "seed": seed,
            "precision": precision,
        }
    )
    assert DATA is not None
    run = TrainingRun(config, DATA, device="cpu", num_threads=1)
    while run.stop_reason is None:
        epoch = run.run_epoch()
    return call[0], epoch.val_accuracy


def main() -> None:
    global DATA
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    DATA = load_real_images()
    jobs: list[Job] = list(itertools.product(OPTIMIZERS, range(arguments.seeds), PRECISIONS))
    calls = [(job, arguments.images, arguments.epochs) for job in jobs]
    accuracies: dict[Job, float] = {}
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for job, accuracy in pool.imap_unordered(train_one, calls):
            accuracies[job] = accuracy
            print(
                f"{len(accuracies)} of {len(jobs)}: {', '.join(map(str, job))}: {accuracy:.4f}",
                file=sys.stderr,
                flush=True,
            )
    print("| optimizer | fp32 | bf16 | bf16 - fp32, points | 95 % interval | p |\n|---|---|---|---|---|---|")
    everything: list[float] = []
    for optimizer in (*OPTIMIZERS, "all"):
        if optimizer == "all":
            differences, means = everything, ["", ""]
        else:
            by_precision = [
                [100 * accuracies[optimizer, seed, precision] for seed in range(arguments.seeds)]
                for precision in PRECISIONS
            ]
            differences = [bf16 - fp32 for fp32, bf16 in zip(*by_precision, strict=True)]
            everything += differences
            means = [f"{statistics.fmean(each):.2f}" for each in by_precision]
        test = stats.ttest_1samp(differences, 0.0)
        low, high = test.confidence_interval(0.95)
        print(
            f"| {optimizer} | {means[0]} | {means[1]} | {statistics.fmean(differences):+.2f} | "
            f"{low:+.2f} to {high:+.2f} | {test.pvalue:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
