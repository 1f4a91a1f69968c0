"""Addresses in MLflow's UI: of a run, and of what a person looks for of a sweep."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tracking import names
from tracking.ranking import Goal

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tracking.store.runs import Family

ADDRESS_VARIABLE = "SWEEPS_MLFLOW_ADDRESS"  # in the environment: where people open MLflow, if not where sweeps do
MAX_COMPARED = 100  # MLflow's page of more runs is slow, and its address long
_VIEW = "mlflow.sharedViewState."  # begins the tag of an experiment in which MLflow keeps a view under a key
_MAX_VIEW_CHARACTERS = 5000  # of such a tag
_TRAINING = "workflowType=machine_learning"  # MLflow shows its pages for chat applications otherwise


@dataclass(frozen=True)
class SweepLinks:
    """Where MLflow's UI shows a sweep.

    Attributes:
        trials: A row per trial, best first, with the columns that differ.
        charts: How the sweep came on.
        report: Its report among the artifacts of its run.
        confirmed: Its retrainings beside each other; "" where there are fewer than two.
    """

    trials: str
    charts: str
    report: str
    confirmed: str

    def to_lines(self) -> tuple[tuple[str, str], ...]:
        """What each address shows, and the address."""
        lines = (
            ("report", self.report),
            ("trials", self.trials),
            ("charts", self.charts),
            ("retrainings compared", self.confirmed),
        )
        return tuple(line for line in lines if line[1])


def find_address(tracking_uri: str) -> str:
    """Where people open MLflow's UI, without user and password; "" where no server is known."""
    told = os.environ.get(ADDRESS_VARIABLE, "").strip()
    if told:
        return told.rstrip("/")
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def build_link(address: str, experiment_id: str, run_id: str) -> str:
    """The page of a run; "" for no address."""
    return f"{address}/#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}" if address else ""


def build_report_link(run_link: str) -> str:
    """The report of a sweep, by the page of its run; "" for no page."""
    return _go_to(run_link, f"artifacts/{names.REPORT_ARTIFACT}") if run_link else ""


def build_trials_link(run_link: str, sweep_id: str) -> str:
    """The table of a sweep's trials, by the page of its run; "" for no page."""
    runs = run_link.partition("?")[0].rpartition("/")[0]
    return f"{runs}?viewStateShareKey={sweep_id}&{_TRAINING}" if run_link else ""


def _go_to(run_link: str, part: str) -> str:
    """A part of a run's page."""
    page, _, query = run_link.partition("?")
    return f"{page}/{part}?{query}"


def find_links(client: MlflowClient, address: str, sweep_id: str, family: Family) -> SweepLinks | None:
    """The addresses of a sweep; None where its own run is not there."""
    if family.parent is None:
        return None
    experiment_id = family.parent.info.experiment_id
    run = build_link(address, experiment_id, family.parent.info.run_id)
    has_view = _VIEW + sweep_id in client.get_experiment(experiment_id).tags
    searched = f"{run.rpartition('/')[0]}?searchFilter={quote(_filter_trials(sweep_id), safe='')}&{_TRAINING}"
    active = [child for child in family.children if child.info.lifecycle_stage == "active"]
    confirmed = [run.info.run_id for run in active if run.data.tags.get(names.TRIAL_STAGE) in names.TESTED_STAGES]
    return SweepLinks(
        trials=build_trials_link(run, sweep_id) if has_view else searched,
        charts=_go_to(run, "model-metrics"),
        report=build_report_link(run),
        confirmed=_build_comparison(address, experiment_id, confirmed[:MAX_COMPARED]) if len(confirmed) > 1 else "",
    )


def _build_comparison(address: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    runs, experiments = (quote(json.dumps(each, separators=(",", ":"))) for each in (run_ids, [experiment_id]))
    return f"{address}/#/compare-runs?runs={runs}&experiments={experiments}&{_TRAINING}"


def _filter_trials(sweep_id: str) -> str:
    return f"tags.`{names.SWEEP_ID}` = '{sweep_id}' and tags.`{names.TRIAL_ID}` LIKE '%'"  # not the sweep's own run


def save_view(
    client: MlflowClient, experiment_id: str, sweep_id: str, metric: str, goal: str, searched: Sequence[str]
) -> None:
    """Keeps MLflow's table of a sweep's trials, with useful columns, as a view that an address can name.

    Args:
        client: Of MLflow.
        experiment_id: Of the sweep.
        sweep_id: The sweep, and the view's key.
        metric: By which trials are ordered.
        goal: Its direction.
        searched: Parameters that vary.
    """
    best = names.BEST_VAL_ACCURACY if metric == names.VAL_ACCURACY else metric
    columns = [f"tags.`{name}`" for name in (names.TRIAL_ARM, names.TRIAL_STAGE, names.TRIAL_STATE)]
    columns += [f"metrics.`{name}`" for name in dict.fromkeys((best, metric, names.TEST_ACCURACY))]
    view = {
        "searchFilter": _filter_trials(sweep_id),
        "orderByKey": f"metrics.`{best}`",
        "orderByAsc": Goal(goal) is Goal.MINIMIZE,
        "selectedColumns": [*columns, *(f"params.`{name}`" for name in searched)],
    }
    text = json.dumps(view)
    if len(text) <= _MAX_VIEW_CHARACTERS:
        client.set_experiment_tag(experiment_id, _VIEW + sweep_id, text)
