"""Plans against what can be reckoned by hand."""

from pathlib import Path

import pytest

from sweeps.errors import BadUsage
from sweeps.plan.build import build_plan
from sweeps.plan.costs import MAX_COSTS, build_cost_key, count_costs, list_measured
from sweeps.plan.plan import Plan, Range, thin
from sweeps.plan.simulation import KnownTrial
from sweeps.spec import SweepSpec, load_spec
from trainer.cost import Cost

FILE = """
method: grid
compare: optimizer
confirm: {top: 1, seeds: 2}
parameters:
  dataset: synthetic
  epochs: 4
  batch_size: {values: [32, 64]}
  lr: {values: [0.1, 0.01, 0.001]}
  optimizer: {values: [sgd, adam]}
"""
COST = Cost(
    epoch_seconds=10.0,
    low_seconds=8.0,
    high_seconds=15.0,
    setup_seconds=0.7,
    test_seconds=2.0,
    memory_bytes=500_000_000,
    checkpoint_bytes=1_000_000,
)


@pytest.fixture
def load(tmp_path: Path):
    def load(*overrides: str, text: str = FILE) -> SweepSpec:
        file = tmp_path / "sweep.yaml"
        file.write_text(text)
        return load_spec(file, overrides)

    return load


def build(spec: SweepSpec, slots: int = 1) -> Plan:
    return build_plan(spec, slots, dict.fromkeys(count_costs(spec), COST), 200_000_000)


def test_a_grid_without_early_stopping_is_known_exactly(load) -> None:
    plan = build(load())
    # Each arm: 6 trials and 2 retrainings of 4 epochs.
    assert [(arm.arm, arm.num_trials, arm.num_confirm) for arm in plan.arms] == [("sgd", 6, 2), ("adam", 6, 2)]
    assert plan.epochs == Range(64.0, 64.0, 64.0)
    assert plan.arms[0].reached == {4: 1.0}
    assert plan.core_hours is not None
    assert plan.wall_seconds is not None
    # One at a time: 16 trials of 40 s and 1 s between, 2 s for each retraining's test images, 5 s for the process.
    assert plan.wall_seconds.mid == pytest.approx(16 * 41 + 4 * 2 + 5, abs=16)
    assert plan.wall_seconds.low == pytest.approx(0.8 * plan.wall_seconds.mid)
    assert plan.wall_seconds.high == pytest.approx(1.5 * plan.wall_seconds.mid)
    assert plan.core_hours.mid == pytest.approx(16 * 40 / 3600, rel=0.05)


def test_slots_share_the_work(load) -> None:
    one, four = (build(load(), slots).wall_seconds for slots in (1, 4))
    assert one is not None
    assert four is not None
    assert one.mid / 4 < four.mid < one.mid / 3


def test_cores_and_gpus_of_a_trial_are_counted_and_priced(load) -> None:
    plan = build(load("resources={cpu: 2, gpu: 0.5}"))
    assert plan.core_hours is not None
    assert plan.gpu_hours is not None
    assert plan.gpu_hours.mid == pytest.approx(plan.core_hours.mid / 4)
    money = plan.price(1.0, 10.0)
    assert money is not None
    assert money.mid == pytest.approx(plan.core_hours.mid + 10 * plan.gpu_hours.mid)


def test_memory_counts_the_images_once(load) -> None:
    assert build(load(), slots=3).memory_bytes == 200_000_000 + 3 * 300_000_000


def test_early_stopping_gives_a_range(load) -> None:
    plan = build(load("early_terminate={type: asha, min_iter: 1, eta: 2}", "confirm.top=0"))
    (arm, _) = plan.arms
    assert set(arm.reached) == {1, 2, 4}
    assert arm.reached[1] == 1.0 > arm.reached[2] > arm.reached[4] > 0
    # At least one trial is trained in full and each of the six for an epoch; at most all are.
    assert 6 + 3 <= arm.epochs.low < arm.epochs.high <= 24


def test_a_searcher_that_learns_saves_less(load) -> None:
    rule = ("early_terminate={type: asha, min_iter: 1, eta: 3}", "budget={trials_per_arm: 30}", "parameters.epochs=27")
    random, bayes = (build(load(*rule, f"method={method}", "confirm.top=0")).epochs for method in ("random", "bayes"))
    assert bayes.high > 1.2 * random.high


def test_without_measurements_there_are_no_times(load) -> None:
    plan = build_plan(load(), 2, {}, 200_000_000)
    assert (plan.wall_seconds, plan.core_hours, plan.memory_bytes) == (None,) * 3
    assert plan.price(1.0, 1.0) is None
    assert plan.epochs.mid == 64


def test_a_budget_of_hours_caps_the_time(load) -> None:
    plan = build(load("method=random", "budget={hours: 0.1}", "confirm.top=0"))
    assert plan.arms[0].num_trials is None
    assert plan.wall_seconds is not None
    assert plan.wall_seconds.high == pytest.approx(360)


def test_a_budget_of_hours_alone_is_used_up(load) -> None:
    plan = build(load("method=random", "budget={hours: 100}", "confirm.top=0"), slots=2)
    assert plan.wall_seconds is not None
    assert plan.wall_seconds.mid == pytest.approx(360_000, rel=0.1)
    assert plan.core_hours is not None
    assert plan.core_hours.mid == pytest.approx(200, rel=0.1)
    assert plan.epochs.mid == pytest.approx(2 * 360_000 / 10, rel=0.2)


def test_a_budget_of_epochs_is_used_up(load) -> None:
    plan = build(load("method=random", "budget={epochs_per_arm: 50}", "confirm.top=0"))
    assert plan.epochs == Range(100.0, 100.0, 100.0)
    assert plan.core_hours is not None
    assert plan.core_hours.mid == pytest.approx(1000 / 3600, rel=0.1)


def test_a_budget_of_epochs_cuts_the_time_of_more_trials(load) -> None:
    plan = build(load("method=random", "budget={trials_per_arm: 100, epochs_per_arm: 40}", "confirm.top=0"))
    assert plan.epochs == Range(80.0, 80.0, 80.0)
    assert plan.core_hours is not None
    assert plan.core_hours.mid == pytest.approx(800 / 3600, rel=0.1)


def test_of_thousands_of_trials_some_are_played_and_scaled(load) -> None:
    plan = build(load("method=random", "budget={trials_per_arm: 10000}", "confirm.top=0"))
    assert plan.epochs.mid == 2 * 10_000 * 4


def test_the_same_file_gives_the_same_plan(load) -> None:
    overrides = ("early_terminate={type: median}", "method=random", "budget={trials_per_arm: 9}")
    assert build(load(*overrides)) == build(load(*overrides))


def test_a_cost_is_what_changes_the_time_of_an_epoch() -> None:
    base = {"optimizer": "adam", "lr": 0.1, "batch_size": 64, "width": 0.5}
    same = (
        {"lr": 0.2},
        {"seed": 9},
        {"epochs": 3},
        {"initializer": "orthogonal"},
        {"schedule": "cosine"},
        {"beta1": 0.5},
    )
    other = ({"batch_size": 65}, {"width": 0.25}, {"optimizer": "sgd"}, {"ema_decay": 0.9}, {"train_size": 999})
    assert {build_cost_key(base | change) for change in same} == {build_cost_key(base)}
    assert len({build_cost_key(base | change) for change in other}) == len(other)
    assert build_cost_key(base) not in {build_cost_key(base | change) for change in other}


def test_the_lowest_learning_rate_stands_for_a_cost(load) -> None:
    examples = list_measured(load())
    assert {(each["optimizer"], each["batch_size"], each["lr"]) for each in examples.values()} == {
        (optimizer, batch_size, 0.001) for optimizer in ("sgd", "adam") for batch_size in (32, 64)
    }


def test_of_many_costs_the_most_frequent_are_measured_and_the_others_are_their_mean(load) -> None:
    spec = load("parameters.batch_size={min: 1, max: 1000}", "method=random", "budget={trials_per_arm: 4}")
    found, examples = count_costs(spec), list_measured(spec)
    assert len(found) > MAX_COSTS == len(examples)
    plan = build_plan(spec, 1, dict.fromkeys(examples, COST), 0)
    assert plan.wall_seconds is not None
    assert plan.wall_seconds.mid > 12 * 4 * 10
    assert sum(measured.cost is not None for measured in plan.costs) == MAX_COSTS
    assert sum(measured.share for measured in plan.costs) == pytest.approx(1)


def test_a_plan_is_plain_values(load) -> None:
    import json

    plan = build(load())
    facts = json.loads(json.dumps(plan.to_json()))
    assert facts["epochs"] == {"low": 64.0, "mid": 64.0, "high": 64.0}
    assert facts["wall_seconds"]["mid"] == plan.wall_seconds.mid  # type: ignore[union-attr]
    assert {tuple(each["settings"]) for each in facts["costs"]} == {("batch_size", "optimizer")}


@pytest.mark.parametrize(
    "rule", ["median", "pbt, interval: 1", "asha_promotion, eta: 2", "hyperband, min_iter: 1, strict: true"]
)
@pytest.mark.parametrize(("num_arms", "num_trials"), [(300, 9), (2, 100_000)])
def test_the_work_is_bounded_however_many_trials_arms_and_epochs(
    rule: str, num_arms: int, num_trials: int, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr("sweeps.plan.build.KnownTrial", lambda *known: made.append(KnownTrial(*known)) or made[-1])
    text = (
        f"method: random\ncompare: batch_size\nconfirm: {{top: 0}}\nearly_terminate: {{type: {rule}}}\n"
        f"budget: {{trials_per_arm: {num_trials}}}\n"
        "parameters: {dataset: synthetic, epochs: 100_000, optimizer: sgd, lr: {min: 0.01, max: 1.0}, "
        f"batch_size: {{values: {list(range(1, num_arms + 1))}}}}}\n"
    )
    plan = build_plan(load(text=text), 16, {}, 0)
    assert len(plan.arms) == num_arms
    assert sum(len(trial.scores) for trial in made) <= 500_000
    assert all(trial.epochs[-1] == 100_000 for trial in made)
    assert num_arms * num_trials <= plan.epochs.low
    assert len(plan.arms[0].reached) <= 40


def test_a_grid_of_a_hundred_thousand_is_planned_from_some_of_it(load) -> None:
    lists = {"batch_size": range(1, 51), "epochs": range(1, 51), "lr": [number / 1000 for number in range(1, 41)]}
    parameters = "".join(f"  {name}: {{values: {list(values)}}}\n" for name, values in lists.items())
    plan = build(load(text=f"method: grid\nconfirm: {{top: 0}}\nparameters:\n  dataset: synthetic\n{parameters}"))
    assert plan.arms[0].num_trials == 100_000
    assert plan.epochs.mid == pytest.approx(100_000 * 25.5, rel=0.2)


def test_an_arm_that_constraints_forbid_is_named(load) -> None:
    with pytest.raises(BadUsage, match="no configuration of arm sgd was found that fulfils them"):
        build_plan(load("constraints=[optimizer != 'sgd']"), 1, {}, 0)


def test_thinned_epochs_keep_the_first_and_the_last() -> None:
    assert thin(range(1, 5), 4) == [1, 2, 3, 4]
    assert thin(range(1, 1000), 4) == [1, 334, 666, 999]
