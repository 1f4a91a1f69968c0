import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.environment import build_manifest, describe_driver, extend_manifest, list_packages, read_git_commit


def test_the_manifest_names_versions_hardware_and_digests() -> None:
    driver = describe_driver({"CPU": 2.0, "node:10.0.0.1": 1.0})
    ground = {"data": {"name": "synthetic", "digest": "ab"}}
    manifest = build_manifest("s-1", 7, ground, driver, {"wall_seconds": 3.0})
    assert manifest["seed"] == 7
    assert manifest["data"] == {"name": "synthetic", "digest": "ab"}
    assert manifest["cluster"] == {"CPU": 2.0}
    assert manifest["plan"] == {"wall_seconds": 3.0}
    assert all(manifest["packages"][name] for name in ("ray", "torch", "optuna", "mlflow"))
    json.dumps(manifest)


def test_the_manifest_of_a_resumed_sweep_keeps_the_first_command_and_has_an_entry_for_each_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/sweeps", "run", "a b.yaml", "--set", "seed=3"])
    begun = build_manifest("s-1", 7, {"data": {}}, describe_driver({"CPU": 2.0}), {"wall_seconds": 3.0})
    last = begun
    for command in (["resume", "s-1"], ["resume"]):
        monkeypatch.setattr(sys, "argv", ["/bin/sweeps", *command])
        last = extend_manifest(begun, last, describe_driver({"CPU": 4.0}))
    assert last["command"] == "sweeps run 'a b.yaml' --set seed=3"
    assert last["cluster"] == {"CPU": 2.0}
    assert last["plan"]["wall_seconds"] is None
    commands = [driver["command"] for driver in last["drivers"]]
    assert commands == ["sweeps run 'a b.yaml' --set seed=3", "sweeps resume s-1", "sweeps resume"]
    assert [driver["cluster"]["CPU"] for driver in last["drivers"]] == [2.0, 4.0, 4.0]


def test_the_commit_says_whether_files_differ_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_git_commit() is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = read_git_commit()
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "file").touch()
    subprocess.run([*git, "add", "file"], check=True)
    assert read_git_commit() == f"{commit}+changes"


def test_the_folders_that_travel_to_a_cluster_are_those_of_our_packages() -> None:
    packages = [Path(folder) for folder in list_packages()]
    assert [folder.name for folder in packages] == ["sweeps", "trainer", "tracking"]
    assert all((folder / "__init__.py").exists() for folder in packages)
