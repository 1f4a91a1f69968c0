"""The sweep file: models, reading and writing it, what its parts must not say together, its JSON Schema.

Imports `search`, `stopping` and what lies below them. A new section is a model in `models.py`.
"""
