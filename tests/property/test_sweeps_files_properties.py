"""Whatever becomes of a sweep file, reading it gives a sweep or a list of faults, and takes no time."""

import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweeps.errors import SpecError
from sweeps.reader.text import write_text
from sweeps.space.arms import from_unit_cube, num_dimensions, searched, size
from sweeps.space.parameters import DISTRIBUTIONS
from sweeps.spec import SweepSpec, dump_spec, load_spec
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.spec.parse import PARAMETER_KEYS
from trainer.config import TABLES, known_names

SECONDS = 4.0  # of the processor; a quiet machine takes a fraction of it
THOROUGH = settings.get_current_profile_name() == "thorough"
MUTATED = settings(
    max_examples=10_000 if THOROUGH else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
EXAMPLES = [file.read_text() for file in sorted((Path(__file__).parents[2] / "sweeps" / "examples").glob("*.yaml"))]
NUMBERS = (
    "0 1 -1 2 1.0 -0.0 1e-300 1e300 1e309 -1e308 9007199254740993 99999999999999999999 0x7fffffffffffffff 1_0 .5 5."
)
SIGNS = "& * &a *a ! !! !!int !!python/object:x | > ' \" { } [ ] , : - ? # % @ ` << <<: -- --- ... ~ = + ** 9**9**9"
WORDS = (
    "null true false yes no .inf -.inf .nan nan default sweep all NULL 2026-11-26 12:30:45 ../.. /dev/zero a:b :x x:"
)
TAGGED = ["!!int ''", "!!int x", "!!float _", "!!bool x", "!!null x", "!!str 1", "!!map x", "!!seq {}", "! x", "!<x> y"]
STRANGE = [
    "\0",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\x85",
    "\x1b[31m",
    "\t",
    "\r",
    "é",
    "🎉",
    "[" * 40,
    "{a: " * 40,
    "9" * 400,
]
STRANGE += ["\n%YAML 1.1\n---\n", "\n%YAML 9.9\n---\n", "\n%TAG ! x:\n---\n", "\n...\n", "\n---\n"]
NAMES = [
    *sorted(known_names()),
    *SweepSpec.model_fields,
    *DISTRIBUTIONS,
    *PARAMETER_KEYS,
    *(row for rows in TABLES.values() for row in rows),
]
POOL = [*NUMBERS.split(), *SIGNS.split(), *WORDS.split(), *STRANGE, *TAGGED, *NAMES]


def mutate_bytes(content: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(content) + 1)
    end = min(len(content), start + dice.choice([0, 0, 1, 1, 2, 8, 100]))
    new = dice.choice(
        [b"", dice.randbytes(dice.randrange(1, 5)), content[end : end + 20], bytes([dice.randrange(128)])]
    )
    return content[:start] + new + content[end:]


def mutate_lines(content: bytes, dice: random.Random) -> bytes:
    lines = content.split(b"\n")
    first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(5):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(first, lines[second])
        case 2:
            del lines[first]
        case 3:
            lines[first] = b" " * dice.randrange(9) + lines[first].lstrip()
        case _:
            lines[first:first] = lines[second : second + 9]
    return b"\n".join(lines)


def mutate_tokens(content: bytes, dice: random.Random) -> bytes:
    tokens = re.split(r"(\w+|\s+)", content.decode("utf-8", "replace"))
    position = dice.randrange(len(tokens))
    tokens[position] = dice.choice([dice.choice(POOL), dice.choice(tokens), tokens[position] + dice.choice(POOL)])
    return "".join(tokens).encode("utf-8", "replace")


def mutate_nodes(content: bytes, dice: random.Random) -> bytes:
    """Exchanges, doubles, renames or removes a part of the tree."""
    try:
        tree = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except Exception:  # noqa: BLE001  # an earlier mutation has made it unreadable
        return mutate_tokens(content, dice)
    places = list_places(tree)
    if not places:
        return mutate_tokens(content, dice)
    holder, key = dice.choice(places)
    other_holder, other_key = dice.choice(places)
    match dice.randrange(5):
        case 0:
            holder[key] = draw_value(dice, 3)
        case 1:
            holder[key] = other_holder[other_key]
        case 2:
            del holder[key]
        case 3 if isinstance(holder, dict):
            holder[dice.choice(NAMES)] = holder.pop(key)
        case _:
            if isinstance(holder[key], dict):
                holder[key][dice.choice(NAMES)] = draw_value(dice, 2)
            elif isinstance(holder[key], list):
                holder[key].append(draw_value(dice, 2))
            else:
                holder[key] = [holder[key], holder[key]]
    try:
        return write_text(tree).encode("utf-8", "surrogatepass")
    except (RecursionError, TypeError, ValueError):  # a part that holds itself, a key that is no text
        return mutate_tokens(content, dice)


def list_places(tree: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every (mapping or list, key or index)."""
    if depth > 30 or not isinstance(tree, dict | list):
        return []
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    return [(tree, key) for key in keys] + [place for key in keys for place in list_places(tree[key], depth + 1)]


def draw_value(dice: random.Random, depth: int) -> Any:
    simple: list[Callable[[], Any]] = [
        lambda: dice.choice([None, True, False, 0, 1, -1, 2**53, 2**62, 0.1, 1e-300, 1e300, -1e308, 5e-324]),
        lambda: dice.choice(POOL),
        lambda: dice.uniform(-10, 10),
        lambda: dice.randrange(-10, 10**6),
    ]
    nested: list[Callable[[], Any]] = [
        lambda: [draw_value(dice, depth - 1) for _ in range(dice.randrange(5))],
        lambda: {dice.choice(NAMES): draw_value(dice, depth - 1) for _ in range(dice.randrange(5))},
        lambda: (
            {
                key: draw_value(dice, 0)
                for key in ("distribution", "min", "max", "q", "mu", "sigma")
                if dice.random() < 0.6
            }
            | {"distribution": dice.choice([*DISTRIBUTIONS])}
        ),
    ]
    return dice.choice(simple + (nested if depth > 0 else []))()


MUTATIONS = [mutate_bytes, mutate_lines, mutate_tokens, mutate_nodes]


def read(path: Path, overrides: Sequence[str] = ()) -> SweepSpec | None:
    """The sweep of a file; None where it has faults, each of which can be shown."""
    error = None
    try:
        return load_spec(path, overrides)
    except SpecError as caught:
        error = caught
    assert error.faults
    assert all(fault.message and fault.source for fault in error.faults)
    assert len(str(error).splitlines()) >= 1
    return None


def check_file(path: Path) -> bool:
    """Reads a file as `validate` does, draws from its arms, and reads what is written of it again.

    Returns whether it was a sweep.
    """
    start = time.process_time()
    spec = read(path)
    if spec is not None:
        arms = build_arms(spec)
        assert set(num_search_trials(spec, arms)) == {arm.name for arm in arms}
        for arm in arms[:5]:
            assert size(arm) is None or size(arm)
            assert len(searched(arm)) <= len(NAMES)
            for coordinate in (0.0, 0.3, 1.0):
                from_unit_cube(arm, np.full(num_dimensions(arm), coordinate))
        path.write_text(dump_spec(spec), "utf-8")
        assert load_spec(path) == spec
    assert time.process_time() - start < SECONDS
    return spec is not None


@MUTATED
@given(
    text=st.sampled_from(EXAMPLES),
    seed=st.integers(0, 2**32),
    mutations=st.lists(st.sampled_from(MUTATIONS), max_size=8),
)
def test_a_mutated_file_is_a_sweep_or_a_list_of_faults(
    text: str, seed: int, mutations: list[Callable[[bytes, random.Random], bytes]], tmp_path: Path
) -> None:
    content, dice = text.encode(), random.Random(seed)
    for mutate in mutations:
        content = mutate(content, dice)
    file = tmp_path / "sweep.yaml"
    file.write_bytes(content)
    check_file(file)


@MUTATED
@given(
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
)
@example(content=b"")
def test_any_bytes_are_a_sweep_or_a_list_of_faults(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_bytes(content)
    check_file(file)


@MUTATED
@given(
    text=st.sampled_from(EXAMPLES),
    overrides=st.lists(
        st.tuples(
            st.lists(st.sampled_from([*SweepSpec.model_fields, *NAMES, "", " ", "0"]), min_size=1, max_size=5).map(
                ".".join
            ),
            st.one_of(st.sampled_from(POOL), st.text(max_size=20)),
        ).map("=".join),
        max_size=4,
    ),
)
def test_any_overrides_are_laid_over_a_file_or_faults(text: str, overrides: list[str], tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    read(file, overrides)


pytestmark = pytest.mark.timeout(7200 if THOROUGH else 300)
