import pytest

from sweeps.trials.ledger import TrialEntry
from sweeps.trials.naming import MAX_SLUG_CHARACTERS, name_arms, retraining_id, search_id, slug
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, STAGES

COLLIDING = [
    ("my:opt_A", "my_opt:A"),
    ("SGD", "sgd", "Sgd"),
    ("sgd", "sgd-confirm"),
    ("SGD", "sgd-confirm"),
    ("sgd", "sgd-select", "sgd-default", "sgd-select-confirm"),
    ("../x", ".._x", "..:x", "..\0x", "..\nx"),
    ("実験", "試験", "\u202e", ""),
    ("x" * 300 + "a", "x" * 300 + "b", "x" * 300),
    ("/etc/passwd", "_etc_passwd"),
    ("0.1", "0_1", "0,1"),
]


def list_ids(slugs: dict[str, str]) -> list[str]:
    return [
        search_id(each, number) if stage == STAGE_SEARCH else retraining_id(each, stage, number)
        for each in slugs.values()
        for stage in STAGES
        for number in range(300)
    ]


@pytest.mark.parametrize("arms", COLLIDING)
def test_no_two_trials_share_an_id(arms: tuple[str, ...]) -> None:
    ids = list_ids(name_arms(arms))
    assert len({each.lower() for each in ids}) == len(ids)
    assert max(map(len, ids)) <= MAX_SLUG_CHARACTERS + len("-confirm-000")
    assert all(slug(each) == each and not each.startswith("/") for each in ids)


@pytest.mark.parametrize("arms", COLLIDING)
def test_the_order_of_the_arms_and_who_else_is_there_change_nothing(arms: tuple[str, ...]) -> None:
    slugs = name_arms(arms)
    assert name_arms((*arms[::-1], "other")) == slugs | {"other": "other"}


def test_an_arm_that_nobody_is_mistaken_for_is_called_by_its_name() -> None:
    arms = ("sgd", "adam", "my.module:Opt", "adam, 0.1", "x-confirm")
    expected = ["sgd", "adam", "my.module_Opt", "adam_0.1", "x-confirm"]
    assert list(name_arms(arms).values()) == expected
    assert (search_id("sgd", 7), retraining_id("sgd", STAGE_CONFIRM, 7)) == ("sgd-007", "sgd-confirm-07")


def test_a_digest_is_no_way_to_take_the_id_of_another() -> None:
    slugs = name_arms(("a:b", "a/b"))
    assert set(slugs.values()).isdisjoint({"a_b"})
    usurpers = [*slugs.values(), *(f"{each}-confirm" for each in slugs.values())]
    ids = list_ids(name_arms(("a:b", "a/b", *usurpers)))
    assert len(set(ids)) == len(ids)


def test_an_arm_with_trials_keeps_the_slug_that_they_have() -> None:
    entries = [
        TrialEntry("SGD-1000", "SGD", STAGE_SEARCH, 1000, 0, {}),
        TrialEntry("SGD-confirm-01", "SGD", STAGE_CONFIRM, 1, 0, {}),
        TrialEntry("sgd-002", "sgd", STAGE_SEARCH, 2, 0, {}),
    ]
    assert name_arms(("SGD", "sgd", "Sgd"), entries) == {
        "SGD": "SGD",
        "sgd": "sgd",
        "Sgd": name_arms(("SGD", "sgd", "Sgd"))["Sgd"],
    }


@pytest.mark.parametrize(("text", "expected"), [("adam", "adam"), ("a/b c", "a_b_c"), ("", "_"), ("0.01", "0.01")])
def test_slug(text: str, expected: str) -> None:
    assert slug(text) == expected
