"""What a sweep ran as is read though a new sweep file that says so would be refused."""

import pytest

from sweeps.errors import SpecError
from sweeps.spec import load_recorded_text, load_spec_text

BEGIN = "method: random\nbudget: {trials: 2}\n"
LENGTH = f"{BEGIN}parameters: {{epochs: 3, schedule: step, step_epochs: 30, lr: {{min: 0.1, max: 1}}}}\n"
FLOOR = f"{BEGIN}floor: {{after: 1, min: 15}}\nparameters: {{epochs: 3, lr: {{min: 0.1, max: 1}}}}\n"


@pytest.mark.parametrize("text", [LENGTH, FLOOR])
def test_limits_that_an_earlier_version_took_are_kept(text: str) -> None:
    with pytest.raises(SpecError):
        load_spec_text(text, "sweep.yaml")
    assert load_recorded_text(text, "resolved.yaml").budget.trials == 2
    assert load_recorded_text(text, "resolved.yaml", ["budget.trials=4"]).budget.trials == 4


def test_what_is_given_anew_is_checked() -> None:
    good = LENGTH.replace("step_epochs: 30", "step_epochs: 1")
    with pytest.raises(SpecError, match="lies between 0 and 1"):
        load_recorded_text(good, "resolved.yaml", ["budget.target=15"])


def test_other_faults_are_told() -> None:
    with pytest.raises(SpecError, match="mim"):
        load_recorded_text(LENGTH.replace("min:", "mim:"), "resolved.yaml")
