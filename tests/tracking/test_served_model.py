"""A winner that is promoted and served answers images with class names and probabilities; the sweep is recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from forked import run_forked
from mlflow import MlflowClient
from numpy.typing import NDArray
from recorded import *  # noqa: F403  # the fixtures
from stores import *  # noqa: F403  # the fixtures
from stores import find_free_port

from sweeps.home import Home
from tracking.store.registry import WinnerModel, register_winner
from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.export import build_example, load_classifier
from trainer.loop.checkpoint import write_checkpoint
from trainer.loop.training_run import TrainingRun

SWEEP = "optimizers-20261124-031500-9f3a"
PARAMETERS = {"dataset": "synthetic", "model": "mlp", "hidden": 8, "batch_size": 50, "epochs": 1}
DATA = draw_synthetic(200, 40)
SERVE_SECONDS = 120.0

Expected = tuple[NDArray[np.uint8], list[str], list[float]]


def register(home: Home, trial: str, folder: Path) -> torch.nn.Module:
    """Trains a small network and registers it as the one of a trial."""
    run = TrainingRun(build_trial_config(PARAMETERS), DATA, device="cpu", num_threads=1)
    run.run_epoch()
    write_checkpoint(run, folder)
    network = load_classifier(folder, PARAMETERS, DATA)
    tags = {"trial.id": trial, "trial.arm": trial.split("-")[0]}
    model = WinnerModel(network, build_example(DATA), {"classes": list(DATA.classes)}, tags)
    assert register_winner(home.tracking_uri, "cifar10", SWEEP, model) == ""
    return network


@pytest.fixture
def network(recorded: Home, tmp_path: Path) -> torch.nn.Module:
    """The network of the sweep's winner, which is registered."""
    return register(recorded, "adam-confirm-000", tmp_path / "checkpoint")


def answer(network: torch.nn.Module) -> Expected:
    """Some images, and what the network makes of them."""
    images_NHWC = DATA.test_images_NHWC[:5]
    with torch.no_grad():
        logits_NK = network(torch.from_numpy(images_NHWC.transpose(0, 3, 1, 2).astype("float32")))
    values, indices = torch.softmax(logits_NK, 1).max(1)
    return images_NHWC, [DATA.classes[index] for index in indices.tolist()], values.tolist()


def sweeps(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", *arguments]
    return run_forked(command, cwd=os.environ["SWEEPS_HOME"])


@pytest.fixture
def address(recorded: Home, network: torch.nn.Module, tmp_path: Path) -> Iterator[str]:
    """Where MLflow serves the promoted winner."""
    done = sweeps("promote", "--alias", "champion")
    assert done.returncode == 0, done.stderr
    port = find_free_port()
    command = [*(sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/cifar10@champion")]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    environment = {
        name: text for name, text in os.environ.items() if name != "PYTHONPATH"
    }  # none of our code is needed
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as where .venv is activated
    environment |= {"MLFLOW_TRACKING_URI": recorded.tracking_uri, "PATH": programs}
    log = tmp_path / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=tmp_path, env=environment, start_new_session=True
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", server, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            with suppress(ProcessLookupError):  # it could not be started, which the test has said
                os.killpg(server.pid, signal.SIGKILL)  # its own session: it and its children
            server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SERVE_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def ask(address: str, content: object) -> dict[str, object]:
    request = Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as response:
        return dict(json.load(response))


def test_a_served_champion_answers_pictures_with_class_names_and_probabilities(
    address: str, network: torch.nn.Module
) -> None:
    images_NHWC, classes, probabilities = answer(network)
    predictions = ask(address, {"inputs": images_NHWC.tolist()})["predictions"]
    assert isinstance(predictions, list)
    assert [each["class"] for each in predictions] == classes
    assert [each["probability"] for each in predictions] == pytest.approx(probabilities, abs=1e-5)
    (one,) = ask(address, {"inputs": images_NHWC[:1].tolist()})["predictions"]  # type: ignore[misc]
    assert one["class"] == classes[0]
    with pytest.raises(HTTPError) as refused:
        ask(address, {"inputs": images_NHWC[:, :16].tolist()})
    assert (refused.value.code, b"does not match expected shape" in refused.value.read()) == (400, True)


def test_a_champion_loads_in_python_as_before_and_as_a_classifier(
    recorded: Home, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweeps("promote").returncode == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.tracking_uri)  # set_tracking_uri would leave it set
    images_NHWC, classes, probabilities = answer(network)
    with warnings.catch_warnings(action="ignore"):  # what MLflow remarks on its own code as it is imported
        import mlflow.pyfunc
        import mlflow.pytorch

        plain = mlflow.pytorch.load_model("models:/cifar10@champion")
        served = mlflow.pyfunc.load_model("models:/cifar10@champion")
    images_NCHW = torch.from_numpy(images_NHWC.transpose(0, 3, 1, 2).astype("float32"))
    torch.testing.assert_close(plain(images_NCHW), network(images_NCHW), rtol=1e-4, atol=1e-4)
    found = served.predict(images_NHWC)
    assert list(found["class"]) == classes
    assert list(found["probability"]) == pytest.approx(probabilities, abs=1e-5)


def test_an_alias_moves_and_what_had_it_is_said(recorded: Home, network: torch.nn.Module, tmp_path: Path) -> None:
    register(recorded, "sgd-confirm-000", tmp_path / "other")
    winner, other = f"version 1 (adam-confirm-000 of {SWEEP})", f"version 2 (sgd-confirm-000 of {SWEEP})"
    said = [sweeps("promote", *more).stdout.splitlines()[0] for more in ((), (), ("--trial", "sgd-confirm-000"))]
    assert said == [
        f"cifar10@champion is {winner}; before, nothing had this alias",
        f"cifar10@champion is {winner}, as it was before",
        f"cifar10@champion is {other}; before it was {winner}",
    ]
    assert sweeps("promote").stdout.splitlines()[-1] == "it answers an image with its class and probability"
    assert sweeps("promote", "--trial", "sgd-confirm-000").returncode == 0
    told = json.loads(sweeps("promote", "--alias", "champion", "--json").stdout)
    assert (told["now"]["version"], told["before"]["version"]) == (1, 2)


def test_what_cannot_be_promoted_is_said(recorded: Home, network: torch.nn.Module) -> None:
    done = sweeps("promote", "--trial", "adam-003")
    assert done.returncode == 2
    assert done.stderr == (
        f"{SWEEP}: adam-003 is not registered as a model; registered are: adam-confirm-000; name one with --trial\n"
    )
    for alias in ("latest", "v3", "a b", ""):
        done = sweeps("promote", "--alias", alias)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"--alias {alias!r} cannot be one (")
        assert len(done.stderr.splitlines()) == 1


def test_without_a_registered_model_there_is_nothing_to_promote(recorded: Home) -> None:
    done = sweeps("promote")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"{SWEEP}: adam-confirm-000 is not registered as a model; no trial of it is registered\n")


def test_an_old_version_is_promoted_and_said_to_answer_with_logits(recorded: Home, network: torch.nn.Module) -> None:
    client = MlflowClient(recorded.tracking_uri)
    client.delete_model_version_tag("cifar10", "1", "model.answers")  # as earlier versions registered their winners
    done = sweeps("promote")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "it answers an image with its logits")
