"""The disk of a sweep against what can be reckoned by hand."""

from pathlib import Path

import pytest

from sweeps.plan.build import build_plan
from sweeps.plan.disk import Storage
from sweeps.plan.plan import DiskPlan
from sweeps.spec import load_spec
from trainer.cost import Footprint

FILE = """
method: random
compare: optimizer
budget: {trials_per_arm: 50}
confirm: {top: 1, seeds: 3}
parameters:
  dataset: synthetic
  epochs: 9
  lr: {min: 0.001, max: 0.1}
  optimizer: {values: [sgd, adam]}
"""
CHECKPOINT = 10**9
FREE = 10**12


@pytest.fixture
def find(tmp_path: Path):
    def find(*overrides: str, slots: int = 4, has_store: bool = True, checkpoint: int = CHECKPOINT) -> DiskPlan:
        file = tmp_path / "sweep.yaml"
        file.write_text(FILE)
        storage = Storage(Footprint(checkpoint, 25), FREE, has_store)
        found = build_plan(load_spec(file, overrides), slots, {}, 0, storage).disk
        assert found is not None
        return found

    return find


def test_checkpoints_are_those_of_the_slots_and_of_retrainings(find) -> None:
    disk = find()
    assert (disk.checkpoint_bytes, disk.free_bytes) == (CHECKPOINT, FREE)
    assert disk.first_bytes == pytest.approx(3 * 4 * CHECKPOINT, rel=0.01)
    # Two kept and one being written by each of four, one of each retraining, the weights of the winner.
    assert disk.peak_bytes == pytest.approx((3 * 4 + 2 * 3 + 0.5) * CHECKPOINT, rel=0.01)
    # The weights of the winner, and a checkpoint of the arm that has not won.
    assert disk.end_bytes.low == disk.end_bytes.high == pytest.approx(1.5 * CHECKPOINT, rel=0.1)


def test_ten_times_the_trials_take_no_more_room_for_checkpoints(find) -> None:
    few, many = (find(f"budget.trials_per_arm={count}").peak_bytes for count in (50, 500))
    assert many - few < 2 * 450 * 250_000


def test_trials_that_wait_keep_one_and_members_of_a_population_more(find) -> None:
    assert find("early_terminate={type: asha_promotion}").peak_bytes == pytest.approx(118.5 * CHECKPOINT, rel=0.01)
    disk = find("early_terminate={type: pbt}", "confirm.top=0", "parameters.optimizer=sgd", "compare=null")
    assert disk.peak_bytes == pytest.approx((12 + 4 * 50) * CHECKPOINT, rel=0.01)


def test_what_grows_with_epochs_is_a_range_where_trials_are_stopped(find) -> None:
    disk = find("early_terminate={type: asha, min_iter: 1, eta: 3}", checkpoint=10_000)
    assert disk.end_bytes.low < disk.end_bytes.mid < disk.end_bytes.high < disk.peak_bytes


def test_a_store_elsewhere_takes_nothing_here(find) -> None:
    here, elsewhere = find(), find(has_store=False)
    assert here.end_bytes.mid - elsewhere.end_bytes.mid > 100 * 9 * 25 * 300
    assert elsewhere.end_bytes.mid < CHECKPOINT + 10_000_000


def test_without_a_count_of_trials_those_that_the_budget_of_epochs_allows_are_taken(find) -> None:
    waits = ("early_terminate={type: asha_promotion}", "confirm.top=0")
    few, many = (find(f"budget={{epochs_per_arm: {count}}}", *waits).peak_bytes for count in (1000, 10_000))
    assert many > 8 * few
