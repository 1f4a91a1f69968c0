"""Names of registered models, without a store."""

from __future__ import annotations

import pytest

from tracking.store.registry import model_name


@pytest.mark.parametrize("project", ["cifar10", "it's", "a b", ".x", "é.x"])
def test_a_name_that_mlflow_takes_stays(project: str) -> None:
    assert model_name(project) == project


@pytest.mark.parametrize("project", ["my/project", "my:project", ".."])
def test_a_name_that_mlflow_refuses_gets_one_of_its_own(project: str) -> None:
    name = model_name(project)
    assert name != project
    assert not set(name) & set("/:")
