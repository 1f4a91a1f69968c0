"""The report as a person meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tracking.report.write import write_report
from tracking.table import SweepTable

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OpenPage = Callable[..., "Page"]

PLOTS = (
    "Validation accuracy of each arm’s best trial",
    "Median validation accuracy of all trials",
    "Validation loss of each arm’s best trial",
    "Median validation loss of all trials",
    "Validation accuracy of every trial",
    "Sensitivity to the learning rate",
    "Effect of the batch size",
    "Effect of the initialiser",
)
NUM_ARMS = 4


def test_the_outcome_and_its_limits_come_first(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())

    assert page.get_by_role("heading", level=1).inner_text().startswith("No clear winner: 72.73")
    assert page.get_by_text("One seed per arm: an observation, not a verdict").is_visible()
    leaderboard = page.get_by_role("region", name="Leaderboard table")
    assert leaderboard.get_by_role("row").count() == 1 + NUM_ARMS
    assert leaderboard.get_by_role("row").nth(1).get_by_role("cell").first.inner_text() == "rmsprop"


@pytest.mark.parametrize("width", [1280, 390])
def test_every_plot_is_drawn_and_nothing_is_wider_than_the_page(
    width: int, open_page: OpenPage, report_file: Path
) -> None:
    page = open_page(report_file.as_uri(), width)

    for title in PLOTS:
        figure = page.get_by_role("figure").filter(has=page.get_by_role("heading", name=title))
        figure.scroll_into_view_if_needed()
        drawn = figure.locator("svg.main-svg").first
        drawn.wait_for()
        box = drawn.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["width"] > 0.4 * width
        # Panels number their axes: text.ytitle, text.x3title.
        assert "validation" in "".join(figure.locator("text[class^=y][class$=title]").all_text_contents())
        assert "".join(figure.locator("text[class^=x][class$=title]").all_text_contents())
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_legends_do_not_lie_on_the_plots(width: int, open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri(), width)
    page.locator("g.legend").nth(len(PLOTS) - 1).wait_for()

    overlaps = page.evaluate(
        """() => [...document.querySelectorAll('.plotly-graph-div')].filter(plot => {
            const legend = plot.querySelector('g.legend')?.getBoundingClientRect();
            return legend && [...plot.querySelectorAll('.cartesianlayer .plot')].some(
                area => legend.bottom > area.getBoundingClientRect().top + 1);
        }).map(plot => plot.id)"""
    )

    assert overlaps == []


def test_an_arm_has_one_colour_in_all_plots_and_tables(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())
    page.locator("g.legend").nth(len(PLOTS) - 1).wait_for()

    colors = page.evaluate(
        """() => {
            const found = {};
            const add = (arm, color) => { (found[arm] ??= new Set()).add(color); };
            for (const plot of document.querySelectorAll('.plotly-graph-div'))
                for (const trace of plot.data)
                    if (trace.name && trace.legendgroup !== undefined || trace.line?.width === 2.5)
                        add(trace.name, trace.line?.width === 2.5 ? trace.line.color : trace.marker.color);
            const canvas = document.createElement('canvas').getContext('2d');
            for (const swatch of document.querySelectorAll('.swatch')) {
                canvas.fillStyle = getComputedStyle(swatch).backgroundColor;
                add(swatch.parentElement.textContent, canvas.fillStyle.toUpperCase());
            }
            return Object.fromEntries(Object.entries(found).map(([arm, set]) => [arm, [...set]]));
        }"""
    )

    assert sorted(colors) == ["adam", "momentum", "rmsprop", "sgd"]
    assert all(len(its_colors) == 1 for its_colors in colors.values()), colors
    assert len({its_colors[0] for its_colors in colors.values()}) == NUM_ARMS


def test_pointing_at_a_trial_tells_what_it_was(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())
    figure = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Sensitivity to the learning rate"))
    figure.scroll_into_view_if_needed()

    figure.locator("path.point").first.hover(force=True)

    label = figure.locator("g.hovertext").first
    label.wait_for()
    assert "sgd-000" in (label.text_content() or "")
    assert "early stopped" in (label.text_content() or "")


def test_failures_and_trials_are_listed(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())

    assert page.get_by_role("listitem").filter(has_text="2 × failed: OutOfMemoryError").count() == 1
    assert page.get_by_role("listitem").filter(has_text="4 × diverged").count() == 1
    assert page.get_by_role("region", name="All trials table").get_by_role("row").count() == 1 + 24
    assert page.get_by_role("region", name="Retrained table").get_by_role("row").count() == 1 + NUM_ARMS


def test_nothing_in_a_sweep_can_run_as_a_script(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    attack = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
    table = build_table()
    trials = tuple(
        type(trial)(
            **{**vars(trial), "arm": attack + trial.arm, "trial_id": attack + trial.trial_id, "stop_reason": attack}
        )
        for trial in table.trials
    )
    hostile = build_table(
        name=attack,
        sweep_file=attack,
        notices=(attack,),
        manifest={attack: attack},
        arms=tuple(attack + arm for arm in table.arms),
        trials=trials,
    )
    write_report(hostile, tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    page.locator("g.legend").first.wait_for()
    assert page.title() == f"{attack} – sweep report"
    assert page.get_by_role("alert").inner_text() == attack
    assert page.locator("img").count() == 0


def test_a_fallback_is_loud(open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path) -> None:
    write_report(build_table(notices=("NOT CIFAR-10: these are drawn shapes",)), tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri(), 390)

    notice = page.get_by_role("alert")
    assert "NOT CIFAR-10" in notice.inner_text()
    box = notice.bounding_box()
    assert box is not None
    assert box["y"] < 60, "the notice is not at the top"


def test_a_sweep_without_trials_has_a_report(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    write_report(build_table(trials=()), tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    assert page.get_by_role("heading", level=1).inner_text() == "No trial was recorded"
    assert page.get_by_role("figure").count() == 0
