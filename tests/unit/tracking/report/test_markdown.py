"""The report as Markdown, read by a parser of Markdown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from build_table import build_table
from markdown_it import MarkdownIt
from plain_table import plain_table, retraining, search_trial

from tracking.analysis.findings import build_headline
from tracking.analysis.leaderboard import build_leaderboard
from tracking.plots.plots import build_confirmed_plots, build_plots, build_sections
from tracking.report.markdown import build_markdown, name_picture
from tracking.report.write import write_markdown
from tracking.table import SweepTable

PARSER = MarkdownIt("commonmark").enable("table")


def build(table: SweepTable) -> str:
    return build_markdown(table, build_confirmed_plots(table), build_sections(table), {"confirmed", "effect-lr"})


def build_confirmed() -> SweepTable:
    """Two arms with six seeds each: one is better by two points each time."""
    trials = [search_trial(arm, 0, 0.5, 0.6, lr=0.1) for arm in ("adam", "sgd")]
    retrained = [
        retraining(trial, seed, 0.6, 0.6 + 0.001 * seed - 0.02 * (trial.arm == "sgd") + 0.0001 * (seed % 2))
        for trial in trials
        for seed in range(6)
    ]
    return plain_table(*trials, *retrained)


def test_it_begins_with_the_verdict_and_ends_with_the_command() -> None:
    table = build_confirmed()
    text = build(table)
    headline = build_headline(table, build_leaderboard(table))
    assert headline == "adam is best with 60.25 % test accuracy"
    assert text.startswith(
        f"# Sweep n\n\nWhich optimizer reaches the highest validation accuracy: adam or sgd?\n\n**{headline}.** "
    )
    assert text.endswith("```console\nsweeps run resolved.yaml\nsweeps report id --format md\n```\n")
    assert "| adam | 60.25 % |" in text


def test_its_parts_come_in_order() -> None:
    text = build(build_table(notices=("NOT CIFAR-10.",)))
    assert text.splitlines()[2] == "> **NOT CIFAR-10.**"
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    figures = [section.title for section in build_sections(build_table())]
    assert titles == ["What to do next", "Confirmed accuracies", "Leaderboard", "Warnings", *figures, "How it was made"]
    assert "- 4 trials diverged: train\\_loss is not finite at epoch 2" in text
    assert "torch 2.14.1" in text
    assert "name: optimizers\nmethod: bayes" in text


def test_tables_are_tables_and_pictures_pictures() -> None:
    page = PARSER.render(build(build_table()))
    assert page.count("<table>") == 3
    assert page.count("<tr>") == 3 * (1 + 4)
    assert re.findall(r'<img src="([^"]*)"', page) == ["figures/confirmed.png", "figures/effect-lr.png"]
    assert page.count("(In <code>report.html</code> only.)") == len(build_plots(build_table()))


def test_a_sweep_that_was_not_retrained_has_no_confirmed_accuracies() -> None:
    table = build_table()
    text = build(replace(table, trials=table.select()))
    assert "## Confirmed accuracies" not in text
    assert "it is no test result and not a verdict" in text


def test_a_sweep_without_trials_is_told_as_such() -> None:
    text = build(build_table(trials=(), arms=()))
    assert "**No trial was recorded.**" in text
    assert "Early stopping" not in text


HOSTILE = "x](javascript:1) <img src=y onerror=1> | **b** `c` [d](e)\n# f\n- g ``` $1$"


def test_nothing_of_the_sweep_is_read_as_markdown() -> None:
    table = build_table()
    arms = (HOSTILE, *table.arms[1:])
    trials = [replace(each, arm=HOSTILE if each.arm == table.arms[0] else each.arm) for each in table.trials]
    trials = [replace(each, stop_reason=HOSTILE) if each.state == "failed" else each for each in trials]
    hostile = replace(
        table, name=HOSTILE, arms=arms, trials=tuple(trials), notices=(HOSTILE,), sweep_file=f"```\n{HOSTILE}\n````\nx"
    )
    page = PARSER.render(build(hostile))
    assert re.findall(r'<img src="([^"]*)"', page) == ["figures/confirmed.png", "figures/effect-lr.png"]
    assert "<a " not in page
    assert page.count("<h1>") == 1
    assert page.count("<tr>") == 3 * (1 + 4)
    assert "&lt;img src=y onerror=1&gt;" in page


@pytest.mark.parametrize("key", ["effect-lr", "effect-a/../b", "effect-é x"])
def test_a_picture_has_a_plain_name(key: str) -> None:
    plot = replace(build_plots(build_table())[0], key=key)
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.png", name_picture(plot))


def test_pictures_lie_beside_it_and_older_ones_go(tmp_path: Path) -> None:
    table = build_table()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.png").write_bytes(b"old")
    write_markdown(replace(table, searched=("lr", "optimizer")), tmp_path / "report.md")
    linked = re.findall(r"\]\((figures/[^)]*)\)", (tmp_path / "report.md").read_text())
    assert "figures/effect-lr.png" in linked
    assert "figures/effect-batch_size.png" not in linked
    assert sorted(linked) == sorted(str(file.relative_to(tmp_path)) for file in tmp_path.glob("figures/*"))
    assert all((tmp_path / each).read_bytes().startswith(b"\x89PNG") for each in linked)
