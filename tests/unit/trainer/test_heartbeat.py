"""Signs of life, without a Ray; `tests/faults/test_hanging.py` has them with one."""

import pytest

from trainer import heartbeat
from trainer.heartbeat import INTERVAL_SECONDS, Heartbeat


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The signs that were given: whose, and what."""
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(heartbeat, "_internal_kv_put", lambda key, value, **_: given.append((key, value)))
    return given


def test_a_sign_is_given_every_few_seconds_and_differs_from_the_last(
    given: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now)
    heart = Heartbeat("a1")
    for _ in range(31):
        heart.beat()
        now += INTERVAL_SECONDS / 10
    assert len(given) == len(set(given)) == 4
    assert {whose for whose, _ in given} == {"a1"}


def test_a_head_that_is_away_is_no_fault_of_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(heartbeat, "_internal_kv_put", fail)
    Heartbeat("a1").beat()
