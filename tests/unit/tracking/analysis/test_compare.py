"""Sweeps beside each other, on sweeps whose numbers are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from build_table import build_table
from plain_table import plain_table, retraining, search_trial

from tracking.analysis.compare import ABSENT, Difference, compare_sweeps, find_obstacles
from tracking.table import SweepTable

DATA = {"name": "cifar10", "digest": "sha256:5c1e", "split_digest": "sha256:77aa"}
TASK = {"epochs": (9,), "model": ("fastcnn",), "train_size": (None,)}


def build_sweep(name: str, *test: float, data: Mapping[str, str] = DATA, **changes: object) -> SweepTable:
    """A sweep of one arm whose best settings were retrained to these accuracies, with seeds 0, 1, ..."""
    trial = search_trial("adam", 0, 0.5, 0.6)
    retrained = [retraining(trial, seed, 0.6, value) for seed, value in enumerate(test)]
    return plain_table(trial, *retrained, sweep_id=name, manifest={"data": data}, **changes)


def test_sweeps_of_the_same_task_may_be_compared() -> None:
    assert find_obstacles([build_sweep("a"), build_sweep("b")], [TASK, TASK]) == ()


@pytest.mark.parametrize(
    ("changes", "task", "sentence"),
    [
        (
            {"data": {**DATA, "digest": "sha256:9"}},
            {},
            "They differ in the images: cifar10 5c1e in a; cifar10 9 in b.",
        ),
        (
            {"data": {**DATA, "split_digest": "sha256:9"}},
            {},
            "They differ in the split into training and validation images: cifar10 77aa in a; cifar10 9 in b.",
        ),
        (
            {"goal_metric": "val_loss", "goal": "minimize"},
            {},
            "They differ in the metric: maximize val_accuracy in a; minimize val_loss in b.",
        ),
        ({}, {"epochs": (9, 27)}, "They differ in length of training (epochs): 9 in a; 9, 27 in b."),
        ({}, {"model": ("resnet18",)}, "They differ in model: fastcnn in a; resnet18 in b."),
        ({}, {"width": (0.5,)}, f"They differ in width: {ABSENT} in a; 0.5 in b."),
        ({}, {"train_size": (1000,)}, "They differ in training images: none in a; 1000 in b."),
    ],
)
def test_another_task_is_told(changes: dict[str, object], task: dict[str, tuple[object, ...]], sentence: str) -> None:
    tables = [build_sweep("a"), build_sweep("b", **changes)]  # type: ignore[arg-type]
    assert find_obstacles(tables, [TASK, {**TASK, **task}]) == (sentence,)  # type: ignore[dict-item]


def test_where_it_is_not_known_which_images_it_is_told() -> None:
    tables = [build_sweep("a"), replace(build_sweep("b"), manifest={})]
    images, split = find_obstacles(tables, [TASK, TASK])
    assert images == "It is not known whether the images are the same: the manifest of b does not say."
    assert split.startswith("It is not known whether the split")


def test_differences_are_those_of_the_files_and_of_what_they_ran_with() -> None:
    one = build_table()
    other = replace(one, sweep_id="other", manifest={**one.manifest, "packages": {"torch": "2.13.0", "ray": "2.60.0"}})
    settings = [{"method": "bayes", "seed": "0", "budget.hours": "2"}, {"method": "grid", "seed": "0"}]
    assert compare_sweeps([one, other], settings, [TASK, TASK]).differences == (
        Difference("method", ("bayes", "grid")),
        Difference("budget.hours", ("2", ABSENT)),
        Difference("ran with torch", ("2.14.1", "2.13.0")),
        Difference("ran with mlflow", ("3.17.2", ABSENT)),
    )


def test_a_sweep_is_found_as_its_own_report_finds_it() -> None:
    one, other = build_table(), replace(build_table(), sweep_id="other", trials=())
    first, second = compare_sweeps([one, other], [{}, {}], [TASK, TASK]).findings
    assert (first.leader, first.num_trials, first.num_seeds) == ("rmsprop", 24, 1)
    confirmed = next(trial for trial in one.confirmed("rmsprop"))
    assert first.test_accuracy == pytest.approx(confirmed.summary["test_accuracy"])
    assert first.num_epochs == sum(trial.num_epochs for trial in one.trials)
    assert (second.leader, second.best_value, second.headline) == (None, None, "No trial was recorded")


def test_leaders_are_laid_beside_each_other_over_the_seeds_that_both_have() -> None:
    tables = [build_sweep("a", 0.60, 0.62, 0.61), build_sweep("b", 0.58, 0.59)]
    (sentence,) = compare_sweeps(tables, [{}, {}], [TASK, TASK]).pairs
    # 2 and 3 points: mean 2.5, standard error 0.5, Student's t of one degree of freedom 12.71.
    assert sentence == (
        "With the same 2 seeds adam of a reaches 2.50 points more (95 % interval −3.85 to 8.85) than adam of b. "
        "That is no verdict: each was chosen as the best of its sweep."
    )
    (sentence,) = compare_sweeps(tables[::-1], [{}, {}], [TASK, TASK]).pairs
    assert "adam of b reaches 2.50 points less (95 % interval −8.85 to 3.85) than adam of a" in sentence


def test_leaders_of_other_tasks_or_with_one_seed_are_not() -> None:
    tables = [build_sweep("a", 0.60, 0.62), build_sweep("b", 0.58, 0.59)]
    assert compare_sweeps(tables, [{}, {}], [TASK, {**TASK, "epochs": (1,)}]).pairs == ()
    tables = [build_sweep("a", 0.60), build_sweep("b", 0.58)]
    assert compare_sweeps(tables, [{}, {}], [TASK, TASK]).pairs == ()
