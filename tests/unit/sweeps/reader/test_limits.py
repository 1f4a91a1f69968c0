"""Files that would keep a reader busy are refused with a place, or read, within two seconds of a quiet machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from sweeps.errors import SpecError
from sweeps.spec import SweepSpec, dump_spec, load_spec

SECONDS = 4.0  # of the processor; a quiet machine takes a fraction of it
GRID = "method: grid\nparameters:\n"
RANDOM = "method: random\nbudget: {trials: 3}\n"
LR = "parameters:\n  lr: {min: 0.1, max: 0.5}\n"


def alias_bomb(first: str, build: str) -> str:
    """Eleven lines, each with nine aliases of the one before."""
    lines = [f"a0: &a0 {first}"]
    for number in range(1, 12):
        inner = ", ".join(f"k{index}: *a{number - 1}" for index in range(9))
        lines.append(f"a{number}: &a{number} {build % inner}")
    return "\n".join(lines) + "\n"


def list_numbers(count: int) -> str:
    return ", ".join(str(number) for number in range(1, count + 1))


def table_values() -> str:
    """All rows of all tables: some 60,000 combinations."""
    from trainer.config import TABLES

    return "".join(f"  {table}: {{values: [{', '.join(rows)}]}}\n" for table, rows in TABLES.items())


ALIASES = alias_bomb("[x, x, x]", "{%s}") + GRID + "  lr: {values: *a11}\n"
GROUPS = alias_bomb("{lr: 0.1}", "{parameters: {%s}}") + GRID + "  g: *a11\n"
KEYS = ", ".join(f"k{number}: 1" for number in range(1000))
MERGE = f"{{<<: [{', '.join(['*a'] * 4)}]}}"
MERGES = f"a: &a {{{KEYS}}}\nname: {MERGE}\nproject: {MERGE}\nmethod: {MERGE}\n"
FALLS = {
    "20,000 keys": ("\n".join(f"k{number}: 1" for number in range(20_000)), "5000:8: too many keys and values"),
    "unknown keys": ("\n".join(f"key{number}: 1" for number in range(4900)), "1:1: key0: unknown key; "),
    "unknown parameters": (
        GRID + "".join(f"  key{number}: 1\n" for number in range(4900)),
        "3:3: parameters.key0: unknown parameter; ",
    ),
    "one key many times": ("name: a\n" * 4900, "2:1: name: is given twice, first in line 1; keep one"),
    "wrong values": (
        GRID + f"  optimizer: {{values: [{', '.join(f'adan{number}' for number in range(4900))}]}}\n",
        "3:166: parameters.optimizer.values.19: found 'adan19'; ",
    ),
    "tags": ("\n".join(f"k{number}: !!python/object:os.system x" for number in range(2500)), "1:5: k0: the YAML tag "),
    "aliases": (ALIASES, "5:5: a4: stands for "),
    "aliases of groups": (
        GROUPS,
        "5:22: a4.parameters: stands for 29,521 keys and values; allowed: 10,000; use fewer aliases",
    ),
    "merges": (MERGES, "4:10: method.<<: too many keys and values; allowed: 10,000"),
    "lists in lists": (GRID + "  lr: " + "[" * 10_000, "3:35: more than 30 lists and mappings within each other"),
    "mappings in mappings": ("{a: " * 10_000, "1:118: more than 30 lists and mappings"),
    "indents": ("\n".join(" " * number + "a:" for number in range(600)), "30:30: more than 30 lists and mappings"),
    "digits": (GRID + f"  batch_size: {'9' * 100_000}\n", "3:15: parameters.batch_size: '9999"),
    "hexadecimal digits": (
        GRID + f"  lr: 0x{'F' * 100_000}\n",
        "3:7: parameters.lr: a whole number of more than 64 bits",
    ),
    "numbers with one hash": (
        GRID + f"  lr: {{values: [{', '.join(str(number * (2**61 - 1)) for number in range(1, 9000))}]}}\n",
        "3:",
    ),
    "a long key": ("x" * 1000 + ": 1\n", "1:1: a key of 1,000 characters; allowed: 200; shorten it"),
    "NUL in a text": ('name: "a\\0b"\n' + GRID + "  lr: 0.1\n", "1:7: name: the character '\\x00' cannot be stored"),
    "half a character": ('name: "\\uD800"\n' + GRID + "  lr: 0.1\n", "1:7: name: the character '\\ud800' cannot be"),
    "NUL in a key": ('parameters: {"\\0": 1}\nmethod: grid\n', "1:14: parameters: the character '\\x00' cannot be"),
    "constraints": (
        RANDOM + "constraints:\n" + "".join(f"  - lr < {number}\n" for number in range(4000)) + LR,
        "3:1: constraints: found 4000; allowed: 50; join some with `and`",
    ),
    "a power": (RANDOM + "constraints: ['lr < 9**9**9**9']\n" + LR, "3:15: constraints.0: "),
    "brackets": (RANDOM + f"constraints: ['{'(' * 240}lr{')' * 240} < 1']\n" + LR, "3:15: constraints.0: found '(((("),
    "points": (
        RANDOM + "points:\n" + "".join(f"  - {{lr: {number}}}\n" for number in range(1, 2400)) + LR,
        "4:5: points.0: lr: 1 is nothing that the parameters say; change it",
    ),
    "earlier sweeps": (
        f"method: bayes\nbudget: {{trials: 3}}\nprior: [{', '.join(f's{number}' for number in range(4900))}]\n" + LR,
        "3:1: prior: found 4900 sweeps; allowed: 100; name fewer",
    ),
    "a grid to compare with constraints": (
        "method: grid\nconstraints: [lr < 1, lr > 0]\nparameters:\n"
        f"  lr: {{values: [{list_numbers(150)}]}}\n  batch_size: {{values: [{list_numbers(150)}]}}\n",
        "1:9: method: the grid has 22,500 trials to compare with 2 constraints; allowed: 10,000; give fewer values",
    ),
    "all rows of all tables, compared": (
        "compare: [optimizer, initializer, loss]\n"
        + RANDOM
        + "parameters:\n  lr: {min: 0.1, max: 0.5}\n"
        + table_values(),
        "1:10: compare: makes 1,008 arms; allowed: 1,000",
    ),
    "multiples of next to nothing": (
        RANDOM + "parameters:\n  lr: {distribution: q_uniform, min: 0.1, max: 0.5, q: 1e-300}\n",
        "4:56: parameters.lr.q: 1e-300 is too small for a range of this width",
    ),
    "numbers beyond all bounds": (
        RANDOM + "parameters:\n  lr: {distribution: q_normal, mu: 1e308, sigma: 1e308, q: 1e-300}\n",
        "4:50: parameters.lr.sigma: the values are too large to compute in",
    ),
    "zeros": ("\0" * 100_000, "1:1: the character '\\x00' is not allowed in YAML"),
}


@pytest.mark.parametrize("kind", FALLS)
def test_a_file_that_would_take_long_is_refused_in_time(tmp_path: Path, kind: str) -> None:
    text, expected = FALLS[kind]
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert time.process_time() - start < SECONDS
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{file}:{expected}") for line in lines), lines[:5]
    assert len(lines) <= 51
    assert max(map(len, lines)) < 2_800


READ = {
    "values": GRID + f"  batch_size: {{values: [{list_numbers(4900)}]}}\n",
    "arms": f"compare: lr\n{GRID}  lr: {{values: [{list_numbers(1000)}]}}\n",
    "lines of a text": "description: |\n" + "  abc def ghi jkl\n" * 13_000 + GRID + "  lr: 0.1\n",
    "comments": "# x\n\n" * 40_000 + GRID + "  lr: 0.1\n",
    "escapes": f'description: "{"a" + chr(92) + "x07"}{chr(92) + "U0001F389"}"\n' + GRID + "  lr: 0.1\n",
    "a mark of the byte order": "\ufeff" + GRID + "  lr: 0.1\n",
    "constraints": RANDOM + "constraints:\n" + "".join(f"  - {'lr < 1 and ' * 8}lr < {n}\n" for n in range(1, 50)) + LR,
    "changes": RANDOM
    + "parameters:\n  epochs: 300\n  lr: {min: 0.1, max: 1}\n  batch_size: {values: [32, 64, 128]}\n"
    + "  optimizer: {values: [sgd, adam, momentum, rmsprop]}\n"
    + "  changes: '{"
    + ",".join(f'"{epoch}":{{"lr":0.1}}' for epoch in range(1, 235))
    + "}'\n",
    "a grid with a constraint": "method: grid\nconstraints: [momentum < 1]\nparameters:\n  optimizer: momentum\n"
    f"  lr: {{values: [{list_numbers(99)}]}}\n  batch_size: {{values: [{list_numbers(199)}]}}\n",
    "points": RANDOM
    + "points:\n"
    + "".join(f"  - {{batch_size: {number}}}\n" for number in range(1, 1200))
    + LR
    + f"  batch_size: {{values: [{list_numbers(4900)}]}}\n",
}


@pytest.mark.parametrize("kind", READ)
def test_a_large_file_is_read_and_written_in_time(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(READ[kind])
    start = time.process_time()
    spec = load_spec(file)
    assert time.process_time() - start < SECONDS
    file.write_text(dump_spec(spec))
    assert load_spec(file) == spec


def test_what_would_be_too_large_to_read_again_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(f'description: "{chr(92) + "a"}{"x" * 100_000}{(chr(92) + "a") * 60_000}"\n' + GRID + "  lr: 0.1\n")
    dump_spec(load_spec(file))
    file.write_text('description: "' + "\ufeff" * 80_000 + '"\n' + GRID + "  lr: 0.1\n")
    with pytest.raises(SpecError, match=r"with all defaults it is .* keys and values in 480,.* bytes"):
        dump_spec(load_spec(file))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["a=1"] * 501, "--set: given 501 times; allowed: 500; write a file"),
        ([".".join(["a"] * 31) + "=1"], "more than 30 keys below each other; write fewer"),
        (["name=" + "x" * 250_001], "larger than 250 kB; write a file"),
        ([f"parameters.batch_size={{values: [{list_numbers(4000)}]}}"] * 3, "too many keys and values; allowed: 1,98"),
        (["name=" + "[" * 1000], "more than 30 lists and mappings within each other"),
        ([f"a{number}=1" for number in range(500)], "unknown key"),
    ],
)
def test_overrides_have_limits_too(tmp_path: Path, overrides: list[str], message: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(GRID + "  lr: 0.1\n")
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_spec(file, overrides)
    assert time.process_time() - start < SECONDS
    assert message in str(caught.value)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in [
        (tmp_path / "pipe", "this is no file but a pipe or a device; to read from one, write - and redirect it"),
        (Path("/dev/zero"), "this is no file but a pipe or a device"),
        (tmp_path, "this is a directory; give a sweep file"),
        (tmp_path / ("x" * 300), "the file cannot be read: File name too long"),
        (tmp_path / "pipe" / "x.yaml", "the file cannot be read: Not a directory"),
        (Path("a\0b"), "the file cannot be read: embedded null byte"),
    ]:
        with pytest.raises(SpecError, match=message):
            load_spec(path)


def test_endless_standard_input_is_read_as_far_as_a_file_can_be_long() -> None:
    with Path("/dev/zero").open("rb") as zeros:
        done = subprocess.run(
            [sys.executable, "-m", "sweeps.cli", "validate", "-"],
            stdin=zeros,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (2, "<stdin>: larger than 250 kB; this is not a sweep file\n")


def test_a_file_as_large_as_a_disk_is_refused_by_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(SpecError, match="larger than 250 kB"):
        load_spec(file)


@pytest.mark.parametrize("text", ["a\0b", "a\udc80b"])
def test_a_spec_made_in_python_has_no_text_that_cannot_be_stored(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(GRID + "  lr: 0.1\n")
    spec = load_spec(file).model_dump()
    with pytest.raises(ValidationError, match="cannot be stored; remove it"):
        SweepSpec.model_validate(spec | {"description": text})
