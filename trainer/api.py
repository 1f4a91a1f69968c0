"""Training from Python in one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trainer.config import TrialConfig, Value, build_trial_config
from trainer.data.dataset import Dataset
from trainer.data.load import load_dataset
from trainer.loop.checkpoint import load_checkpoint
from trainer.loop.epoch_result import EpochResult
from trainer.loop.training_run import TrainingRun
from trainer.networks.network import Network


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a training came to.

    Attributes:
        history: Result of each epoch, in order.
        test_loss: Loss on the test images with the best weights, None when training diverged at once.
        test_accuracy: Share of right answers on the test images, as a fraction, None when training diverged at once.
        config: Every setting of the run, defaults included.
        model: The network with the weights of the epoch of highest validation accuracy, None when training diverged at
            once. It takes normalised images, (images, 3, 32, 32).
    """

    history: tuple[EpochResult, ...]
    test_loss: float | None
    test_accuracy: float | None
    config: TrialConfig
    model: Network | None


def train_model(
    optimizer: str = "adam",
    *,
    data: Dataset | None = None,
    device: str | None = None,
    progress: bool = True,
    **settings: Value,
) -> TrainedModel:
    """Trains one model to its end and reads the test images once.

    Example:
        `train_model("adam", lr=1e-3, batch_size=64, initializer="he_normal", epochs=10).test_accuracy`

    Args:
        optimizer: Row of the table of optimizers, such as sgd, momentum, rmsprop, adam; `trainer.tables` has all.
        data: Images that are loaded already, None to load what the settings `dataset` and `data_dir` say.
        device: "cpu" or "cuda", None for cuda where there is one.
        progress: Whether to show a progress bar.
        **settings: Any other setting by the name that it has in a sweep file, such as lr, batch_size, epochs, seed,
            initializer, model, loss, schedule, dataset, train_size. `trainer.config.config` has all of them.

    Raises:
        ConfigError: A setting is unknown, out of range, or contradicts another; names all of them.
        DataUnavailable: The images cannot be had.
    """
    config = build_trial_config({"optimizer": optimizer, **settings})
    run = TrainingRun(config, data or load_dataset(config.dataset, config.data_dir), device=device)
    history = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task(f"{optimizer}, epochs", total=config.epochs)
        while run.stop_reason is None:
            history.append(run.run_epoch())
            words = f"{optimizer}, validation accuracy {history[-1].val_accuracy:.1%}, epochs"
            bar.update(task, advance=1, description=words)
    if history[-1].best_epoch == 0:
        return TrainedModel(tuple(history), None, None, config, None)
    test_loss, test_accuracy = run.evaluate_test()
    return TrainedModel(tuple(history), test_loss, test_accuracy, config, run.build_best_model())


def train(
    config: TrialConfig,
    data: Dataset,
    *,
    resume_from: Path | None = None,
    device: str | None = None,
    num_threads: int | None = None,
) -> Iterator[EpochResult]:
    """Yields the result of each epoch of a training, to its end.

    Args:
        config: Every setting of the run.
        data: The images.
        resume_from: Folder of a checkpoint to go on from, None to begin anew.
        device: As for `TrainingRun`.
        num_threads: As for `TrainingRun`.

    Raises:
        ConfigError: The configuration does not fit the data.
        CheckpointError: The checkpoint is none, or one of another configuration or other data.
    """
    run = TrainingRun(config, data, device=device, num_threads=num_threads)
    if resume_from is not None:
        load_checkpoint(run, resume_from)
    while run.stop_reason is None:
        yield run.run_epoch()
