"""What is known of the disk before a sweep begins."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.driver.measuring import add_measured, check_room, find_footprint
from sweeps.errors import BadUsage
from sweeps.home import Home
from sweeps.plan.build import build_plan
from sweeps.plan.plan import DiskPlan, Plan, Range
from sweeps.spec import SweepSpec, load_spec
from trainer.cost import Cost
from trainer.data.dataset import Dataset
from trainer.data.synthetic import draw_synthetic

OWN = """
import torch

class Lazy(torch.optim.SGD):
    def __init__(self, params, lr=0.1, laziness=0.5):
        raise SystemExit("must not run in the driver")

class Net(torch.nn.Linear):
    def __init__(self, num_classes):
        raise SystemExit("must not run in the driver")
"""


@functools.cache
def load_data() -> Dataset:
    return draw_synthetic(200, 40)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_of_measuring.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def load(parameters: str) -> SweepSpec:
        file = tmp_path / "sweep.yaml"
        varied = "dataset: synthetic, batch_size: {values: [32, 64]}"
        text = f"method: random\nbudget: {{trials_per_arm: 4}}\nparameters: {{{varied}, {parameters}}}\n"
        file.write_text(text)
        return load_spec(file)

    return load


def find(spec: SweepSpec, *costs: Cost) -> int:
    footprint = add_measured(find_footprint(spec, load_data()), costs)
    assert footprint is not None
    return footprint.checkpoint_bytes


def test_of_several_optimizers_and_networks_the_largest_counts(load) -> None:
    model = "model: mlp, depth: 1"
    largest = find(load(f"{model}, hidden: 64, optimizer: adam, ema_decay: 0.9"))
    choice = "hidden: {values: [16, 64]}, optimizer: {values: [adam, sgd]}, ema_decay: {values: [null, 0.9]}"
    assert find(load(f"{model}, {choice}")) == pytest.approx(largest, rel=0.01)
    assert find(load(f"{model}, hidden: 64, optimizer: sgd")) < 0.5 * largest


def test_code_of_the_users_does_not_run_and_his_optimizer_counts_as_adam(load) -> None:
    own = load("model: mlp, hidden: 64, optimizer: 'own_of_measuring:Lazy', laziness: 0.1")
    assert find(own) == find(load("model: mlp, hidden: 64, optimizer: adam"))


def test_of_a_network_of_the_users_only_what_was_measured_is_known(load) -> None:
    own = load("model: 'own_of_measuring:Net', optimizer: sgd")
    assert add_measured(find_footprint(own, load_data()), ()) is None
    assert find(own, Cost(1.0, 1.0, 1.0, 1.0, 1.0, 1, 7_000_000)) == 7_000_000


def test_a_disk_without_room_for_the_first_trials_is_refused_and_a_small_one_is_told(load, tmp_path: Path) -> None:
    def plan(free: int) -> Plan:
        disk = DiskPlan(10**6, first_bytes=3 * 10**6, peak_bytes=10**7, end_bytes=Range(1, 1, 1), free_bytes=free)
        return replace(build_plan(load("epochs: 2"), 2, {}, 0), disk=disk)

    home = Home(tmp_path)
    assert check_room(plan(10**7), home) == ""
    told = check_room(plan(10**7 - 10**5), home)
    assert told.startswith(f"{tmp_path}: 9.9 MB free, and the sweep takes up to 10 MB at a time")
    with pytest.raises(BadUsage, match="2 trials at a time, with checkpoints of 1 MB, take 3 MB as soon as they run"):
        check_room(plan(3 * 10**6 - 1), home)
    assert check_room(replace(plan(0), disk=None), home) == ""
