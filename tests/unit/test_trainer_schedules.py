import math

import pytest
import torch

from trainer.schedules import SCHEDULES, Plan

PLAN = Plan(lr=0.5, num_steps=40, steps_per_epoch=10, num_warmup_steps=0)


def build(name, plan=PLAN, **settings):
    return SCHEDULES[name].build({**SCHEDULES[name].defaults, **settings}, plan)


def walk_torch(build_scheduler, num_steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = build_scheduler(optimizer)
    lrs = []
    for _ in range(num_steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


def test_the_table_has_the_schedules_of_the_issue():
    assert list(SCHEDULES) == ["constant", "cosine", "step", "one_cycle", "reduce_on_plateau"]


def test_cosine_equals_torch():
    ours = build("cosine", final_lr_fraction=0.1)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.CosineAnnealingLR(each, 40, eta_min=0.05), 40)
    assert [ours.get_lr(step) for step in range(40)] == pytest.approx(theirs)


def test_cosine_begins_after_the_warmup():
    schedule = build("cosine", Plan(0.5, 40, 10, 20))
    assert [schedule.get_lr(step) for step in (19, 20, 30)] == pytest.approx([0.5, 0.5, 0.25])


def test_cosine_that_is_all_warmup_ends_at_the_peak():
    schedule = build("cosine", Plan(0.5, 40, 10, 40))
    assert schedule.get_lr(39) == pytest.approx(0.5)


def test_step_equals_torch():
    ours = build("step", step_epochs=2, gamma=0.3)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.StepLR(each, 20, gamma=0.3), 40)
    assert [ours.get_lr(step) for step in range(40)] == pytest.approx(theirs)


def test_one_cycle_is_two_straight_lines():
    schedule = build("one_cycle", initial_lr_fraction=0.2, final_lr_fraction=0.0)
    assert [schedule.get_lr(step) for step in (0, 5, 10, 25)] == pytest.approx([0.1, 0.3, 0.5, 0.25])
    assert schedule.get_lr(39) == pytest.approx(0.5 / 30)


def test_one_cycle_without_warmup_begins_at_the_peak():
    assert build("one_cycle", warmup_fraction=0.0).get_lr(0) == 0.5


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_reduce_on_plateau_equals_torch(patience):
    val_losses = [2.0, 1.0, 1.1, 1.2, 0.95, 0.9, 0.9, 0.9, 0.9, 0.2, 0.3, 0.4, 0.5]
    ours = build(
        "reduce_on_plateau",
        Plan(0.5, 1000, 10, 0),
        plateau_factor=0.1,
        plateau_patience=patience,
        plateau_min_delta=0.06,
        plateau_min_lr=0.002,
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=patience, threshold=0.06, threshold_mode="abs", min_lr=0.002, eps=0
    )
    for epoch, val_loss in enumerate(val_losses):
        assert ours.get_lr(epoch * 10) == pytest.approx(optimizer.param_groups[0]["lr"])
        ours.end_epoch(val_loss)
        theirs.step(val_loss)


def test_reduce_on_plateau_takes_nan_for_no_improvement():
    schedule = build("reduce_on_plateau", plateau_patience=0)
    schedule.end_epoch(1.0)
    schedule.end_epoch(math.nan)
    assert schedule.get_lr(20) == pytest.approx(0.05)


def test_reduce_on_plateau_never_raises_a_learning_rate_to_its_minimum():
    schedule = build("reduce_on_plateau", plateau_patience=0, plateau_min_lr=0.9)
    schedule.end_epoch(1.0)
    schedule.end_epoch(1.0)
    assert schedule.get_lr(20) == 0.5
