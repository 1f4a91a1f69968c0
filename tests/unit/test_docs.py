"""What the pages say is so: generated ones are current, links lead somewhere, commands parse, examples run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import run_forked
from reference import FOLDER, build_pages
from typer.main import get_command

from sweeps.cli.app import app
from sweeps.spec import load_spec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "docker" / "README.md", ROOT / "tests" / "README.md"]
CHEAP = ("validate", "plan", "schema")  # commands of the pages that are run as they stand there
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def list_blocks(*languages: str) -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            if language in languages:
                yield page, block


def split_command(text: str) -> list[str]:
    """The words of a command of ours; none where the text is something else, or leaves words out."""
    if not re.match(r"\s*(sweeps|make|python) ", text):
        return []
    words = shlex.split(text, comments=True)
    return [] if len(words) == 1 or "COMMAND" in words or "..." in words else words


def list_commands() -> dict[str, list[str]]:
    """Each command of a block."""
    lines = [
        line.removeprefix("$ ")
        for _, block in list_blocks("console", "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    found = [split_command(part) for line in lines for part in re.split(r";|\s#\s", line)]
    return {" ".join(words): words for words in found if words}


def list_mentioned() -> dict[str, list[str]]:
    """Each command of the running text, which may leave arguments out."""
    found = [split_command(code) for page in PAGES for code in re.findall(r"`([^`\n]+)`", page.read_text())]
    return {" ".join(words): words for words in found if words}


COMMANDS, MENTIONED = list_commands(), list_mentioned()


def test_the_reference_is_that_of_the_code() -> None:
    for name, text in build_pages().items():
        assert (FOLDER / name).read_text() == text, "make docs"


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            place = page.parent / target if target else page
            assert place.exists(), f"{page}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)", place.read_text(), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-") for each in headings}


def check_place(words: list[str]) -> None:
    """Raises where a program, or a target of make, is none."""
    program, *arguments = words
    if program == "make":
        assert [each for each in arguments if "=" not in each and each not in TARGETS] == []
    if program == "python":
        assert arguments[0] == "-c" or (ROOT / arguments[0]).exists()


def parse(arguments: list[str], *, whole: bool = True) -> None:
    """Raises where the command line does not take these arguments; or, unless `whole`, not these options."""
    group: Any = get_command(app)
    name, *rest = [each for each in arguments if each != "--debug"]
    command = group.commands[name]
    if whole:
        command.make_context(name, rest)
    else:
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert [each for each in rest if each.startswith("-") and each.strip("[]") not in known] == []


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_of_a_block_can_be_given(words: list[str]) -> None:
    check_place(words)
    if words[0] == "sweeps":
        parse(words[1:])


@pytest.mark.parametrize("words", MENTIONED.values(), ids=MENTIONED)
def test_every_command_of_the_text_has_its_options(words: list[str]) -> None:
    check_place(words)
    if words[0] == "sweeps":
        parse(words[1:], whole=False)


def test_wrong_commands_would_be_noticed() -> None:
    assert len(COMMANDS) > 25
    assert len(MENTIONED) > 25
    for whole in (True, False):
        with pytest.raises((Exception, AssertionError), match="frobnicate"):
            parse(["run", "x", "--frobnicate"], whole=whole)
    with pytest.raises(AssertionError):
        check_place(["make", "nothing"])


RUN = {  # a plan starts a Ray, so one of them is enough
    name: words
    for name, words in COMMANDS.items()
    if words[1] in CHEAP and words[2] != "bad.yaml" and not (words[1] == "plan" and "--set" in words)
}


@pytest.mark.parametrize("words", RUN.values(), ids=RUN)
def test_cheap_commands_run_as_they_stand(words: list[str]) -> None:
    done = run_forked([sys.executable, "-m", "sweeps.cli", *words[1:]], cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_sweep_files_of_the_pages_are_right(tmp_path: Path) -> None:
    blocks = [block for _, block in list_blocks("yaml") if "parameters:" in block and "mine:" not in block]
    assert blocks
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block)
        load_spec(tmp_path / f"{number}.yaml")
