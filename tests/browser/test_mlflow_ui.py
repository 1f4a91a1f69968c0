"""A recorded sweep in MLflow's own UI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tracking.store.links import SweepLinks
from tracking.table import SweepTable

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_the_sweep_and_its_trials_are_found_by_name(
    mlflow_ui: str, open_page: Callable[..., Page], build_table: Callable[..., SweepTable]
) -> None:
    sweep_id = build_table().sweep_id
    page = open_page(f"{mlflow_ui}/#/experiments/1/runs")

    sweep = page.get_by_role("row").filter(has=page.get_by_role("link", name=sweep_id))
    sweep.wait_for()
    assert page.get_by_role("link", name="adam-003", exact=True).count() == 0, "trials are not nested"
    sweep.get_by_role("button").first.click()
    page.get_by_role("link", name="adam-003", exact=True).click()

    page.get_by_role("heading", name="adam-003").wait_for()
    page.get_by_role("link", name=sweep_id).wait_for()
    assert page.get_by_text("trial.state").is_visible()
    page.get_by_role("link", name="val_accuracy", exact=True).wait_for()


def test_the_link_to_the_trials_shows_the_best_first_with_the_columns_that_differ(
    sweep_links: SweepLinks, open_page: Callable[..., Page], build_table: Callable[..., SweepTable]
) -> None:
    page = open_page(sweep_links.trials, 2600)  # columns beyond the window are not there
    best = max(build_table().trials, key=lambda trial: trial.summary.get("best_val_accuracy", 0.0))
    page.locator("[row-index='0']").get_by_role("link", name=best.trial_id, exact=True).wait_for()
    assert page.get_by_role("link", name="Model registry").is_visible(), "MLflow takes it for a chat application"
    for name in ("trial.stage", "test_accuracy", "initializer", "lr"):
        page.get_by_role("columnheader", name=name, exact=True).first.wait_for()


def test_the_link_to_the_charts_shows_how_the_sweep_came_on(
    sweep_links: SweepLinks, open_page: Callable[..., Page]
) -> None:
    page = open_page(sweep_links.charts)
    for section in ("best_by_seconds", "best_by_trials", "progress"):
        page.get_by_text(section, exact=False).first.wait_for()
    page.locator("svg.main-svg").first.wait_for()


def test_the_report_is_drawn_inside_mlflow(sweep_links: SweepLinks, open_page: Callable[..., Page]) -> None:
    page = open_page(sweep_links.report)
    report = page.frame_locator("iframe")
    report.get_by_role("heading", level=1).wait_for()
    assert report.get_by_role("heading", level=1).inner_text().startswith("No clear winner: 72.73")
    report.locator("svg.main-svg").first.wait_for()


def test_retrainings_are_compared(sweep_links: SweepLinks, open_page: Callable[..., Page]) -> None:
    page = open_page(sweep_links.confirmed)
    page.get_by_text("Comparing 4 Runs from 1 Experiment").wait_for()


def test_the_sweeps_run_says_its_verdict_and_its_data_set(
    sweep_links: SweepLinks, open_page: Callable[..., Page]
) -> None:
    page = open_page(sweep_links.charts.replace("/model-metrics", ""))
    page.get_by_text("No clear winner: 72.73").first.wait_for()
    page.get_by_text("cifar10 (", exact=False).first.wait_for()
