"""A sweep file to begin with, commented. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.search.methods import METHODS, Method
from sweeps.spec.catalogue import write_flow
from trainer.tables.optimizers import OPTIMIZERS

COLUMN = 44  # where comments begin


@dataclass(frozen=True)
class Start:
    """What somebody wants to find out.

    Attributes:
        name: Of the sweep.
        optimizers: To be compared; of one alone the best settings are searched.
        model: To be trained.
        dataset: To be trained on.
        epochs: Of a trial.
        trials: Of each optimizer.
        method: How settings are proposed.
        seeds: Of each retraining.
    """

    name: str = "optimizers"
    optimizers: Sequence[str] = ("sgd", "momentum", "adam")
    model: str = "fastcnn"
    dataset: str = "cifar10"
    epochs: int = 9
    trials: int = 12
    method: str = "bayes"
    seeds: int = 5


def write_start(start: Start) -> str:
    """The text of a sweep file."""
    method = METHODS[start.method]
    compares = len(start.optimizers) > 1
    lines = [
        "# `sweeps validate FILE` checks this file, `sweeps plan FILE` says what it takes, `sweeps run FILE` runs it.",
        "# `sweeps explain` has everything that can be named here, with ranges and sources.",
        f"name: {write_text(start.name)}",
        _comment("project: cifar10", "the experiment in MLflow"),
        _comment(f"method: {start.method}", method.description),
        "metric: {name: val_accuracy, goal: maximize}",
    ]
    if compares:
        lines.append(_comment("compare: optimizer", "each gets a search of its own, with an equal budget"))
    if not method.is_exhaustive:
        lines.append(_comment(f"budget: {{trials_per_arm: {start.trials}}}", "settings that are tried of each"))
    if start.epochs > 1:
        lines.append(_comment("early_terminate: {type: asha, eta: 3}", "at 1, 3, 9, ... epochs a third goes on"))
    retrained = f"confirm: {{top: 1, seeds: {start.seeds}, defaults: true}}"
    lines.append(_comment(retrained, "the best, and the defaults, on fresh seeds; reads the test split"))
    lines += [_comment("seed: 0", "the same seed, the same trials"), "parameters:"]
    return "\n".join([*lines, *(f"  {line}" for line in _list_parameters(start))]) + "\n"


def _list_parameters(start: Start) -> list[str]:
    method = METHODS[start.method]
    lists = method.takes_categories
    batch_size = "batch_size: {values: [32, 64, 128]}" if lists else "batch_size: 64"
    initializer = "initializer: {values: [glorot_uniform, he_normal]}" if lists else "initializer: he_normal"
    lines = [
        f"dataset: {start.dataset}",
        f"epochs: {start.epochs}",
        f"model: {start.model}",
        batch_size,
        initializer,
        _comment(f"schedule: {_choose_schedule(start)}", "of the learning rate, over the whole training", COLUMN - 2),
        "optimizer:",
        "  choices:",
    ]
    return [
        *lines,
        *(f"    {write_text(name)}: {_write_space(name, method)}" for name in start.optimizers),
    ]


def _choose_schedule(start: Start) -> str:
    """A schedule that all of the optimizers can follow."""
    rows = [OPTIMIZERS[name] for name in start.optimizers]
    return "constant" if any(row.fixes_lr or row.switches for row in rows) else "cosine"


def _write_space(optimizer: str, method: Method) -> str:
    """What is searched of an optimizer: the ranges of its table, or about its default learning rate."""
    row = OPTIMIZERS[optimizer]
    rate = row.defaults["lr"]
    assert isinstance(rate, float)
    if method.is_exhaustive:
        return write_flow({"lr": {"values": [rate / 10, rate, rate * 10]}})
    about = {"lr": {"distribution": "log_uniform_values", "min": rate / 10, "max": rate * 10}}
    space: dict[str, object] = {"space": "default"} if row.default_space is not None else dict(about)
    default = row.default_space or about
    listed = [name for name, values in default.items() if "values" in values and not method.takes_categories]
    if len(default) < method.min_dimensions and not listed:
        listed = ["weight_decay"]
    for name in listed:
        fixed = row.defaults.get(name)
        whole = isinstance(fixed, int)
        space[name] = fixed if whole else {"distribution": "log_uniform_values", "min": 1e-6, "max": 0.01}
    return write_flow(space)


def write_text(text: str) -> str:
    """A text as YAML has it, in quotes where it would be read as something else."""
    plain = text.replace("_", "").replace("-", "").isalnum() and not text[0].isdigit() and text[0] not in "-_"
    return text if plain and text.lower() not in ("null", "true", "false") else f'"{text}"'


def _comment(line: str, words: str, column: int = COLUMN) -> str:
    return f"{line:<{column}}  # {words}"
