"""How names and numbers are written for a reader: pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tracking.table import Value

METRIC_TITLES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
}


PARAMETER_TITLES = {
    "lr": "learning rate",
    "batch_size": "batch size (images)",
    "initializer": "initialiser",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "epochs": "length of training (epochs)",
    "train_size": "training images",
}


def title_of(name: str) -> str:
    """What an axis is called in words; escaped, since plotly reads a little HTML."""
    return METRIC_TITLES.get(name) or PARAMETER_TITLES.get(name) or escape(name.replace("_", " "))


def is_fraction(metric: str) -> bool:
    """Whether the metric is shown in percent."""
    return metric.endswith("accuracy")


def format_number(value: Value) -> str:
    """A parameter's value for people: at most four significant digits."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{value:.4g}"


def format_percent(fraction: float | None) -> str:
    """A fraction as percent with two decimals, a dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def format_duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_states(num_by_state: Mapping[str, int]) -> str:
    """`3 completed, 2 early stopped`."""
    return ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in num_by_state.items()) or "–"


def format_parameters(parameters: Mapping[str, Value]) -> str:
    """`lr 0.003, batch_size 64`."""
    return ", ".join(f"{name} {format_number(value)}" for name, value in parameters.items()) or "–"


def format_count(count: float) -> str:
    """`950`, `12.3 k`, `4.57 M`: three digits from a thousand on."""
    factor, unit = next(
        ((factor, unit) for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= factor), (1.0, "")
    )
    return f"{count / factor:.3g} {unit}" if unit else f"{count:.0f}"


_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def format_bytes(count: float) -> str:
    """`45.6 kB`, three digits."""
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if count >= factor), _UNITS[-1])
    return f"{count / factor:.3g} {unit}"
