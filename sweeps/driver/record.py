"""What is recorded of a sweep when one of its drivers starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from sweeps.driver.history import History, describe_confirmation
from sweeps.driver.preflight import Prepared
from sweeps.driver.prior import digest_prior
from sweeps.environment import build_manifest, describe_driver, extend_manifest
from sweeps.home import JOB_VARIABLE, SweepFolder
from sweeps.running.same_sweep import check_same_prior, note_extensions, note_versions
from sweeps.space.arms import Arm, searched
from sweeps.spec import SweepSpec
from sweeps.spec.search_limits import describe_search
from tracking import names
from tracking.files import write_file
from tracking.recording.events import SweepRecord


def write_manifest(
    prepared: Prepared, folder: SweepFolder, plan: Mapping[str, Any], history: History | None
) -> dict[str, Any]:
    """Writes what a sweep rests on and runs on beside its results, and returns it.

    Args:
        prepared: The sweep.
        folder: Its folder.
        plan: What a new sweep is expected to come to; empty for none.
        history: What earlier drivers found; None for a new sweep.

    Raises:
        BadUsage: When it learns from other earlier trials than those it was begun with.
    """
    driver = describe_driver(prepared.cluster)
    ground = {**prepared.ground, **({"prior_digest": digest} if (digest := digest_prior(folder.prior)) else {})}
    if history is None:
        manifest = build_manifest(folder.path.name, prepared.spec.seed, ground, driver, plan)
    else:
        check_same_prior(history.begun, digest_prior(folder.prior))
        extended = {"extended": list(history.extended)} if history.extended else {}
        manifest = extend_manifest(history.begun.manifest, history.last.manifest, {**driver, **extended})
    manifest["search"] = describe_search(prepared.spec)
    write_file(folder.manifest, json.dumps(manifest, indent=2) + "\n")
    return manifest


def build_record(
    prepared: Prepared,
    folder: SweepFolder,
    arms: tuple[Arm, ...],
    manifest: Mapping[str, Any],
    history: History | None = None,
) -> SweepRecord:
    """What the journal and MLflow are told of a sweep when it starts, or starts again."""
    spec, data = prepared.spec, prepared.data
    drivers = manifest.get("drivers", ())
    return SweepRecord(
        sweep_id=folder.path.name,
        name=spec.name,
        project=spec.project,
        description=spec.description,
        sweep_file=folder.sweep_file.read_text("utf-8"),
        resolved=folder.resolved_file.read_text("utf-8"),
        manifest=manifest,
        tags={
            names.SWEEP_METHOD: spec.method,
            names.SWEEP_CONFIRM: describe_confirmation(spec, history),
            names.SWEEP_DATASET: data.name,
            names.SWEEP_FALLBACK: data.name if prepared.fell_back else "none",
            **({names.SWEEP_METRICS: json.dumps(_list_metrics(spec))} if spec.metrics else {}),
            **({names.SWEEP_JOB: os.environ[JOB_VARIABLE]} if JOB_VARIABLE in os.environ else {}),
        },
        goal_metric=spec.metric.name,
        goal=spec.metric.goal,
        compare=", ".join(spec.compare) or None,
        arms=tuple(arm.name for arm in arms),
        searched=tuple(dict.fromkeys(name for arm in arms for name in searched(arm))),
        notices=(*prepared.notices, *note_extensions(drivers), *note_versions(drivers)),
    )


def _list_metrics(spec: SweepSpec) -> list[tuple[str, str]]:
    return [(metric.name, metric.direction) for metric in spec.metrics]
