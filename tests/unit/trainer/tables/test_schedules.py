import math

import pytest
import torch

from trainer.tables.schedules import SCHEDULES, ScheduleContext

PLAN = ScheduleContext(lr=0.5, num_steps=40, steps_per_epoch=10, num_warmup_steps=0)


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
    assert list(SCHEDULES) == [
        *("constant", "cosine", "step", "one_cycle", "reduce_on_plateau"),
        *("multistep", "exponential", "polynomial", "cosine_restarts", "trapezoid"),
    ]


def test_cosine_equals_torch():
    ours = build("cosine", final_lr_fraction=0.1)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.CosineAnnealingLR(each, 40, eta_min=0.05), 40)
    assert [ours.get_lr(step) for step in range(40)] == pytest.approx(theirs)


def test_cosine_begins_after_the_warmup():
    schedule = build("cosine", ScheduleContext(0.5, 40, 10, 20))
    assert [schedule.get_lr(step) for step in (19, 20, 30)] == pytest.approx([0.5, 0.5, 0.25])


def test_cosine_that_is_all_warmup_ends_at_the_peak():
    schedule = build("cosine", ScheduleContext(0.5, 40, 10, 40))
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
        ScheduleContext(0.5, 1000, 10, 0),
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


def get_lrs(schedule):
    return [schedule.get_lr(step) for step in range(schedule.plan.num_steps)]


def test_multistep_equals_torch():
    ours = build("multistep", first_drop_fraction=0.3, second_drop_fraction=0.85, gamma=0.3)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.MultiStepLR(each, [12, 34], gamma=0.3), 40)
    assert get_lrs(ours) == pytest.approx(theirs)


def test_multistep_falls_where_he_et_al_let_it_fall():
    schedule = build("multistep", ScheduleContext(0.1, 64_000, 390, 0))
    lrs = [schedule.get_lr(step) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert lrs == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_multistep_does_not_mind_the_order():
    ours = build("multistep", first_drop_fraction=0.25, second_drop_fraction=0.5)
    assert get_lrs(build("multistep", first_drop_fraction=0.5, second_drop_fraction=0.25)) == get_lrs(ours)


def test_multistep_falls_on_the_step_itself_whatever_floating_point_says():
    schedule = build("multistep", ScheduleContext(0.5, 100, 10, 0), first_drop_fraction=0.55, second_drop_fraction=0.57)
    assert 0.55 * 100 > 55
    assert 0.57 * 100 < 57
    assert [schedule.get_lr(step) for step in (54, 55, 56, 57)] == pytest.approx([0.5, 0.05, 0.05, 0.005])


def test_multistep_counts_the_warmup():
    schedule = build("multistep", ScheduleContext(0.5, 40, 10, 8))
    assert [schedule.get_lr(step) for step in (7, 8, 19, 20, 30)] == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.005])


def test_exponential_equals_torch():
    ours = build("exponential", gamma=0.7)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.ExponentialLR(each, 0.7), 4)
    assert get_lrs(ours) == pytest.approx([lr for lr in theirs for _ in range(10)])


def test_exponential_counts_epochs_from_the_end_of_the_warmup():
    schedule = build("exponential", ScheduleContext(0.5, 40, 10, 15), gamma=0.5)
    assert [schedule.get_lr(step) for step in (14, 24, 25, 34, 35, 39)] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.7])
def test_polynomial_equals_torch(power):
    ours = build("polynomial", power=power)
    theirs = walk_torch(lambda each: torch.optim.lr_scheduler.PolynomialLR(each, 40, power), 40)
    assert get_lrs(ours) == pytest.approx(theirs)


def test_polynomial_falls_to_its_end_over_the_steps_after_the_warmup():
    schedule = build("polynomial", ScheduleContext(0.5, 40, 10, 20), power=2.0, final_lr_fraction=0.2)
    expected = [0.5, 0.5, 0.1 + 0.4 * 0.5**2, 0.1 + 0.4 * 0.05**2]
    assert [schedule.get_lr(step) for step in (19, 20, 30, 39)] == pytest.approx(expected)


@pytest.mark.parametrize(("first", "factor"), [(1, 1), (1, 2), (2, 1), (1, 3), (4, 1), (9, 2)])
def test_cosine_restarts_equals_torch(first, factor):
    ours = build("cosine_restarts", first_cycle_epochs=first, cycle_factor=factor, final_lr_fraction=0.1)
    theirs = walk_torch(
        lambda each: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(each, first * 10, factor, eta_min=0.05), 40
    )
    assert get_lrs(ours) == pytest.approx(theirs)


def test_cosine_restarts_begins_after_the_warmup():
    schedule = build("cosine_restarts", ScheduleContext(0.5, 40, 10, 5), first_cycle_epochs=1, cycle_factor=2.0)
    assert [schedule.get_lr(step) for step in (4, 5, 10, 15, 25, 35)] == pytest.approx([0.5, 0.5, 0.25, 0.5, 0.25, 0.5])


def test_cosine_restarts_with_a_fraction_for_a_factor_restarts_on_whole_steps():
    # 10, 11, 12.1 and 13.31 steps.
    schedule = build("cosine_restarts", ScheduleContext(0.5, 50, 10, 0), first_cycle_epochs=1, cycle_factor=1.1)
    assert [step for step, lr in enumerate(get_lrs(schedule)) if lr == 0.5] == [0, 10, 21, 33, 46]


def test_cosine_restarts_that_do_not_come_are_cosine():
    assert get_lrs(build("cosine_restarts", first_cycle_epochs=4)) == pytest.approx(get_lrs(build("cosine")))


@pytest.mark.parametrize("num_warmup_steps", [0, 1, 10])
def test_trapezoid_is_three_straight_lines(num_warmup_steps):
    schedule = build(
        "trapezoid", ScheduleContext(0.5, 40, 10, num_warmup_steps), decay_fraction=0.5, final_lr_fraction=0.2
    )
    lrs = get_lrs(schedule)
    assert lrs[num_warmup_steps:21] == [0.5] * (21 - num_warmup_steps)
    assert lrs[20:] == pytest.approx([0.5 - 0.4 * step / 20 for step in range(20)])


def test_trapezoid_falls_over_a_fifth_of_the_steps_unless_told_otherwise():
    lrs = get_lrs(build("trapezoid"))
    assert lrs[:33] == [0.5] * 33
    assert lrs[33:] == pytest.approx([0.5 * left / 8 for left in range(7, 0, -1)])


def test_trapezoid_without_a_plateau_falls_from_the_end_of_the_warmup():
    lrs = get_lrs(build("trapezoid", ScheduleContext(0.5, 40, 10, 20), decay_fraction=1.0))
    assert lrs[19:21] == [0.5, 0.5]
    assert lrs[20:] == pytest.approx([0.5 * left / 20 for left in range(20, 0, -1)])


def test_trapezoid_whose_share_is_less_than_a_step_does_not_fall():
    assert get_lrs(build("trapezoid", decay_fraction=0.01)) == [0.5] * 40
