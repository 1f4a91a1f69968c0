"""The report as a person meets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from large_table import build_large_table
from recorded import record_table

from tracking.recording.recorder import Recorder
from tracking.report.write import write_report
from tracking.store.queries import load_sweep
from tracking.table import Confirmation, SweepTable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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
    "Settings of every trial",
    "Expected best after a search of each size",
    "Probability of being best at each budget",
    "Epochs to the target",
    "Seconds to the target",
    "Survival of the trials",
    "Does an early epoch foretell the end?",
    "Cost ledger",
)
NUM_ARMS = 4


def wait_until_drawn(page: Page) -> None:
    """Until every figure of the page is drawn."""
    from playwright.sync_api import expect

    expect(page.locator(".plotly-graph-div:not(.js-plotly-plot)")).to_have_count(0, timeout=20_000)


def test_the_outcome_and_its_limits_come_first(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())

    assert page.get_by_text("Which optimizer reaches the highest validation accuracy: sgd, ").is_visible()
    assert page.get_by_role("heading", level=1).inner_text().startswith("No clear winner: 72.73")
    confirmed = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Confirmed test accuracy"))
    assert confirmed.locator("svg.main-svg").first.is_visible()
    box = confirmed.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900, "the picture is not on the first screen"
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
        box = figure.locator(".plotly-graph-div").locator("xpath=..").bounding_box()  # scrolls where it is too wide
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["width"] > 0.4 * width
        # Panels number their axes: text.ytitle, text.x3title.
        assert "".join(
            figure.locator("text[class^=y][class$=title], g.ytick text, g.annotation text").all_text_contents()
        )
        assert "".join(figure.locator("text[class^=x][class$=title], g.xtick text").all_text_contents())
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_legends_do_not_lie_on_the_plots(width: int, open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri(), width)
    wait_until_drawn(page)

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
    wait_until_drawn(page)

    colors = page.evaluate(
        """(arms) => {
            const found = {};
            const add = (arm, color) => { (found[arm] ??= new Set()).add(color); };
            for (const plot of document.querySelectorAll('.plotly-graph-div'))
                for (const trace of plot.data)
                    if (arms.includes(trace.name) && trace.line?.width === 2.5)
                        add(trace.name, trace.line.color);
                    else if (arms.includes(trace.name) && trace.legendgroup && trace.marker)
                        add(trace.name, trace.marker.color);
            const canvas = document.createElement('canvas').getContext('2d');
            for (const swatch of document.querySelectorAll('.swatch')) {
                canvas.fillStyle = getComputedStyle(swatch).backgroundColor;
                add(swatch.parentElement.textContent, canvas.fillStyle.toUpperCase());
            }
            return Object.fromEntries(Object.entries(found).map(([arm, set]) => [arm, [...set]]));
        }""",
        ["adam", "momentum", "rmsprop", "sgd"],
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


def test_trials_are_sorted_by_a_click_and_filtered_by_words(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())
    table = page.get_by_role("region", name="All trials table")
    rates = table.get_by_role("row").locator("td:nth-child(7)")

    page.get_by_role("searchbox", name="Filter All trials").fill("adam completed")
    assert table.get_by_role("row").count() == 1 + 2
    assert page.get_by_text("2 of 24").is_visible()
    page.get_by_role("searchbox", name="Filter All trials").fill("")
    table.get_by_role("button", name="lr").click()

    shown = [float(text) for text in rates.all_inner_texts()]
    assert len(shown) == 24
    assert shown == sorted(shown)
    table.get_by_role("button", name="lr").click()
    assert [float(text) for text in rates.all_inner_texts()] == sorted(shown, reverse=True)


def test_a_trial_leads_to_its_run_where_mlflow_has_a_server(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    table = build_table()
    address = "https://mlflow.example/#/experiments/1/runs/0f"
    first = type(table.trials[0])(**{**vars(table.trials[0]), "link": address})
    write_report(build_table(trials=(first, *table.trials[1:])), tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    assert page.get_by_role("link", name="sgd-000").get_attribute("href") == address
    assert page.get_by_role("link").count() == 1


def test_at_night_the_page_is_dark_and_an_arms_colour_is_the_same_in_plots_and_tables(
    browser: Browser, report_file: Path
) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(report_file.as_uri())

    style = "element => getComputedStyle(element)"
    assert page.locator("body").evaluate(f"{style}.backgroundColor") == "rgb(20, 20, 20)"
    filters = [page.locator(name).first.evaluate(f"{style}.filter") for name in (".swatch", ".plotly-graph-div")]
    page.close()
    assert filters[0] == filters[1] != "none"


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


def test_what_cannot_be_drawn_is_named_with_its_reason(open_page: OpenPage, report_file: Path) -> None:
    page = open_page(report_file.as_uri())

    missing = page.get_by_role("listitem").filter(has_text="Not drawn: Which settings decide.")
    assert missing.inner_text().endswith("It needs 10 ended trials of an arm with a value.")


def test_the_report_of_a_sweep_that_runs_is_half_and_loads_itself_anew_until_the_whole_one_is_there(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    write_report(build_table(state="running"), file)
    page = open_page(file.as_uri())
    page.clock.install()
    page.reload()
    assert page.get_by_role("heading", level=1).inner_text().startswith("So far: ")
    assert page.get_by_text("Half a report: the sweep is still running").is_visible()
    assert page.get_by_text("loads itself anew every 30 s").is_visible()
    write_report(build_table(), file)

    page.clock.run_for(31_000)

    page.get_by_role("heading", level=1, name=re.compile("^No clear winner")).wait_for()
    assert page.get_by_text("Half a report").count() == 0
    assert page.locator("body").get_attribute("data-reload-seconds") is None


def test_a_sweep_without_trials_has_a_report(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    write_report(build_table(trials=()), tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    assert page.get_by_role("heading", level=1).inner_text() == "No trial was recorded"
    assert page.get_by_role("figure").count() == 0


def test_half_a_sweep_has_half_a_report_that_says_what_is_missing(open_page: OpenPage, tmp_path: Path) -> None:
    """Its seeds so far would be enough for a winner by a test that was planned for them."""
    whole = build_large_table(12, 8)
    half = tuple(trial for trial in whole.trials if trial.trial_id != "sgd-confirm-007")
    running = build_large_table(12, 8, state="running", trials=half, confirmation=Confirmation(seeds=8))
    write_report(running, tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    assert page.get_by_role("heading", level=1).inner_text().startswith("So far: adam leads with")
    assert page.get_by_text("No verdict before all 8 seeds of every arm are in.").is_visible()
    assert page.get_by_role("region", name="Verdict table").count() == 0
    assert page.get_by_role("heading", name="Confirmed test accuracy").is_visible()


def test_the_numbers_on_the_page_are_those_of_the_store(
    open_page: OpenPage, build_table: Callable[..., SweepTable], tmp_path: Path
) -> None:
    recorder = Recorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "journal.jsonl", artifact_root=tmp_path)
    record_table(build_table(), recorder)
    table = load_sweep(build_table().sweep_id, f"sqlite:///{tmp_path / 'mlflow.db'}")
    write_report(table, tmp_path / "report.html")

    page = open_page((tmp_path / "report.html").as_uri())

    cells = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    rows = page.get_by_role("region", name="All trials table").locator("tbody tr").evaluate_all(cells)
    shown = {row[0]: row for row in rows}
    assert set(shown) == {trial.trial_id for trial in table.select()}
    for trial in table.select():
        best = trial.best("val_accuracy", "maximize")
        assert shown[trial.trial_id][1:3] == [trial.arm, str(trial.state).replace("_", " ")]
        assert shown[trial.trial_id][3] == ("–" if best is None else f"{100 * best:.2f} %")
    board = page.get_by_role("region", name="Leaderboard table").locator("tbody tr").evaluate_all(cells)
    tests = {trial.arm: trial.summary["test_accuracy"] for trial in table.confirmed()}
    assert {row[0]: row[1] for row in board} == {arm: f"{100 * value:.2f} %" for arm, value in tests.items()}
    costs = page.get_by_role("region", name="Cost of each arm table").locator("tbody tr").evaluate_all(cells)
    epochs = {arm: sum(trial.num_epochs for trial in table.select(arm)) for arm in table.arms}
    assert {row[0]: int(row[3]) for row in costs} == epochs
