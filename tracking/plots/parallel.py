"""All settings of each trial and what they came to, as a line over parallel axes. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.labels import format_number, is_fraction, title_of
from tracking.analysis.leaderboard import searched_parameters
from tracking.analysis.settings import is_logarithmic, is_number_line, level_key, to_float
from tracking.names import TrialState
from tracking.plots.style import AXIS, INK, Plot, arm_color, describe_trial, fade, style_figure
from tracking.plots.thinning import tell_thinned, thin_trials
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value

if TYPE_CHECKING:
    import plotly.graph_objects as go

BEST_SHARE = 0.1  # of the trials have strong lines
MIN_BEST, MAX_BEST = 5, 30
MAX_AXES = 9
TITLE_LETTERS = 12  # in a line of an axis' title
ABSENT = -0.12  # where a line runs at an axis of a setting that the trial does not have


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: In words, escaped.
        places: Trial -> where on the axis it is, from 0 to 1.
        ticks: Places and their labels.
    """

    title: str
    places: dict[str, float]
    ticks: tuple[tuple[float, str], ...]


def build_parallel_plot(table: SweepTable) -> Plot | None:
    """A line for each search trial over its settings to its best value; None where no two settings were searched."""
    import plotly.graph_objects as go

    trials = [
        trial for trial in table.select() if trial.state is not TrialState.FAILED and table.value(trial) is not None
    ]
    names = [name for name in table.searched if name not in table.compared]
    settings = {trial.trial_id: searched_parameters(table, trial) for trial in trials}
    by_name = {name: {key: row[name] for key, row in settings.items() if name in row} for name in names}
    varied = [name for name, values in by_name.items() if len(set(values.values())) > 1][:MAX_AXES]
    if len(varied) < 2:
        return None
    axes = [_build_axis(name, by_name[name]) for name in varied]
    if len(table.arms) > 1:
        axes.insert(0, _build_choices("arm", {trial.trial_id: trial.arm for trial in trials}, table.arms[::-1]))
    axes.append(_build_outcome(table, trials))
    num_best = min(max(MIN_BEST, math.ceil(BEST_SHARE * len(trials))), MAX_BEST)
    goal = Goal(table.goal)
    ranked = sorted(trials, key=lambda trial: -goal.sign * (table.value(trial) or 0.0))
    best = {trial.trial_id for trial in ranked[:num_best]}
    figure = go.Figure()
    for is_best in (False, True):
        for arm in table.arms:
            members = [trial for trial in trials if trial.arm == arm and (trial.trial_id in best) is is_best]
            members = list(thin_trials(table, members))
            figure.add_trace(_build_lines(table, arm, members, axes, is_best=is_best))
    _add_axes(figure, axes)
    noun = f"the best {min(num_best, len(trials))} trials" if num_best < len(trials) else "all trials"
    caption = (
        f"A line for each trial, from its settings to its best value. Strong: {noun}, whichever arm they are of. Where "
        "strong lines come close together on an axis, that setting matters; where they spread, it does not."
    )
    caption += tell_thinned(table)
    return Plot("parallel", "Settings of every trial", caption, figure, wide=True, min_width=70 + 95 * len(axes))


def _build_axis(name: str, values: dict[str, Value]) -> Axis:
    if not is_number_line(name, values.values()):
        return _build_choices(title_of(name), values, sorted(set(values.values()), key=level_key))
    numbers = {key: to_float(value) for key, value in values.items()}
    return _build_numbers(title_of(name), numbers, is_log=is_logarithmic(name, numbers.values()))


def _build_choices(title: str, values: Mapping[str, Value], levels: Sequence[Value]) -> Axis:
    """An axis with a place for each level, the first at the foot."""
    step = 1 / max(len(levels) - 1, 1)
    places = {level: index * step if len(levels) > 1 else 0.5 for index, level in enumerate(levels)}
    return Axis(
        title,
        {key: places[value] for key, value in values.items()},
        tuple((place, format_number(level)) for level, place in places.items()),
    )


def _build_numbers(title: str, values: Mapping[str, float], *, is_log: bool) -> Axis:
    scale = math.log10 if is_log else float
    low, high = scale(min(values.values())), scale(max(values.values()))
    width = (high - low) or 1.0
    places = {key: (scale(value) - low) / width for key, value in values.items()}
    decades = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)] if is_log else []
    ends = (min(values.values()), (min(values.values()) + max(values.values())) / 2, max(values.values()))
    ticks = decades if len(decades) > 1 else ends if not is_log else (ends[0], ends[2])
    return Axis(title, places, tuple(((scale(tick) - low) / width, f"{tick:.2g}") for tick in ticks))


def _build_outcome(table: SweepTable, trials: Sequence[TrialRow]) -> Axis:
    """The best value of the goal metric, the better the higher; trials that diverged lie no lower than the others."""
    values = {trial.trial_id: value for trial in trials if (value := table.value(trial)) is not None}
    sane = [values[trial.trial_id] for trial in trials if trial.state is not TrialState.DIVERGED] or list(
        values.values()
    )
    worst, best = Goal(table.goal).worst(sane), Goal(table.goal).best(sane)
    width = (best - worst) or 1.0
    ends = [(share, worst + share * (best - worst)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    form = ".1%" if is_fraction(table.goal_metric) else ".3g"
    ticks = tuple((share, format(value, form)) for share, value in ends)
    places = {key: min(max((value - worst) / width, 0.0), 1.0) for key, value in values.items()}
    return Axis(f"best {title_of(table.goal_metric)}", places, ticks if best != worst else ticks[:1])


def _build_lines(
    table: SweepTable, arm: str, trials: Sequence[TrialRow], axes: Sequence[Axis], *, is_best: bool
) -> go.Scatter:
    """The lines of an arm's trials, with gaps between them."""
    import plotly.graph_objects as go

    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for trial in trials:
        x += [*range(len(axes)), None]
        y += [*(round(axis.places.get(trial.trial_id, ABSENT), 4) for axis in axes), None]
        text += [describe_trial(table, trial) if is_best else escape(trial.trial_id)] * (len(axes) + 1)
    color = arm_color(table.arms, arm)
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        mode="lines",
        line={"color": color if is_best else fade(color, 0.16), "width": 2.5 if is_best else 1.2},
        hovertemplate="%{text}<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
        showlegend=is_best,
    )


def _add_axes(figure: go.Figure, axes: Sequence[Axis]) -> None:
    """A line for each axis, its title above it and its ticks beside it."""
    has_absent = any(len(axis.places) < max(len(each.places) for each in axes) for axis in axes)
    style_figure(figure, "", height=420)
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=["<br>".join(textwrap.wrap(axis.title, TITLE_LETTERS, break_long_words=False)) for axis in axes],
        range=[-0.55, len(axes) - 0.9],
        side="top",
        ticks="",
        linecolor="rgba(0,0,0,0)",
        tickangle=0,
    )
    figure.update_yaxes(visible=False, range=[ABSENT - 0.05 if has_absent else -0.05, 1.05])
    for index, axis in enumerate(axes):
        figure.add_vline(x=index, line={"color": AXIS, "width": 1})
        ticks = axis.ticks
        if len(axis.places) < max(len(each.places) for each in axes):
            ticks = ((ABSENT, "none"), *ticks)
        for place, label in ticks:
            figure.add_annotation(
                x=index, y=place, text=escape(label), xanchor="right", xshift=-4, showarrow=False,
                font={"size": 11, "color": INK}, bgcolor="rgba(255,255,255,0.8)", borderpad=1,
            )  # fmt: skip
    figure.update_layout(legend_y=1.18, margin={"t": 24, "b": 16, "l": 16})
