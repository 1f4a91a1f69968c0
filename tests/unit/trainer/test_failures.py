"""What errors say, however odd they are."""

import pytest

from trainer.failures import LOG_CHARACTERS, REASON_CHARACTERS, describe_error, shorten_log, shorten_reason


def catch(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  # whatever it is
        return caught


def test_an_error_is_a_line_and_a_traceback() -> None:
    reason, trace = describe_error(catch(ValueError("found 3;\n allowed: 2")))
    assert reason == "ValueError: found 3; allowed: 2"
    assert trace.startswith("Traceback (most recent call last):")
    assert trace.endswith("ValueError: found 3;\n allowed: 2\n")


def test_what_has_no_text_is_called_by_its_name() -> None:
    assert describe_error(SystemExit())[0] == "SystemExit"


class Odd(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise SystemExit("a trap")


def test_an_error_that_cannot_be_formatted_still_says_where_it_was_raised() -> None:
    _, trace = describe_error(catch(Odd("odd")))
    assert "in catch" in trace
    assert "Odd: odd" in trace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\n\tc", "a b c"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 296 + " ..."),
        ("y\n" * 5000, "y " * 141 + "y ... (5,000 lines)"),
    ],
)
def test_a_reason_is_one_line_that_says_what_is_left_out(text: str, expected: str) -> None:
    assert shorten_reason(text)[:280] == expected[:280]
    assert shorten_reason(text)[-15:] == expected[-15:]
    assert len(shorten_reason(text)) <= REASON_CHARACTERS


def test_a_log_is_whole_up_to_its_limit_and_has_start_and_end_beyond() -> None:
    text = "s" + "x" * (LOG_CHARACTERS - 2) + "e"
    assert shorten_log(text) == text
    short = shorten_log("start" + "x" * LOG_CHARACTERS + "end")
    assert short.startswith("start")
    assert short.endswith("end")
    assert "[... 8 characters are left out here ...]" in short
    assert len(short) < LOG_CHARACTERS + 100
