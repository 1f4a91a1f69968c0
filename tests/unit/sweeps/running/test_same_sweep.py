from dataclasses import replace
from typing import Any

import pytest

from sweeps.errors import BadUsage
from sweeps.running.same_sweep import check_same_ground, check_same_prior, check_same_spec, note_versions
from sweeps.spec import SweepSpec, load_spec_text
from tracking.recording.events import SweepRecord

TEXT = """
method: random
metric: {name: val_accuracy}
budget: {trials_per_arm: 4, hours: 2, target: 0.7}
compare: optimizer
parameters: {lr: {min: 0.1, max: 0.2}, epochs: 4, optimizer: {values: [sgd, adam]}}
"""


def load(*overrides: str) -> SweepSpec:
    return load_spec_text(TEXT, "sweep.yaml", overrides)


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("metric={name: val_loss}", "metric.name: val_accuracy when it was begun, val_loss now"),
        ("parameters.epochs=5", "parameters.epochs.value: 4 when it was begun, 5 now"),
        ("parameters.lr={min: 0.1, max: 0.3}", "parameters.lr.max: 0.2 when it was begun, 0.3 now"),
        ("parameters.weight_decay=0.5", "parameters.weight_decay.value: nothing when it was begun, 0.5 now"),
        ("seed=1", "seed: 0 when it was begun, 1 now"),
        ("confirm.seeds=2", "confirm.seeds: 1 when it was begun, 2 now"),
        ("early_terminate={type: asha}", "early_terminate"),
        ("resources.cpu=2", "resources.cpu: 1 when it was begun, 2 now"),
        ("budget.trials_per_arm=3", "budget.trials_per_arm: 4 when it was begun, 3 now"),
        ("budget.hours=1", "budget.hours: 2"),
        ("budget.target=0.6", "budget.target: 0.7 when it was begun, 0.6 now"),
        ("budget.epochs_per_arm=100", "budget.epochs_per_arm: nothing when it was begun, 100 now"),
    ],
)
def test_what_changes_results_is_refused_and_named(override: str, shown: str) -> None:
    with pytest.raises(BadUsage, match="s-1: it cannot go on") as caught:
        check_same_spec(load(), load(override), "s-1")
    assert shown in str(caught.value)
    assert "prior=[s-1]" in str(caught.value)


@pytest.mark.parametrize(
    "override",
    ["budget.trials_per_arm=5", "budget.hours=3", "budget.hours=null", "budget.target=0.8", "budget.target=null",
     "budget.max_consecutive_failures=9"],
)  # fmt: skip
def test_a_budget_may_be_raised(override: str) -> None:
    check_same_spec(load(), load(override), "s-1")


def test_a_loss_that_is_to_be_reached_is_raised_downwards() -> None:
    lower = "metric={name: val_loss}", "budget.target=0.5"
    check_same_spec(load("metric={name: val_loss}"), load(*lower), "s-1")
    with pytest.raises(BadUsage, match=r"budget\.target: 0\.7"):
        check_same_spec(load("metric={name: val_loss}"), load("metric={name: val_loss}", "budget.target=0.9"), "s-1")


def test_of_many_differences_the_first_are_shown() -> None:
    settings = [f"parameters.{name}=0.5" for name in ("weight_decay", "ema_decay", "mixup_alpha", "warmup_epochs")]
    with pytest.raises(BadUsage, match=r"and \d+ more"):
        check_same_spec(
            load(),
            load(*settings, "seed=3", "confirm={top: 2, seeds: 3}", "resources.cpu=2", "early_terminate={type: asha}"),
            "s-1",
        )


GROUND: dict[str, Any] = {
    "data": {"name": "cifar10", "digest": "aa", "split_digest": "bb"},
    "own_code": {"mine.py": "11", "helper.py": "22"},
}


@pytest.fixture
def begun() -> SweepRecord:
    return SweepRecord(
        sweep_id="s-1", name="s", project="p", description="", sweep_file="", resolved="", manifest=GROUND, tags={},
        goal_metric="val_accuracy", goal="maximize", compare="optimizer", arms=("sgd", "adam"), searched=("lr",),
    )  # fmt: skip


def test_the_same_ground_is_taken(begun: SweepRecord) -> None:
    check_same_ground(begun, GROUND, ["sgd", "adam"])
    check_same_prior(begun, "cc")  # begun before it was kept


@pytest.mark.parametrize(
    ("ground", "shown"),
    [
        ({"data": {"name": "synthetic"}}, "dataset: cifar10 when it was begun, synthetic now"),
        ({"data": {**GROUND["data"], "digest": "ac"}}, "dataset: images or labels of cifar10 are not those"),
        ({"data": {**GROUND["data"], "split_digest": "bc"}}, "dataset: other images are held out"),
        ({"own_code": {"mine.py": "11", "helper.py": "23"}}, "own code: helper.py has changed"),
        ({"own_code": {"mine.py": "11"}}, "own code: helper.py was used when it was begun, and is not now"),
        ({"own_code": {**GROUND["own_code"], "new.py": "33"}}, "own code: new.py is used now, and was not"),
    ],
)
def test_another_ground_is_refused_and_named(begun: SweepRecord, ground: dict[str, Any], shown: str) -> None:
    with pytest.raises(BadUsage, match="s-1: it cannot go on") as caught:
        check_same_ground(begun, {**GROUND, **ground}, ["sgd", "adam"])
    assert shown in str(caught.value)


def test_other_arms_and_other_earlier_trials_are_refused(begun: SweepRecord) -> None:
    with pytest.raises(BadUsage, match="arms: sgd, adam when it was begun, sgd now"):
        check_same_ground(begun, GROUND, ["sgd"])
    with_prior = replace(begun, manifest={**GROUND, "prior_digest": "cc"})
    with pytest.raises(BadUsage, match="prior: the earlier trials"):
        check_same_prior(with_prior, "cd")
    check_same_prior(with_prior, "cc")
    check_same_prior(with_prior, "")  # it is read again, and compared then


def test_a_journal_from_before_digests_of_code_is_not_compared_by_them(begun: SweepRecord) -> None:
    old = replace(begun, manifest={"data": GROUND["data"]})
    check_same_ground(old, GROUND, ["sgd", "adam"])


def test_other_versions_are_noted_once() -> None:
    first = {"packages": {"torch": "2.1", "ray": "2.6"}, "python": "3.11.1", "processor": "x"}
    other = {**first, "packages": {"torch": "2.2", "ray": "2.6"}, "started": "2026-11-26T10:00:00+00:00"}
    assert note_versions([first, dict(first)]) == ()
    assert note_versions([first, other, dict(other)]) == (
        "Resumed on 2026-11-26T10:00:00+00:00 with torch 2.2 in place of 2.1.",
    )
    assert note_versions([]) == ()
