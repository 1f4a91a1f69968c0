"""Checkpoints: a training run on disk, written completely or not at all, and restored to the bit."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trainer.config import ConfigError, build_trial_config

if TYPE_CHECKING:
    from trainer.loop.training_run import TrainingRun

FILE_NAME = "checkpoint.pt"
_FORMAT = 1  # rises when older checkpoints can no longer be read


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used: says which, why, and what to do."""


_OF_STEPS = ("compile", "precision")  # settings that say how steps are computed


def pack_checkpoint(run: TrainingRun, last_result: Mapping[str, Any] | None = None) -> bytes:
    """The content of a checkpoint's file: the state of a run, which is complete before anything is written.

    Args:
        run: Between two epochs.
        last_result: Numbers and texts that whoever goes on from it needs as well; `load_checkpoint` returns them.
    """
    content = {
        "format": _FORMAT,
        "parameters": run.config.to_parameters(),
        "data_digest": run.data_digest,
        "precision": run.precision,
        "state": run.state_dict(),
        "last_result": dict(last_result or {}),
    }
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def write_checkpoint(run: TrainingRun, directory: Path) -> Path:
    """Writes the state of a run, between two epochs, to a folder and returns the file's path."""
    return write_packed(pack_checkpoint(run), directory)


def write_packed(content: bytes, directory: Path) -> Path:
    """Writes what `pack_checkpoint` returned to a folder and returns the file's path.

    The file appears under its name only when all of it is on the disk, and replaces an older one in one go.

    Args:
        content: Of the file.
        directory: Made when it is not there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / FILE_NAME
    unfinished = directory / f".{FILE_NAME}.{os.getpid()}"
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(directory)
    return target


def load_checkpoint(
    run: TrainingRun, directory: Path, *, takes_over: bool = False, only_predicts: bool = False
) -> dict[str, Any]:
    """Makes a run go on from a checkpoint, with the numbers that the run that wrote it would have had.

    Returns the `last_result` that it was packed with, empty for none.

    Args:
        run: Made with the same configuration and data.
        directory: Where `write_checkpoint` wrote.
        takes_over: Whether it may have been made with other settings, of which the run then keeps its own; the network
            has to be the same.
        only_predicts: Whether it will not train, so that how steps are computed may differ.

    Raises:
        CheckpointError: There is no checkpoint, it cannot be read, or it is one of another configuration or other data.
    """
    path = directory / FILE_NAME
    try:
        _check_whole(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is not there; begin anew, or name the folder that has it") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} is incomplete, damaged or no checkpoint ({error}); take an earlier checkpoint or begin anew"
        ) from error
    except pickle.UnpicklingError as error:  # whose words would have the user run what the file says
        raise CheckpointError(f"{path} is not a checkpoint that this version can read; begin anew") from error
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); take an earlier checkpoint or begin anew") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint that this version can read; begin anew")
    differences = _find_differences(run, content, of_settings=not takes_over, of_steps=not only_predicts)
    if differences:
        raise CheckpointError(
            f"{path} belongs to another training: {'; '.join(differences)}; resume with the settings and images that "
            "it was made with, or begin anew"
        )
    if takes_over:
        run.take_over(content["state"], build_trial_config(content["parameters"]))
    else:
        run.load_state_dict(content["state"])
    return dict(content.get("last_result", {}))


def _check_whole(path: Path) -> None:
    """Finds what is no archive, not all of one, or not as it was written; torch's reader would let some of it pass."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} is not as it was written")


def _find_differences(run: TrainingRun, content: dict[str, Any], *, of_settings: bool, of_steps: bool) -> list[str]:
    """What of configuration, data and arithmetic is not as the checkpoint has it, in words."""
    saved, wanted = content["parameters"], run.config.to_parameters()
    with suppress(ConfigError):  # settings that have come since then had their defaults
        saved = build_trial_config(saved).to_parameters()
    differences = [
        f"{name} was {_show(saved, name)} and is {_show(wanted, name)}"
        for name in dict.fromkeys((*wanted, *saved))
        if of_settings
        and name != "data_dir"
        and (of_steps or name not in _OF_STEPS)
        and _show(saved, name) != _show(wanted, name)
    ]
    if content["data_digest"] != run.data_digest:
        differences.append("its images were others")
    if of_steps and content["precision"] != run.precision:
        differences.append(f"its arithmetic was {content['precision']} and is {run.precision} on this hardware")
    return differences


def _show(parameters: dict[str, Any], name: str) -> str:
    return repr(parameters[name]) if name in parameters else "absent"


def _sync_folder(directory: Path) -> None:
    """Makes sure that the new name itself survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
