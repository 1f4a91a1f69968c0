"""The best settings of a sweep as a sweep file and as a call of `train_model`. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from sweeps.space.distributions import Constant
from sweeps.spec.file import dump_spec
from sweeps.spec.models import Budget, Metric, Resources, SweepSpec
from sweeps.terminal import show_controls
from sweeps.trials.confirm import Confirm
from trainer.config import Value

COMMENT_WIDTH = 100


def build_single_spec(spec: SweepSpec, parameters: Mapping[str, Value]) -> SweepSpec:
    """A sweep of one configuration, which is trained and retrained as the sweep that it comes from would have done.

    The seeds of its retrainings are those that the sweep gave to its own, so that they come to the same numbers on the
    same hardware with the same versions.

    Args:
        spec: The sweep that the configuration comes from.
        parameters: Every parameter of the configuration; its seed is left out, since the sweep's own gives it.
    """
    return SweepSpec(
        name=f"{spec.name[:95]}-best",
        description=spec.description,
        project=spec.project,
        method="grid",
        metric=Metric(name=spec.metric.name, goal=spec.metric.goal),
        budget=Budget(trials=1),
        confirm=Confirm(top=min(spec.confirm.top, 1), seeds=spec.confirm.seeds),
        resources=spec.resources,
        seed=spec.seed,
        parameters={name: Constant(value=value) for name, value in parameters.items() if name != "seed"},
    )


def format_sweep_file(spec: SweepSpec, remarks: Sequence[str]) -> str:
    """The text of a sweep file, with remarks as comments on top.

    Raises:
        SpecError: It would be larger than a sweep file can be.
    """
    return f"{format_comments(remarks)}{dump_spec(spec)}"


def format_training_call(parameters: Mapping[str, Value], remarks: Sequence[str], resources: Resources) -> str:
    """Python code that trains one configuration to its end, seed included, and prints its test accuracy.

    It trains on as many threads as the trials had, and on the CPU where they did: the sums of other threads are
    rounded otherwise, and a training comes to other numbers.

    Args:
        parameters: Of the training.
        remarks: Become comments on top.
        resources: What a trial of the sweep takes.
    """
    settings = {name: value for name, value in parameters.items() if name != "optimizer"}
    arguments = [repr(parameters["optimizer"])] if "optimizer" in parameters else []
    arguments += [f"{name}={value!r}" for name, value in settings.items()]
    arguments += [] if resources.gpu else ["device='cpu'"]
    lines = "".join(f"    {argument},\n" for argument in arguments)
    imports = "import torch\n\nfrom trainer import train_model\n\n"
    threads = f"torch.set_num_threads({resources.cpu})  # as many as the trials had, for the same numbers\n"
    call = f"trained = train_model(\n{lines})\nprint(trained.test_accuracy)\n"
    return f"{format_comments(remarks)}{imports}{threads}{call}"


def format_comments(remarks: Sequence[str]) -> str:
    """Remarks as comments of Python and YAML, one paragraph each, which nothing in them can end."""
    wrapped = (
        textwrap.fill(
            show_controls(" ".join(remark.split())),
            COMMENT_WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for remark in remarks
    )
    return "".join(f"{text}\n" for text in wrapped)
