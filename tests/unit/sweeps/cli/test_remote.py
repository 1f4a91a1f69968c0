"""What is said of a submitted sweep."""

import io
import sys
from typing import cast

import pytest

from sweeps.cli.remote import _print_submission
from sweeps.errors import Interrupted
from sweeps.remote.jobs import JobsClient
from sweeps.remote.submission import Submission


class InterruptedBy(io.StringIO):
    """A terminal at which somebody presses Ctrl+C as soon as a word is there."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word

    def write(self, text: str) -> int:
        if self._word in text:
            raise KeyboardInterrupt
        return super().write(text)


@pytest.mark.parametrize("word", ["submitted to", "follow it"])
@pytest.mark.parametrize("follow", [True, False])
def test_an_interrupt_as_it_is_said_names_the_sweep_that_goes_on(
    word: str, monkeypatch: pytest.MonkeyPatch, *, follow: bool
) -> None:
    submission = Submission(
        sweep_id="s-1", job="raysubmit_1", address="http://127.0.0.1:8265", status="PENDING", message=""
    )
    monkeypatch.setattr(sys, "stdout", InterruptedBy(word))
    with pytest.raises(Interrupted, match=r"^interrupted; s-1 goes on; follow it with: sweeps logs --follow s-1, "):
        _print_submission(submission, cast(JobsClient, None), follow=follow, as_json=False)
