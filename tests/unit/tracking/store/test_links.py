from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tracking.store.links import build_link, build_report_link, find_address, find_links, save_view
from tracking.store.runs import Family

ADDRESS = "http://127.0.0.1:5000"
TRAINING = "workflowType=machine_learning"


@pytest.mark.parametrize(
    ("tracking_uri", "address"),
    [
        (ADDRESS, ADDRESS),
        ("https://me:secret@mlflow.example/tracking/", "https://mlflow.example/tracking"),
        ("sqlite:///mlflow.db", ""),
        ("postgresql://me:secret@db/mlflow", ""),
        ("databricks", ""),
    ],
)
def test_a_server_has_an_address_without_its_password(
    tracking_uri: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWEEPS_MLFLOW_ADDRESS", raising=False)
    assert find_address(tracking_uri) == address


def test_the_address_that_people_use_is_shown_in_the_place_of_the_one_that_sweeps_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEPS_MLFLOW_ADDRESS", "http://localhost:8080/ ")
    assert find_address("http://mlflow:5000") == "http://localhost:8080"


def test_a_run_and_its_report_have_an_address_where_there_is_a_server() -> None:
    link = build_link(ADDRESS, "7", "0f9c")
    assert link == f"{ADDRESS}/#/experiments/7/runs/0f9c?{TRAINING}"
    assert build_report_link(link) == f"{ADDRESS}/#/experiments/7/runs/0f9c/artifacts/report.html?{TRAINING}"
    assert build_report_link(build_link("", "7", "0f9c")) == ""


class Experiments:
    """What is kept of experiments' tags."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def get_experiment(self, experiment_id: str) -> Any:
        return SimpleNamespace(tags=self.tags)

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        self.tags[key] = value


def build_run(run_id: str, stage: str = "", stage_of_life: str = "active") -> Any:
    info = SimpleNamespace(experiment_id="7", run_id=run_id, lifecycle_stage=stage_of_life)
    return SimpleNamespace(info=info, data=SimpleNamespace(tags={"trial.stage": stage} if stage else {}))


def test_a_sweep_has_links_to_its_trials_charts_report_and_retrainings() -> None:
    children = (
        build_run("a", "search"),
        build_run("b", "confirm"),
        build_run("c", "default"),
        build_run("d", "confirm", "deleted"),
    )
    experiments = Experiments()
    links = find_links(cast("Any", experiments), ADDRESS, "s-1", Family(build_run("p"), children))
    assert links is not None
    assert links.charts == f"{ADDRESS}/#/experiments/7/runs/p/model-metrics?{TRAINING}"
    assert links.report == f"{ADDRESS}/#/experiments/7/runs/p/artifacts/report.html?{TRAINING}"
    compared = parse_qs(urlsplit(urlsplit(links.confirmed).fragment).query)
    assert (json.loads(compared["runs"][0]), json.loads(compared["experiments"][0])) == (["b", "c"], ["7"])
    assert "searchFilter=tags.`sweep.id` = 's-1'" in unquote(links.trials), "no view was saved"
    save_view(cast("Any", experiments), "7", "s-1", "val_loss", "minimize", ("lr", "optimizer"))
    links = find_links(cast("Any", experiments), ADDRESS, "s-1", Family(build_run("p"), children[:2]))
    assert links is not None
    assert links.trials == f"{ADDRESS}/#/experiments/7/runs?viewStateShareKey=s-1&{TRAINING}"
    assert links.confirmed == "", "one retraining is compared with nothing"
    view = json.loads(experiments.tags["mlflow.sharedViewState.s-1"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`val_loss`", True)
    assert "params.`optimizer`" in view["selectedColumns"]


def test_a_sweep_that_is_not_there_has_none() -> None:
    assert find_links(cast("Any", Experiments()), ADDRESS, "s-1", Family(None, ())) is None


def test_a_view_that_mlflow_would_cut_is_not_saved() -> None:
    experiments = Experiments()
    save_view(
        cast("Any", experiments), "7", "s-1", "val_loss", "minimize", [f"parameter_{each}" for each in range(500)]
    )
    assert experiments.tags == {}
