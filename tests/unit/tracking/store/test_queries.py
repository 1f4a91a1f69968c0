from __future__ import annotations

import pytest

from tracking.store.queries import build_link


@pytest.mark.parametrize(
    ("tracking_uri", "link"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/#/experiments/7/runs/0f9c"),
        ("https://me:secret@mlflow.example/tracking/", "https://mlflow.example/tracking/#/experiments/7/runs/0f9c"),
        ("sqlite:///mlflow.db", ""),
        ("postgresql://me:secret@db/mlflow", ""),
        ("databricks", ""),
    ],
)
def test_a_run_has_an_address_where_a_server_has_a_page_for_it(tracking_uri: str, link: str) -> None:
    assert build_link(tracking_uri, "7", "0f9c") == link
