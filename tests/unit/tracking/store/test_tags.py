import json
import time

import pytest

from tracking.store.tags import MAX_LENGTH, MAX_TAGS, batch_tags, escape_unstorable, join_tags, split_tags


@pytest.mark.parametrize("text", ["", "a", "x" * MAX_LENGTH, "x" * (MAX_LENGTH + 1), "実" * 100_000])
def test_a_text_of_any_length_comes_back(text: str) -> None:
    shown = split_tags({"a": text, "b": "2"})
    assert max(map(len, shown.values())) <= MAX_LENGTH
    assert {key: join_tags(shown)[key] for key in ("a", "b")} == {"a": text, "b": "2"}


def test_calls_stay_below_what_a_server_takes() -> None:
    tags = split_tags({"a": "🎉" * 300_000, **{f"t{number}": "x" for number in range(250)}})
    batches = batch_tags(tags)
    assert {key: text for batch in batches for key, text in batch.items()} == tags
    assert max(map(len, batches)) <= MAX_TAGS
    assert max(len(json.dumps(batch)) for batch in batches) < 700_000
    assert batch_tags({}) == [{}]


@pytest.mark.parametrize("num_parts", ["99999999999999999999", "9" * 5000, "²", "-1", "x", ""])
def test_a_number_of_parts_that_nobody_wrote_costs_no_time(num_parts: str) -> None:
    start = time.monotonic()
    assert join_tags({"a": "x", "a.2": "y", "a.parts": num_parts})["a"] in ("x", "xy")
    assert time.monotonic() - start < 1


def test_characters_that_a_database_refuses_are_told_by_their_number() -> None:
    assert escape_unstorable("a\0b\udc80é") == "a\\x00b\\udc80é"
    assert split_tags({"a": "\0"}) == {"a": "\\x00"}
