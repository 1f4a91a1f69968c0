"""A training that is paused after any epoch goes on as if it had not been, whatever its settings."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.config import TABLES, Row, TrialConfig, Value, build_trial_config
from trainer.data.dataset import Dataset
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import load_checkpoint, write_checkpoint
from trainer.loop.epoch_result import EpochResult
from trainer.loop.training_run import TrainingRun
from trainer.tables.optimizers import OPTIMIZERS
from trainer.tables.schedules import SCHEDULES
from trainer.tables.settings import Setting

# An example trains for up to ten epochs, of some 20 ms each.
TRAINING = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])

LR = st.floats(-4, 0.5).map(lambda exponent: 10.0**exponent)  # also ones that diverge, at once or later
OWN = {
    "lr": LR,
    "step_epochs": st.integers(1, 3),
    "plateau_patience": st.integers(0, 2),
    "first_cycle_epochs": st.integers(1, 3),
    "cycle_factor": st.floats(1, 3),
    "max_iterations": st.integers(1, 4),
}

EXTRAS = {
    "crop_padding": st.integers(0, 4),
    "flip": st.booleans(),
    "cutout_size": st.sampled_from([0, 7]),
    "mixup_alpha": st.sampled_from([0.0, 0.4]),
    "gradient_clip_norm": st.none() | st.floats(0.01, 2),
    "ema_decay": st.none() | st.floats(0.1, 0.99),
    "dropout": st.sampled_from([0.0, 0.5]),
    "early_stopping_patience": st.none() | st.integers(1, 2),
}


def draw_value(setting: Setting) -> st.SearchStrategy[Value]:
    """Legal values of a setting of a row."""
    if setting.name in OWN:
        return OWN[setting.name]
    if setting.kind == "bool":
        return st.booleans()
    if setting.kind == "str":
        assert setting.choices is not None
        return st.sampled_from(setting.choices)
    low = setting.low if setting.low is not None else 0.0 if setting.high is None else setting.high - 1
    high = low + 1 if setting.high is None else setting.high
    if setting.kind == "int":
        return st.integers(round(low), min(round(high), round(low) + 4))
    ends = {"exclude_min": setting.low_open, "exclude_max": setting.high_open}
    return st.floats(low, high, **ends, width=32, allow_subnormal=False)  # of those, the inverse overflows


@st.composite
def draw_row(draw: st.DrawFn, table: str) -> dict[str, Value]:
    """A row of a table, with values for what it must have and for some of what it may."""
    row: Row = TABLES[table][draw(st.sampled_from(sorted(TABLES[table])))]
    chosen: dict[str, Value] = {table: row.name}
    for setting in row.settings:
        if not setting.complement_of and (setting.required or setting.name == "lr" or draw(st.booleans())):
            chosen[setting.name] = draw(draw_value(setting))
    return chosen


@st.composite
def draw_config(draw: st.DrawFn) -> TrialConfig:
    parameters: dict[str, Value] = {"width": 0.25, "depth": 1, "dataset": "synthetic", "precision": "fp32"}
    for table in ("optimizer", "schedule", "loss", "initializer"):
        parameters |= draw(draw_row(table))
    parameters["epochs"] = draw(st.integers(3, 5))
    parameters["batch_size"] = draw(st.sampled_from([12, 20, 50, "full"]))
    parameters["seed"] = draw(st.integers(0, 2**32 - 1))
    parameters["normalization"] = draw(st.sampled_from(["batch", "group", "none"]))
    parameters["activation"] = draw(st.sampled_from(["relu", "gelu"]))
    for name, values in EXTRAS.items():
        parameters[name] = draw(values)
    if not SCHEDULES[str(parameters["schedule"])].has_own_warmup:
        parameters["warmup_epochs"] = draw(st.floats(0, 2))
    if parameters["early_stopping_patience"] is not None:
        parameters["early_stopping_min_delta"] = draw(st.sampled_from([0.0, 0.05]))
    if parameters.get("crop_padding"):
        parameters["crop_padding_mode"] = draw(st.sampled_from(["reflect", "constant"]))
    return build_trial_config(settle(parameters))


def settle(parameters: dict[str, Value]) -> dict[str, Value]:
    """The parameters without what does not go with the optimizer or with a full batch."""
    row = OPTIMIZERS[str(parameters["optimizer"])]
    if row.differentiates_gradient:
        if parameters["batch_size"] == "full":
            parameters["batch_size"] = 50
        if parameters["loss"] == "multi_margin":
            parameters = {name: value for name, value in parameters.items() if name not in ("loss", "margin")}
    if row.re_evaluates or row.differentiates_gradient:
        parameters["gradient_clip_norm"] = None
    if row.re_evaluates:
        parameters["dropout"] = 0.0
    if row.switches or row.fixes_lr:
        own = {setting.name for setting in SCHEDULES[str(parameters["schedule"])].settings}
        parameters = {name: value for name, value in parameters.items() if name not in own} | {"schedule": "constant"}
        parameters["ema_decay"] = None
    if row.fixes_lr:
        parameters["warmup_epochs"] = 0.0
    if parameters["batch_size"] == "full":
        parameters["mixup_alpha"] = 0.0
        if parameters["normalization"] == "batch":
            parameters["normalization"] = "group"
    return parameters


@cache
def draw_data() -> Dataset:
    """50 images to train on; no fixture, which Hypothesis would print to the last pixel when a test fails."""
    return draw_synthetic(60, 20)


def build_run(config: TrialConfig) -> TrainingRun:
    return TrainingRun(config, draw_data(), device="cpu", num_threads=1)


def show(result: EpochResult) -> str:
    """Every number of the result to the last bit, NaN included, but those of the clock."""
    return repr(replace(result, train_seconds=0.0, validation_seconds=0.0))


def list_bytes(state: Any) -> Any:
    """A state in which tensors are bytes, so that NaN equals itself."""
    if isinstance(state, torch.Tensor):
        return state.numpy().tobytes()
    if isinstance(state, dict):
        return {name: list_bytes(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [list_bytes(value) for value in state]
    return repr(state)


def assert_same(run: TrainingRun, other: TrainingRun) -> None:
    assert list_bytes(run.state_dict()) == list_bytes(other.state_dict())
    if run.state_dict()["selection"]["best_epoch"]:
        assert repr(run.evaluate_test()) == repr(other.evaluate_test())


@TRAINING
@given(config=draw_config(), data=st.data())
def test_resume_after_any_epoch_equals_no_pause(
    tmp_path_factory: pytest.TempPathFactory, config: TrialConfig, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "paused"
    straight = build_run(config)
    results = []
    while straight.stop_reason is None:
        results.append(show(straight.run_epoch()))
    pause = data.draw(st.integers(0, straight.epoch), label="pause")
    paused, resumed = (build_run(config) for _ in range(2))
    found = [show(paused.run_epoch()) for _ in range(pause)]
    write_checkpoint(paused, folder)
    load_checkpoint(resumed, folder)
    assert_same(paused, resumed)
    while resumed.stop_reason is None:
        found.append(show(resumed.run_epoch()))
    assert found == results
    assert_same(resumed, straight)


@TRAINING
@given(config=draw_config())
def test_an_ended_training_has_a_reason_and_numbers_that_fit_it(config: TrialConfig) -> None:
    run = build_run(config)
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    last = results[-1]
    assert [each.epoch for each in results] == list(range(1, len(results) + 1))
    assert len(results) <= config.epochs
    assert all(each.stop_reason is None for each in results[:-1])
    if last.stop_reason == "epochs":
        assert len(results) == config.epochs
    elif last.stop_reason == "patience":
        assert config.early_stopping_patience is not None
        assert len(results) > config.early_stopping_patience
    for each in results:
        assert each.num_samples == each.num_steps * (50 if config.batch_size == "full" else config.batch_size) <= 50
        assert 0 <= each.train_accuracy <= 1
        assert 0 <= each.lr <= config.optimizer.settings["lr"] * (1 + 1e-12)
