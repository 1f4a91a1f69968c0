"""The network of a finished training, as it is registered: on whatever machine that is done."""

import pytest
import torch

from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.export import build_example, load_classifier
from trainer.loop.checkpoint import FILE_NAME, CheckpointError, load_checkpoint, write_checkpoint
from trainer.loop.training_run import TrainingRun

PARAMETERS = {"dataset": "synthetic", "model": "mlp", "hidden": 8, "batch_size": 50, "epochs": 1}


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(200, 40)


@pytest.fixture
def folder(data, tmp_path):
    run = TrainingRun(build_trial_config(PARAMETERS), data, device="cpu", num_threads=1)
    run.run_epoch()
    write_checkpoint(run, tmp_path)
    return tmp_path


def test_it_takes_images_as_they_are_and_gives_what_the_training_would(data, folder):
    run = TrainingRun(build_trial_config(PARAMETERS), data, device="cpu", num_threads=1)
    load_checkpoint(run, folder)
    images_NCHW, _ = run._images.load_test()[0].build_batch(torch.arange(2))
    expected = run.build_best_model()(images_NCHW)
    found = load_classifier(folder, PARAMETERS, data)(torch.from_numpy(build_example(data)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_one_that_trained_compiled_and_in_other_arithmetic_is_read_where_there_is_neither(data, folder, monkeypatch):
    monkeypatch.setenv("CXX", "absent-compiler")
    content = torch.load(folder / FILE_NAME, weights_only=True)
    other = {"fp32": "bf16", "bf16": "fp32"}[content["precision"]]
    compiled = {**content["parameters"], "compile": True}
    torch.save({**content, "precision": other, "parameters": compiled}, folder / FILE_NAME)
    classifier = load_classifier(folder, compiled, data)
    assert classifier(torch.from_numpy(build_example(data))).shape == (2, 10)
    with pytest.raises(CheckpointError, match="its arithmetic was"):  # to go on with the training is another matter
        load_checkpoint(TrainingRun(build_trial_config(PARAMETERS), data, device="cpu"), folder)


def test_one_of_another_training_is_refused(data, folder):
    with pytest.raises(CheckpointError, match="batch_size was 50 and is 20"):
        load_classifier(folder, {**PARAMETERS, "batch_size": 20}, data)
