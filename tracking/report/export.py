"""Rows of a sweep as the bytes of a file: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from enum import StrEnum

from tracking.analysis.rows import Row
from tracking.table import Value, format_value


class ExportFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


def encode_rows(rows: Sequence[Row], format_: ExportFormat) -> bytes:
    """The rows as a file.

    CSV: a line of names, then a line per row; what is missing is empty, and a text that would be read as a number is
    in JSON's quotes. JSON: a list of objects; what is missing is null. Parquet: a column has one type; one of numbers
    and texts is of texts, as CSV has them.

    Args:
        rows: To be written, at least one; all have the same columns.
        format_: Of the file.
    """
    if format_ is ExportFormat.JSON:
        return (json.dumps([_drop_nonfinite(row) for row in rows], indent=1, allow_nan=False) + "\n").encode()
    if format_ is ExportFormat.CSV:
        return _encode_csv(rows)
    return _encode_parquet(rows)


def _drop_nonfinite(row: Row) -> dict[str, Value]:
    """A row without NaN and infinities, which JSON does not have."""
    return {key: None if isinstance(cell, float) and not math.isfinite(cell) else cell for key, cell in row.items()}


def _encode_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow("" if row[name] in (None, "") else format_value(row[name]) for name in rows[0])
    return text.getvalue().encode()


def _encode_parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: pa.array(_unify([row[name] for row in rows])) for name in rows[0]}
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays), buffer)
    return buffer.getvalue()


def _unify(cells: list[Value]) -> list[Value]:
    """The cells of a column in one type: whole numbers beside fractions become fractions, other mixtures texts."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) <= 1:
        return cells
    if kinds == {int, float}:
        return [None if cell is None else float(cell) for cell in cells]
    return [None if cell is None else format_value(cell) for cell in cells]
