"""One search by this project, and as people write it with Ray Tune, or with Optuna, from their documentation.

    .venv/bin/python tests/benchmarks/sweep.py [--images 4000] [--trials 24] [--epochs 9] [--rounds 1] [--seeds 5]

All three try the same configurations of the same network on the same real images and hold out the same ones, stop
trials by successive halving at epochs 1 and 3, and record into MLflow on SQLite. What differs is what each does about
it:

- ours: `sweeps run`, without its retrainings;
- tune: a function as trainable, DataLoader and torchvision's transforms in float32, OptunaSearch, one ASHAScheduler,
  MLflowLoggerCallback, no reuse of actors, one trial a core;
- optuna: the same loop in one process on all cores, one trial after the other, SuccessiveHalvingPruner.

Each runs in a process of its own, in turns. Prints seconds of the clock, processor time of the whole machine, which
should do nothing else, the least memory that was left to others, epochs, and the best validation accuracy. With
`--seeds`, the best configuration of each is retrained by this trainer under the same seeds, and its test accuracy is
compared in pairs. A quarter of an hour with the defaults, on two cores with bf16 units.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from real_images import find_real_images, load_real_images

from trainer.data.dataset import Dataset

MODEL = {"model": "fastcnn", "width": 0.5, "crop_padding": 2}
RATES = {"sgd": (1e-2, 1.0), "momentum": (1e-3, 1.0), "rmsprop": (1e-4, 1e-1), "adam": (1e-4, 1e-1)}
ETA = 3


class Task(NamedTuple):
    """What each way is to do."""

    images: int
    trials: int
    epochs: int
    seed: int


class Found(NamedTuple):
    """What a way came to."""

    epochs: int
    accuracy: float  # validation, of the best trial at its best epoch
    configuration: dict[str, Any]


def draw(task: Task) -> list[dict[str, Any]]:
    """The configurations that all ways try, in this order; learning rates are uniform in their logarithm."""
    generator = np.random.default_rng(task.seed)
    found = []
    for number in range(task.trials):
        optimizer = list(RATES)[number % len(RATES)]
        low, high = (math.log(bound) for bound in RATES[optimizer])
        found.append(
            {
                "optimizer": optimizer,
                "lr": math.exp(generator.uniform(low, high)),
                "batch_size": int(generator.choice([32, 64, 128])),
                "initializer": str(generator.choice(["glorot_uniform", "he_normal"])),
            }
        )
    return found


def train_as_tutorials_do(
    task: Task, configuration: dict[str, Any], data: Dataset, report: Callable[[float], None]
) -> None:
    """The loop of the usual tutorial: calls `report` with the validation accuracy after each epoch."""
    import torch

    from trainer.config import build_trial_config
    from trainer.loop.training_run import TrainingRun

    loader, held_out = load_as_tutorials_do(task, configuration["batch_size"], data)
    settings = {**MODEL, **configuration, "train_size": task.images, "epochs": task.epochs}
    threads = torch.get_num_threads()
    model = TrainingRun(build_trial_config(settings), data).model.to(memory_format=torch.contiguous_format)
    torch.set_num_threads(threads)
    lr = configuration["lr"]
    optimizer: torch.optim.Optimizer = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=lr),
        "momentum": lambda: torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9),
        "rmsprop": lambda: torch.optim.RMSprop(model.parameters(), lr=lr),
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=lr),
    }[configuration["optimizer"]]()
    loss_function = torch.nn.CrossEntropyLoss()
    for _ in range(task.epochs):
        model.train()
        running = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(model(images), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
        model.eval()
        correct = total = 0
        with torch.no_grad():
            for images, labels in held_out:
                correct += int((model(images).argmax(1) == labels).sum())
                total += len(labels)
        report(correct / total)


def load_as_tutorials_do(task: Task, batch_size: int, data: Dataset) -> tuple[Any, Any]:
    """DataLoaders of the images to train on, with torchvision's transforms, and of those that are held out."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision import transforms

    from trainer.data.dataset import split_for_training

    split = split_for_training(data, train_size=task.images, batch_size=batch_size)
    normalize = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    augment = [transforms.ToPILImage(), transforms.RandomCrop(32, padding=2), transforms.RandomHorizontalFlip()]
    prepare = transforms.Compose([*augment, transforms.ToTensor(), normalize])
    plain = transforms.Compose([transforms.ToPILImage(), transforms.ToTensor(), normalize])

    class Images(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
        def __init__(self, indices: Any, transform: transforms.Compose) -> None:
            self.indices, self.transform = indices, transform

        def __len__(self) -> int:
            return len(self.indices)

        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            index = self.indices[number]
            return self.transform(data.train_images_NHWC[index]), int(data.train_labels_N[index])

    return (
        DataLoader(Images(split.train_indices_N, prepare), batch_size=batch_size, shuffle=True, drop_last=True),
        DataLoader(Images(split.validation_indices_N, plain), batch_size=batch_size),
    )


def run_ours(task: Task, data: Dataset, folder: Path) -> Found:  # it loads them as it always does
    """`run_sweep`, the command's own function."""
    from sweeps.driver.driver import run_sweep
    from sweeps.home import Home
    from sweeps.spec import load_spec
    from tracking.store.queries import load_sweep

    spec = {
        "name": "benchmark",
        "method": "random",
        "points": draw(task),
        "budget": {"trials": task.trials},
        "early_terminate": {"type": "asha", "min_iter": 1, "eta": ETA},
        "confirm": {"top": 0},
        "parameters": {
            **MODEL,
            "dataset": "imagefolder",
            "data_dir": find_real_images(),
            "train_size": task.images,
            "epochs": task.epochs,
            "optimizer": {"values": list(RATES)},
            "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
            "batch_size": {"values": [32, 64, 128]},
            "initializer": {"values": ["glorot_uniform", "he_normal"]},
        },
    }
    file = folder / "sweep.yaml"
    file.write_text(json.dumps(spec))  # JSON is YAML
    home = Home(folder / "results")
    outcome = run_sweep(load_spec(file), home)
    table = load_sweep(outcome.sweep_id, home.tracking_uri)
    best = max(table.trials, key=lambda trial: trial.summary.get("best_val_accuracy", -1.0))
    names = draw(task)[0]
    return Found(
        sum(trial.num_epochs for trial in table.trials),
        best.summary["best_val_accuracy"],
        {name: best.parameters[name] for name in names},
    )


def run_tune(task: Task, data: Dataset, folder: Path) -> Found:
    """Ray Tune as its documentation has it."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    ray.init(address="local", include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    space = {
        "optimizer": tune.choice(list(RATES)),
        "lr": tune.loguniform(1e-4, 1.0),
        "batch_size": tune.choice([32, 64, 128]),
        "initializer": tune.choice(["glorot_uniform", "he_normal"]),
    }

    def trainable(configuration: dict[str, Any], data: Dataset) -> None:
        train_as_tutorials_do(task, configuration, data, lambda accuracy: tune.report({"val_accuracy": accuracy}))

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=data), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=task.trials,
            search_alg=OptunaSearch(points_to_evaluate=draw(task), seed=0),
            scheduler=ASHAScheduler(max_t=task.epochs, grace_period=1, reduction_factor=ETA),
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            verbose=0,
            callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", experiment_name="tune")],
        ),
    )
    results = tuner.fit()
    assert not results.errors, results.errors
    epochs = sum(len(result.metrics_dataframe) for result in results)
    best = max(results, key=lambda result: result.metrics_dataframe["val_accuracy"].max())
    ray.shutdown()
    return Found(epochs, float(best.metrics_dataframe["val_accuracy"].max()), dict(best.config))


def run_optuna(task: Task, data: Dataset, folder: Path) -> Found:
    """Optuna as its documentation has it, each trial a run of MLflow."""
    import mlflow
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("optuna")
    curves: dict[int, list[float]] = {}

    def objective(trial: optuna.Trial) -> float:
        configuration = {
            "optimizer": trial.suggest_categorical("optimizer", list(RATES)),
            "lr": trial.suggest_float("lr", 1e-4, 1.0, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
            "initializer": trial.suggest_categorical("initializer", ["glorot_uniform", "he_normal"]),
        }
        curve = curves.setdefault(trial.number, [])

        def report(accuracy: float) -> None:
            curve.append(accuracy)
            mlflow.log_metric("val_accuracy", accuracy, step=len(curve))
            trial.report(accuracy, len(curve))
            if trial.should_prune():
                raise optuna.TrialPruned

        with mlflow.start_run():
            mlflow.log_params(configuration)
            train_as_tutorials_do(task, configuration, data, report)
        return max(curve)

    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA)
    )
    for configuration in draw(task):
        study.enqueue_trial(configuration)
    study.optimize(objective, n_trials=task.trials)
    best = max(curves, key=lambda number: max(curves[number]))
    return Found(sum(len(curve) for curve in curves.values()), max(curves[best]), dict(study.trials[best].params))


WAYS = {"ours": run_ours, "tune": run_tune, "optuna": run_optuna}


class Cost(NamedTuple):
    """What a way took of the machine."""

    seconds: float
    cpu_seconds: float
    gigabytes: float


def watch_memory(least: list[float], ended: threading.Event) -> None:
    """Notes the least memory that is available, in bytes, twice a second."""
    while not ended.wait(0.5):
        least[0] = min(least[0], psutil.virtual_memory().available)


def run_apart(way: str, task: Task) -> tuple[Found, Cost]:
    """Runs one way in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        before, least, ended = psutil.virtual_memory().available, [math.inf], threading.Event()
        watcher = threading.Thread(target=watch_memory, args=(least, ended))
        watcher.start()
        busy, start = sum_busy(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, __file__, "--way", way, "--folder", folder, *map(str, as_arguments(task))],
            env={**os.environ, "RAY_AIR_NEW_OUTPUT": "0", "MLFLOW_DISABLE_TELEMETRY": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, cpu = time.perf_counter() - start, sum_busy() - busy
        ended.set()
        watcher.join()
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Found(**found), Cost(seconds, cpu, (before - least[0]) / 1e9)


def as_arguments(task: Task) -> Iterator[object]:
    """The task as arguments of this program."""
    for name, value in task._asdict().items():
        yield from (f"--{name}", value)


def sum_busy() -> float:
    """Seconds that the machine's cores have worked since it was started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)  # workers of Ray are nice


def retrain(found: Found, task: Task, data: Dataset, seed: int) -> float:
    """Test accuracy of a configuration, trained in full by this trainer; nan where it diverges."""
    from trainer.api import train_model

    settings = {**MODEL, **found.configuration, "train_size": task.images, "epochs": task.epochs, "seed": seed}
    accuracy = train_model(data=data, progress=False, **settings, dataset="imagefolder", data_dir="given").test_accuracy
    return math.nan if accuracy is None else accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    task = Task(arguments.images, arguments.trials, arguments.epochs, arguments.seed)
    data = load_real_images()
    if arguments.way:
        print(json.dumps(WAYS[arguments.way](task, data, arguments.folder)._asdict()))
        return
    results: dict[str, list[tuple[Found, Cost]]] = {way: [] for way in arguments.ways}
    for number in range(arguments.rounds):
        round_task = task._replace(seed=task.seed + number)
        for way in arguments.ways:
            results[way].append(run_apart(way, round_task))
            print(f"round {number + 1}, {way}: {results[way][-1]}", flush=True)
    print(f"\n{task}, {os.cpu_count()} cores; medians of {arguments.rounds}")
    print("way      seconds  times ours  core-seconds  GB   epochs  s per epoch  best validation")
    ours = statistics.median(cost.seconds for _, cost in results[arguments.ways[0]])
    for way, rows in results.items():
        seconds = statistics.median(cost.seconds for _, cost in rows)
        print(
            f"{way:<8} {seconds:7.0f}  {seconds / ours:10.2f}  "
            f"{statistics.median(cost.cpu_seconds for _, cost in rows):12.0f}  "
            f"{max(cost.gigabytes for _, cost in rows):3.1f}  "
            f"{statistics.median(found.epochs for found, _ in rows):6.0f}  "
            f"{statistics.median(cost.seconds / found.epochs for found, cost in rows):11.2f}  "
            f"{statistics.median(found.accuracy for found, _ in rows):.4f}"
        )
    if arguments.seeds:
        compare_retrained(results, task, data, arguments.seeds)


def compare_retrained(results: dict[str, list[tuple[Found, Cost]]], task: Task, data: Dataset, num_seeds: int) -> None:
    """Prints the test accuracy of what each way found in the first round, and its difference to ours, in pairs."""
    known: dict[str, list[float]] = {}
    accuracies = {}
    for way, rows in results.items():
        key = json.dumps(rows[0][0].configuration, sort_keys=True)
        if key not in known:
            known[key] = [retrain(rows[0][0], task, data, seed) for seed in range(1, num_seeds + 1)]
        accuracies[way] = known[key]
    first = next(iter(accuracies))
    for way, found in accuracies.items():
        print(
            f"{way}: {results[way][0][0].configuration}: test {100 * statistics.mean(found):.2f} %, n = {num_seeds}",
            end="",
        )
        if way == first:
            print()
        elif found is accuracies[first]:
            print(f"; the same configuration as {first}")
        else:
            gaps = [100 * (each - ours) for each, ours in zip(found, accuracies[first], strict=True)]
            spread = statistics.stdev(gaps) / math.sqrt(num_seeds) if num_seeds > 1 else math.nan
            print(f"; {statistics.mean(gaps):+.2f} points to {first} (standard error {spread:.2f})")


if __name__ == "__main__":
    main()
