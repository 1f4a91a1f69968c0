"""This trainer beside the loop of the usual tutorial, in one run: images per second, shares of a step, memory.

    .venv/bin/python tests/benchmarks/trainer_speed.py [--images 8000] [--repeats 3] [--device cuda] [--compile]

(a) this trainer, one process with one thread per core, as trials run; (b) torchvision transforms, DataLoader with two
workers, float32, two threads, `.item()` each step: the same model, batch, images and epochs. Rates are of the whole
machine. On a GPU both are one process. The runs of (a) and (b) take turns; the median of each is compared.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from real_images import load_real_images
from torch.utils.data import DataLoader
from torchvision import transforms

from trainer.config import build_trial_config
from trainer.data.dataset import Dataset
from trainer.loop.training_run import TrainingRun

BATCH = 128
SETTINGS = {
    "dataset": "imagefolder",
    "data_dir": "given",
    "model": "fastcnn",
    "optimizer": "nesterov",
    "lr": 0.05,
    "weight_decay": 5e-4,
    "crop_padding": 2,
    "batch_size": BATCH,
    "epochs": 2,
}


def cut(data: Dataset, num_images: int) -> Dataset:
    return replace(
        data,
        train_images_NHWC=data.train_images_NHWC[:num_images].copy(),
        train_labels_N=data.train_labels_N[:num_images].copy(),
    )


def train_ours(data: Dataset, device: str, results: Any) -> None:
    """One trial: rates of the second epoch, after a first that warms up, and the peak of memory in MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run = TrainingRun(build_trial_config(SETTINGS), data, device=device, num_threads=1 if device == "cpu" else None)
    run.run_epoch()
    epoch = run.run_epoch()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    num_validation = run.num_held_out
    results.put(
        (
            epoch.num_samples / epoch.train_seconds,
            num_validation / epoch.validation_seconds,
            peak - before,
            run.precision,
        )
    )


def measure_ours(data: Dataset, device: str) -> tuple[float, float, float, str]:
    """Images per second of the machine in training and in validation, memory of a process, arithmetic."""
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    processes = [
        context.Process(target=train_ours, args=(data, device, results))
        for _ in range((os.cpu_count() or 1) if device == "cpu" else 1)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=3600) for _ in processes]
    for process in processes:
        process.join()
    return sum(each[0] for each in found), sum(each[1] for each in found), max(each[2] for each in found), found[0][3]


class Images(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """One image at a time, as torchvision's own data sets give them."""

    def __init__(self, data: Dataset, prepare: transforms.Compose) -> None:
        self._images, self._labels, self._prepare = data.train_images_NHWC, data.train_labels_N, prepare

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._prepare(self._images[index]), int(self._labels[index])


def measure_tutorial(data: Dataset, device: str, results: Any) -> None:
    """Images per second of the loop that most tutorials have."""
    torch.set_num_threads(2)
    prepare = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomCrop(32, padding=2),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ]
    )
    loader = DataLoader(Images(data, prepare), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=2)
    model = TrainingRun(build_trial_config(SETTINGS), data, device=device).model.to(
        memory_format=torch.contiguous_format
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loss_function = torch.nn.CrossEntropyLoss()
    for epoch in range(2):
        model.train()
        start, total, seen = time.perf_counter(), 0.0, 0
        for images, labels in loader:
            on_device = labels.to(device)
            optimizer.zero_grad()
            loss = loss_function(model(images.to(device)), on_device)
            loss.backward()
            optimizer.step()
            total += loss.item()
            seen += len(labels)
        if epoch == 1:
            results.put(seen / (time.perf_counter() - start))


def profile_step(data: Dataset, device: str) -> dict[str, float]:
    """Shares of one process's training time: convolutions, images (gather and normalise), health."""
    run = TrainingRun(build_trial_config(SETTINGS), data, device=device, num_threads=1 if device == "cpu" else None)
    run.run_epoch()
    is_cuda = device != "cpu"
    activities = [torch.profiler.ProfilerActivity.CUDA if is_cuda else torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        run.run_epoch()
    own = {
        event.key: event.self_device_time_total if is_cuda else event.self_cpu_time_total
        for event in profile.key_averages()
    }
    total = sum(own.values())
    # On a GPU the kernels have names of their own, by which cuDNN's are known.
    names = ("conv", "cudnn", "xmma", "fprop", "dgrad", "wgrad") if is_cuda else ("conv",)
    others = ("bn_", "batchnorm", "gemm", "triton_") if is_cuda else ()
    convolutions = sum(
        spent
        for key, spent in own.items()
        if any(name in key for name in names) and not any(name in key.lower() for name in others)
    )
    order_N = run._images.train_indices_N
    from trainer.data.augmentation import draw_augmentation

    drawn = draw_augmentation(run.config, 1, len(order_N), torch.Generator(), run.device)
    wait = torch.cuda.synchronize if is_cuda else int
    wait()
    start = time.perf_counter()
    for first in range(0, len(order_N) - BATCH, BATCH):
        chosen = slice(first, first + BATCH)
        run._images.train.build_augmented_batch(order_N[chosen], drawn[chosen])
    wait()
    images = time.perf_counter() - start
    epoch = run.run_epoch() if run.stop_reason is None else None
    start = time.perf_counter()
    for _ in range(10):
        run._health.before_step()
        run._health.after_step()
    wait()
    health = (time.perf_counter() - start) / 10
    seconds = epoch.train_seconds if epoch else 1.0
    return {"convolutions": convolutions / total, "pictures": images / seconds, "health": health / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the steps of (a)")
    arguments = parser.parse_args()
    SETTINGS["compile"] = arguments.compile
    data = cut(load_real_images(), arguments.images)
    ours, tutorial = [], []
    context = multiprocessing.get_context("fork" if arguments.device == "cpu" else "spawn")
    for repeat in range(arguments.repeats):
        ours.append(measure_ours(data, arguments.device))
        results: Any = context.Queue()
        process = context.Process(target=measure_tutorial, args=(data, arguments.device, results))
        process.start()
        tutorial.append(results.get(timeout=3600))
        process.join()
        print(
            f"round {repeat + 1}: ours {ours[-1][0]:,.0f} images/s, tutorial {tutorial[-1]:,.0f}, "
            f"ratio {ours[-1][0] / tutorial[-1]:.2f}",
            flush=True,
        )
    ratios = [one[0] / other for one, other in zip(ours, tutorial, strict=True)]
    SETTINGS.update(epochs=3, compile=False)  # shares are of steps as they are written
    shares = profile_step(data, arguments.device)
    print(
        f"{ours[0][3]}, {os.cpu_count()} cores: {statistics.median(each[0] for each in ours):,.0f} images/s against "
        f"{statistics.median(tutorial):,.0f} of the tutorial's loop: {statistics.median(ratios):.2f} times "
        f"({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)}); evaluation "
        f"{statistics.median(each[1] / each[0] for each in ours):.1f} times the training rate; of a step convolutions "
        f"{shares['convolutions']:.0%}, images {shares['pictures']:.1%}, health {shares['health']:.2%} of an epoch; "
        f"{np.median([each[2] for each in ours]):,.0f} MB per process above the shared images"
    )


if __name__ == "__main__":
    main()
