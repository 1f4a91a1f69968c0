"""Who was trained on after each epoch, and whether what a trial came to by then foretells its end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from tracking.names import TrialState
from tracking.plots.style import (
    INK,
    MUTED,
    NoPlot,
    Plot,
    add_rows,
    arm_color,
    arm_dash,
    arm_symbol,
    fade,
    style_figure,
)
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.rungs import RungCorrelation

HALF_HEIGHT = 0.4  # of a row, of an arm of which no trial has ended
MAX_EPOCHS = 40  # at which the correlation is drawn
_LOST = (TrialState.DIVERGED, TrialState.FAILED)


def build_survival_plot(table: SweepTable) -> Plot | NoPlot:
    """How many trials of each arm were trained on after each epoch: a row for each arm."""
    import plotly.graph_objects as go

    title = "Survival of the trials"
    ended = {arm: [trial for trial in table.select(arm) if _has_ended(trial)] for arm in table.arms}
    ended = {arm: trials for arm, trials in ended.items() if trials}
    last = max((trial.num_epochs for trials in ended.values() for trial in trials), default=0)
    if last < 2 or all(trial.num_epochs == last for trials in ended.values() for trial in trials):
        return NoPlot(title, "No trial has ended before its last epoch.")
    figure = go.Figure()
    for row, (arm, trials) in enumerate(ended.items()):
        figure.add_traces(_build_funnel(table, arm, trials, last, row))
        if crosses := _build_crosses(arm, trials, row):
            figure.add_trace(crosses)
    style_figure(figure, "", height=96 + 52 * len(ended))
    add_rows(figure, list(ended))
    figure.update_xaxes(title_text="epoch", range=[-0.02 * last, 1.02 * last])
    figure.update_layout(showlegend=False, margin_b=56)
    caption = (
        "Height: the share of an arm’s trials that are still trained; number: how many. A step is a rung, at which "
        "early stopping ended some; ×: one that diverged or failed."
    )
    return Plot("survival", title, caption, figure)


def _has_ended(trial: TrialRow) -> bool:
    return trial.state not in (None, TrialState.STOPPED)


def _build_funnel(
    table: SweepTable, arm: str, trials: Sequence[TrialRow], last: int, row: int
) -> tuple[go.Scatter, go.Scatter]:
    """A band that is as high as the share that goes on, and the numbers in it."""
    import numpy as np
    import plotly.graph_objects as go

    from tracking.statistics.rungs import count_survivors

    rungs = sorted({trial.num_epochs for trial in trials if trial.num_epochs < last})
    epochs = np.array([trial.num_epochs for trial in trials], dtype=np.float64)
    numbers = (len(trials), *count_survivors(epochs, np.array(rungs, dtype=np.float64)))
    edges = [0, *rungs, last]
    x = [end for start, stop in pairwise(edges) for end in (start, stop)]
    half = [HALF_HEIGHT * number / len(trials) for number in numbers for _ in range(2)]
    color = arm_color(table.arms, arm)
    band = go.Scatter(
        x=[*x, *reversed(x)],
        y=[*(row - each for each in half), *(row + each for each in reversed(half))],
        fill="toself",
        fillcolor=fade(color, 0.3),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    wide = [index for index, number in enumerate(numbers) if number and edges[index + 1] - edges[index] >= 0.05 * last]
    labels = go.Scatter(
        x=[(edges[index] + edges[index + 1]) / 2 for index in wide],
        y=[row] * len(wide),
        text=[str(numbers[index]) for index in wide],
        customdata=[
            f"{numbers[index]} of {len(trials)} in epochs {edges[index] + 1} to {edges[index + 1]}" for index in wide
        ],
        mode="text",
        textfont={"size": 12, "color": INK},
        hovertemplate=f"{escape(arm)}: %{{customdata}}<extra></extra>",
        name=escape(arm),
    )
    return band, labels


def _build_crosses(arm: str, trials: Sequence[TrialRow], row: int) -> go.Scatter | None:
    """A cross where trials diverged or failed."""
    import plotly.graph_objects as go

    lost = Counter(trial.num_epochs for trial in trials if trial.state in _LOST)
    if not lost:
        return None
    return go.Scatter(
        x=list(lost),
        y=[row] * len(lost),
        mode="markers",
        marker={"symbol": "x-thin", "size": 9, "color": INK, "line": {"width": 2, "color": INK}},
        text=[f"{number} diverged or failed after epoch {epoch}" for epoch, number in lost.items()],
        hovertemplate=f"{escape(arm)}: %{{text}}<extra></extra>",
    )


def build_agreement_plot(table: SweepTable) -> Plot | NoPlot:
    """The rank correlation of what trials had come to by each epoch with what they came to in the end."""
    import plotly.graph_objects as go

    from tracking.statistics.rungs import MIN_CORRELATION, MIN_TRIALS

    title = "Does an early epoch foretell the end?"
    complete = [trial for trial in table.select() if trial.state is TrialState.COMPLETED]
    last = max((trial.num_epochs for trial in complete), default=0)
    pooled = _correlate(table, complete, last)
    if not pooled:
        reason = (
            f"It needs {MIN_TRIALS} trials that ran to their end, in values that differ; there are {len(complete)}."
        )
        return NoPlot(title, reason)
    figure = go.Figure(_build_pooled(pooled, _find_rungs(table)))
    by_arm = {arm: [trial for trial in complete if trial.arm == arm] for arm in table.arms}
    for arm, trials in by_arm.items() if len(table.arms) > 1 else ():
        if found := _correlate(table, trials, last):
            figure.add_trace(_build_arm(table, arm, found))
    style_figure(figure, "")
    figure.add_hline(y=MIN_CORRELATION, line={"color": MUTED, "width": 1, "dash": "dash"})
    lowest = min(0.0, *(each.low for each in pooled.values()))
    figure.update_yaxes(title_text="rank correlation with the end", range=[lowest - 0.04, 1.04])
    figure.update_xaxes(title_text="epoch", range=[1 - 0.04 * last, last])
    caption = (
        "Spearman’s correlation of the best value up to an epoch with that of the whole trial, over the "
        f"{len(complete)} trials that ran to their end; band: 95 % interval. Below {MIN_CORRELATION:g} (dashed) an "
        f"order by that epoch is not to be trusted. {_tell_rungs(pooled, _find_rungs(table))}"
    )
    return Plot("agreement", title, caption.strip(), figure)


def _find_rungs(table: SweepTable) -> list[int]:
    """The epochs after which early stopping ended trials."""
    return sorted({trial.num_epochs for trial in table.select() if trial.state is TrialState.EARLY_STOPPED})


def _correlate(table: SweepTable, trials: Sequence[TrialRow], last: int) -> dict[int, RungCorrelation]:
    """Epoch -> the correlation, for those epochs at which there is one."""
    import numpy as np

    from tracking.statistics.rungs import correlate_rung

    found = {}
    values = np.array([table.value_until(trial, last) for trial in trials])
    for epoch in sorted({round(each) for each in np.linspace(1, last - 1, MAX_EPOCHS)}) if last > 1 else ():
        early = np.array([table.value_until(trial, epoch) for trial in trials])
        if (correlation := correlate_rung(early, values)) is not None:
            found[epoch] = correlation
    return found


def _build_pooled(found: dict[int, RungCorrelation], rungs: Sequence[int]) -> list[go.Scatter]:
    """The correlation over all arms with its band; symbols at the rungs."""
    import plotly.graph_objects as go

    epochs, at_rungs = list(found), [epoch for epoch in found if epoch in rungs]
    low, high = [each.low for each in found.values()], [each.high for each in found.values()]
    band = go.Scatter(
        x=[*epochs, *reversed(epochs)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=fade(INK, 0.09),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )
    line = go.Scatter(
        x=epochs,
        y=[each.correlation for each in found.values()],
        mode="lines" if len(epochs) > 1 else "markers",
        line={"color": INK, "width": 3},
        name="all trials",
        hovertemplate="all trials, epoch %{x}: %{y:.2f}<extra></extra>",
    )
    rung = go.Scatter(
        x=at_rungs,
        y=[found[epoch].correlation for epoch in at_rungs],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": INK},
        name="at a rung",
        hovertemplate="rung at epoch %{x}: %{y:.2f}<extra></extra>",
    )
    return [band, line, *([rung] if at_rungs else [])]


def _build_arm(table: SweepTable, arm: str, found: dict[int, RungCorrelation]) -> go.Scatter:
    import plotly.graph_objects as go

    color = arm_color(table.arms, arm)
    return go.Scatter(
        x=list(found),
        y=[each.correlation for each in found.values()],
        mode="lines+markers",
        line={"color": color, "width": 1.5, "dash": arm_dash(table.arms, arm)},
        marker={"color": color, "symbol": arm_symbol(table.arms, arm), "size": 5},
        name=escape(arm),
        text=[str(each.num_trials) for each in found.values()],
        hovertemplate=f"{escape(arm)}, %{{text}} trials, epoch %{{x}}: %{{y:.2f}}<extra></extra>",
    )


def _tell_rungs(found: dict[int, RungCorrelation], rungs: Sequence[int]) -> str:
    """The correlation at each rung, and whether it may be relied on."""
    at_rungs = {epoch: found[epoch] for epoch in rungs if epoch in found}
    if not at_rungs:
        return ""
    told = ", ".join(f"{each.correlation:.2f} at epoch {epoch}" for epoch, each in at_rungs.items())
    doubtful = [epoch for epoch, each in at_rungs.items() if each.is_doubtful]
    judged = f"doubtful at epoch {', '.join(map(str, doubtful))}" if doubtful else "good enough"
    return f"At the rungs: {told}: {judged}."
