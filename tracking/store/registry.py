"""The winner of a sweep as a registered model of MLflow."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tracking import names
from tracking.store.connection import describe, open_client, short_retries
from tracking.store.queries import ask, find_parent

if TYPE_CHECKING:
    import numpy as np
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature
    from numpy.typing import NDArray

MODEL_FOLDER = "model"  # among the artifacts of the sweep's run; in it a folder for each trial that has won
LOADER = Path(__file__).with_name("served_classifier.py")  # travels with each model, and is not imported here
NETWORK = "network"  # folder in a model: the network as a model of its own, which answers with logits
_ANSWERS = {names.MODEL_ANSWERS: "class and probability"}


@dataclass(frozen=True)
class WinnerModel:
    """What is registered.

    Attributes:
        network: A torch module in evaluation mode.
        example: Input of the network, with a first dimension of images; MLflow traces the network with it.
        facts: What a user of it must know, such as the class that each output stands for.
        tags: Of the model version: which arm and trial it is, and what it reached.
    """

    network: Any
    example: NDArray[np.float32]
    facts: dict[str, Any]
    tags: dict[str, str]


def model_name(project: str) -> str:
    """The name of a project's registered model: the project's own, or one with a digest of it where MLflow refuses it.

    MLflow takes no slash or colon in a name, and none that a path would read as a way up.
    """
    taken = re.sub(r"^\.(?=\.|$)|[/:]+", "-", project)
    return taken if taken == project else f"{taken}-{sha256(project.encode()).hexdigest()[:8]}"


def register_winner(tracking_uri: str, project: str, sweep_id: str, winner: WinnerModel) -> str:
    """Stores the network with the sweep's run and registers it as a new version, once for each trial that wins.

    Returns "", or one sentence on why MLflow has not taken it: no reason to lose a sweep's result.
    """
    try:
        with short_retries():
            _register(open_client(tracking_uri), model_name(project), sweep_id, winner)
    except Exception as error:  # noqa: BLE001  # the border: MLflow, torch.export and each artifact store raise their own
        return f"the winner could not be registered as a model ({describe(error, tracking_uri)})"
    return ""


def is_registered(tracking_uri: str, project: str, sweep_id: str, trial_id: str) -> bool:
    """Whether the network of a trial is a version of its project's model; False as well where MLflow does not say."""
    try:
        with short_retries():
            client = open_client(tracking_uri)
            run_id = find_parent(client, sweep_id).info.run_id
            return bool(_list_versions(client, model_name(project), run_id, trial_id))
    except Exception:  # noqa: BLE001  # the border, as above
        return False


class CannotPromote(LookupError):
    """A trial is not registered, or MLflow takes no such alias; the message says what there is."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes:
        version: Counts from 1 within the model.
        sweep_id: The sweep that it comes from, and the trial of it; "" where its tags do not say.
        answers: What it answers where it is served: versions of before November 27, 2026 know no names of classes.
    """

    version: int
    sweep_id: str
    trial_id: str
    answers: str


@dataclass(frozen=True)
class Promotion:
    """What an alias stands for now, and what it stood for before: None for nothing."""

    model: str
    alias: str
    now: RegisteredVersion
    before: RegisteredVersion | None


def promote(tracking_uri: str, project: str, sweep_id: str, trial_id: str | None, alias: str) -> Promotion:
    """Has an alias of a project's model stand for the network of a trial.

    Args:
        tracking_uri: MLflow.
        project: Whose model it is.
        sweep_id: The sweep.
        trial_id: The trial whose network is registered; None where the sweep has no winner to be promoted by itself.
        alias: As in `models:/NAME@ALIAS`.

    Raises:
        CannotPromote: The trial is not registered, or the alias cannot be one.
        SweepNotFound: MLflow does not hold the sweep.
        TrackingUnavailable: MLflow cannot be read or written.
    """
    return ask(tracking_uri, lambda client: _promote(client, model_name(project), sweep_id, trial_id, alias))


def _promote(client: MlflowClient, name: str, sweep_id: str, trial_id: str | None, alias: str) -> Promotion:
    from mlflow.exceptions import MlflowException

    run_id = find_parent(client, sweep_id).info.run_id
    versions = _list_versions(client, name, run_id)
    chosen = next((each for each in versions if each.tags.get(names.TRIAL_ID) == trial_id), None)
    if chosen is None:
        known = ", ".join(each.tags.get(names.TRIAL_ID, "?") for each in versions)
        what = f"{trial_id} is not registered as a model" if trial_id else "it has no winner"
        advice = f"registered are: {known}; name one with --trial" if known else "no trial of it is registered"
        raise CannotPromote(f"{sweep_id}: {what}; {advice}")
    held = client.get_registered_model(name).aliases.get(alias)
    before = _describe(client.get_model_version(name, held)) if held else None
    try:
        client.set_registered_model_alias(name, alias, chosen.version)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise CannotPromote(f"--alias {alias!r} cannot be one ({error.message.rstrip('.')})") from error
    return Promotion(name, alias, _describe(chosen), before)


def _describe(version: ModelVersion) -> RegisteredVersion:
    tags = version.tags
    answers = tags.get(names.MODEL_ANSWERS, "logits")
    return RegisteredVersion(int(version.version), tags.get(names.SWEEP_ID, ""), tags.get(names.TRIAL_ID, ""), answers)


def _register(client: MlflowClient, name: str, sweep_id: str, winner: WinnerModel) -> None:
    from mlflow.exceptions import MlflowException

    run_id = find_parent(client, sweep_id).info.run_id
    trial_id = winner.tags[names.TRIAL_ID]
    if _list_versions(client, name, run_id, trial_id):
        return  # a sweep that was resumed after it had ended
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        _save(winner, path)
        client.log_artifacts(run_id, str(path), f"{MODEL_FOLDER}/{trial_id}")
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}/{trial_id}"
    try:
        client.create_registered_model(name, description="Winners of sweeps, one version per sweep.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(name, source, run_id, tags={names.SWEEP_ID: sweep_id, **_ANSWERS, **winner.tags})
    for double in _list_versions(client, name, run_id, trial_id)[1:]:  # the answer was lost, and the request sent again
        client.delete_model_version(name, double.version)


def _list_versions(client: MlflowClient, name: str, run_id: str, trial_id: str | None = None) -> list[ModelVersion]:
    """The versions of a registered model that a sweep's run has, of one winner or of any, the first one first."""
    # By run and not by name, in which there may be quotes: MLflow's filters have no way to write one.
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    found = [each for each in versions if each.name == name and trial_id in (None, each.tags.get(names.TRIAL_ID))]
    return sorted(found, key=lambda version: int(version.version))


def _save(winner: WinnerModel, path: Path) -> None:
    """Writes a model that `mlflow.pytorch` loads as the network, and that answers with classes where it is served."""
    requirements = [f"{package}=={metadata.version(package)}" for package in ("torch", "numpy", "pandas")]
    network_path = path.with_name(NETWORK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and torch.export's remarks on their own code, as they are imported
        import mlflow.pyfunc
        import mlflow.pytorch
        from mlflow.models import Model

        mlflow.pytorch.save_model(
            winner.network,
            str(network_path),
            input_example=winner.example,
            pip_requirements=requirements,
            metadata=winner.facts,
        )
        model = Model(metadata=winner.facts)
        model.add_flavor(
            "pytorch", **{**Model.load(str(network_path)).flavors["pytorch"], "model_data": f"data/{NETWORK}/data"}
        )
        mlflow.pyfunc.save_model(
            str(path),
            loader_module=LOADER.stem,
            code_paths=[str(LOADER)],
            data_path=str(network_path),
            mlflow_model=model,
            signature=_build_signature(winner.example),
            pip_requirements=requirements,
        )


def _build_signature(example_NCHW: NDArray[np.float32]) -> ModelSignature:
    """What a served model takes and answers: images as Pillow and NumPy have them, rows first and channels last."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    _, num_channels, num_rows, num_columns = example_NCHW.shape
    images = TensorSpec(np.dtype(np.uint8), (-1, num_rows, num_columns, num_channels))
    answers = [ColSpec(DataType.string, "class"), ColSpec(DataType.double, "probability")]
    return ModelSignature(inputs=Schema([images]), outputs=Schema(answers))
