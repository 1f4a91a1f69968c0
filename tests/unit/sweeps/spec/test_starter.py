"""Sweep files to begin with, whatever is asked for."""

import pytest

from sweeps.errors import SpecError
from sweeps.search.methods import METHODS
from sweeps.spec.file import load_spec_text
from sweeps.spec.starter import Start, write_start, write_text
from trainer.config import TABLES


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizers", [("adam",), ("sgd", "momentum", "adam")])
@pytest.mark.parametrize("epochs", [1, 2, 27])
def test_every_start_is_a_sweep_file(method: str, optimizers: tuple[str, ...], epochs: int) -> None:
    spec = load_spec_text(write_start(Start(optimizers=optimizers, method=method, epochs=epochs, trials=6)), "x.yaml")
    assert spec.method == method
    assert spec.compare == (("optimizer",) if len(optimizers) > 1 else ())
    assert spec.budget.trials_per_arm == (None if METHODS[method].is_exhaustive else 6)
    assert (spec.early_terminate is None) == (epochs == 1)


@pytest.mark.parametrize("method", ["bayes", "cmaes", "grid"])
@pytest.mark.parametrize("optimizer", TABLES["optimizer"])
def test_every_optimizer_can_be_begun_with(optimizer: str, method: str) -> None:
    text = write_start(Start(optimizers=(optimizer,), model="mlp", method=method))
    if (optimizer, method) in (("rprop", "cmaes"), ("lbfgs", "cmaes")):
        with pytest.raises(SpecError):  # they have one setting of that kind, and cmaes needs two
            load_spec_text(text, "x.yaml")
    else:
        load_spec_text(text, "x.yaml")


@pytest.mark.parametrize("text", ["a-b", "null", "1e5", "a: b", "ünï"])
def test_texts_stay_texts(text: str) -> None:
    assert load_spec_text(write_start(Start(name=text)), "x.yaml").name == text
    assert write_text("my_sweep") == "my_sweep"
