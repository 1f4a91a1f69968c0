import threading

import pytest

from sweeps.driver.background import Background


def test_a_call_runs_beside_and_its_result_is_waited_for() -> None:
    may_end = threading.Event()

    def call() -> int:
        assert may_end.wait(60)
        return 5

    background = Background(call)
    may_end.set()
    assert background.result() == 5
    assert background.result() == 5


def test_what_the_call_raises_is_raised_where_the_result_is_asked_for() -> None:
    def call() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Background(call).result()


def test_what_the_call_has_raised_so_far_can_be_had_without_waiting_for_its_end() -> None:
    may_end = threading.Event()

    def call() -> None:
        assert may_end.wait(60)
        raise OSError("gone")

    background = Background(call)
    background.raise_if_failed()
    may_end.set()
    with pytest.raises(OSError, match="gone"):
        background.result()
    with pytest.raises(OSError, match="gone"):
        background.raise_if_failed()
