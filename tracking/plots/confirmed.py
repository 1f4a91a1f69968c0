"""What the retrained settings of each arm reach on the test images, and how far validation lies above it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.leaderboard import build_leaderboard, find_best
from tracking.names import BEST_VAL_ACCURACY, TEST_ACCURACY
from tracking.plots.style import MUTED, Plot, add_rows, arm_color, arm_symbol, fade, style_figure
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.intervals import Interval


def build_confirmed_plot(table: SweepTable) -> Plot | None:
    """Mean test accuracy of each arm's retrained settings, with its interval and every seed; None without any."""
    seeds = {row.arm: _list_accuracies(table, row.arm) for row in build_leaderboard(table)}
    shown = {arm: values for arm, values in seeds.items() if values}
    if not shown:
        return None
    figure, has_interval = _build_rows(table, shown)
    figure.update_xaxes(title_text="test accuracy", tickformat=".2~%", showgrid=True)
    caption = "Diamond: mean over the seeds; pale dots: single seeds"
    caption += "; bar: 95 % interval of the mean." if has_interval else "; one seed each, so no interval."
    return Plot("confirmed", "Confirmed test accuracy", caption, figure, wide=True)


def _list_accuracies(table: SweepTable, arm: str) -> list[float]:
    """Test accuracies of the arm's best settings, one for each seed that has one."""
    best = find_best(table, arm)
    retrained = table.retrainings(best) if best else ()
    return [trial.summary[TEST_ACCURACY] for trial in retrained if TEST_ACCURACY in trial.summary]


def build_gap_plot(table: SweepTable) -> Plot | None:
    """Best validation accuracy minus test accuracy of each retraining; None without any."""
    gaps = {arm: [gap for trial in table.confirmed(arm) if (gap := _gap(trial)) is not None] for arm in table.arms}
    shown = {arm: values for arm, values in gaps.items() if values}
    if not shown:
        return None
    figure, has_interval = _build_rows(table, shown)
    figure.update_xaxes(title_text="validation − test, points", tickformat=".1f", showgrid=True)
    for trace in figure.data:
        trace.update(x=[100 * value for value in trace.x])
        if trace.error_x.array is not None:
            trace.error_x.update(
                array=[100 * value for value in trace.error_x.array],
                arrayminus=[100 * value for value in trace.error_x.arrayminus],
            )
    figure.add_vline(x=0, line={"color": MUTED, "width": 1})
    caption = "Right of 0: the validation images, on which the settings were chosen, flatter them. Beyond 2 points on "
    caption += "average is the mark of a leak."
    caption += " Bar: 95 % interval of the mean." if has_interval else ""
    return Plot("gap", "Validation minus test", caption, figure)


def _gap(trial: TrialRow) -> float | None:
    if BEST_VAL_ACCURACY not in trial.summary or TEST_ACCURACY not in trial.summary:
        return None
    return trial.summary[BEST_VAL_ACCURACY] - trial.summary[TEST_ACCURACY]


def _build_rows(table: SweepTable, values: Mapping[str, Sequence[float]]) -> tuple[go.Figure, bool]:
    """A row for each arm, the first on top: single values, mean and interval; and whether there is any interval."""
    import numpy as np
    import plotly.graph_objects as go

    from tracking.statistics.intervals import mean_interval

    figure, has_interval = go.Figure(), False
    for row, (arm, each) in enumerate(values.items()):
        interval = mean_interval(np.array(each))
        has_interval = has_interval or interval is not None
        spread = [row + 0.22 * (index % 3 - 1) for index in range(len(each))] if len(each) > 1 else [row]
        figure.add_trace(_build_seeds(table, arm, each, spread))
        figure.add_trace(_build_mean(table, arm, sum(each) / len(each), interval, row, len(each)))
    style_figure(figure, "", height=96 + 44 * len(values))
    add_rows(figure, list(values))
    figure.update_layout(showlegend=False, margin_b=56)
    return figure, has_interval


def _build_seeds(table: SweepTable, arm: str, values: Sequence[float], rows: Sequence[float]) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=list(values),
        y=list(rows),
        mode="markers",
        marker={"size": 7, "color": fade(arm_color(table.arms, arm), 0.35), "symbol": arm_symbol(table.arms, arm)},
        hovertemplate=f"{escape(arm)}, one seed: %{{x}}<extra></extra>",
        name=escape(arm),
    )


def _build_mean(
    table: SweepTable, arm: str, mean: float, interval: Interval | None, row: int, num_seeds: int
) -> go.Scatter:
    import plotly.graph_objects as go

    color = arm_color(table.arms, arm)
    bar = {} if interval is None else {"array": [interval.high - mean], "arrayminus": [mean - interval.low]}
    return go.Scatter(
        x=[mean],
        y=[row],
        mode="markers",
        marker={"size": 12, "color": color, "symbol": "diamond", "line": {"width": 1.5, "color": "white"}},
        error_x={"type": "data", "symmetric": False, "color": color, "thickness": 2.5, "width": 6, **bar},
        hovertemplate=f"{escape(arm)}: mean of {num_seeds} %{{x}}<extra></extra>",
        name=escape(arm),
    )
