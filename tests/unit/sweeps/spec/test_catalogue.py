"""Everything that a sweep file can name is explained, and every example is a sweep file."""

import pytest

from sweeps.spec.catalogue import Entry, Topic, find_entries, list_entries, list_names
from sweeps.spec.file import load_spec_text

ENTRIES = {f"{topic}-{entry.name}": entry for topic in Topic for entry in list_entries(topic)}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_example_is_a_sweep_file_that_names_the_row(entry: Entry) -> None:
    load_spec_text(entry.example, "example.yaml")
    assert entry.name in entry.example
    assert entry.description


def test_rows_have_a_source_and_parameters_their_settings() -> None:
    sourced = (Topic.OPTIMIZERS, Topic.MODELS, Topic.INITIALIZERS, Topic.LOSSES, Topic.SCHEDULES)
    assert all(entry.source for topic in (*sourced, Topic.METHODS, Topic.RULES) for entry in list_entries(topic))
    assert {"lr", "epochs", "optimizer", "gamma"} <= {entry.name for entry in list_entries(Topic.PARAMETERS)}
    (adam,) = find_entries("adam")
    assert {"lr", "beta1"} <= {setting.name for setting in adam.settings}
    assert any("space: default" in fact for fact in adam.facts)


def test_a_name_of_several_tables_is_found_in_each() -> None:
    assert [entry.topic for entry in find_entries("normal")] == [Topic.INITIALIZERS, Topic.DISTRIBUTIONS]
    assert [entry.topic for entry in find_entries("momentum")] == [Topic.OPTIMIZERS, Topic.PARAMETERS]
    assert find_entries("xavier_uniform")[0].name == "glorot_uniform"
    assert "xavier_uniform" in list_names()
    assert find_entries("nothing") == ()
