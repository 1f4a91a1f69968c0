"""A sweep as Markdown, for a paper or a pull request: the verdict first, the command that made it last. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import unescape
from itertools import chain

from tracking.analysis.costs import format_costs, tell_costs
from tracking.analysis.findings import (
    build_cautions,
    build_facts,
    build_failures,
    build_headline,
    build_question,
    build_verdict,
)
from tracking.analysis.leaderboard import (
    LeaderboardRow,
    build_leaderboard,
    escape_markdown,
    format_markdown,
    format_markdown_table,
)
from tracking.analysis.next_steps import build_next_steps
from tracking.analysis.pareto import format_front
from tracking.analysis.untuned import format_untuned
from tracking.analysis.verdict import format_confirmed
from tracking.plots.plots import Section
from tracking.plots.style import Plot
from tracking.table import SweepTable

FIGURES = "figures"  # folder of the pictures, beside the Markdown file


def name_picture(plot: Plot) -> str:
    """The file name of a plot's picture."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plot.key) + ".png"


def build_markdown(
    table: SweepTable, confirmed: Sequence[Plot], sections: Sequence[Section], drawn: Collection[str]
) -> str:
    """The report; nothing that comes from the sweep is read as Markdown.

    Args:
        table: The sweep.
        confirmed: Plots of the retrainings.
        sections: All other plots.
        drawn: Keys of the plots that there is a picture of.
    """
    rows = build_leaderboard(table)
    parts = chain(
        _tell_outcome(table, rows),
        (_show(plot, drawn) for plot in confirmed),
        _list_next_steps(table, rows),
        _list_tables(table, rows),
        _list_warnings(table, rows),
        chain.from_iterable(_show_section(section, drawn) for section in sections),
        _tell_costs(table),
        _tell_origin(table),
    )
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _tell_outcome(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    yield f"# Sweep {escape_markdown(table.name)}"
    for notice in table.notices:
        yield f"> **{escape_markdown(notice)}**"
    yield escape_markdown(build_question(table))
    yield f"**{escape_markdown(build_headline(table, rows))}.** {escape_markdown(build_verdict(table, rows))}".rstrip()


def _list_next_steps(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    steps = build_next_steps(table, rows)
    if steps:
        yield "## What to do next"
    for step in steps:
        yield f"- {escape_markdown(step.reason)}"
        if step.command:
            yield _fence(step.command, "console")


def _list_tables(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    header, cells = format_confirmed(table, rows)
    if cells:
        yield "## Confirmed accuracies"
        yield "The best settings of each arm, trained again with fresh seeds, on the test images. SD in points."
        yield format_markdown_table(header, cells)
    header, cells = format_untuned(table)
    if cells:
        yield format_markdown_table(header, cells)
    if rows:
        yield "## Leaderboard"
        yield format_markdown(rows)
    if table.metrics:
        yield "## Pareto front"
        yield format_markdown_table(*format_front(table))


def _list_warnings(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    warnings = list(build_cautions(table, rows))
    for failure in build_failures(table):
        num, state = len(failure.trial_ids), str(failure.state).replace("_", " ")
        warnings.append(f"{num} {'trial' if num == 1 else 'trials'} {state}: {failure.reason}")
    if warnings:
        yield "## Warnings"
        yield "\n".join(f"- {escape_markdown(warning)}" for warning in warnings)


def _show_section(section: Section, drawn: Collection[str]) -> Iterator[str]:
    yield f"## {section.title}"
    yield from (_show(plot, drawn) for plot in section.plots)
    if section.missing:
        reasons = (escape_markdown(f"Not drawn: {plot.title}. {plot.reason}") for plot in section.missing)
        yield "\n".join(f"- {reason}" for reason in reasons)


def _tell_costs(table: SweepTable) -> Iterator[str]:
    header, cells = format_costs(table)
    if cells:
        yield format_markdown_table(header, cells)
        yield escape_markdown(tell_costs(table))


def _show(plot: Plot, drawn: Collection[str]) -> str:
    """A figure with its title above it and how to read it below."""
    title = escape_markdown(unescape(plot.title))
    shown = f"![{title}]({FIGURES}/{name_picture(plot)})" if plot.key in drawn else "(In `report.html` only.)"
    return f"**{title}**\n\n{shown}\n\n{escape_markdown(plot.caption)}"


def _tell_origin(table: SweepTable) -> Iterator[str]:
    yield "## How it was made"
    yield "; ".join(f"{escape_markdown(name)} {escape_markdown(value)}" for name, value in build_facts(table)) + "."
    yield from _tell_ground(table.manifest)
    made = str(table.manifest.get("command") or "sweeps run resolved.yaml")
    yield _fence(f"{made}\nsweeps report {table.sweep_id} --format md", "console")
    if table.sweep_file.strip():
        yield "The sweep file:"
        yield _fence(table.sweep_file, "yaml")


def _tell_ground(manifest: Mapping[str, object]) -> Iterator[str]:
    """One line on images, seed, versions and processor."""
    data, packages = manifest.get("data"), manifest.get("packages")
    facts = []
    if isinstance(data, Mapping):
        facts.append(f"images {data.get('name')} ({str(data.get('digest')).removeprefix('sha256:')[:12]})")
    facts += [f"{name} {manifest[name]}" for name in ("seed", "python", "processor") if manifest.get(name) is not None]
    if isinstance(packages, Mapping):
        facts += [f"{name} {version}" for name, version in packages.items() if version]
    if facts:
        yield escape_markdown(f"Ran with {', '.join(facts)}.")


def _fence(text: str, language: str) -> str:
    """Text as a block that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
