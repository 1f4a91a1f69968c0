"""One `fastcnn` training on all 45,000 real training images, on one thread: how good, and how fast?

    .venv/bin/python tests/benchmarks/single_trial.py [--epochs 8] [--precision auto] [--seed 0]

The claim: at least 84 % validation accuracy after 8 epochs, anywhere; at least 1,500 images a second on a quiet core
with bf16 units.
"""

import argparse
from statistics import median

from real_images import load_real_images

from trainer.config import build_trial_config
from trainer.loop.training_run import TrainingRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = build_trial_config(
        {
            "dataset": "imagefolder",
            "data_dir": "given",  # the images themselves are passed below
            "model": "fastcnn",
            "initializer": "torch_default",
            "optimizer": "nesterov",
            "momentum": 0.9,
            "lr": 0.2,
            "weight_decay": 5e-4,
            "schedule": "one_cycle",
            "warmup_fraction": 0.25,
            "label_smoothing": 0.1,
            "crop_padding": 2,
            "batch_size": 128,
            **vars(arguments),
        }
    )
    run = TrainingRun(config, load_real_images(), num_threads=1)
    rates = []
    print(f"{run.precision} on {run.device}, one thread")
    while run.stop_reason is None:
        epoch = run.run_epoch()
        rates.append(epoch.num_samples / epoch.train_seconds)
        print(
            f"epoch {epoch.epoch}: val_accuracy {epoch.val_accuracy:.4f}, val_loss {epoch.val_loss:.4f}, "
            f"{rates[-1]:,.0f} images/s, validation {5000 / epoch.validation_seconds:,.0f} images/s",
            flush=True,
        )
    print(
        f"best val_accuracy {epoch.best_val_accuracy:.4f}; test_accuracy {run.evaluate_test()[1]:.4f}; "
        f"median {median(rates):,.0f} images/s"
    )


if __name__ == "__main__":
    main()
