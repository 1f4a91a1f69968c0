"""A recorded sweep in MLflow's own UI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

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
