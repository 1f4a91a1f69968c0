"""TrialConfig: the settings of every trial, their contradictions, rows of the user's own.

Imports `tables`. A new setting is an entry in `trial_settings.py`.
"""

from trainer.config.config import (
    DEFAULT_ROWS,
    TABLES,
    TrialConfig,
    build_trial_config,
    find_row,
    find_setting,
    get_row,
    known_names,
    rows_with,
)
from trainer.config.trial_settings import SETTINGS
from trainer.tables.settings import Choice, ConfigError, Fault, Row, Setting, Value

__all__ = [
    "DEFAULT_ROWS",
    "SETTINGS",
    "TABLES",
    "Choice",
    "ConfigError",
    "Fault",
    "Row",
    "Setting",
    "TrialConfig",
    "Value",
    "build_trial_config",
    "find_row",
    "find_setting",
    "get_row",
    "known_names",
    "rows_with",
]
