"""A sweep as one self-contained HTML file: what stands where is in `report.html.j2`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from tracking.analysis.costs import format_costs, tell_costs
from tracking.analysis.findings import (
    build_cautions,
    build_facts,
    build_failures,
    build_headline,
    build_question,
    build_verdict,
)
from tracking.analysis.labels import format_duration, format_number, format_percent, is_fraction, title_of
from tracking.analysis.leaderboard import LeaderboardRow, build_leaderboard, format_cells, searched_parameters
from tracking.analysis.next_steps import build_next_steps
from tracking.analysis.pareto import format_front
from tracking.analysis.plan_accuracy import build_forecast
from tracking.analysis.selection import format_selection
from tracking.analysis.untuned import format_untuned
from tracking.analysis.verdict import format_comparison, judge_retrainings
from tracking.names import (
    STAGE_CONFIRM,
    STAGE_DEFAULT,
    STAGE_SEARCH,
    STAGE_SELECT,
    STATE_RUNNING,
    TEST_ACCURACY,
    VAL_ACCURACY,
)
from tracking.plots.plots import Section, build_confirmed_plots, build_sections
from tracking.plots.style import NoPlot, Plot, arm_color
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value

# The page loads nothing: whatever a trial's name or a sweep file contains, it cannot reach the network.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
# One button, to save a plot as a file: a whole bar would lie on the legend.
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtons": [["toImage"]]}
MINOR_COLUMNS = ("best settings", "trials")
MAX_ROWS = 600  # of a table of trials: a page with more opens slowly
EMPTY = "–"
RELOAD_SECONDS = 30  # after which the page of a sweep that runs loads itself anew


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: As people read it; not escaped.
        color: Of a swatch before the text; "" for none.
        state: Of a trial, shown as a badge; "" for other cells.
        value: The number that the text shows, by which it is sorted; None for a text.
        link: Address that the text leads to; "" for none.
    """

    text: str
    color: str = ""
    state: str = ""
    value: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column's title and its CSS classes."""

    title: str
    css: str


@dataclass(frozen=True)
class PageTable:
    """A table of the page; `name` is its CSS class, `label` its title."""

    name: str
    label: str
    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def build_page(table: SweepTable, plotly_js: str) -> str:
    """The report as HTML; everything from the sweep is escaped."""
    rows, is_running = build_leaderboard(table), table.state == STATE_RUNNING
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False, keep_trailing_newline=True)
    environment.filters["keep_percent"] = _keep_percent
    template = environment.from_string(_read("report.html.j2"))
    manifest = {name: value for name, value in table.manifest.items() if name not in ("plan", "search")}
    return template.render(
        content_policy=CONTENT_POLICY,
        css=_read("report.css"),
        plotly_js=plotly_js,
        name=table.name,
        notices=table.notices,
        kicker=_build_kicker(table),
        headline=f"So far: {build_headline(table, rows)}" if is_running else build_headline(table, rows),
        reload_seconds=RELOAD_SECONDS if is_running else None,
        verdict=build_verdict(table, rows),
        cautions=build_cautions(table, rows),
        next_steps=build_next_steps(table, rows),
        facts=build_facts(table),
        first_tables=(
            _build_leaderboard(table, rows),
            _build_comparison(table, rows),
            _build_untuned(table),
            _build_front(table),
        ),
        costs=_build_costs(table),
        question=build_question(table),
        confirmed_plots=[(plot, _draw(plot)) for plot in build_confirmed_plots(table)],
        sections=[_draw_section(section) for section in build_sections(table)],
        script=_read("report.js"),
        trial_tables=(
            _build_selection(table),
            _build_trials(table, STAGE_CONFIRM, "Retrained", "The best settings of each arm, trained in full again."),
            _build_trials(table, STAGE_DEFAULT, "Untuned defaults", "Each arm without tuning, with the same seeds."),
            _build_trials(table, STAGE_SELECT, "Looked at again", "The selection's trials, which read no test image."),
            _build_trials(table, STAGE_SEARCH, "All trials", "Best first."),
        ),
        failures=build_failures(table),
        plan_accuracy=_build_plan_accuracy(table),
        manifest=list(_flatten(manifest)),
        sweep_file=table.sweep_file,
    )


def _read(name: str) -> str:
    return files("tracking.report").joinpath(name).read_text(encoding="utf-8")


def _keep_percent(text: str) -> Markup:
    """Escaped, with percent signs kept on the line of their number."""
    return Markup(str(escape(text)).replace(" %", "&nbsp;%"))  # escaped in this line


def _build_kicker(table: SweepTable) -> str:
    starts = [trial.start_time for trial in table.trials if trial.start_time]
    ends = [trial.end_time for trial in table.trials if trial.end_time]
    parts = [table.project, table.sweep_id]
    if starts:
        ended = f" to {_format_time(max(ends))}" if ends and table.state != STATE_RUNNING else ""
        parts.append(f"{_format_time(min(starts))}{ended} UTC")
    if table.state == STATE_RUNNING:
        parts.append(f"as of {_format_time(datetime.now(UTC).timestamp())} UTC")
    if table.seconds is not None:
        parts.append(f"ran for {format_duration(table.seconds)}")
    return " · ".join(parts)


def _format_time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%d %B %Y, %H:%M}"


@dataclass(frozen=True)
class DrawnSection:
    """Plots that answer one question, each with its place in the page, and what could not be drawn."""

    title: str
    plots: Sequence[tuple[Plot, Markup]]
    missing: Sequence[NoPlot]


def _draw_section(section: Section) -> DrawnSection:
    return DrawnSection(section.title, [(plot, _draw(plot)) for plot in section.plots], section.missing)


def _draw(plot: Plot) -> Markup:
    """The place of a plot, and what `report.js` draws there."""
    from plotly.io.json import to_json_plotly

    figure = plot.figure.to_plotly_json()
    content = Markup(to_json_plotly({**figure, "config": PLOT_CONFIG}))  # has "<" and ">" only as escapes
    holder = '<div class="plotly-graph-div" id="plot-{}" style="height:{}px{}"></div>'
    script = '<script type="application/json">{}</script>'
    width = Markup(";min-width:{}px").format(plot.min_width) if plot.min_width else ""
    return Markup(holder).format(plot.key, plot.figure.layout.height, width) + Markup(script).format(content)


# Tables


def _build_leaderboard(table: SweepTable, rows: Sequence[LeaderboardRow]) -> PageTable | None:
    if not rows:
        return None
    header, lines = format_cells(rows)
    columns = [Column(name, "minor" if name in MINOR_COLUMNS else "number") for name in header]
    columns[:2] = [Column(header[0], "strong"), Column(header[1], "number strong")]
    cells = [[_build_arm(table, line[0]), *map(Cell, line[1:])] for line in lines]
    note = "One row per arm. Test images are read by retrained trials only."
    return PageTable("leaderboard", "Leaderboard", note, columns, cells)


def _build_comparison(table: SweepTable, rows: Sequence[LeaderboardRow]) -> PageTable | None:
    judgement = judge_retrainings(table, rows)
    if judgement is None:
        return None
    header, lines = format_comparison(judgement)
    columns = [Column(name, "number" if index else "strong") for index, name in enumerate(header)]
    note = (
        "Retrained settings of each arm beside the best arm, in points of test accuracy, over the seeds that both were "
        "trained with. p: sign-flip test, corrected for all pairs. Best wins: how often the best arm had the better "
        "result with the same seed, and the 95 % interval of that probability. Trials ahead: search trials of the best "
        "arm that did better than the best one of this arm; few of them may be luck, whatever the seeds say."
    )
    cells = [[_build_arm(table, line[0]), *map(Cell, line[1:])] for line in lines]
    return PageTable("comparison", "Verdict", note, columns, cells)


def _build_untuned(table: SweepTable) -> PageTable | None:
    header, lines = format_untuned(table)
    if not lines:
        return None
    columns = [Column(name, "number" if index else "strong") for index, name in enumerate(header)]
    note = (
        "Each arm's defaults, as its library has them, beside its tuned settings: what tuning was worth, in points of "
        "test accuracy. Each row is a question of its own, at 5 %."
    )
    return PageTable("untuned", "Untuned", note, columns, [list(map(Cell, line)) for line in lines])


def _build_selection(table: SweepTable) -> PageTable | None:
    header, lines = format_selection(table)
    if not lines:
        return None
    columns = [Column(name, "number" if 2 <= index <= 4 else "") for index, name in enumerate(header)]
    note = "The best of each arm, trained again on fresh seeds: the best mean by validation was chosen."
    cells = [[_build_arm(table, line[0]), *map(Cell, line[1:])] for line in lines]
    return PageTable("selection", "Selection", note, columns, cells)


def _build_front(table: SweepTable) -> PageTable | None:
    if not table.metrics:
        return None
    header, lines = format_front(table)
    columns = [Column(name, "number" if index else "strong") for index, name in enumerate(header)]
    note = "Of the trials that ran to their end, those that no other beats in all metrics."
    return PageTable("front", "Pareto front", note, columns, [list(map(Cell, line)) for line in lines])


def _build_costs(table: SweepTable) -> PageTable | None:
    header, lines = format_costs(table)
    if not lines:
        return None
    columns = [Column(name, "number" if index else "strong") for index, name in enumerate(header)]
    note = (
        "Search trials. Tuned: settings that were searched; gradients: evaluations of the gradient; saved: what trials "
        f"stopped early would have taken; lost: in trials that diverged or failed. {tell_costs(table)}"
    )
    cells = [[_build_arm(table, line[0]), *map(Cell, line[1:])] for line in lines]
    return PageTable("costs", "Cost of each arm", note.strip(), columns, cells)


def _build_trials(table: SweepTable, stage: str, title: str, note: str) -> PageTable | None:
    trials = _sort_trials(table, stage)
    if not trials:
        return None
    varied = [name for name in table.searched if name not in table.compared]
    has_test = any(TEST_ACCURACY in trial.summary for trial in trials)
    metrics = list(dict.fromkeys((table.goal_metric, VAL_ACCURACY)))
    compares = len(table.arms) > 1
    words = ["trial", *(["arm"] if compares else []), "state"]
    numbers = [f"best {title_of(metric)}".replace("validation", "val.") for metric in metrics]
    numbers += [*(["test accuracy", "seed"] if has_test else []), *varied, "epochs", "time"]
    columns = [Column(name, "") for name in words] + [Column(name, "number") for name in numbers]
    rows = []
    for trial in trials[:MAX_ROWS]:
        parameters = searched_parameters(table, trial)
        state = str(trial.state or "running")
        row = [
            Cell(trial.trial_id, link=trial.link),
            *([_build_arm(table, trial.arm)] if compares else []),
            Cell(state.replace("_", " "), state=state),
            *(_build_best(table, trial, metric) for metric in metrics),
        ]
        if has_test:
            test = trial.summary.get(TEST_ACCURACY)
            row += [Cell(format_percent(test), value=test), Cell(str(trial.seed), value=trial.seed)]
        row += [_build_setting(parameters[name]) if name in parameters else Cell(EMPTY) for name in varied]
        row += [
            Cell(str(trial.num_epochs), value=trial.num_epochs),
            Cell(format_duration(trial.seconds), value=trial.seconds),
            Cell(trial.stop_reason),
        ]
        rows.append(row)
    if len(trials) > MAX_ROWS:
        note += f" The first {MAX_ROWS:,} of {len(trials):,}; `trials.csv` has them all."
    return PageTable("trials", title, note, [*columns, Column("ended because", "reason")], rows)


def _build_plan_accuracy(table: SweepTable) -> PageTable | None:
    rows = [
        [
            Cell(row.name),
            Cell(row.predicted),
            Cell(row.actual),
            Cell(f"{row.difference:+.0%}".replace("-", "\N{MINUS SIGN}")),
        ]
        for row in build_forecast(table)
    ]
    if not rows:
        return None
    columns = [Column("", "strong"), *(Column(name, "number") for name in ("predicted", "actual", "difference"))]
    note = "What the plan said before the first trial."
    return PageTable("forecast", "Predicted and actual cost", note, columns, rows)


def _build_arm(table: SweepTable, arm: str) -> Cell:
    return Cell(arm, color=arm_color(table.arms, arm))


def _sort_trials(table: SweepTable, stage: str) -> list[TrialRow]:
    """Best first by the goal metric; trials without a value last."""
    sign = Goal(table.goal).sign

    def key(trial: TrialRow) -> tuple[bool, float]:
        value = table.value(trial)
        return (value is None, 0.0 if value is None else -sign * value)

    return sorted(table.select(stage=stage), key=key)


def _build_best(table: SweepTable, trial: TrialRow, metric: str) -> Cell:
    value = trial.best(metric, table.goal if metric == table.goal_metric else "maximize")
    if value is None:
        return Cell(EMPTY)
    return Cell(format_percent(value) if is_fraction(metric) else f"{value:.4f}", value=value)


def _build_setting(value: Value) -> Cell:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return Cell(format_number(value), value=number)


def _flatten(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{prefix}{key}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], Mapping):
            yield from _flatten({str(number): each for number, each in enumerate(inner, 1)}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, inner)) if isinstance(inner, list | tuple) else inner
