"""The sweep file: models, reading and writing it, what its parts must not say together, its JSON Schema.

Imports `search`, `stopping` and what lies below them. A new section is a model in `models.py`.
"""

from sweeps.spec.file import dump_spec, load_recorded_text, load_spec, load_spec_text
from sweeps.spec.models import Budget, Floor, Metric, Resources, SweepSpec
from sweeps.spec.schema import build_json_schema, format_json_schema
from sweeps.trials.confirm import Confirm, Select

__all__ = [
    "Budget",
    "Confirm",
    "Floor",
    "Metric",
    "Resources",
    "Select",
    "SweepSpec",
    "build_json_schema",
    "dump_spec",
    "format_json_schema",
    "load_recorded_text",
    "load_spec",
    "load_spec_text",
]
