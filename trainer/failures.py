"""What an error says, as text that can be stored: one line for tables, and all of it for a log. Pure."""

from __future__ import annotations

import traceback

REASON_CHARACTERS = 300  # of the line in tables, tags and on the terminal
LOG_CHARACTERS = 2_000_000  # of the text in a log; of a longer one its start and its end


def describe_error(error: BaseException) -> tuple[str, str]:
    """An error in one line, and its traceback; whatever the error is, this raises nothing."""
    text = _read(error)
    name = type(error).__name__
    return shorten_reason(f"{name}: {text}" if text else name), shorten_log(_format_trace(error, f"{name}: {text}"))


def _read(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001  # of the error's own __str__
        return f"its text cannot be had, which raises {type(second).__name__}"


def _format_trace(error: BaseException, line: str) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001  # of the error's own notes, causes or texts
        return "".join(["Traceback:\n", *traceback.format_tb(error.__traceback__), line, "\n"])


def shorten_reason(text: str) -> str:
    """The text in one line of at most 300 characters; says of how many lines where some are left out."""
    text = _make_storable(text)
    line = " ".join(text.split())
    if len(line) <= REASON_CHARACTERS:
        return line
    num_lines = len(text.strip().splitlines())
    rest = f" ... ({num_lines:,} lines)" if num_lines > 1 else " ..."
    return line[: REASON_CHARACTERS - len(rest)] + rest


def shorten_log(text: str) -> str:
    """The text, of one above 2 million characters the first and the last million; says how many are left out."""
    text = _make_storable(text)
    left_out = len(text) - LOG_CHARACTERS
    if left_out <= 0:
        return text
    half = LOG_CHARACTERS // 2
    return f"{text[:half]}\n[... {left_out:,} characters are left out here ...]\n{text[-half:]}"


def _make_storable(text: str) -> str:
    """The text without what UTF-8 or a database does not take: halves of characters, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
