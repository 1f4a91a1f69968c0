"""Streams of random numbers: part of every result, so a change of them would make old ones unrepeatable."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sweeps.trials.seeds import derive_seed
from trainer.randomness import build_generator, stream_seed


def test_a_stream_begins_with_the_numbers_that_it_always_began_with() -> None:
    assert stream_seed(0, "order") == 10463917295019098459
    assert derive_seed(0, "search", 3) == 1208384358
    assert torch.randint(1000, (3,), generator=build_generator(0, "order")).tolist() == [365, 168, 897]


@given(seed=st.integers(0, 2**31 - 1), purpose=st.text(max_size=20))
def test_a_seed_of_a_sweep_has_31_bits_of_the_same_stream(seed: int, purpose: str) -> None:
    assert 0 <= derive_seed(seed, purpose) < 2**31
    assert derive_seed(seed, purpose) == stream_seed(seed, purpose) >> 33


@pytest.mark.parametrize("parts", [(0, "order", 1), (0, "order/1"), ("0/order", 1)])
def test_parts_may_be_joined_before(parts: tuple[str | int, ...]) -> None:
    assert stream_seed(*parts) == stream_seed("0/order/1")
