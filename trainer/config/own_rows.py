"""Rows that a user brings: `mypackage.module:MyOptimizer` in place of the name of a row of any table.

What is named is a class or function of the user's; its further arguments are the row's settings, with the names and
defaults of its signature. Its module has to be importable in every process (the working directory is).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trainer.config.trial_settings import SETTINGS
from trainer.failures import describe_error
from trainer.tables.initializers import InitializerRow
from trainer.tables.losses import LossRow
from trainer.tables.models import ModelRow
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.schedules import Schedule, ScheduleContext, ScheduleRow
from trainer.tables.settings import Row, Setting, Value
from trainer.working_directory import look_for_own_code

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_NAME_CHARACTERS = 200  # MLflow takes 250 of a key, some of which go to prefixes
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

# What each is called with before its settings.
_FIRST_ARGUMENTS = {
    "optimizer": ("params",),
    "initializer": ("weight",),
    "model": ("num_classes",),
    "loss": ("logits", "labels"),
    "schedule": ("step", "num_steps"),
}


class OwnRowError(ValueError):
    """Something of the user's cannot be used; the message says what was found, what is allowed and what to do."""


def is_own(name: object) -> bool:
    """Whether a name is written as a dotted path to something of the user's."""
    return isinstance(name, str) and ":" in name


def runs_own_code(parameters: Mapping[str, Value]) -> bool:
    """Whether a trial with these flat parameters runs code of the user's."""
    return any(is_own(parameters.get(table)) for table in _FIRST_ARGUMENTS)


def import_own(module_name: str) -> Any:
    """Imports a module, from the user's folders where it is found nowhere else."""
    look_for_own_code()
    return importlib.import_module(module_name)


@functools.cache
def load_own_row(table: str, path: str) -> Row:
    """The row that a dotted path names.

    Args:
        table: optimizer | initializer | model | loss | schedule.
        path: `package.module:name`.

    Raises:
        OwnRowError: It cannot be imported, or is not of the form that the table asks for.
    """
    if not _PATH.fullmatch(path):
        raise OwnRowError(f"found {path!r}; allowed: package.module:name; write it so")
    module_name, _, name = path.partition(":")
    try:
        found = getattr(import_own(module_name), name)
    except (Exception, SystemExit) as error:  # whatever importing the user's code raises
        raise OwnRowError(
            f"found {path!r}, which cannot be imported ({describe_error(error)[0]}); correct the path, or run "
            "where its module can be found (the working directory, or `--working-dir` of `sweeps submit`)"
        ) from error
    if not callable(found):
        raise OwnRowError(f"found {path!r}, which is a {type(found).__name__}; allowed: a class or function")
    if table == "optimizer" and not _is_optimizer(found):
        raise OwnRowError(f"found {path!r}, which is no torch.optim.Optimizer; derive it from that class")
    settings = tuple(_list_settings(table, path, found))
    if table == "optimizer" and "lr" not in [setting.name for setting in settings]:
        raise OwnRowError(f"found {path!r}, whose constructor has no argument lr; give it one, the schedule sets it")
    _refuse_names(path, settings)
    description = (inspect.getdoc(found) or f"{table} of the user's").splitlines()[0]
    return _BUILD[table](path, description, settings, found)


def _is_optimizer(found: object) -> bool:
    import torch

    return isinstance(found, type) and issubclass(found, torch.optim.Optimizer)


def _list_settings(table: str, path: str, found: Callable[..., Any]) -> Iterator[Setting]:
    """Yields a setting for each argument that a number, a text or a truth value can be given to."""
    parameters = list(inspect.signature(found).parameters.values())
    first = _FIRST_ARGUMENTS[table]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len([each for each in parameters if each.kind in kinds]) < len(first):
        raise OwnRowError(f"found {path!r}; allowed: a {table} that is called with ({', '.join(first)}, settings...)")
    for parameter in parameters[len(first) :]:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        if parameter.name in SETTINGS or parameter.name in _FIRST_ARGUMENTS:
            raise OwnRowError(
                f"found {path!r} with an argument {parameter.name}, which every trial has already; rename the argument"
            )
        yield from _build_settings(parameter)


def _refuse_names(path: str, settings: tuple[Setting, ...]) -> None:
    """Raises for settings that could not be told apart, or that MLflow has no room for."""
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise OwnRowError(f"found {path!r} with an argument {name}, which is one of its betas too; rename it")
        if len(name) > MAX_NAME_CHARACTERS:
            raise OwnRowError(
                f"found {path!r} with an argument of more than {MAX_NAME_CHARACTERS} characters; rename it"
            )


def _build_settings(parameter: inspect.Parameter) -> Iterator[Setting]:
    name, default = parameter.name, parameter.default
    if name == "generator":
        return  # given by the trainer
    description = f"Argument {name}"
    if name == "betas" and isinstance(default, tuple):
        for index, beta in enumerate(default, start=1):
            yield Setting(f"beta{index}", f"{description}, number {index}", "float", float(beta), low=0, high=1)
    elif default is inspect.Parameter.empty:
        yield Setting(name, description, "float", required=True)
    elif isinstance(default, bool):
        yield Setting(name, description, "bool", default)
    elif isinstance(default, str):
        yield Setting(name, description, "str", default)
    elif default is None:
        yield Setting(name, description, "float", optional=True)
    elif isinstance(default, int | float):
        # A whole default may be one that happens to be whole: only what cannot be a fraction is declared so.
        kind = "int" if parameter.annotation in (int, "int") else "float"
        yield Setting(name, description, kind, float(default) if kind == "float" else default)  # type: ignore[arg-type]


def _gather(settings: Mapping[str, Value]) -> dict[str, Any]:
    """The settings as arguments: beta1, beta2 as betas."""
    arguments: dict[str, Any] = {name: value for name, value in settings.items() if not re.fullmatch(r"beta\d", name)}
    betas = tuple(settings[name] for name in sorted(settings) if re.fullmatch(r"beta\d", name))
    return arguments | ({"betas": betas} if betas else {})


def _build_optimizer(path: str, description: str, settings: tuple[Setting, ...], found: Callable[..., Any]) -> Row:
    return OptimizerRow(
        path,
        description,
        path,
        settings,
        build=lambda weights, values, fused: found(weights, **_gather(values)),  # noqa: ARG005
    )


def _build_initializer(path: str, description: str, settings: tuple[Setting, ...], found: Callable[..., Any]) -> Row:
    takes_generator = "generator" in inspect.signature(found).parameters

    def fill(values: Mapping[str, Value], weight: Tensor, generator: torch.Generator) -> None:
        import torch

        if takes_generator:
            with torch.no_grad():
                found(weight, **values, generator=generator)
            return
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            found(weight, **values)

    return InitializerRow(path, description, path, settings, build=fill)


def _build_model(path: str, description: str, settings: tuple[Setting, ...], found: Callable[..., Any]) -> Row:
    def build(values: Mapping[str, Value], num_classes: int) -> Any:
        from trainer.networks.network import Wrapped

        return Wrapped(found(num_classes, **values))

    return ModelRow(path, description, path, settings, build=build)


def _build_loss(path: str, description: str, settings: tuple[Setting, ...], found: Callable[..., Any]) -> Row:
    return LossRow(
        path,
        description,
        path,
        settings,
        build=lambda values, training: functools.partial(_call_loss, found, values),  # noqa: ARG005
    )


def _call_loss(found: Callable[..., Any], values: Mapping[str, Value], logits_NK: Tensor, labels_N: Tensor) -> Any:
    return found(logits_NK, labels_N, **values)


def _build_schedule(path: str, description: str, settings: tuple[Setting, ...], found: Callable[..., Any]) -> Row:
    def build(values: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
        return Schedule(plan, lambda plan, step: float(found(step, plan.num_steps, **values)))

    return ScheduleRow(path, description, path, settings, build=build)


_BUILD: Mapping[str, Callable[..., Row]] = {
    "optimizer": _build_optimizer,
    "initializer": _build_initializer,
    "model": _build_model,
    "loss": _build_loss,
    "schedule": _build_schedule,
}
