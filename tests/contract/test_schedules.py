"""What holds for every row of the table of schedules."""

import pickle

import pytest

from trainer.config import ConfigError, build_trial_config
from trainer.tables.schedules import SCHEDULES, ScheduleContext

REQUIRED = {"step": {"step_epochs": 2}, "cosine_restarts": {"first_cycle_epochs": 2}}
NUM_EPOCHS, STEPS_PER_EPOCH = 6, 10
VAL_LOSSES = (2.0, 1.5, 1.6, 1.7, 1.4, 1.4)


def build_schedule(row, *, num_warmup_steps=0, **settings):
    plan = ScheduleContext(0.3, NUM_EPOCHS * STEPS_PER_EPOCH, STEPS_PER_EPOCH, num_warmup_steps)
    return row.build({**row.defaults, **REQUIRED.get(row.name, {}), **settings}, plan)


def walk(schedule, first_epoch=0, num_epochs=NUM_EPOCHS):
    """The learning rate of each step, with the validation losses told in between."""
    lrs = []
    for epoch in range(first_epoch, first_epoch + num_epochs):
        lrs += [schedule.get_lr(epoch * STEPS_PER_EPOCH + step) for step in range(STEPS_PER_EPOCH)]
        schedule.end_epoch(VAL_LOSSES[epoch])
    return lrs


@pytest.mark.parametrize("row", SCHEDULES.values(), ids=SCHEDULES)
class TestSchedules:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "https://" in row.source or "torch.optim.lr_scheduler" in row.source
        assert all(setting.description for setting in row.settings)

    def test_pickles(self, row):
        assert pickle.loads(pickle.dumps(row)) == row
        schedule = build_schedule(row)
        assert walk(pickle.loads(pickle.dumps(schedule))) == walk(schedule)

    def test_same_settings_same_result(self, row):
        assert walk(build_schedule(row)) == walk(build_schedule(row))

    def test_stays_within_zero_and_the_peak(self, row):
        lrs = walk(build_schedule(row))
        assert len(lrs) == NUM_EPOCHS * STEPS_PER_EPOCH
        assert max(lrs) == pytest.approx(0.3)
        assert min(lrs) >= 0

    @pytest.mark.parametrize("epoch", range(1, NUM_EPOCHS))
    def test_state_round_trip_equals_no_interruption(self, row, epoch):
        settings = {"plateau_patience": 1} if row.name == "reduce_on_plateau" else {}
        straight = walk(build_schedule(row, **settings))
        before, after = build_schedule(row, **settings), build_schedule(row, **settings)
        lrs = walk(before, 0, epoch)
        after.load_state_dict(before.state_dict())
        assert lrs + walk(after, epoch, NUM_EPOCHS - epoch) == straight

    def test_warms_up_in_a_straight_line_to_the_peak(self, row):
        parameters = {"schedule": row.name, **REQUIRED.get(row.name, {}), "warmup_epochs": 0.5}
        if row.has_own_warmup:
            with pytest.raises(ConfigError, match=r"warmup_epochs: .* has its own warm-up; set warmup_fraction"):
                build_trial_config(parameters)
            return
        build_trial_config(parameters)
        schedule = build_schedule(row, num_warmup_steps=5)
        assert [schedule.get_lr(step) for step in range(6)] == pytest.approx([0.06, 0.12, 0.18, 0.24, 0.3, 0.3])

    @pytest.mark.parametrize("num_warmup_steps", [1, 17, NUM_EPOCHS * STEPS_PER_EPOCH])
    def test_any_warmup_ends_at_the_peak_and_leads_on_from_there(self, row, num_warmup_steps):
        if row.has_own_warmup:
            return
        schedule = build_schedule(row, num_warmup_steps=num_warmup_steps)
        lrs = walk(schedule)
        rising = [0.3 * (step + 1) / num_warmup_steps for step in range(num_warmup_steps)]
        assert lrs[:num_warmup_steps] == pytest.approx(rising)
        assert lrs[num_warmup_steps - 1] == 0.3
        if row.name in ("constant", "cosine", "exponential", "polynomial", "cosine_restarts", "trapezoid"):
            assert lrs[num_warmup_steps : num_warmup_steps + 1] in ([0.3], [])
        assert max(lrs) == 0.3

    def test_keeps_the_last_learning_rate_after_the_last_step(self, row):
        schedule = build_schedule(row)
        last = NUM_EPOCHS * STEPS_PER_EPOCH - 1
        assert schedule.get_lr(last + 1) == schedule.get_lr(last)

    def test_refuses_settings_it_does_not_have(self, row):
        own = {each.name for each in row.settings}
        for name in {each.name for other in SCHEDULES.values() for each in other.settings} - own:
            with pytest.raises(ConfigError) as caught:
                build_trial_config({"schedule": row.name, **REQUIRED.get(row.name, {}), name: 1})
            assert [fault.parameter for fault in caught.value.faults] == [name]
