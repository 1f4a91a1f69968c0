"""A sweep as one self-contained HTML file, and its trials as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from tracking.analysis.findings import build_cautions, build_facts, build_failures, build_headline, build_verdict
from tracking.analysis.labels import format_duration, format_number, format_percent, title_of
from tracking.analysis.leaderboard import LeaderboardRow, build_leaderboard, format_cells, searched_parameters
from tracking.analysis.pareto import format_front
from tracking.analysis.plan_accuracy import build_forecast
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TEST_ACCURACY, VAL_ACCURACY
from tracking.plots.plots import build_plots
from tracking.plots.style import Plot, arm_color
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

# The page loads nothing: whatever a trial's name or a sweep file contains, it cannot reach the network.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
# One button, to save a plot as a picture: a whole bar would lie on the legend.
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtons": [["toImage"]]}
MINOR_COLUMNS = ("best settings", "trials")
EMPTY = "–"


def build_page(table: SweepTable, plotly_js: str) -> str:
    """The report as HTML; everything from the sweep is escaped."""
    rows = build_leaderboard(table)
    body = "\n".join(
        (
            *_build_head(table, rows),
            _build_leaderboard(table, rows),
            _build_front(table),
            _build_plots(build_plots(table)),
            _build_trials(table, STAGE_CONFIRM, "Retrained", "The best settings of each arm, trained in full again."),
            _build_trials(table, STAGE_SEARCH, "All trials", "Best first."),
            _build_failures(table),
            _build_forecast(table),
            _build_manifest({name: value for name, value in table.manifest.items() if name != "plan"}),
            _build_sweep_file(table.sweep_file),
        )
    )
    css = files("tracking.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">\n'
        f"<title>{escape(table.name)} – sweep report</title>\n<style>\n{css}</style>\n"
        f"<script>{plotly_js}</script>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


# Sections


def _build_head(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    for notice in table.notices:
        yield f'<p class="notice" role="alert">{escape(notice)}</p>'
    starts = [trial.start_time for trial in table.trials if trial.start_time]
    ends = [trial.end_time for trial in table.trials if trial.end_time]
    when = f" · {datetime.fromtimestamp(min(starts), UTC):%d %B %Y, %H:%M} UTC" if starts else ""
    took = f" · took {format_duration(max(ends) - min(starts))}" if starts and ends else ""
    yield f'<p class="kicker">{escape(table.project)} · {escape(table.sweep_id)}{when}{took}</p>'
    yield f"<h1>{_escape_text(build_headline(table, rows))}</h1>"
    yield f'<p class="lead">{_escape_text(build_verdict(rows))}</p>'
    for caution in build_cautions(table, rows):
        yield f'<p class="caution">{escape(caution)}</p>'
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in build_facts(table))
    yield f'<dl class="facts">{facts}</dl>'


def _build_leaderboard(table: SweepTable, rows: Sequence[LeaderboardRow]) -> str:
    if not rows:
        return ""
    header, cells = format_cells(rows)
    classes = ["minor" if name in MINOR_COLUMNS else "number" for name in header]
    classes[:2] = ["strong", "number strong"]
    lines = [[_build_arm(table, line[0]), *(escape(cell) for cell in line[1:])] for line in cells]
    shown = _build_table("leaderboard", "Leaderboard", header, lines, classes)
    return _build_section("Leaderboard", "One row per arm. Test pictures are read by retrained trials only.", shown)


def _build_front(table: SweepTable) -> str:
    if not table.metrics:
        return ""
    header, rows = format_front(table)
    classes = ["strong", *["number"] * (len(header) - 1)]
    shown = _build_table("front", "Pareto front", header, [[escape(cell) for cell in row] for row in rows], classes)
    note = "Of the trials that ran to their end, those that no other beats in all metrics."
    return _build_section("Pareto front", note, shown)


def _build_plots(plots: Sequence[Plot]) -> str:
    if not plots:
        return ""
    figures = []
    for plot in plots:
        wide = ' class="wide"' if plot.key.startswith("trials-") else ""
        drawn = plot.figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            config=PLOT_CONFIG,
            default_height=f"{plot.figure.layout.height}px",
            div_id=f"plot-{plot.key}",
        )
        caption = f"<figcaption><h3>{plot.title}</h3><p>{escape(plot.caption)}</p></figcaption>"
        figures.append(f"<figure{wide}>{caption}{drawn}</figure>")
    return _build_section("Plots", "Search trials only.", f'<div class="plots">{"".join(figures)}</div>')


def _build_trials(table: SweepTable, stage: str, title: str, note: str) -> str:
    trials = _sort_trials(table, stage)
    if not trials:
        return ""
    varied = [name for name in table.searched if name not in table.compared]
    has_test = any(TEST_ACCURACY in trial.summary for trial in trials)
    metrics = list(dict.fromkeys((table.goal_metric, VAL_ACCURACY)))
    compares = len(table.arms) > 1
    header = ["trial", *(["arm"] if compares else []), "state"]
    header += [f"best {title_of(metric)}".replace("validation", "val.") for metric in metrics]
    header += [*(["test accuracy", "seed"] if has_test else []), *varied, "epochs", "time", "ended because"]
    classes = ["number"] * len(header)
    classes[: 2 + compares] = [""] * (2 + compares)
    classes[-1] = "reason"
    lines = []
    for trial in trials:
        parameters = searched_parameters(table, trial)
        state = str(trial.state or "running")
        cells = [
            escape(trial.trial_id),
            *([_build_arm(table, trial.arm)] if compares else []),
            f'<span class="state {state}">{state.replace("_", " ")}</span>',
            *(_format_best(table, trial, metric) for metric in metrics),
        ]
        if has_test:
            cells += [format_percent(trial.summary.get(TEST_ACCURACY)), str(trial.seed)]
        cells += [escape(format_number(parameters[name])) if name in parameters else EMPTY for name in varied]
        cells += [str(trial.num_epochs), format_duration(trial.seconds), escape(trial.stop_reason)]
        lines.append(cells)
    return _build_section(title, note, _build_table("trials", title, header, lines, classes))


def _build_failures(table: SweepTable) -> str:
    items = [
        f"<li><strong>{len(failure.trial_ids)} × {failure.state}</strong>: {escape(failure.reason)}"
        f'<div class="ids">{escape(", ".join(failure.trial_ids))}</div></li>'
        for failure in build_failures(table)
    ]
    if not items:
        return ""
    note = "Equal reasons are counted once. A trial that diverged is an outcome: its settings do not train."
    return _build_section("What went wrong", note, f'<ul class="failures">{"".join(items)}</ul>')


def _build_manifest(manifest: Mapping[str, object]) -> str:
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in _flatten(manifest))
    return _build_section("What it ran on", "", f'<dl class="manifest">{pairs}</dl>') if pairs else ""


def _build_forecast(table: SweepTable) -> str:
    lines = [
        [
            escape(row.name),
            escape(row.predicted),
            escape(row.actual),
            f"{row.difference:+.0%}".replace("-", "\N{MINUS SIGN}"),
        ]
        for row in build_forecast(table)
    ]
    if not lines:
        return ""
    header = ("", "predicted", "actual", "difference")
    shown = _build_table("forecast", "Predicted and actual cost", header, lines, ("strong", *["number"] * 3))
    return _build_section("Predicted and actual", "What the plan said before the first trial.", shown)


def _build_sweep_file(text: str) -> str:
    return _build_section("Sweep file", "", f"<pre><code>{escape(text)}</code></pre>") if text else ""


# Pieces


def _build_section(title: str, note: str, content: str) -> str:
    shown = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section aria-label="{escape(title)}"><h2>{escape(title)}</h2>{shown}{content}</section>'


def _build_table(
    name: str, label: str, header: Sequence[str], lines: Iterable[Sequence[str]], classes: Sequence[str]
) -> str:
    """A table of cells that are HTML already."""
    head = "".join(
        f'<th scope="col" class="{css}">{escape(cell)}</th>' for cell, css in zip(header, classes, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td class="{css}">{cell}</td>' for cell, css in zip(line, classes, strict=True)) + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)} table">'
        f'<table class="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _build_arm(table: SweepTable, arm: str) -> str:
    color = arm_color(table.arms, arm)
    return f'<span class="swatch" style="background:{color}"></span>{escape(arm)}'


def _escape_text(text: str) -> str:
    """Escaped, with percent signs kept on the line of their number."""
    return escape(text).replace(" %", "&nbsp;%")


def _sort_trials(table: SweepTable, stage: str) -> list[TrialRow]:
    """Best first by the goal metric; trials without a value last."""
    sign = Goal(table.goal).sign

    def key(trial: TrialRow) -> tuple[bool, float]:
        value = table.value(trial)
        return (value is None, 0.0 if value is None else -sign * value)

    return sorted(table.select(stage=stage), key=key)


def _format_best(table: SweepTable, trial: TrialRow, metric: str) -> str:
    value = trial.best(metric, table.goal if metric == table.goal_metric else "maximize")
    if value is None:
        return EMPTY
    return format_percent(value) if metric.endswith("accuracy") else f"{value:.4f}"


def _flatten(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, inner)) if isinstance(inner, list | tuple) else inner
