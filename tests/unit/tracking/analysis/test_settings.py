from __future__ import annotations

import pytest

from tracking.analysis.settings import is_logarithmic, is_number_line, level_key
from tracking.table import Value


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("lr", (0.1, 0.2), True),
        ("batch_size", (32, 64, 128), False),
        ("width", tuple(range(9)), True),
        ("width", (*range(9), "auto"), False),
        ("flip", (True, False), False),
    ],
)
def test_what_is_a_number_and_what_a_choice(name: str, values: tuple[Value, ...], expected: bool) -> None:
    assert is_number_line(name, values) is expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [("lr", (0.1, 0.2), True), ("rho", (1.0, 19.0), False), ("rho", (1.0, 21.0), True), ("rho", (0.0, 21.0), False)],
)
def test_what_is_looked_at_on_its_logarithm(name: str, values: tuple[float, ...], expected: bool) -> None:
    assert is_logarithmic(name, values) is expected


def test_numbers_come_by_size_before_words_by_name() -> None:
    assert sorted(["none", 128, 32, "auto"], key=level_key) == [32, 128, "auto", "none"]
