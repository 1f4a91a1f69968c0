"""TrialConfig: every setting of one training run, checked; and the tables that the settings come from.

A configuration is written as flat parameters, `{"optimizer": "adam", "lr": 0.001, "epochs": 10, ...}`: the settings
that every trial has (`SETTINGS`), one row of each table (`TABLES`) by name, and the settings of the rows chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar, cast

from trainer.config.changes import CHANGES, FIXED, is_off, parse_changes
from trainer.config.contradictions import find_contradictions
from trainer.config.own_rows import OwnRowError, is_own, load_own_row
from trainer.config.trial_settings import SETTINGS
from trainer.tables.initializers import INITIALIZERS
from trainer.tables.losses import LOSSES
from trainer.tables.models import MODELS
from trainer.tables.optimizers import OPTIMIZERS
from trainer.tables.schedules import SCHEDULES
from trainer.tables.settings import Choice, ConfigError, Fault, FrozenSettings, Row, Setting, Value, did_you_mean, show

TABLES: Mapping[str, Mapping[str, Row]] = {
    "optimizer": OPTIMIZERS,
    "initializer": INITIALIZERS,
    "model": MODELS,
    "loss": LOSSES,
    "schedule": SCHEDULES,
}

# The row of each table that is meant when none is named.
DEFAULT_ROWS: Mapping[str, str] = {
    "optimizer": "adam",
    "initializer": "he_normal",
    "model": "fastcnn",
    "loss": "cross_entropy",
    "schedule": "constant",
}


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True)
class _TableSetting(Setting):
    """The choice of a row, which may be one that the user brings."""

    def check(self, value: object) -> str | None:
        """What is wrong with a name, None when there is such a row."""
        if not is_own(value):
            return super().check(value)
        try:
            load_own_row(self.name, str(value))
        except OwnRowError as error:
            return str(error)
        return None


_TABLE_SETTINGS: Mapping[str, Setting] = {
    table: _TableSetting(
        table,
        f"Row of the table of {table} choices",
        "str",
        DEFAULT_ROWS[table],
        choices=tuple(rows),
        aliases=tuple((alias, row.name) for row in rows.values() for alias in row.aliases),
    )
    for table, rows in TABLES.items()
}


@dataclass(frozen=True)
class TrialConfig:
    """Every setting of one training run, complete and free of contradictions; made by `build_trial_config`.

    What each field means, its unit and range, is in `SETTINGS` under the same name; the last five are rows of `TABLES`.
    """

    dataset: str
    data_dir: str | None
    train_size: int | None
    evaluate_on: str
    batch_size: int | str
    epochs: int
    seed: int
    precision: str
    compile: bool
    crop_padding: int
    crop_padding_mode: str
    flip: bool
    cutout_size: int
    brightness_jitter: float
    saturation_jitter: float
    contrast_jitter: float
    standardization: str
    mixup_alpha: float
    gradient_clip_norm: float | None
    ema_decay: float | None
    measure_curvature: bool
    warmup_epochs: float
    early_stopping_patience: int | None
    early_stopping_min_delta: float
    changes: str | None
    optimizer: Choice
    initializer: Choice
    model: Choice
    loss: Choice
    schedule: Choice

    def to_parameters(self) -> dict[str, Value]:
        """The flat parameters, defaults included; `build_trial_config` makes an equal configuration of them."""
        parameters: dict[str, Value] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Choice):
                parameters[field.name] = value.name
                parameters.update(value.settings)
            else:
                parameters[field.name] = value
        return parameters

    def after(self, num_epochs: int) -> TrialConfig:
        """The configuration of the epoch that follows on a number of epochs, with no changes of its own."""
        if self.changes is None:
            return self
        return _build_phases(self)[num_epochs]


@functools.lru_cache(maxsize=64)
def _build_phases(config: TrialConfig) -> Sequence[TrialConfig]:
    """The configuration of each epoch."""
    parameters: dict[str, Value] = {**config.to_parameters(), CHANGES: None}
    changes, phases = parse_changes(str(config.changes)), [build_trial_config(parameters)]
    for epoch in range(1, config.epochs):
        parameters |= _spell_as_it_is(changes.get(epoch, {}), config)
        phases.append(build_trial_config(parameters) if epoch in changes else phases[-1])
    return phases


def find_row(table: str, name: str) -> Row | None:
    """The row of a table that has this name or this alias, or that the user brings; None when there is none."""
    if is_own(name):
        try:
            return load_own_row(table, name)
        except OwnRowError:
            return None
    return TABLES[table].get(str(_TABLE_SETTINGS[table].convert(name)))


def get_row(kind: type[RowT], table: str, choice: Choice) -> RowT:
    """The row that a configuration has chosen, typed as that of its table."""
    row = find_row(table, choice.name)
    assert isinstance(row, kind)
    return row


def find_setting(name: str, chosen: Mapping[str, str]) -> Setting | None:
    """The setting of a name: of every trial, of the tables themselves, or of one of the rows chosen.

    Args:
        name: Flat name of the parameter.
        chosen: Table to row name or alias; a table left out has its default row, an unknown row has no settings.
    """
    if name in SETTINGS:
        return SETTINGS[name]
    if name in _TABLE_SETTINGS:
        return _TABLE_SETTINGS[name]
    for table in TABLES:
        row = find_row(table, chosen.get(table, DEFAULT_ROWS[table]))
        for setting in row.settings if row else ():
            if setting.name == name:
                return setting
    return None


def rows_with(name: str) -> tuple[tuple[str, str], ...]:
    """Every (table, row name) whose row has a setting of that name."""
    return tuple(
        (table, row.name)
        for table, rows in TABLES.items()
        for row in rows.values()
        if any(setting.name == name for setting in row.settings)
    )


@functools.cache
def known_names() -> frozenset[str]:
    """The names of all parameters there are, whatever is chosen."""
    row_names = (each.name for rows in TABLES.values() for row in rows.values() for each in row.settings)
    return frozenset((*SETTINGS, *TABLES, *row_names))


def build_trial_config(parameters: Mapping[str, object]) -> TrialConfig:
    """The configuration that flat parameters describe, with the default of everything they leave out.

    Args:
        parameters: Flat name to value. A table's name chooses its row; a row's settings stand beside it.

    Raises:
        ConfigError: With every fault: unknown names, settings that nothing chosen has, values of the wrong type or out
            of range, and contradictions.
    """
    faults: list[Fault] = []
    chosen: dict[str, str] = {}
    for table in TABLES:
        name = parameters.get(table, DEFAULT_ROWS[table])
        message = _TABLE_SETTINGS[table].check(name)
        if message is None:
            chosen[table] = str(_TABLE_SETTINGS[table].convert(cast("str", name)))
        else:
            faults.append(Fault(table, message))
    given: dict[str, Value] = {}
    for name, value in parameters.items():
        if name in TABLES:
            continue
        setting = find_setting(name, chosen)
        message = _explain_unknown(name, chosen) if setting is None else setting.check(value)
        if message is not None:
            # A setting of the row that a misspelt name stands for is not at fault as well.
            if setting is not None or not _may_belong_to_unknown_row(name, chosen):
                faults.append(Fault(name, message))
        elif setting is not None:
            given[name] = setting.convert(cast("Value", value))
    values = {name: given.get(name, setting.default) for name, setting in SETTINGS.items()}
    rows = {table: cast("Row", find_row(table, name)) for table, name in chosen.items()}
    choices = {table: _build_choice(row, given, parameters, faults) for table, row in rows.items()}
    at_fault = {fault.parameter for fault in faults}
    faults += [fault for fault in find_contradictions(values, choices) if fault.parameter not in at_fault]
    if faults:
        order = {name: index for index, name in enumerate(parameters)}
        raise ConfigError(sorted(faults, key=lambda fault: order.get(fault.parameter, len(order))))
    config = cast("Callable[..., TrialConfig]", TrialConfig)(**values, **choices)
    if message := next(_find_change_faults(config), None):
        raise ConfigError([Fault(CHANGES, message)])
    return config


def _find_change_faults(config: TrialConfig) -> Iterator[str]:
    """What is wrong with the changes of a configuration that is legal but for them."""
    if config.changes is None:
        return
    try:
        changes = parse_changes(config.changes)
    except ValueError as error:
        yield f"found {show(config.changes)}, which {error}"
        return
    parameters: dict[str, Value] = {**config.to_parameters(), CHANGES: None}
    for epoch, settings in changes.items():
        where = f"after epoch {epoch}"
        if epoch >= config.epochs:
            yield f"found a change {where} of {config.epochs}, which never acts; allowed: up to {config.epochs - 1}"
        for name, value in settings.items():
            setting = find_setting(name, _list_chosen(config))
            if name in FIXED:
                yield f"{where}: {name} cannot change while a training runs; remove it"
            elif setting is None:
                yield f"{where}: {name}: {_explain_unknown(name, _list_chosen(config))}"
            elif message := setting.check(value):
                yield f"{where}: {name}: {message}"
        changed = _spell_as_it_is(settings, config)
        for name in changed:
            if is_off(changed[name]) != is_off(parameters[name]):
                yield f"{where}: {name} cannot be switched on or off while a training runs; remove it"
        try:
            parameters = build_trial_config({**parameters, **changed}).to_parameters()
        except ConfigError as error:
            yield f"{where}: {error.faults[0]}"
            return


def _spell_as_it_is(settings: Mapping[str, Value], config: TrialConfig) -> dict[str, Value]:
    """Legal settings, with those that spell another one as one minus its value under that one's name."""
    spelt: dict[str, Value] = {}
    for name, value in settings.items():
        setting = find_setting(name, _list_chosen(config))
        if setting is not None and setting.complement_of:
            spelt[setting.complement_of] = 1.0 - cast("float", value)
        else:
            spelt[name] = value
    return spelt


def _list_chosen(config: TrialConfig) -> dict[str, str]:
    return {table: getattr(config, table).name for table in TABLES}


def _build_choice(
    row: Row, given: Mapping[str, Value], parameters: Mapping[str, object], faults: list[Fault]
) -> Choice:
    """The row with its settings: given, spelt the other way, or default. Adds to the faults."""
    settings: dict[str, Value] = {}
    for setting in row.settings:
        if setting.complement_of:
            if setting.name not in given:
                continue
            if setting.complement_of in parameters:
                faults.append(
                    Fault(
                        setting.name,
                        f"found beside {setting.complement_of}, which it spells in another way; give one of them",
                    )
                )
            else:
                settings[setting.complement_of] = 1.0 - cast("float", given[setting.name])
        elif setting.name in given:
            settings[setting.name] = given[setting.name]
        elif not setting.required:
            settings[setting.name] = setting.default
        elif setting.name not in parameters:
            faults.append(Fault(setting.name, f"missing, but {row.name} needs it; allowed: {setting.allowed}"))
    return Choice(row.name, FrozenSettings(settings))


def _explain_unknown(name: str, chosen: Mapping[str, str]) -> str:
    """The fault of a name that neither every trial nor anything chosen has."""
    owners = rows_with(name)
    if not owners:
        usable = [each for each in known_names() if find_setting(each, chosen)]
        hint = did_you_mean(name, sorted(usable)) or did_you_mean(name, sorted(known_names()))
        return f"unknown setting; {hint or 'remove it, or run `sweeps schema` to see all settings'}"
    table = owners[0][0]
    rows = ", ".join(row for _, row in owners)
    found = repr(chosen[table]) if table in chosen else "the row chosen"
    return f"{found} does not have this setting; {table}s that have it: {rows}; remove it or choose one of these"


def _may_belong_to_unknown_row(name: str, chosen: Mapping[str, str]) -> bool:
    return any(table not in chosen for table, _ in rows_with(name))
