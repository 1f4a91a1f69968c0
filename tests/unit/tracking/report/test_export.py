"""Rows as files, read back by the libraries that people read them with."""

from __future__ import annotations

import io
import json
import math

import pandas as pd
import pytest

from tracking.report.export import ExportFormat, encode_rows
from tracking.table import Value, parse_value

ROWS: tuple[dict[str, Value], ...] = (
    {"name": 'a,"b"\nc', "lr": 0.1 + 0.2, "batch_size": 64, "flip": True, "nothing": None, "size": 1, "text": "é"},
    {"name": "12", "lr": None, "batch_size": "full", "flip": None, "nothing": None, "size": 2.5, "text": ""},
)


def test_json_keeps_every_value_and_its_type() -> None:
    assert json.loads(encode_rows(ROWS, ExportFormat.JSON)) == list(ROWS)


def test_what_json_has_no_word_for_is_null() -> None:
    content = encode_rows([{"a": math.nan, "b": math.inf, "c": 1.0}], ExportFormat.JSON)
    assert json.loads(content) == [{"a": None, "b": None, "c": 1.0}]


def test_csv_keeps_every_value_and_its_type() -> None:
    found = pd.read_csv(io.BytesIO(encode_rows(ROWS, ExportFormat.CSV)), dtype=str, keep_default_na=False)
    cells = [
        {name: parse_value(cell) if cell else None for name, cell in row.items()} for row in found.to_dict("records")
    ]
    assert cells == [ROWS[0], {**ROWS[1], "text": None}]


def test_parquet_has_one_type_in_a_column() -> None:
    found = pd.read_parquet(io.BytesIO(encode_rows(ROWS, ExportFormat.PARQUET)))
    first, second = found["lr"]
    assert first == 0.1 + 0.2
    assert math.isnan(second)
    assert list(found["batch_size"]) == ["64", "full"]
    assert list(found["size"]) == [1.0, 2.5]
    assert list(found["flip"]) == [True, None]
    assert list(found["name"]) == [ROWS[0]["name"], "12"]
    assert found["nothing"].isna().all()


@pytest.mark.parametrize("format_", ExportFormat)
def test_a_single_row_is_a_table(format_: ExportFormat) -> None:
    content = encode_rows(ROWS[:1], format_)
    read = {ExportFormat.CSV: pd.read_csv, ExportFormat.JSON: pd.read_json, ExportFormat.PARQUET: pd.read_parquet}
    assert list(read[format_](io.BytesIO(content)).columns) == list(ROWS[0])
