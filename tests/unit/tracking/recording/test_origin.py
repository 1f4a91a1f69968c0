import json

import pytest

from tracking.recording.origin import build_source_tags, find_dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_source_is_the_sweep_file_with_the_command_and_the_commit_of_the_first_driver() -> None:
    manifest = {"command": "sweeps run 'my files/a.yaml' --set parameters.data_dir=/images", "git_commit": COMMIT}
    assert build_source_tags(manifest, {}) == {
        "mlflow.source.name": "my files/a.yaml",
        "mlflow.source.type": "LOCAL",
        "mlflow.project.entryPoint": "sweeps run",
        "mlflow.source.git.commit": COMMIT,
        "mlflow.source.git.dirty": "false",
    }


def test_changes_since_the_commit_are_told_apart_from_it() -> None:
    tags = build_source_tags({"command": "", "git_commit": f"{COMMIT}+changes"}, {"sweep.job": "a"})
    assert tags["mlflow.source.git.commit"] == COMMIT
    assert tags["mlflow.source.git.dirty"] == "true"
    assert tags["mlflow.source.type"] == "JOB"


@pytest.mark.parametrize("manifest", [{}, {"command": None, "git_commit": None}, {"command": "a 'torn quote"}])
def test_what_is_not_known_is_left_out(manifest: dict[str, object]) -> None:
    tags = build_source_tags(manifest, {})
    assert tags["mlflow.source.name"] == "sweeps.run_sweep"
    assert "mlflow.source.git.commit" not in tags


@pytest.mark.parametrize(
    ("source", "source_type", "place"),
    [
        ("https://example.org/a", "http", {"url": "https://example.org/a"}),
        ("/images", "local", {"uri": "/images"}),
        ("trainer.data.synthetic", "code", {"tags": {"mlflow.source.name": "trainer.data.synthetic"}}),
        (None, "code", {"tags": {"mlflow.source.name": "cifar10"}}),
    ],
)
def test_a_data_set_is_told_with_its_digest_its_size_and_where_it_is_from(
    source: str | None, source_type: str, place: object
) -> None:
    data = {"name": "cifar10", "digest": 64 * "a", "source": source, "num_train_images": 5, "split_digest": "b"}
    found = find_dataset({"data": data})
    assert found is not None
    assert (found.name, found.digest, found.source_type) == ("cifar10", 32 * "a", source_type)
    assert json.loads(found.source) == place
    assert json.loads(found.profile) == {"num_train_images": 5}


@pytest.mark.parametrize("manifest", [{}, {"data": None}, {"data": {"name": "a"}}, {"data": "a"}])
def test_a_manifest_without_a_data_set_has_none(manifest: dict[str, object]) -> None:
    assert find_dataset(manifest) is None
