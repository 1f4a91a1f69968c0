"""What is checked before a sweep starts: everything that would otherwise fail hours later."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeps.driver.background import Background
from sweeps.driver.cluster import check_cluster, check_nodes, count_slots, import_ray, import_tune, start_ray
from sweeps.driver.measuring import find_footprint
from sweeps.errors import BadUsage, Unreachable
from sweeps.home import JOB_VARIABLE, Home
from sweeps.running.preparation import Preparation
from sweeps.running.same_sweep import check_same_ground
from sweeps.space.distributions import Constant
from sweeps.space.parameters import Choices
from sweeps.spec import SweepSpec
from sweeps.spec.arms import build_arms, constant_of, list_own
from sweeps.stopping.rules import RULES
from tracking.store.connection import TrackingUnavailable, check_place, check_tracking, is_new_store
from tracking.store.runs import check_writable
from trainer.config import SETTINGS, ConfigError
from trainer.config.own_code import digest_own_code
from trainer.data.dataset import Dataset, DataUnavailable, split_for_training
from trainer.data.load import find_most_bytes, find_source, load_dataset

if TYPE_CHECKING:
    from tracking.recording.events import SweepRecord
    from trainer.cost import Footprint

MIN_FREE_BYTES = 200 * 2**20
ROOMY_BYTES = 20 * 2**30  # free on the disk: then a sweep begins before it is known how much of that it will take

_REPRODUCTION = (
    "REPRODUCTION (evaluate_on: test): no images were held out for validation; what is called validation here was "
    "computed on the test images, every epoch, to compare with published curves. Choose nothing by it."
)

_CHANGING = (
    "POPULATION BASED TRAINING: settings changed while trials ran. Those shown of a trial are the ones that it began "
    "with; what they were in each epoch is in its metrics setting.*, whose copy it became in its tag trial.lineage."
)


@dataclass(frozen=True)
class Prepared:
    """A sweep whose preconditions hold."""

    spec: SweepSpec  # with the fallback applied
    data: Dataset
    ground: dict[str, Any]  # what its results rest on, as the manifest has it
    cluster: dict[str, float]
    slots: int
    notices: tuple[str, ...]
    fell_back: bool  # its images are those of the fallback
    footprint: Background[Footprint | None] | None  # of what it leaves on the disk, being measured; None: not here


def prepare(
    spec: SweepSpec,
    home: Home,
    begun: SweepRecord | None = None,
    preparation: Preparation | None = None,
    *,
    measures_footprint: bool = False,
) -> Prepared:
    """Checks storage, data, MLflow and Ray, side by side where they are slow.

    What is refused is refused before Ray starts, but for new sweeps on images that take long to load.

    Args:
        spec: The sweep.
        home: Where results go.
        begun: What the first driver of a sweep that is resumed found; None for a new one.
        preparation: Hears of each step and of each notice, as soon as it is known; None for nobody.
        measures_footprint: Whether to find out what the sweep will leave on the disk, which takes the processor for
            seconds; for a new sweep on a disk that is rather full it is found out anyway.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer.
    """
    preparation = preparation or Preparation()
    check_storage(home.path)
    measures_footprint |= begun is None and shutil.disk_usage(home.path).free < ROOMY_BYTES
    check_cluster()
    tracking = _check_tracking(home.tracking_uri, spec.project)
    loading = Background(partial(_load, spec, begun, preparation))
    with preparation.step("importing Ray"):
        import_ray()
    most_bytes = find_most_bytes(str(constant_of(spec, "dataset"))) if begun is None else None
    if most_bytes is None:  # Ray has to know how much it is to hold, and a sweep that others began may be refused yet
        most_bytes = loading.result().data.num_bytes
    with preparation.step("waiting for MLflow"):
        _await(tracking)
    loading.raise_if_failed()
    with preparation.step("starting Ray") as step:
        cluster = start_ray(most_bytes, preload=spec.resources.cpu == 1 and not spec.resources.gpu)
        slots = count_slots(spec.resources)
        step.result = f"Ray started: {slots} {'trial' if slots == 1 else 'trials'} at a time"
    with preparation.step("importing Ray Tune"):
        import_tune()
    spec, data, ground, fallback_notices = loading.result()
    notices = _tell_notices(spec, preparation)
    footprint = Background(partial(find_footprint, spec, data)) if measures_footprint else None
    _ask_nodes(home, preparation)
    all_notices = (*fallback_notices, *notices)
    return Prepared(spec, data, ground, cluster, slots, all_notices, bool(fallback_notices), footprint)


def _ask_nodes(home: Home, preparation: Preparation) -> None:
    if "RAY_ADDRESS" in os.environ:
        with preparation.step("asking the nodes of the cluster"):
            check_nodes(home.path)


def _tell_notices(spec: SweepSpec, preparation: Preparation) -> tuple[str, ...]:
    notices = _list_notices(spec)
    for notice in notices:
        preparation.say(notice)
    return notices


def _list_notices(spec: SweepSpec) -> tuple[str, ...]:
    """What has to stand beside every number of the sweep."""
    changes = spec.early_terminate is not None and RULES[spec.early_terminate.type].changes_settings
    reproduces = constant_of(spec, "evaluate_on") == "test"
    return (*((_REPRODUCTION,) if reproduces else ()), *((_CHANGING,) if changes else ()))


def _check_tracking(uri: str, project: str) -> Background[None]:
    """Asks MLflow in the background whether the sweep can be recorded.

    A new SQLite file is only looked at from outside: making its tables takes as long as starting Ray, and the recorder
    does it while the first trials train.
    """
    if is_new_store(uri):
        return Background(partial(check_place, uri))
    return Background(partial(check_tracking, uri, 60.0, partial(check_writable, project=project)))


def _await(tracking: Background[None]) -> None:
    try:
        tracking.result()
    except TrackingUnavailable as error:
        raise Unreachable(str(error)) from error


def _describe_ground(spec: SweepSpec, data: Dataset) -> dict[str, Any]:
    split = split_for_training(data, train_size=None, batch_size=1, evaluate_on=str(constant_of(spec, "evaluate_on")))
    data_dir = constant_of(spec, "data_dir")
    facts = {
        "name": data.name,
        "digest": data.digest,
        "split_digest": split.digest,
        "source": find_source(data.name, None if data_dir is None else str(data_dir)),
        "num_classes": len(data.classes),
        "num_train_images": len(data.train_labels_N),
        "num_test_images": len(data.test_labels_N),
    }
    return {"data": facts, "own_code": digest_own_code(list_own(spec))}


def check_storage(path: Path) -> None:
    """Makes the results folder where it is not there yet.

    Raises:
        BadUsage: When it cannot be written, or has no room for a sweep.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = path / f".writable-{os.getpid()}"
        marker.write_text("")
        marker.unlink()
    except OSError as error:
        raise BadUsage(f"{path}: results cannot be written ({error.strerror}); set SWEEPS_HOME elsewhere") from error
    free = shutil.disk_usage(path).free
    if free < MIN_FREE_BYTES:
        raise BadUsage(
            f"{path}: {free / 2**20:.0f} MB free, a sweep needs at least {MIN_FREE_BYTES / 2**20:.0f}; "
            "free some, or set SWEEPS_HOME elsewhere"
        )


class _Loaded(NamedTuple):
    """The images of a sweep that allow it."""

    spec: SweepSpec  # with the fallback applied
    data: Dataset
    ground: dict[str, Any]
    notices: tuple[str, ...]  # of the fallback


def _load(spec: SweepSpec, begun: SweepRecord | None, preparation: Preparation) -> _Loaded:
    spec, data, notices = _load_data(spec, preparation)
    _check_fit(spec, data)
    ground = _describe_ground(spec, data)
    if begun is not None:
        check_same_ground(begun, ground, [arm.name for arm in build_arms(spec)])
    return _Loaded(spec, data, ground, notices)


def _load_data(spec: SweepSpec, preparation: Preparation) -> tuple[SweepSpec, Dataset, tuple[str, ...]]:
    """Loads the data set; where CIFAR-10 cannot be had and the file allows it, the synthetic one, loudly."""
    name, data_dir = str(constant_of(spec, "dataset")), constant_of(spec, "data_dir")
    try:
        data = _load_told(name, None if data_dir is None else str(data_dir), preparation)
        return _fix_data_dir(spec), data, ()
    except DataUnavailable as error:
        fallback = spec.fallback
        if name != "cifar10" or fallback is None:
            raise BadUsage(str(error)) from error
        notice = (
            f"NOT CIFAR-10: these are drawn shapes (dataset: {fallback}), used because CIFAR-10 could not be had "
            f"and the sweep file says `fallback: {fallback}`. The numbers say nothing about CIFAR-10. ({error})"
        )
    preparation.say(notice)
    parameters = {key: value for key, value in spec.parameters.items() if key != "data_dir"}
    parameters["dataset"] = Constant(value=fallback)
    spec = spec.model_copy(update={"parameters": parameters})
    return spec, _load_told(fallback, None, preparation), (notice,)


def _load_told(name: str, data_dir: str | None, preparation: Preparation) -> Dataset:
    with preparation.step(f"loading {name}") as step:

        def tell(progress: str) -> None:
            step.progress = progress

        data = load_dataset(name, data_dir, tell=tell)
        step.result = f"data loaded: {name}, {len(data.train_labels_N):,} images to train on and to validate"
    return data


def _fix_data_dir(spec: SweepSpec) -> SweepSpec:
    """The sweep with its data folder as an absolute path: who resumes it may stand elsewhere.

    A submitted sweep keeps a relative one: its folder was sent along, and lies elsewhere each time.
    """
    data_dir = constant_of(spec, "data_dir")
    if data_dir is None or JOB_VARIABLE in os.environ:
        return spec
    absolute = Constant(value=str(Path(str(data_dir)).absolute()))
    return spec.model_copy(update={"parameters": {**spec.parameters, "data_dir": absolute}})


def _check_fit(spec: SweepSpec, data: Dataset) -> None:
    """Finds out before the start whether the data set has enough images for every trial."""
    train_sizes = _values(spec, "train_size")
    batch_sizes = [size for size in _values(spec, "batch_size") if size != "full"]
    try:
        for train_size in train_sizes:
            split_for_training(
                data,
                train_size=train_size,
                batch_size=max(batch_sizes, default=1),
                evaluate_on=str(constant_of(spec, "evaluate_on")),
            )
    except ConfigError as error:
        raise BadUsage(f"the data set {data.name} has too few images: {error}") from error


def _values(spec: SweepSpec, name: str) -> list[Any]:
    """The values that a parameter can take, or the ends of its range."""
    parameter = spec.parameters.get(name, Constant(value=SETTINGS[name].default))
    return list(parameter.choices) if isinstance(parameter, Choices) else parameter.ends()
