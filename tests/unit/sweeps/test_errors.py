import pickle

import pytest

from sweeps.errors import (
    BadUsage,
    ExitCode,
    Interrupted,
    NothingSucceeded,
    SomeTrialsFailed,
    SpecError,
    SpecFault,
    SweepError,
    Unreachable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NothingSucceeded, 1),
        (BadUsage, 2),
        (SpecError, 2),
        (SomeTrialsFailed, 3),
        (Unreachable, 4),
        (Interrupted, 130),
    ],
)
def test_each_error_has_the_exit_code_of_the_design(error: type[SweepError], code: int) -> None:
    assert error.exit_code == code
    assert issubclass(error, SweepError)


def test_exit_codes_are_those_of_the_design() -> None:
    assert sorted(ExitCode) == [0, 1, 2, 3, 4, 5, 130]


def test_fault_reads_place_key_and_message() -> None:
    fault = SpecFault("optimizers.yaml", 14, 9, "parameters.lr.mim", "unknown key; did you mean 'min'?")
    assert str(fault) == "optimizers.yaml:14:9: parameters.lr.mim: unknown key; did you mean 'min'?"


def test_fault_of_a_file_as_a_whole_has_no_key() -> None:
    assert str(SpecFault("a.yaml", 1, 1, "", "the file is empty")) == "a.yaml:1:1: the file is empty"
    assert str(SpecFault("a.yaml", None, None, "", "no such file")) == "a.yaml: no such file"


def test_fault_of_an_override_names_its_key_once() -> None:
    assert str(SpecFault("--set a.b=3", None, None, "a.b", "unknown key")) == "--set a.b=3: unknown key"


def test_fault_inside_the_value_of_an_override_names_the_inner_key() -> None:
    assert str(SpecFault("--set a={b: 3}", None, None, "a.b", "unknown key")) == "--set a={b: 3}: a.b: unknown key"


def test_spec_error_lists_faults_by_place_each_once_and_those_of_overrides_last() -> None:
    override = SpecFault("--set x=1", None, None, "x", "unknown key")
    late, early = SpecFault("a.yaml", 10, 2, "b", "two"), SpecFault("a.yaml", 9, 7, "a", "one")
    error = SpecError([override, late, early, late])
    assert error.faults == (early, late, override)
    assert str(error) == "a.yaml:9:7: a: one\na.yaml:10:2: b: two\n--set x=1: unknown key"


def test_spec_error_survives_pickling_with_its_faults() -> None:
    error = SpecError([SpecFault("a.yaml", 1, 2, "x", "unknown key")])
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.faults, str(copy)) == (error.faults, str(error))
