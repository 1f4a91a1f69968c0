import string

import pytest
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name, _validate_tag_name

from tracking.names import NONFINITE_PREFIX
from tracking.store.keys import build_key

STRANGE = [
    "a#b",
    "a$b",
    "a b\n",
    "",
    ".",
    "..",
    "../a",
    "/a",
    "a//b",
    "a/",
    "a/../b",
    "é?",
    "x" * 300,
    "x" * 301,
    "a\0b",
    "[0]",
]


@pytest.mark.parametrize(
    "name", [*STRANGE, *string.punctuation, "a", "health.gradient_norm.layers.0", "実験", "a: b/c"]
)
def test_mlflow_takes_every_key(name: str) -> None:
    _validate_metric_name(build_key(name))
    _validate_tag_name(NONFINITE_PREFIX + build_key(name))
    assert len(NONFINITE_PREFIX + build_key(name)) <= MAX_ENTITY_KEY_LENGTH


def test_names_that_mlflow_takes_stay_and_no_two_become_one() -> None:
    for name in ("val_accuracy", "health.gradient_norm.layers.0", "setting.lr", "a: b/c", "実験"):
        assert build_key(name) == name
    keys = {build_key(name) for name in [*STRANGE, *string.punctuation, "a_b"]}
    assert len(keys) == len({*STRANGE, *string.punctuation, "a_b"})
