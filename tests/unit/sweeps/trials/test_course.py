"""The course of settings that leads to a trial's weights."""

from typing import Any

from sweeps.trials.confirm import list_candidates
from sweeps.trials.course import follow_on
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_SEARCH
from trainer.config import build_trial_config
from trainer.config.changes import parse_changes


def entry(number: int, course: dict[str, Any] | None = None, **settings: Any) -> TrialEntry:
    return TrialEntry(f"a-{number}", "a", STAGE_SEARCH, number, number, {"seed": number, **settings}, course=course)


def read(course: dict[str, Any]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """What a course begins with, and its changes."""
    text = course.get("changes")
    return {name: value for name, value in course.items() if name != "changes"}, parse_changes(text) if text else {}


def test_a_copy_begins_as_its_donor_did() -> None:
    course = follow_on(entry(0, lr=0.1, momentum=0.9), 2, {"seed": 1, "lr": 0.08, "momentum": 0.9})
    assert read(course) == ({"lr": 0.1, "momentum": 0.9}, {2: {"lr": 0.08}})


def test_a_copy_of_a_copy_goes_through_the_changes_of_both() -> None:
    first = follow_on(entry(0, lr=0.1, momentum=0.9), 2, {"seed": 1, "lr": 0.08, "momentum": 0.9})
    donor = entry(1, first, lr=0.08, momentum=0.9)
    course = follow_on(donor, 4, {"seed": 2, "lr": 0.08, "momentum": 0.95})
    assert read(course) == ({"lr": 0.1, "momentum": 0.9}, {2: {"lr": 0.08}, 4: {"momentum": 0.95}})


def test_a_copy_that_changes_nothing_trains_as_its_donor_does() -> None:
    assert follow_on(entry(0, lr=0.1), 2, {"seed": 1, "lr": 0.1}) == {"lr": 0.1}


def test_a_later_change_of_the_donor_is_not_taken_over() -> None:
    donor = entry(1, {"lr": 0.1, "changes": '{"1": {"lr": 0.2}, "3": {"lr": 0.3}}'}, lr=0.3)
    assert read(follow_on(donor, 2, {"seed": 2, "lr": 0.25}))[1] == {1: {"lr": 0.2}, 2: {"lr": 0.25}}


def test_the_course_is_what_is_retrained() -> None:
    course = {"lr": 0.1, "changes": '{"2":{"lr":0.08}}'}
    assert list_candidates([entry(3, course, lr=0.08), entry(0, lr=0.1)]) == (course, {"lr": 0.1})


def test_a_course_is_a_training_also_where_a_setting_is_spelt_as_its_complement() -> None:
    donor = entry(0, optimizer="momentum", lr=0.1, one_minus_momentum=0.1)
    course = follow_on(donor, 2, {"seed": 1, "optimizer": "momentum", "lr": 0.1, "one_minus_momentum": 0.08})
    config = build_trial_config(course)
    assert [config.after(epoch).optimizer.settings["momentum"] for epoch in (0, 1, 2)] == [1 - 0.1, 1 - 0.1, 1 - 0.08]
