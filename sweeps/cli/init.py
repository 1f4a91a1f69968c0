"""The command that writes a sweep file to begin with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.errors import BadUsage, SpecError
from sweeps.spec.starter import Start, write_start

DEFAULTS = Start()


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(init)


def init(
    file: Annotated[Path, typer.Argument(help="Where to; - is standard output.")] = Path("sweep.yaml"),
    optimizers: Annotated[
        list[str] | None,
        typer.Option("--optimizer", metavar="NAME", help="One to compare; repeat it.", show_default=False),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Row of `sweeps explain models`.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="As in `sweeps explain dataset`.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of a trial.", min=1)] = None,
    trials: Annotated[int | None, typer.Option(help="Of each optimizer.", min=1)] = None,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Row of `sweeps explain methods`.")] = None,
    from_wandb: Annotated[
        Path | None,
        typer.Option("--from-wandb", metavar="FILE", help="Convert a sweep file of W&B.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented sweep file; asks on a terminal, and takes options elsewhere."""
    from sweeps.spec import load_spec_text

    given = (optimizers, model, dataset, epochs, trials, method)
    if from_wandb is not None and any(each is not None for each in given):
        raise BadUsage("--from-wandb takes everything from its FILE; leave the other options out, and edit the result")
    _check_free(file, force=force)
    with interrupted_as(lambda: "nothing was written"):
        if from_wandb is not None:
            text, changes = _convert(from_wandb)
        else:
            start = _ask() if sys.stdin.isatty() and all(each is None for each in given) else _take(*given)
            text, changes = write_start(start), []
        try:
            load_spec_text(text, str(file))
        except SpecError as error:
            raise BadUsage(f"that cannot be searched: {error.faults[0].message}; choose others") from error
        _write(file, text)
    _tell(file, changes)


def _check_free(file: Path, *, force: bool) -> None:
    if str(file) != "-" and file.exists() and not force:
        raise BadUsage(f"{file}: is there already; name another file, or replace it with --force")


def _take(
    optimizers: list[str] | None,
    model: str | None,
    dataset: str | None,
    epochs: int | None,
    trials: int | None,
    method: str | None,
) -> Start:
    """What the options say; the defaults for what they leave open.

    Raises:
        BadUsage: One names something that there is not.
    """
    from trainer.config import SETTINGS, TABLES

    names = tuple(optimizers or DEFAULTS.optimizers)
    for name in names:
        _check_name("--optimizer", name, tuple(TABLES["optimizer"]))
    if len(set(names)) < len(names):
        raise BadUsage("--optimizer: the same one twice; name each once")
    made = Start(
        optimizers=names,
        model=model or DEFAULTS.model,
        dataset=dataset or DEFAULTS.dataset,
        epochs=epochs or DEFAULTS.epochs,
        trials=trials or DEFAULTS.trials,
        method=method or DEFAULTS.method,
    )
    from sweeps.search.methods import METHODS

    _check_name("--model", made.model, tuple(TABLES["model"]))
    _check_name("--method", made.method, tuple(METHODS))
    choices = tuple(each for each in SETTINGS["dataset"].choices or () if each != "imagefolder")  # which needs a folder
    _check_name("--dataset", made.dataset, choices)
    return made


def _check_name(option: str, name: str, names: tuple[str, ...]) -> None:
    from trainer.tables.settings import did_you_mean

    if name not in names:
        hint = did_you_mean(name, names) or f"allowed: {', '.join(names)}"
        raise BadUsage(f"{option} {name}: there is none of that name; {hint}")


def _ask() -> Start:
    """Asks on the terminal; Enter takes what stands in brackets."""
    chosen = typer.prompt("Optimizers to compare", default=" ".join(DEFAULTS.optimizers))
    return _take(
        chosen.replace(",", " ").split(),
        typer.prompt("Model", default=DEFAULTS.model),
        typer.prompt("Data set", default=DEFAULTS.dataset),
        typer.prompt("Epochs of a trial", default=DEFAULTS.epochs, type=int),
        typer.prompt("Trials of each optimizer", default=DEFAULTS.trials, type=int),
        typer.prompt("Method of search", default=DEFAULTS.method),
    )


def _convert(path: Path) -> tuple[str, list[str]]:
    from sweeps.spec.wandb_file import convert_wandb, read_wandb

    made = convert_wandb(read_wandb(path), str(path))
    return made.text, made.changes


def _write(file: Path, text: str) -> None:
    from sweeps.terminal import write_plain

    if str(file) == "-":
        write_plain(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"{file}: cannot be written ({error.strerror}); name another file") from error


def _tell(file: Path, changes: list[str]) -> None:
    from sweeps.terminal import open_console

    console = open_console(stderr=True)
    for change in changes:
        console.print(change, soft_wrap=True)
    if str(file) != "-":
        console.print(f"{file} is written; next: sweeps plan {file}, then: sweeps run {file}", soft_wrap=True)
