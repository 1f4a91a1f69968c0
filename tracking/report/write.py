"""Writes a sweep's report and its table of trials to disk."""

from __future__ import annotations

import csv
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tracking.files import replace_file, write_file
from tracking.plots.plots import build_confirmed_plots, build_sections
from tracking.report.markdown import FIGURES, build_markdown, name_picture
from tracking.report.page import build_page
from tracking.report.picture import CannotDraw, draw_png
from tracking.table import SweepTable, format_value


def write_report(table: SweepTable, path: Path) -> None:
    """Writes the report; an older one at `path` is replaced at once, never left half written."""
    from plotly.offline import get_plotlyjs

    write_page(build_page(table, get_plotlyjs()), path)


def write_page(page: str, path: Path) -> None:
    """Puts a report in its place, at once."""
    write_file(path, page)


def write_markdown(table: SweepTable, path: Path) -> None:
    """Writes the report as Markdown, its figures as PNG files in a folder beside it, from which older ones go."""
    confirmed, sections = build_confirmed_plots(table), build_sections(table)
    plots = (*confirmed, *(plot for section in sections for plot in section.plots))
    folder = path.parent / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    drawn = set()
    for plot in plots:
        with suppress(CannotDraw):
            picture = draw_png(plot.figure, wide=plot.wide)
            drawn.add(plot.key)
            fresh = folder / f".{name_picture(plot)}"
            fresh.write_bytes(picture)
            fresh.replace(folder / name_picture(plot))
    names = {name_picture(plot) for plot in plots if plot.key in drawn}
    for old in folder.glob("*.png"):
        if old.name not in names:
            old.unlink()
    write_file(path, build_markdown(table, confirmed, sections, drawn))


def write_trials_csv(table: SweepTable, path: Path) -> None:
    """Writes one line per trial: what it was, how it ended, every setting (`param.`) and last metric (`metric.`)."""
    parameters = sorted({name for trial in table.trials for name in trial.parameters})
    metrics = sorted({name for trial in table.trials for name in trial.summary})
    fixed = ["trial_id", "arm", "stage", "number", "seed", "state", "stop_reason", "epochs", "start_time", "end_time"]
    header = [*fixed, *(f"param.{name}" for name in parameters), *(f"metric.{name}" for name in metrics)]
    with replace_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for trial in table.trials:
            writer.writerow(
                [
                    *(trial.trial_id, trial.arm, trial.stage, trial.number, trial.seed),
                    *(trial.state or "running", trial.stop_reason, trial.num_epochs),
                    *(_format_time(trial.start_time), _format_time(trial.end_time)),
                    *(format_value(trial.parameters[key]) if key in trial.parameters else "" for key in parameters),
                    *(trial.summary.get(name, "") for name in metrics),
                ]
            )


def _format_time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
