import io
import os
import pickle
import resource
import shutil
import signal
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.api import train
from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import FILE_NAME, CheckpointError, load_checkpoint, write_checkpoint
from trainer.loop.training_run import TrainingRun

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "precision": "fp32"}
# Everything that has a state: momentum, a schedule that looks at the validation loss, early stopping, both generators.
STATEFUL = {
    "optimizer": "adam",
    "lr": 0.02,
    "schedule": "reduce_on_plateau",
    "plateau_patience": 0,
    "early_stopping_patience": 3,
    "epochs": 5,
}


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(200, 40)


def build_run(data, **settings):
    return TrainingRun(build_trial_config({**TINY, "epochs": 3, **settings}), data, device="cpu", num_threads=1)


def run_to_end(run):
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    return show(results)


def show(results):
    """Every number of the results to the last bit, NaN included, but those of the clock."""
    return [repr(replace(each, train_seconds=0.0, validation_seconds=0.0)) for each in results]


def list_bytes(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def kept(data, tmp_path_factory):
    """The folder of a good checkpoint after the first of three epochs."""
    folder = tmp_path_factory.mktemp("kept")
    run = build_run(data)
    run.run_epoch()
    write_checkpoint(run, folder)
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    """A copy of the good checkpoint that a test may spoil."""
    shutil.copy(kept / FILE_NAME, tmp_path)
    return tmp_path


def refuse(run, folder):
    """The words with which a checkpoint is refused; the run has to be as it was."""
    before = list_bytes(run.model)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(run, folder)
    assert str(folder / FILE_NAME) in str(caught.value)
    assert (run.epoch, run.stop_reason, list_bytes(run.model)) == (0, None, before)
    return str(caught.value)


class TestResume:
    def test_after_every_epoch_equals_no_interruption(self, data, tmp_path):
        straight, written = build_run(data, **STATEFUL), build_run(data, **STATEFUL)
        expected = run_to_end(straight)
        write_checkpoint(written, tmp_path / "0")
        while written.stop_reason is None:
            written.run_epoch()
            write_checkpoint(written, tmp_path / str(written.epoch))
        assert written.epoch > 2
        for epoch in range(written.epoch + 1):
            resumed = build_run(data, **STATEFUL)
            load_checkpoint(resumed, tmp_path / str(epoch))
            assert resumed.epoch == epoch
            assert run_to_end(resumed) == expected[epoch:]
            assert list_bytes(resumed.model) == list_bytes(straight.model)
            assert resumed.evaluate_test() == straight.evaluate_test()

    def test_a_diverged_run_stays_diverged(self, data, tmp_path):
        run, resumed = (build_run(data, optimizer="sgd", lr=1e30) for _ in range(2))
        assert run.run_epoch().stop_reason == "diverged"
        write_checkpoint(run, tmp_path)
        load_checkpoint(resumed, tmp_path)
        with pytest.raises(RuntimeError, match=r"ended after epoch 1 \(diverged\)"):
            resumed.run_epoch()

    def test_a_loss_is_still_compared_with_the_first_one_of_all(self, data, tmp_path):
        # One step per epoch, the second of which is far above the first.
        settings = {"optimizer": "sgd", "lr": 100, "batch_size": 180, "epochs": 9}
        run, resumed = (build_run(data, **settings) for _ in range(2))
        run.run_epoch()
        write_checkpoint(run, tmp_path)
        load_checkpoint(resumed, tmp_path)
        assert resumed.run_epoch().stop_reason == "diverged"

    def test_the_run_that_was_written_goes_on_as_if_it_had_not_been(self, data, tmp_path):
        straight, written = build_run(data), build_run(data)
        results = []
        while written.stop_reason is None:
            results.append(written.run_epoch())
            write_checkpoint(written, tmp_path)
        assert show(results) == run_to_end(straight)

    def test_two_runs_of_one_checkpoint_do_not_disturb_each_other(self, data, kept):
        first, second = build_run(data), build_run(data)
        load_checkpoint(first, kept)
        load_checkpoint(second, kept)
        assert run_to_end(first) == run_to_end(second)

    def test_train_goes_on_from_a_folder(self, data, kept, tmp_path):
        config = build_trial_config({**TINY, "epochs": 3})
        results = list(train(config, data, resume_from=kept, device="cpu", num_threads=1))
        assert [each.epoch for each in results] == [2, 3]
        assert show(results) == run_to_end(build_run(data))[1:]
        with pytest.raises(CheckpointError, match="is not there"):
            next(train(config, data, resume_from=tmp_path, device="cpu"))


class TestWrite:
    def test_makes_the_folder_and_leaves_one_file(self, data, tmp_path):
        run = build_run(data)
        path = write_checkpoint(run, tmp_path / "trial" / "checkpoint_000000")
        assert path == tmp_path / "trial" / "checkpoint_000000" / FILE_NAME
        assert list(path.parent.iterdir()) == [path]

    def test_replaces_an_older_one(self, data, folder):
        run, again = build_run(data), build_run(data)
        load_checkpoint(run, folder)
        run.run_epoch()
        write_checkpoint(run, folder)
        load_checkpoint(again, folder)
        assert again.epoch == 2

    @pytest.mark.parametrize("fraction", [0, 0.01, 0.5, 0.99])
    def test_a_failed_write_leaves_the_old_one_and_nothing_else(self, data, folder, fraction):
        before = (folder / FILE_NAME).read_bytes()
        run = build_run(data)
        load_checkpoint(run, folder)
        run.run_epoch()
        with limit_file_size(int(fraction * len(before))), pytest.raises((OSError, RuntimeError)):
            write_checkpoint(run, folder)
        assert [path.name for path in folder.iterdir()] == [FILE_NAME]
        assert (folder / FILE_NAME).read_bytes() == before
        write_checkpoint(run, folder)
        assert (folder / FILE_NAME).read_bytes() != before

    def test_a_process_killed_as_it_writes_leaves_the_old_one(self, data, folder):
        before = (folder / FILE_NAME).read_bytes()
        run = build_run(data)
        load_checkpoint(run, folder)
        run.run_epoch()
        assert write_and_be_killed(run, folder) == -signal.SIGXFSZ
        names = sorted(path.name for path in folder.iterdir())
        assert names[-1] == FILE_NAME
        assert len(names) == 2, "it was ended in the middle of writing"
        assert (folder / FILE_NAME).read_bytes() == before
        load_checkpoint(build_run(data), folder)


@contextmanager
def limit_file_size(num_bytes):
    """A disk that is full after some bytes, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_and_be_killed(run, folder):
    """Writes in a process that the kernel ends in the middle of it; how it ended."""
    process = os.fork()
    if process == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python asks not to be ended for writing too much
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with limit_file_size(50_000):
                write_checkpoint(run, folder)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def pack_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")
    return file.getvalue()


def save(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


class TestRefuse:
    def test_a_checkpoint_that_is_not_there(self, data, tmp_path):
        assert "is not there; begin anew, or name the folder that has it" in refuse(build_run(data), tmp_path)

    @pytest.mark.parametrize("num_bytes", [0, 1, 2, 3, 4, 30, 1_000, 0.5, 0.9, -1])
    def test_a_truncated_one(self, data, folder, num_bytes):
        content = (folder / FILE_NAME).read_bytes()
        end = int(num_bytes * len(content)) if isinstance(num_bytes, float) else num_bytes
        (folder / FILE_NAME).write_bytes(content[:end])
        words = refuse(build_run(data), folder)
        assert "is incomplete, damaged or no checkpoint" in words
        assert "take an earlier checkpoint or begin anew" in words

    def test_one_with_a_bit_turned_over_in_the_weights(self, data, folder):
        content = bytearray((folder / FILE_NAME).read_bytes())
        weights = build_run(data)
        load_checkpoint(weights, folder)
        place = content.index(list_bytes(weights.model)["head.weight"])
        content[place + 5] ^= 1
        (folder / FILE_NAME).write_bytes(content)
        assert "is not as it was written" in refuse(build_run(data), folder)

    @pytest.mark.parametrize(
        "content",
        [
            b"hello world\n",
            b'{"format": 1}',
            b"\x89PNG\r\n\x1a\n" + bytes(100),
            pickle.dumps({"format": 1}),
            pack_zip(),
            save(torch.zeros(3)),
            save({"model": {"weight": torch.zeros(3)}}),
            save({"format": 0}),
            save({"format": Path("an object of a class of its own")}),
        ],
        ids=["text", "json", "picture", "pickle", "zip", "tensor", "weights", "format", "object"],
    )
    def test_a_file_of_another_kind(self, data, folder, content):
        (folder / FILE_NAME).write_bytes(content)
        words = refuse(build_run(data), folder)
        assert "no checkpoint" in words or "not a checkpoint" in words or "cannot be read" in words
        assert "begin anew" in words
        assert "weights_only" not in words, "nobody should be told to run what a strange file says"

    def test_a_folder_of_that_name(self, data, tmp_path):
        (tmp_path / FILE_NAME).mkdir()
        assert "cannot be read" in refuse(build_run(data), tmp_path)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"lr": 0.5}, ["lr was 0.001 and is 0.5"]),
            ({"seed": 1, "epochs": 9}, ["epochs was 3 and is 9", "seed was 0 and is 1"]),
            ({"width": 0.5}, ["width was 0.25 and is 0.5"]),
            (
                {"optimizer": "momentum", "momentum": 0.8},
                [
                    "optimizer was 'adam' and is 'momentum'",
                    "momentum was absent and is 0.8",
                    "beta1 was 0.9 and is absent",
                ],
            ),
            ({"train_size": 100}, ["train_size was None and is 100"]),
        ],
        ids=lambda value: ",".join(value),
    )
    def test_one_of_other_settings_with_all_that_differs(self, data, kept, settings, words):
        found = refuse(build_run(data, **settings), kept)
        assert "belongs to another training" in found
        assert "resume with the settings and images that it was made with, or begin anew" in found
        for each in words:
            assert each in found

    def test_one_of_other_images(self, kept):
        assert "its images were others" in refuse(build_run(draw_synthetic(210, 40)), kept)

    def test_one_of_other_arithmetic(self, data, kept):
        found = refuse(build_run(data, precision="bf16"), kept)
        assert "precision was 'fp32' and is 'bf16'" in found
        assert "its arithmetic was fp32 and is bf16 on this hardware" in found

    def test_one_of_other_hardware_where_the_setting_is_the_same(self, data, tmp_path):
        # As a machine with other units would have written it.
        path = write_checkpoint(build_run(data, precision="auto"), tmp_path)
        content = torch.load(path, weights_only=True)
        other = {"fp32": "bf16", "bf16": "fp32"}[content["precision"]]
        torch.save({**content, "precision": other}, path)
        found = refuse(build_run(data, precision="auto"), tmp_path)
        assert f"another training: its arithmetic was {other} and is {content['precision']} on this hardware" in found

    def test_one_of_an_earlier_version_that_had_fewer_settings_is_gone_on_from(self, data, folder):
        run = build_run(data)
        expected = run_to_end(run)
        content = torch.load(folder / FILE_NAME, weights_only=True)
        new = ("activation", "normalization", "dropout", "ema_decay", "mixup_alpha", "measure_curvature")
        for name in new:
            del content["parameters"][name]
        del content["state"]["average"]
        torch.save(content, folder / FILE_NAME)
        after = build_run(data)
        load_checkpoint(after, folder)
        assert run_to_end(after) == expected[1:]
        # A setting that has its default no longer is one that differs.
        assert "activation was 'relu' and is 'tanh'" in refuse(build_run(data, activation="tanh"), folder)

    def test_images_may_have_moved(self, data, tmp_path):
        old, new = (build_run(data, dataset="imagefolder", data_dir=folder) for folder in ("/old", "/new"))
        old.run_epoch()
        write_checkpoint(old, tmp_path)
        load_checkpoint(new, tmp_path)
        assert run_to_end(new) == run_to_end(old)


class TestTakingOver:
    """A run that goes on with the weights of another and its own settings."""

    @pytest.mark.parametrize(
        ("settings", "own"),
        [
            ({"optimizer": "adam", "lr": 0.02, "beta1": 0.5, "weight_decay": 0.1}, {"betas": (0.5, 0.999)}),
            ({"optimizer": "adam", "lr": 0.04, "epsilon": 1e-3}, {"eps": 1e-3}),
        ],
        ids=str,
    )
    def test_weights_and_state_are_the_others_and_settings_its_own(self, data, tmp_path, settings, own):
        donor = build_run(data, optimizer="adam", lr=0.01)
        donor.run_epoch()
        write_checkpoint(donor, tmp_path)
        run = build_run(data, **settings)
        load_checkpoint(run, tmp_path, takes_over=True)
        assert run.epoch == 1
        assert list_bytes(run.model) == list_bytes(donor.model)
        (group,) = run.optimizer.param_groups
        assert {name: group[name] for name in own} == own
        assert group["weight_decay"] == settings.get("weight_decay", 0.0)
        moments = [
            [state["exp_avg"].numpy().tobytes() for state in each.optimizer.state.values()] for each in (run, donor)
        ]
        assert moments[0] == moments[1]
        assert run.run_epoch().lr == settings["lr"]

    def test_with_equal_settings_it_is_going_on(self, data, tmp_path):
        whole = build_run(data, **STATEFUL)
        whole.run_epoch()
        write_checkpoint(whole, tmp_path)
        run = build_run(data, **STATEFUL)
        load_checkpoint(run, tmp_path, takes_over=True)
        assert run_to_end(run) == run_to_end(whole)

    def test_another_batch_size_gives_other_steps(self, data, tmp_path):
        donor = build_run(data)
        donor.run_epoch()
        write_checkpoint(donor, tmp_path)
        run = build_run(data, batch_size=20)
        load_checkpoint(run, tmp_path, takes_over=True)
        assert run.run_epoch().num_steps == 9

    def test_other_images_are_refused_all_the_same(self, data, tmp_path):
        donor = build_run(data)
        donor.run_epoch()
        write_checkpoint(donor, tmp_path)
        with pytest.raises(CheckpointError, match="its images were others"):
            load_checkpoint(build_run(draw_synthetic(200, 41)), tmp_path, takes_over=True)
