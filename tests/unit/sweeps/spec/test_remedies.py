"""What a message says to write is written in its place, and the file is better for it."""

import re
from pathlib import Path

import pytest

from sweeps.errors import SpecError, SpecFault
from sweeps.spec.file import load_spec_text

GOLDEN = (Path(__file__).parent / "sweep_faults.txt", Path(__file__).parents[1] / "cli" / "mistakes.txt")
REMEDY = re.compile(r"did you mean '?([^'?]+)'?\?|write (\S+) without quotes|; write (\d+) or \d+$|write (\d+)$")
TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s,:{}\[\]\"']+")


def read_files() -> list[str]:
    blocks = [block for path in GOLDEN for block in path.read_text().rstrip("\n").split("\n\n")]
    files = (re.split(r"\n(?:=> |\$ )", block)[0] for block in blocks)
    return list(dict.fromkeys(file + "\n" for file in files if file and not file.startswith(("#", "$"))))


def list_faults(text: str) -> tuple[SpecFault, ...]:
    try:
        load_spec_text(text, "x.yaml")
    except SpecError as error:
        return error.faults
    return ()


def apply(text: str, fault: SpecFault, remedy: str) -> str:
    """The text with the word at a fault's place replaced."""
    assert fault.line is not None
    assert fault.column is not None
    lines = text.split("\n")
    line, start = lines[fault.line - 1], fault.column - 1
    if named := re.match(r"'(\w+)' is no parameter", fault.message):  # within a constraint
        start = line.index(named[1], start)
    found = TOKEN.match(line, start)
    assert found is not None, (line, start)
    lines[fault.line - 1] = line[:start] + remedy + line[found.end() :]
    return "\n".join(lines)


def list_remedies() -> dict[str, tuple[str, SpecFault, str]]:
    found = {}
    for text in read_files():
        for fault in list_faults(text):
            remedy = REMEDY.search(fault.message)
            if remedy and fault.line is not None:
                word = next(group for group in remedy.groups() if group)
                found[f"{fault.message[-60:]} {text[-60:]}"] = (text, fault, word)
    return found


REMEDIES = list_remedies()


@pytest.mark.parametrize(("text", "fault", "remedy"), REMEDIES.values(), ids=REMEDIES)
def test_what_a_message_says_to_write_mends_the_fault(text: str, fault: SpecFault, remedy: str) -> None:
    after = list_faults(apply(text, fault, remedy))
    assert (fault.key_path, fault.message) not in [(each.key_path, each.message) for each in after]
    assert not any(
        "unknown" in each.message for each in after if (each.line, each.column) == (fault.line, fault.column)
    )


def test_there_are_many() -> None:
    assert len(REMEDIES) > 30
