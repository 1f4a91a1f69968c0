"""Learning curves of a sweep's search trials. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from tracking.analysis.labels import is_fraction, title_of
from tracking.names import TRAIN_LOSS, VAL_LOSS, TrialState
from tracking.plots.style import (
    INK,
    Plot,
    arm_color,
    arm_dash,
    arm_symbol,
    build_choice,
    describe_trial,
    fade,
    hover_text,
    style_figure,
    trial_symbol,
)
from tracking.plots.thinning import tell_thinned, thin_trials
from tracking.table import Points, SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_FIRST = 2.0  # times the median first loss: what lies above is cut off
UNBOUNDED = (TrialState.DIVERGED, TrialState.FAILED)


def build_best_curves(table: SweepTable, metric: str) -> Plot | None:
    """The best search trial of each arm, epoch by epoch."""
    import plotly.graph_objects as go

    figure = go.Figure()
    seconds: list[Mapping[int, float]] = []
    for arm in table.arms:
        ranking = [trial for trial in table.ranking(arm) if trial.history.get(metric)]
        if not ranking:
            continue
        best = ranking[0]
        figure.add_trace(_build_curve(table, best, metric))
        if metric == VAL_LOSS and best.history.get(TRAIN_LOSS):
            figure.add_trace(_build_training_curve(table, best))
        seconds += [best.elapsed()] * (len(figure.data) - len(seconds))
    if not figure.data:
        return None
    _style_curves(figure, metric, table)
    _add_seconds(figure, seconds)
    caption = "One trial per arm: " + ("the best that ran to its end." if _all_complete(table) else "its best.")
    if metric == VAL_LOSS:
        caption += " Dotted: its loss on the training images; far below the other, it has learned them by heart."
    title = f"{title_of(metric).capitalize()} of {'each arm’s' if len(table.arms) > 1 else 'the'} best trial"
    return Plot(f"best-{metric}", title, caption + _tell_cut(figure), figure)


def _build_curve(table: SweepTable, trial: TrialRow, metric: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        **_split(trial.history[metric]),
        name=escape(trial.arm),
        legendgroup=trial.arm,
        mode="lines+markers",
        line={"color": arm_color(table.arms, trial.arm), "width": 2.5, "dash": arm_dash(table.arms, trial.arm)},
        marker={
            "symbol": arm_symbol(table.arms, trial.arm), "size": 7, "color": arm_color(table.arms, trial.arm),
        },
        text=[describe_trial(table, trial)] * len(trial.history[metric]),
        hovertemplate=hover_text(metric),
    )  # fmt: skip


def _build_training_curve(table: SweepTable, trial: TrialRow) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        **_split(trial.history[TRAIN_LOSS]),
        name=f"{escape(trial.arm)}, training",
        legendgroup=trial.arm,
        showlegend=False,
        mode="lines",
        line={"color": arm_color(table.arms, trial.arm), "width": 1.5, "dash": "dot"},
        text=[describe_trial(table, trial)] * len(trial.history[TRAIN_LOSS]),
        hovertemplate=hover_text(TRAIN_LOSS),
    )


def build_median_curves(table: SweepTable, metric: str) -> Plot | None:
    """Median and quartiles over each arm's search trials that reported an epoch."""
    import plotly.graph_objects as go

    figure = go.Figure()
    seconds: list[Mapping[int, float]] = []
    for arm in table.arms:
        by_epoch: dict[int, list[float]] = {}
        for trial in table.select(arm):
            for epoch, value in trial.history.get(metric, ()):
                by_epoch.setdefault(epoch, []).append(value)
        if by_epoch:
            in_order = dict(sorted(by_epoch.items()))
            figure.add_traces([_build_band(table, arm, in_order), _build_median(table, arm, metric, in_order)])
            seconds += [_place_epochs(table.select(arm), in_order)] * 2
    if not figure.data:
        return None
    _style_curves(figure, metric, table)
    caption = "Line: median over the trials that reported an epoch; band: their middle half."
    if _add_seconds(figure, seconds):
        caption += " In seconds, each epoch of an arm takes as long as the median of its trials."
    if len({trial.num_epochs for trial in table.select()}) > 1:
        caption += " Open symbols: some trials had ended by then, mostly the weaker ones; the line shows the others."
    title = f"Median {title_of(metric)} of all trials"
    return Plot(f"median-{metric}", title, caption + _tell_cut(figure), figure)


def _place_epochs(trials: Sequence[TrialRow], epochs: Iterable[int]) -> dict[int, float]:
    """Epoch -> seconds, as if each took what an epoch of these trials takes in the median; nothing where unknown.

    The trials that reported an epoch are fewer with every rung, so that the median of their seconds could go back.
    """
    rates = [max(spent.values()) / max(spent) for trial in trials if (spent := trial.elapsed())]
    return {epoch: epoch * median(rates) for epoch in epochs} if rates else {}


def _add_seconds(figure: go.Figure, seconds: Sequence[Mapping[int, float]]) -> bool:
    """Adds buttons that put every trace over seconds in the place of epochs, where all epochs' seconds are known.

    Args:
        figure: Styled, over epochs.
        seconds: Of each trace: epoch -> seconds.
    """
    epochs = [list(trace.x) for trace in figure.data]
    if not all(epoch in known for known, x in zip(seconds, epochs, strict=True) for epoch in x):
        return False
    elapsed = [[float(f"{known[epoch]:.4g}") for epoch in x] for known, x in zip(seconds, epochs, strict=True)]
    last, axis = max(map(max, elapsed)), figure.layout.xaxis
    changes = [
        {"xaxis.title.text": "epoch", "xaxis.range": list(axis.range), "xaxis.dtick": axis.dtick},
        {
            "xaxis.title.text": "seconds of training and validation",
            "xaxis.range": [-0.03 * last, 1.04 * last],
            "xaxis.dtick": None,
        },
    ]
    buttons = build_choice(["in epochs", "in seconds"], [{"x": epochs}, {"x": elapsed}], changes)
    figure.update_layout(updatemenus=[buttons], margin_b=92)
    return True


def _build_band(table: SweepTable, arm: str, by_epoch: Mapping[int, list[float]]) -> go.Scatter:
    """The middle half of an arm's values, by rising epoch."""
    import plotly.graph_objects as go

    low, high = zip(*map(_quartiles, by_epoch.values()), strict=True)
    return go.Scatter(
        x=[*by_epoch, *reversed(list(by_epoch))],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=fade(arm_color(table.arms, arm), 0.11),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=arm,
    )


def _build_median(table: SweepTable, arm: str, metric: str, by_epoch: Mapping[int, list[float]]) -> go.Scatter:
    """The median of an arm's values, by rising epoch; open symbols where some trials had ended."""
    import plotly.graph_objects as go

    color, most = arm_color(table.arms, arm), max(map(len, by_epoch.values()))
    symbol = arm_symbol(table.arms, arm)
    return go.Scatter(
        x=list(by_epoch),
        y=[median(values) for values in by_epoch.values()],
        name=escape(arm),
        legendgroup=arm,
        mode="lines+markers",
        line={"color": color, "width": 2.5, "dash": arm_dash(table.arms, arm)},
        marker={
            "symbol": [symbol if len(values) == most else f"{symbol}-open" for values in by_epoch.values()],
            "size": 8,
            "line": {"width": 2, "color": color},
        },
        text=[f"median of {len(values)} trials" for values in by_epoch.values()],
        hovertemplate=hover_text(metric),
    )


def build_trial_curves(table: SweepTable, metric: str) -> Plot | None:
    """Every search trial, one panel per arm; how each ended stands at its last epoch."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    arms = [arm for arm in table.arms if any(trial.history.get(metric) for trial in table.select(arm))]
    if not arms:
        return None
    num_columns = 2 if len(arms) > 1 else 1
    num_rows = -(-len(arms) // num_columns)
    figure = make_subplots(
        num_rows,
        num_columns,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.06,
        vertical_spacing=0.28 / max(num_rows, 2),
        subplot_titles=[f"<b>{escape(arm)}</b>" for arm in arms],
    )
    for index, arm in enumerate(arms):
        place = {"row": index // num_columns + 1, "col": index % num_columns + 1}
        _add_panel(figure, table, arm, metric, place)
    for _, symbol, name in _END_LEGEND:
        marker = {"symbol": symbol, "size": 9, "color": INK}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker), row=1, col=1)
    _style_panels(figure, table, metric, num_rows, num_columns)
    return Plot(
        f"trials-{metric}",
        f"{title_of(metric).capitalize()} of every trial",
        "Strong lines ran to their end; pale ones were cut short, where the symbol stands." + tell_thinned(table),
        figure,
        wide=True,
    )


def _add_panel(figure: go.Figure, table: SweepTable, arm: str, metric: str, place: Mapping[str, int]) -> None:
    """An arm's trials: strong lines for those that completed, pale ones for the others, symbols at their ends."""
    color = arm_color(table.arms, arm)
    trials = [trial for trial in thin_trials(table, table.select(arm)) if trial.history.get(metric)]
    for group, width, opacity in ((TrialState.COMPLETED, 2.0, 0.9), (None, 1.2, 0.55)):
        members = [trial for trial in trials if (trial.state is TrialState.COMPLETED) == (group is not None)]
        figure.add_trace(_build_bundle(members, metric, fade(color, opacity), width), **place)
    figure.add_trace(_build_ends(table, trials, metric, color), **place)


def _style_panels(figure: go.Figure, table: SweepTable, metric: str, num_rows: int, num_columns: int) -> None:
    """Titles at the outer axes only, and one range for all panels."""
    _style_curves(figure, metric, table, height=110 + 230 * num_rows)
    figure.update_xaxes(showticklabels=True)
    if is_fraction(metric):  # plotly gives panels that share an axis a range of its own making
        figure.update_yaxes(range=_value_range(table, metric))
    figure.update_xaxes(title_text="")
    figure.update_yaxes(title_text="")
    for column in range(1, num_columns + 1):
        figure.update_xaxes(title_text="epoch", row=num_rows, col=column)
    for row in range(1, num_rows + 1):
        figure.update_yaxes(title_text=title_of(metric), row=row, col=1)
    figure.update_annotations(font_size=14)
    figure.update_layout(legend_y=1.0 + 40 / (230 * num_rows))


_END_LEGEND = (
    (TrialState.COMPLETED, "circle", "completed"),
    (TrialState.EARLY_STOPPED, "circle-open", "stopped early"),
    (TrialState.DIVERGED, "x-thin-open", "diverged or failed"),
)


def _build_bundle(trials: Sequence[TrialRow], metric: str, color: str, width: float) -> go.Scatter:
    """Many curves as one trace, with gaps between them: a thousand traces would make the page slow."""
    import plotly.graph_objects as go

    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for trial in trials:
        points = trial.history[metric]
        x += [*(epoch for epoch, _ in points), None]
        y += [*(float(f"{value:.5g}") for _, value in points), None]
        text += [escape(trial.trial_id)] * (len(points) + 1)  # its settings are told at its end
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        mode="lines",
        line={"color": color, "width": width},
        hovertemplate=hover_text(metric),
        showlegend=False,
        name="",
    )


def _build_ends(table: SweepTable, trials: Sequence[TrialRow], metric: str, color: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[trial.history[metric][-1][0] for trial in trials],
        y=[trial.history[metric][-1][1] for trial in trials],
        text=[describe_trial(table, trial) for trial in trials],
        mode="markers",
        marker={
            "symbol": [trial_symbol("circle", trial.state) for trial in trials],
            "size": 9,
            "color": color,
            "line": {"width": 2, "color": color},
        },
        hovertemplate=hover_text(metric),
        showlegend=False,
        name="",
    )


def _tell_cut(figure: go.Figure) -> str:
    """That the figure does not show the highest values, where it does not; with a space before it."""
    bounds = figure.layout.yaxis.range
    if bounds is None or all(value <= bounds[1] for trace in figure.data for value in trace.y):
        return ""
    return f" What lies above {bounds[1]:.2g} is cut off."


def _style_curves(figure: go.Figure, metric: str, table: SweepTable, *, height: int = 400) -> None:
    style_figure(figure, metric, height=height)
    epochs = [epoch for trial in table.select() for epoch, _ in trial.history.get(metric, ())]
    last = max(epochs)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 10**9) if last / step <= 10)
    figure.update_xaxes(title_text="epoch", range=[1 - 0.03 * last, last + 0.04 * last], dtick=step, tick0=0)
    figure.update_yaxes(title_text=title_of(metric))
    if not is_fraction(metric):
        figure.update_yaxes(range=_loss_range(table, metric))
    if len(table.arms) == 1 and len(figure.data) <= 2:
        figure.update_layout(showlegend=False)


def _all_complete(table: SweepTable) -> bool:
    return all(ranking[0].state is TrialState.COMPLETED for arm in table.arms if (ranking := table.ranking(arm)))


def _value_range(table: SweepTable, metric: str) -> list[float] | None:
    values = [value for trial in table.select() for _, value in trial.history.get(metric, ())]
    margin = 0.06 * (max(values) - min(values)) or 0.01
    return [min(values) - margin, max(values) + margin]


def _loss_range(table: SweepTable, metric: str) -> list[float] | None:
    """From the lowest loss to the highest first one, but to twice a usual first one at most.

    A trial that diverges, or that starts from far away, must not press all others to the foot of the figure.
    """
    sane = [
        trial.history[metric] for trial in table.select() if trial.history.get(metric) and trial.state not in UNBOUNDED
    ]
    if not sane:
        return None
    low = min(value for points in sane for _, value in points)
    first = [points[0][1] for points in sane]
    high = min(max(first), MAX_FIRST * median(first))
    margin = 0.06 * (high - low) or 0.1
    return [low - margin, high + margin]


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def _split(points: Points) -> dict[str, list[Any]]:
    return {"x": [epoch for epoch, _ in points], "y": [value for _, value in points]}
