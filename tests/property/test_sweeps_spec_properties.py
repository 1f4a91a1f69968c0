"""Any spec is written and read without change, and everything drawn from it lies in its domain."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.errors import SpecError, SpecFault
from sweeps.space.arms import Arm, build_grid, from_unit_cube, num_dimensions, sample, searched, size
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import IntUniform, InvLogUniformValues, LogUniform, LogUniformValues, Uniform
from sweeps.space.parameters import Choices, Parameter
from sweeps.space.quantized import QLogUniform, QLogUniformValues, QUniform
from sweeps.spec import Budget, Confirm, Metric, Resources, SweepSpec, dump_spec, load_spec
from sweeps.spec.arms import build_arms
from sweeps.spec.check_limits import WITHIN_EPOCHS
from sweeps.stopping.asha import Asha
from sweeps.stopping.hyperband import Hyperband
from sweeps.stopping.median import Median
from sweeps.stopping.pbt import Pbt
from sweeps.stopping.promotion import AshaPromotion
from sweeps.trials.objectives import GOALS, Objective
from trainer.config import SETTINGS, TABLES, Row, Setting, Value
from trainer.tables.optimizer_row import OptimizerRow

optuna.logging.set_verbosity(optuna.logging.WARNING)
QUICK = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

FEWEST_EPOCHS = 4
FIXED = (
    "dataset",
    "evaluate_on",
    "data_dir",
    "epochs",
    "warmup_epochs",
    "train_size",
    "crop_padding_mode",
    "early_stopping_min_delta",
    "measure_curvature",
    "compile",
    "changes",
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
LINE = st.lists(WORD, min_size=1, max_size=3).map(" ".join)


def draw_number(setting: Setting) -> st.SearchStrategy[float]:
    """Legal values of a setting, within limits that are reasonable to compute in."""
    high = 1000 if setting.high is None else setting.high
    if setting.name in WITHIN_EPOCHS:
        high = FEWEST_EPOCHS - 1
    low = setting.low if setting.low is not None else min(0, high - 10)
    if setting.kind == "int":
        return st.integers(math.ceil(low), math.floor(high))
    open_low = setting.low_open and low != 0
    return st.floats(low if low < 0 else max(low, 1e-9), high, exclude_min=open_low, exclude_max=setting.high_open)


def draw_value(setting: Setting) -> st.SearchStrategy[Value]:
    if setting.choices:
        return st.sampled_from(setting.choices)
    if setting.kind == "bool":
        return st.booleans()
    return draw_number(setting)


@st.composite
def draw_range(draw: st.DrawFn, setting: Setting) -> Parameter:
    """A distribution that gives legal values of a numeric setting."""
    low, high = sorted(draw(st.lists(draw_number(setting), min_size=2, max_size=2, unique=True)))
    if setting.kind == "int":
        assert isinstance(low, int)
        assert isinstance(high, int)
        if low + 1 < high and draw(st.booleans()):
            factor = draw(st.integers(1, high - low))
            return build_multiples(low, high, factor) or IntUniform(min=low, max=high)
        return IntUniform(min=low, max=high)
    if low > 0 and draw(st.booleans()):
        return draw(draw_log_range(low, high))
    if draw(st.booleans()):
        return build_multiples(low, high, (high - low) / draw(st.integers(2, 9))) or Uniform(min=low, max=high)
    return Uniform(min=low, max=high)


@st.composite
def draw_log_range(draw: st.DrawFn, low: float, high: float) -> Parameter:
    """A distribution on the logarithmic scale between two numbers."""
    q = (high - low) / draw(st.integers(2, 9))
    exponents = math.log(low) + 1e-9, math.log(high) - 1e-9  # whose powers lie within the numbers
    forms: list[Callable[[], Parameter]] = [
        lambda: LogUniform(min=exponents[0], max=exponents[1]),
        lambda: QLogUniform(min=exponents[0], max=exponents[1], q=q),
    ]
    if 0 < exponents[0] < min(exponents[1], 1):  # looks like a range of values, and is refused
        forms = []
    forms += [
        lambda: QLogUniformValues(min=low, max=high, q=q),
        lambda: InvLogUniformValues(min=low, max=high),
    ]
    try:
        return draw(st.sampled_from(forms))()
    except ValueError:  # the numbers are too near to each other, or fewer than two multiples are between them
        return LogUniformValues(min=low, max=high)


def build_multiples(low: float, high: float, q: float) -> QUniform | None:
    try:
        return QUniform(min=low, max=high, q=q)
    except ValueError:  # fewer than two multiples in the range
        return None


def draw_parameter(setting: Setting) -> st.SearchStrategy[Parameter]:
    values = st.lists(draw_value(setting), min_size=1, max_size=4, unique=True)
    forms: list[st.SearchStrategy[Parameter]] = [
        draw_value(setting).map(lambda value: Constant(value=value)),
        values.map(lambda chosen: Categorical(values=tuple(chosen))),
    ]
    if setting.kind in ("int", "float") and setting.name != "seed":
        forms.append(draw_range(setting))
    return st.one_of(forms)


@st.composite
def draw_settings(draw: st.DrawFn, available: tuple[Setting, ...]) -> dict[str, Parameter]:
    """Parameters for some of the settings; of a setting and its complement at most one."""
    chosen: dict[str, Parameter] = {}
    for setting in draw(st.lists(st.sampled_from(available), unique=True, max_size=4)) if available else []:
        others = {setting.complement_of, f"one_minus_{setting.name}"}
        if not others & set(chosen):
            chosen[setting.name] = draw(draw_parameter(setting))
    return chosen


def is_choosy(row: Row) -> bool:
    """Whether a row does not go with everything else (trainer.config.contradictions)."""
    if not isinstance(row, OptimizerRow):
        return False
    return row.switches or row.re_evaluates or row.differentiates_gradient or row.fixes_lr


@st.composite
def draw_table(draw: st.DrawFn, table: str) -> Parameter:
    complete = [
        row.name
        for row in TABLES[table].values()
        if not any(each.required for each in row.settings) and not is_choosy(row)
    ]
    rows = draw(st.lists(st.sampled_from(complete), unique=True, min_size=1))
    form = draw(st.sampled_from(["constant", "categorical", "choices"]))
    if form == "constant":
        return Constant(value=rows[0])
    if form == "categorical":
        return Categorical(values=tuple(rows))
    return Choices(choices={row: draw(draw_settings(TABLES[table][row].settings)) for row in rows})


@st.composite
def draw_parameters(draw: st.DrawFn) -> dict[str, Parameter]:
    common = tuple(setting for name, setting in SETTINGS.items() if name not in FIXED)
    parameters: dict[str, Parameter] = {"epochs": Constant(value=draw(st.integers(FEWEST_EPOCHS, 99)))}
    parameters |= draw(draw_settings(common))
    for table in draw(st.lists(st.sampled_from(sorted(TABLES)), unique=True, max_size=3)):
        parameters[table] = draw(draw_table(table))
    return parameters


def draw_rule() -> st.SearchStrategy[Asha | AshaPromotion | Hyperband | Median]:
    """Early stopping within four epochs."""
    ends = st.none() | st.integers(2, 4)
    return st.one_of(
        st.builds(Asha, min_iter=st.just(1), max_iter=ends),
        st.builds(AshaPromotion, type=st.just("asha_promotion"), min_iter=st.just(1), max_iter=ends),
        st.builds(
            Hyperband,
            type=st.just("hyperband"),
            min_iter=st.just(1),
            max_iter=st.none(),
            s=st.none(),
            brackets=st.integers(1, 9),
        ),
        st.builds(Median, type=st.just("median"), min_iter=st.integers(1, 3)),
    )


def draw_population() -> st.SearchStrategy[Pbt]:
    return st.builds(
        Pbt,
        type=st.just("pbt"),
        interval=st.integers(1, 3),
        quantile=st.floats(0, 0.5, exclude_min=True),
        resample=st.floats(0, 1),
        factor=st.floats(1, 9, exclude_min=True),
    )


def draw_metrics(first: Metric) -> st.SearchStrategy[tuple[Objective, ...]]:
    """The metric that decides and others beside it."""
    others = st.lists(st.sampled_from([name for name in GOALS if name != first.name]), min_size=1, unique=True)
    goal = st.sampled_from([None, first.goal])
    return st.tuples(goal, others).map(
        lambda drawn: (Objective(name=first.name, goal=drawn[0]), *(Objective(name=name) for name in drawn[1]))
    )


@st.composite
def draw_spec(draw: st.DrawFn) -> SweepSpec:
    parameters = draw(draw_parameters())
    several = [
        name
        for name, parameter in parameters.items()
        if (isinstance(parameter, Categorical) and len(parameter.values) > 1)
        or (isinstance(parameter, Choices) and len(parameter.choices) > 1)
    ]
    varies = bool(searched(Arm("all", parameters)))
    count = size(Arm("all", parameters))
    methods = (["random", "sobol", "bayes"] if varies else []) + (["grid"] if count and count <= 1000 else [])
    method = draw(st.sampled_from(methods or ["random"]))
    metric = draw(st.sampled_from([Metric(), Metric(name="val_loss", goal="minimize")]))
    rule = draw(st.none() | (draw_rule() if method == "bayes" else draw_rule() | draw_population()))
    return SweepSpec(
        name=draw(LINE),
        description=draw(TEXT),
        project=draw(LINE),
        method=method,
        metric=metric,
        metrics=draw(st.just(()) | draw_metrics(metric)),
        compare=draw(st.sampled_from([None, *several])),
        budget=Budget(
            trials_per_arm=draw(st.integers(1, 10**6)),
            hours=draw(st.none() | st.floats(1e-6, 1e6)),
            max_consecutive_failures=draw(st.integers(1, 99)),
        ),
        early_terminate=rule,
        confirm=Confirm(top=0 if isinstance(rule, Pbt) else draw(st.integers(0, 9)), seeds=draw(st.integers(1, 99))),
        resources=Resources(cpu=draw(st.integers(1, 99)), gpu=draw(st.floats(0, 1))),
        seed=draw(st.integers(0, 2**32 - 1)),
        fallback=draw(st.sampled_from([None, "synthetic"])),
        parameters=parameters,
    )


def contains(parameter: Parameter, value: Value) -> bool:
    """Whether a value is one that the parameter says; written apart from the code under test."""
    match parameter:
        case Constant():
            return value == parameter.value and type(value) is type(parameter.value)
        case Categorical():
            return any(value == each and type(value) is type(each) for each in parameter.values)
        case IntUniform():
            return type(value) is int and parameter.min <= value <= parameter.max
        case QUniform() | QLogUniformValues():
            return parameter.min <= float(value or 0) <= parameter.max and is_multiple(value, parameter.q)
        case QLogUniform():
            low, high = math.exp(parameter.min), math.exp(parameter.max)
            return low <= float(value or 0) <= high and is_multiple(value, parameter.q)
        case Uniform() | LogUniformValues():
            return type(value) is float and parameter.min <= value <= parameter.max
        case LogUniform():
            return type(value) is float and math.exp(parameter.min) <= value <= math.exp(parameter.max)
        case Choices():
            return value in parameter.choices
    raise AssertionError(parameter)


def is_multiple(value: Value, q: float) -> bool:
    assert isinstance(value, int | float)
    assert not isinstance(value, bool)
    whole = type(value) is int or not isinstance(q, int)
    return whole and math.isclose(value / q, round(value / q), rel_tol=1e-9)


def check_domain(parameters: Mapping[str, Parameter], drawn: Mapping[str, Value]) -> None:
    """Exactly the parameters of the branch, each in its domain."""
    expected: set[str] = set()

    def visit(branch: Mapping[str, Parameter]) -> None:
        for name, parameter in branch.items():
            expected.add(name)
            assert contains(parameter, drawn[name]), (name, parameter, drawn[name])
            if isinstance(parameter, Choices):
                visit(parameter.choices[str(drawn[name])])

    visit(parameters)
    assert set(drawn) == expected


@QUICK
@given(spec=draw_spec())
def test_what_is_written_is_read_as_the_same_spec(tmp_path_factory: pytest.TempPathFactory, spec: SweepSpec) -> None:
    path = tmp_path_factory.getbasetemp() / "sweep.yaml"
    path.write_text(dump_spec(spec), encoding="utf-8", newline="")
    again = load_spec(path)
    assert again == spec
    # equal models may differ in what decides axes, grids and values: the order of keys, and 1 against 1.0
    assert dump_spec(again) == dump_spec(spec)


@QUICK
@given(parameters=draw_parameters(), data=st.data())
def test_configurations_drawn_by_optuna_lie_in_their_domains(parameters: dict[str, Parameter], data: Any) -> None:
    compare = data.draw(st.sampled_from([None, *(name for name, each in parameters.items() if is_comparable(each))]))
    seed = data.draw(st.integers(0, 2**32 - 1))
    for arm in build_arms(SweepSpec(compare=compare, parameters=parameters)):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        for _ in range(3):
            trial = study.ask()
            check_domain(arm.parameters, sample(arm, trial))
            study.tell(trial, 0.0)


@QUICK
@given(parameters=draw_parameters(), data=st.data())
def test_configurations_of_the_unit_cube_lie_in_their_domains(parameters: dict[str, Parameter], data: Any) -> None:
    arm = Arm("all", parameters)
    coordinates = st.floats(0, 1) | st.sampled_from([0.0, 1.0, math.nextafter(1, 0)])
    point = data.draw(st.lists(coordinates, min_size=num_dimensions(arm), max_size=num_dimensions(arm) + 2))
    check_domain(arm.parameters, from_unit_cube(arm, np.array(point)))


@QUICK
@given(parameters=draw_parameters())
def test_a_grid_holds_each_configuration_once(parameters: dict[str, Parameter]) -> None:
    arm = Arm("all", parameters)
    count = size(arm)
    if count is None or count > 3000:
        return
    grid = build_grid(arm)
    assert len(grid) == count
    assert len({json.dumps(configuration, sort_keys=True) for configuration in grid}) == count
    for configuration in grid[:50]:
        check_domain(arm.parameters, configuration)


@QUICK
@given(parameters=draw_parameters(), coordinate=st.floats(0, 1))
def test_arms_share_the_axes_of_shared_parameters(parameters: dict[str, Parameter], coordinate: float) -> None:
    parameters["optimizer"] = Choices(choices={row: draw_own(row) for row in ("sgd", "momentum", "adam")})
    arms = build_arms(SweepSpec(compare="optimizer", parameters=parameters))
    point_D = np.modf(coordinate + np.arange(1, max(num_dimensions(arm) for arm in arms) + 1) * 0.618)[0]
    drawn = [from_unit_cube(arm, point_D) for arm in arms]
    shared = [name for name in parameters if name != "optimizer"]
    assert all(each[name] == drawn[0][name] for each in drawn for name in shared)
    assert all(each["lr"] == drawn[0]["lr"] for each in drawn)


def draw_own(row: str) -> dict[str, Parameter]:
    own: dict[str, Parameter] = {"lr": LogUniformValues(min=1e-4, max=1.0)}
    return own | ({"momentum": Uniform(min=0.5, max=0.9)} if row == "momentum" else {})


def is_comparable(parameter: Parameter) -> bool:
    return isinstance(parameter, Choices | Categorical)


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from(list("abp:{}[]-,'\"#&*!|>%@ \n\t01.e?~<")), max_size=60))
def test_no_text_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    for content in (text, f"method: grid\nparameters:\n  {text}", f"parameters: {{lr: {text}}}"):
        path.write_text(content)
        with pytest.raises(SpecError) as caught:
            load_spec(path)
        assert all(fault.line and fault.column for fault in caught.value.faults)


@settings(deadline=None, max_examples=200)
@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "lr",
                        "optimizer",
                        "choices",
                        "values",
                        "value",
                        "min",
                        "max",
                        "q",
                        "distribution",
                        "adam",
                        "epochs",
                    ]
                )
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    key=st.sampled_from(sorted(SweepSpec.model_fields)),
)
def test_no_shape_of_data_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: Any, key: str) -> None:
    path = tmp_path_factory.getbasetemp() / "shape.yaml"
    content = {"method": "grid", "parameters": {"lr": {"values": [0.1, 0.2]}}, key: data}
    path.write_text(json.dumps(content))
    faults: tuple[SpecFault, ...] = ()
    try:
        load_spec(path)
    except SpecError as error:
        faults = error.faults
    assert all(fault.line and fault.column and fault.message for fault in faults), faults
