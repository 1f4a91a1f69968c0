"""The Trainable in Ray's own base class, driven by hand: what Tune would give it comes from here."""

import errno
import importlib
import math
import os
import platform
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from ray.tune import PlacementGroupFactory
from ray.tune.result import DONE, SHOULD_CHECKPOINT
from ray.tune.trainable import trainable as ray_trainable

from tracking.names import EPOCH_METRICS
from trainer import trainable
from trainer.config import build_trial_config
from trainer.data.dataset import build_dataset
from trainer.data.synthetic import draw_synthetic
from trainer.loop import checkpoint
from trainer.loop.training_run import TrainingRun
from trainer.trainable import ERROR, STOP_REASON, CifarTrainable, TrialRequest, parse_trial

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 3}
SEARCH = TrialRequest("adam-007", "adam", "search", 7, False, {**TINY, "precision": "fp32", "optimizer": "adam"})
CONFIRM = replace(SEARCH, trial_id="adam-confirm-000", stage="confirm", read_test=True)
CLOCK = ("train_seconds", "validation_seconds")


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(200, 40)


@pytest.fixture
def clock(monkeypatch):
    """The Trainable's clock, which stands still until a test moves it."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(trainable, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


@pytest.fixture
def start(data, clock, tmp_path, monkeypatch):
    """Starts a process's first trial, as Tune would for a trial that asked for these resources."""
    monkeypatch.setattr(ray_trainable, "DEFAULT_STORAGE_PATH", str(tmp_path / "logs"))  # or it is the home folder

    def start_one(request, images=data, **resources):
        class LocalTrainable(CifarTrainable):
            trial_resources = PlacementGroupFactory([{"CPU": 1, **resources}])

            def setup(self, config):
                super().setup(config, images)

        return LocalTrainable(request.to_ray())

    yield start_one
    torch.set_num_threads(1)


def run_to_end(trial):
    results = []
    while not results or not results[-1][DONE]:
        results.append(trial.step())
    return results


def show(results):
    """Results without what a clock says; as text, since NaN does not equal itself."""
    return [repr({name: value for name, value in each.items() if name not in CLOCK}) for each in results]


class TestRequest:
    @pytest.mark.parametrize("request_", [SEARCH, CONFIRM], ids=["search", "confirm"])
    def test_comes_back_from_rays_config_as_it_was(self, request_):
        config = request_.to_ray()
        assert parse_trial(config) == request_
        assert type(config["parameters"]) is dict

    def test_what_ray_adds_to_the_config_is_left_out(self):
        assert parse_trial({**SEARCH.to_ray(), "__trial_info__": object()}) == SEARCH

    def test_a_config_of_another_origin_is_refused(self):
        with pytest.raises(KeyError, match="read_test"):
            parse_trial({name: value for name, value in SEARCH.to_ray().items() if name != "read_test"})


class TestResults:
    def test_a_step_is_an_epoch_of_the_training(self, start, data):
        run = TrainingRun(build_trial_config(SEARCH.parameters), data, device="cpu")
        results = run_to_end(start(SEARCH))
        assert [each["epoch"] for each in results] == [1, 2, 3]
        for result in results:
            expected = run.run_epoch().metrics()
            assert {name: result[name] for name in expected if name not in CLOCK} == {
                name: value for name, value in expected.items() if name not in CLOCK
            }
            assert set(EPOCH_METRICS) <= set(result)

    def test_only_the_last_result_says_why_training_ended(self, start):
        results = run_to_end(start(SEARCH))
        assert [each[DONE] for each in results] == [False, False, True]
        assert [each.get(STOP_REASON) for each in results] == [None, None, "epochs"]
        assert all(ERROR not in each for each in results)

    def test_a_search_trial_never_reads_the_test_images(self, start, data):
        # None that could be read: reading these would fail.
        spoilt = replace(data, test_images_NHWC=data.test_images_NHWC[:, :16], test_labels_N=data.test_labels_N[:1])
        results = run_to_end(start(SEARCH, spoilt))
        assert results[-1][STOP_REASON] == "epochs"
        assert not any(name.startswith("test_") for each in results for name in each)
        assert not any(SHOULD_CHECKPOINT in each for each in results)

    def test_a_trial_that_was_asked_to_reads_them_once_at_its_end(self, start, data):
        results = run_to_end(start(CONFIRM))
        assert not any(name.startswith("test_") for each in results[:-1] for name in each)
        run = TrainingRun(build_trial_config(CONFIRM.parameters), data, device="cpu")
        while run.stop_reason is None:
            run.run_epoch()
        assert (results[-1]["test_loss"], results[-1]["test_accuracy"]) == run.evaluate_test()
        assert [each["epoch"] for each in results] == [1, 2, 3, 3]

    def test_a_checkpoint_is_asked_for_before_they_are_read_and_not_after(self, start):
        *_, before, last = run_to_end(start(CONFIRM))
        assert before[SHOULD_CHECKPOINT], "its weights are registered from the checkpoint"
        assert not before[DONE]
        assert SHOULD_CHECKPOINT not in last
        assert {name: last[name] for name in before if name not in (DONE, SHOULD_CHECKPOINT)} == {
            name: value for name, value in before.items() if name not in (DONE, SHOULD_CHECKPOINT)
        }

    def test_divergence_is_a_result_without_test_numbers(self, start):
        parameters = {**TINY, "precision": "fp32", "optimizer": "sgd", "lr": 1e30}
        (result,) = run_to_end(start(replace(CONFIRM, parameters=parameters)))
        assert result[STOP_REASON] == "diverged"
        assert math.isnan(result["val_accuracy"])
        assert ERROR not in result
        assert "test_accuracy" not in result
        assert SHOULD_CHECKPOINT not in result

    def test_patience_is_reported_and_the_test_images_are_read(self, start):
        stopping = {"early_stopping_patience": 1, "early_stopping_min_delta": 0.99}
        results = run_to_end(start(replace(CONFIRM, parameters={**CONFIRM.parameters, **stopping})))
        assert (results[-1]["epoch"], results[-1][STOP_REASON]) == (2, "patience")
        assert 0 <= results[-1]["test_accuracy"] <= 1


class TestFailure:
    def test_settings_that_cannot_be_are_a_failed_trial(self, start):
        result = start(replace(SEARCH, parameters={"optimizer": "sgd", "momentum": 0.9})).step()
        assert (result[STOP_REASON], result[DONE], result["epoch"]) == ("failed", True, 0)
        assert result["failure"].startswith("ConfigError: momentum: 'sgd' does not have this setting")
        assert result[ERROR].startswith("Traceback")
        assert "build_trial_config" in result[ERROR]

    def test_a_failing_training_is_a_failed_trial_and_goes_through_ray(self, start, data):
        # A label that is no class: torch refuses it in the first step.
        labels_N = data.train_labels_N + 1
        wrong = build_dataset(
            "imagefolder",
            data.classes,
            data.train_images_NHWC,
            labels_N,
            data.test_images_NHWC,
            data.test_labels_N,
        )
        result = start(SEARCH, wrong).train()
        assert (result[STOP_REASON], result[DONE], result["epoch"]) == ("failed", True, 1)
        assert "out of bounds" in result["failure"]
        assert "run_epoch" in result[ERROR]
        assert result["training_iteration"] == 1, "Ray took it for a result and not for a fault of the machine"

    def test_a_failure_at_the_end_names_the_last_epoch(self, start, data):
        spoilt = replace(data, test_images_NHWC=data.test_images_NHWC[:, :16])
        results = run_to_end(start(CONFIRM, spoilt))
        assert [each["epoch"] for each in results] == [1, 2, 3, 3]
        assert results[-1][STOP_REASON] == "failed"
        assert "evaluate_test" in results[-1][ERROR]

    def test_the_process_is_good_for_another_trial(self, start):
        trial = start(replace(SEARCH, parameters={"optimizer": "nothing"}))
        assert trial.step()[STOP_REASON] == "failed"
        assert trial.reset(SEARCH.to_ray())
        assert show(run_to_end(trial)) == show(run_to_end(start(SEARCH)))


OWN = """
import torch

class Own(torch.optim.SGD):
    place, error, extra = "", None, {}

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.fail("made")

    def fail(self, place):
        if place == self.place:
            raise self.error

    def step(self, closure=None):
        self.fail("stepping")
        return super().step(closure)

    def state_dict(self):
        self.fail("saved")
        return super().state_dict() | self.extra

    def load_state_dict(self, state):
        self.fail("loaded")
        super().load_state_dict(state)
"""


class Untold(RuntimeError):
    def __str__(self):
        raise ValueError("no text")


class NotAnException(BaseException):
    pass


class TestOwnCode:
    @pytest.fixture
    def own(self, tmp_path, monkeypatch):
        """The class of an own optimizer, whose attributes say where it fails and how."""
        name = f"own_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name).Own

    def request(self, own, **fields):
        return replace(CONFIRM, parameters={**CONFIRM.parameters, "optimizer": f"{own.__module__}:Own"}, **fields)

    @pytest.fixture
    def reads(self, monkeypatch):
        """The times that the test images were read."""
        reads = []
        evaluate = TrainingRun.evaluate_test
        monkeypatch.setattr(TrainingRun, "evaluate_test", lambda run: reads.append(1) or evaluate(run))
        return reads

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (RuntimeError("own"), "RuntimeError: own"),
            (SystemExit(3), "SystemExit: 3"),
            (KeyboardInterrupt(), "KeyboardInterrupt"),
            (NotAnException("own"), "NotAnException: own"),
            (Untold(), "Untold: its text cannot be had, which raises ValueError"),
            (ValueError("line\n" * 5000), "ValueError: line line"),
            (ValueError("half \ud800, nothing \0"), r"ValueError: half \ud800, nothing \x00"),
        ],
        ids=["error", "exit", "interrupt", "base", "untold", "long", "not storable"],
    )
    @pytest.mark.parametrize(("place", "epochs"), [("made", [0]), ("stepping", [1]), ("saved", [1, 2, 3])])
    def test_whatever_it_raises_wherever_is_the_result(self, own, start, reads, place, epochs, error, words):
        own.place, own.error = place, error
        results = run_to_end(start(self.request(own)))
        last = results[-1]
        assert [each["epoch"] for each in results] == epochs
        assert last[STOP_REASON] == "failed"
        assert last["failure"].startswith(words)
        assert len(last["failure"]) <= 300
        assert "self.fail(" in last[ERROR]
        assert reads == [], "nothing that can still fail comes after the test images"
        (last["failure"] + last[ERROR]).encode()

    def test_an_error_of_many_lines_is_short_in_tables_and_whole_in_the_log(self, own, start):
        own.place, own.error = "made", ValueError("\n".join(f"line {number}" for number in range(5000)))
        (last,) = run_to_end(start(self.request(own)))
        assert last["failure"].endswith("... (5,000 lines)")
        assert "line 2500\n" in last[ERROR]

    def test_a_state_that_cannot_be_pickled_is_the_result(self, own, start, reads):
        own.extra = {"own": lambda: None}
        last = run_to_end(start(self.request(own)))[-1]
        assert last[STOP_REASON] == "failed"
        assert "pickle" in last["failure"]
        assert reads == []

    def test_a_state_that_it_does_not_take_back_is_the_result(self, own, start, reads, tmp_path):
        before = start(self.request(own))
        before.step()
        saved = before.save(str(tmp_path / "checkpoint"))
        own.place, own.error = "loaded", SystemExit("not mine")
        for request, restores in (
            (self.request(own), True),
            (self.request(own, checkpoints=(saved.checkpoint.path,)), False),
        ):
            after = start(request)
            if restores:
                after.restore(saved)
            (last,) = run_to_end(after)
            assert (last[STOP_REASON], last["failure"]) == ("failed", "SystemExit: not mine")
        assert reads == []

    def test_the_test_images_are_read_once(self, own, start, reads, tmp_path):
        trial = start(self.request(own))
        result = {DONE: False}
        while not result[DONE]:
            result = trial.train()
            if result.get(SHOULD_CHECKPOINT):
                own.place, own.error = "saved", RuntimeError("too late to matter")
                trial.save(str(tmp_path / "checkpoint"))
        assert result[STOP_REASON] == "epochs"
        assert reads == [1]

    def test_that_ray_ends_the_process_is_no_result(self, own, start):
        own.place, own.error = "stepping", SystemExit(1)
        own.error.ray_terminate_msg = "The process receives a SIGTERM."
        with pytest.raises(SystemExit):
            start(self.request(own)).step()


class TestReuse:
    def test_the_next_trial_of_a_process_is_as_in_a_process_of_its_own(self, start):
        other = replace(SEARCH, trial_id="sgd-001", arm="sgd", parameters={**TINY, "optimizer": "sgd", "seed": 5})
        trial = start(SEARCH)
        trial.train()
        assert trial.reset(other.to_ray())
        assert trial.iteration == 0
        assert show(run_to_end(trial)) == show(run_to_end(start(other)))

    def test_after_cleanup_nothing_of_the_training_is_left(self, start):
        trial = start(SEARCH)
        first = trial.step()
        trial.stop()
        assert show([trial.step()]) == show([first]), "a new training"


class TestCheckpoint:
    @pytest.mark.parametrize("epoch", [0, 1, 2])
    def test_another_process_goes_on_with_the_same_numbers(self, start, tmp_path, epoch):
        expected = show(run_to_end(start(CONFIRM)))
        before = start(CONFIRM)
        done = [before.step() for _ in range(epoch)]
        saved = before.save(str(tmp_path / "checkpoint"))
        after = start(CONFIRM)
        after.restore(saved)
        assert show([*done, *run_to_end(after)]) == expected

    def save_after(self, start, tmp_path, epochs):
        """Folders with a checkpoint of the trial after each of these epochs; None for a file that is damaged."""
        folders = []
        for number, epoch in enumerate(epochs):
            trial = start(CONFIRM)
            for _ in range(epoch or 1):
                trial.step()
            folders.append(str(tmp_path / f"checkpoint-{number}"))
            trial.save_checkpoint(folders[-1])
            if epoch is None:
                file = tmp_path / f"checkpoint-{number}" / "checkpoint.pt"
                file.write_bytes(file.read_bytes()[:-1000])
        return tuple(folders)

    @pytest.mark.parametrize(
        ("saved", "first"),
        [((2, 1), 3), ((None, 1), 2), ((None, None), 1), ((3, 2), 4), ((), 1)],
        ids=["latest", "damaged", "all damaged", "over", "none"],
    )
    def test_a_request_goes_on_from_the_first_checkpoint_that_can_be_used(self, start, tmp_path, saved, first):
        expected = show(run_to_end(start(CONFIRM)))
        request = replace(CONFIRM, checkpoints=self.save_after(start, tmp_path, saved))
        assert show(run_to_end(start(request))) == expected[first - 1 :]

    def test_of_a_training_that_was_over_the_last_epoch_is_run_again_where_its_result_was_not_kept(
        self, start, tmp_path
    ):
        expected = show(run_to_end(start(CONFIRM)))
        (earlier,) = self.save_after(start, tmp_path, (2,))
        trial = start(SEARCH)
        run_to_end(trial)
        trial.save_checkpoint(str(tmp_path / "over"))
        request = replace(CONFIRM, checkpoints=(str(tmp_path / "over"), earlier))
        assert show(run_to_end(start(request))) == expected[2:]

    def test_a_process_that_takes_the_place_of_a_lost_one_only_reads_the_test_images(self, start, tmp_path):
        *_, last = run_to_end(start(CONFIRM))
        lost = start(CONFIRM)
        while not (result := lost.step()).get(SHOULD_CHECKPOINT):
            pass
        saved = lost.save(str(tmp_path / "checkpoint"))
        heir = start(CONFIRM)
        heir.restore(saved)
        (again,) = run_to_end(heir)
        assert {**again, "train_seconds": 0, "validation_seconds": 0} == {
            **last,
            "train_seconds": 0,
            "validation_seconds": 0,
        }
        assert again["train_seconds"] == result["train_seconds"], "as it was when the epoch was trained"

    def test_one_that_ray_names_and_that_is_damaged_is_passed_over(self, start, tmp_path):
        expected = show(run_to_end(start(CONFIRM)))
        damaged, good = self.save_after(start, tmp_path, (None, 1))
        trial = start(replace(CONFIRM, checkpoints=(good,)))
        trial.restore(damaged)
        assert show(run_to_end(trial)) == expected[1:]

    def test_a_checkpoint_of_other_settings_is_not_used(self, start, tmp_path):
        other = replace(CONFIRM, parameters={**CONFIRM.parameters, "seed": 9})
        request = replace(other, checkpoints=self.save_after(start, tmp_path, (2,)))
        assert show(run_to_end(start(request))) == show(run_to_end(start(other)))

    def test_is_due_when_the_last_one_is_old_and_the_trial_goes_on(self, start, clock, tmp_path):
        trial = start(replace(SEARCH, parameters={**SEARCH.parameters, "epochs": 7}))
        due = []
        for seconds in (0, 19, 2, 19, 2, 2, 30):  # since the step before
            clock.seconds += seconds
            due.append(trial.step().get(SHOULD_CHECKPOINT, False))
            if due[-1]:
                trial.save_checkpoint(str(tmp_path))
        # A search trial that is over needs none.
        assert due == [False, False, True, False, True, False, False]

    def test_the_next_trial_of_a_process_begins_to_wait_anew(self, start, clock):
        trial = start(SEARCH)
        clock.seconds += 30
        trial.reset(SEARCH.to_ray())
        assert SHOULD_CHECKPOINT not in trial.step()


class TestResources:
    @pytest.mark.parametrize("num_cpus", [1, 2])
    def test_torch_has_as_many_threads_as_the_trial_has_cpus(self, start, num_cpus):
        start(SEARCH, CPU=num_cpus).step()
        assert torch.get_num_threads() == num_cpus

    def test_a_trial_without_a_gpu_runs_on_the_cpu_whatever_the_machine_has(self, start, tmp_path):
        trial = start(SEARCH)
        trial.step()
        trial.save_checkpoint(str(tmp_path))
        content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        assert {value.device.type for value in content["state"]["model"].values()} == {"cpu"}


class TestTakingOver:
    """Population based training: a trial goes on as a copy of another."""

    @pytest.fixture
    def donated(self, start, tmp_path):
        """The folders of another trial's checkpoints after its first and its second epoch, the later first."""
        trial = start(replace(SEARCH, checkpoint_epochs=(1, 2)))
        folders = []
        for name in ("first", "second"):
            result = trial.step()
            assert result[SHOULD_CHECKPOINT]
            (tmp_path / name).mkdir()
            trial.save_checkpoint(str(tmp_path / name))
            folders.insert(0, str(tmp_path / name))
        return tuple(folders)

    def build(self, donated, **fields):
        parameters = {**SEARCH.parameters, "lr": 0.5, "seed": 9}
        return replace(SEARCH, trial_id="adam-008", parameters=parameters, donor_checkpoints=donated, **fields)

    @pytest.mark.parametrize("epoch", [1, 2])
    def test_it_goes_on_after_the_epoch_that_is_meant_with_its_own_settings(self, start, donated, epoch):
        result = start(self.build(donated, donor_epoch=epoch)).step()
        assert (result["epoch"], result["lr"]) == (epoch + 1, 0.5)

    def test_its_own_later_checkpoint_comes_first(self, start, donated, tmp_path):
        trial = start(self.build(donated, donor_epoch=1))
        trial.step()
        (tmp_path / "own").mkdir()
        trial.save_checkpoint(str(tmp_path / "own"))
        result = start(self.build(donated, donor_epoch=1, checkpoints=(str(tmp_path / "own"),))).step()
        assert result["epoch"] == 3

    def test_weights_that_it_has_given_up_are_not_taken_again(self, start, donated):
        request = self.build(donated, donor_epoch=2, checkpoints=donated[1:])
        request = replace(request, parameters=SEARCH.parameters)  # so that they would load
        assert start(request).step()["epoch"] == 3

    def test_without_the_weights_it_fails_and_says_so(self, start, donated):
        result = start(self.build((), donor_epoch=2)).step()
        assert result[STOP_REASON] == "failed"
        assert "after epoch 2, are not on the disk" in result["failure"]


class TestFullDisk:
    @pytest.fixture
    def disk(self, clock, monkeypatch):
        """A disk with no room until some time, and what happens meanwhile."""
        disk = SimpleNamespace(error=OSError(errno.ENOSPC, "No space left on device"), has_room_at=0.0, told=[])
        write = checkpoint.write_packed

        def write_packed(content, directory):
            if clock.seconds < disk.has_room_at:
                raise disk.error
            return write(content, directory)

        def sleep(seconds):
            clock.seconds += seconds

        monkeypatch.setattr(checkpoint, "write_packed", write_packed)
        monkeypatch.setattr(trainable, "time", SimpleNamespace(monotonic=lambda: clock.seconds, sleep=sleep))
        monkeypatch.setattr(trainable.Heartbeat, "beat", lambda _, trouble="": disk.told.append(trouble))
        return disk

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_checkpoint_waits_for_room_and_says_so(self, start, clock, disk, tmp_path, number):
        trial = start(replace(SEARCH, checkpoint_epochs=(1,)))
        trial.step()
        disk.error, disk.has_room_at = OSError(number, os.strerror(number)), clock.seconds + 600
        disk.told.clear()
        saved = trial.save(str(tmp_path / "checkpoint"))
        assert saved.checkpoint is not None
        assert clock.seconds == 1600
        assert disk.told == [f"{os.strerror(number)}: {tempfile.gettempdir()} on {platform.node()}"] * 120
        after = start(SEARCH)
        after.restore(saved)
        assert after.step()["epoch"] == 2

    def test_after_an_hour_training_goes_on_without_it_and_does_not_wait_again(self, start, clock, disk, tmp_path):
        trial = start(replace(SEARCH, checkpoint_epochs=(1, 2)))
        trial.step()
        disk.has_room_at = clock.seconds + 10_000
        assert trial.save(str(tmp_path / "first")).checkpoint is None
        assert clock.seconds == 1000 + trainable.FULL_DISK_SECONDS
        assert trial.step()["epoch"] == 2
        assert trial.save(str(tmp_path / "second")).checkpoint is None
        assert clock.seconds == 1000 + trainable.FULL_DISK_SECONDS
        assert trial.step()[STOP_REASON] == "epochs"

    def test_what_is_no_full_disk_is_not_waited_for(self, start, clock, disk, tmp_path):
        trial = start(replace(SEARCH, checkpoint_epochs=(1,)))
        trial.step()
        disk.error, disk.has_room_at = OSError(errno.EROFS, "Read-only file system"), math.inf
        with pytest.raises(OSError, match="Read-only"):
            trial.save(str(tmp_path / "checkpoint"))
        assert clock.seconds == 1000
