"""How much a sweep file can hold: what nobody writes by hand, and every command reads in a second."""

import re

MAX_FILE_BYTES = 250_000
MAX_NODES = 10_000  # keys, values, lists and mappings, those that stand behind an alias each time
MAX_DEPTH = 30  # lists and mappings within each other
MAX_KEY_CHARACTERS = 200
MAX_OVERRIDES = 500
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # characters that no database takes: NUL, halves of a character
