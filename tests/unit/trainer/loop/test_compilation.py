"""Steps that run compiled: the same training, up to rounding."""

import os
import shutil
from dataclasses import replace

import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import load_checkpoint, write_checkpoint
from trainer.loop.training_run import TrainingRun

TINY = {"dataset": "synthetic", "batch_size": 50, "precision": "fp32", "epochs": 2, "model": "mlp", "hidden": 8}
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler on this machine (g++, or CXX)"
)


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(200, 40)


def build_run(data, **settings):
    return TrainingRun(build_trial_config({**TINY, **settings}), data, device="cpu", num_threads=1)


def run_to_end(run):
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    return results


def show(results):
    return [repr(replace(each, train_seconds=0.0, validation_seconds=0.0)) for each in results]


@needs_compiler
class TestCompiledTraining:
    @pytest.mark.parametrize(
        "settings",
        [
            {"dropout": 0.3},
            {"optimizer": "sam", "lr": 0.01, "model": "fastcnn", "width": 0.25, "depth": 1, "hidden": None},
        ],
        ids=["dropout", "sam, batch normalisation"],
    )
    def test_is_the_same_training_and_repeats_and_resumes_to_the_bit(self, data, settings, tmp_path):
        settings = {name: value for name, value in settings.items() if value is not None}
        given = {name: value for name, value in TINY.items() if name != "hidden" or "model" not in settings}
        config = build_trial_config({**given, **settings, "compile": True})
        eager = TrainingRun(replace(config, compile=False), data, device="cpu", num_threads=1)
        plain = run_to_end(eager)
        first = TrainingRun(config, data, device="cpu", num_threads=1)
        results = [first.run_epoch()]
        write_checkpoint(first, tmp_path)
        results += run_to_end(first)
        for one, other in zip(results, plain, strict=True):
            # Batch normalisation makes more of a rounding from step to step.
            assert one.train_loss == pytest.approx(other.train_loss, rel=2e-3)
            assert one.val_loss == pytest.approx(other.val_loss, rel=2e-3)
        for name, value in eager.model.named_buffers():
            torch.testing.assert_close(first.model.get_buffer(name), value, rtol=0.02, atol=0.02)
        resumed = TrainingRun(config, data, device="cpu", num_threads=1)
        load_checkpoint(resumed, tmp_path)
        assert show(run_to_end(resumed)) == show(results[1:])

    def test_nothing_is_compiled_again_from_step_to_step(self, data):
        run = build_run(data, compile=True, dropout=0.3, depth=1)
        run.run_epoch()
        with torch.compiler.set_stance("fail_on_recompile"):
            run.run_epoch()

    def test_the_tenth_network_of_a_process_is_compiled_as_the_first(self, data):
        for hidden in range(4, 14):
            run = build_run(data, compile=True, hidden=hidden, depth=1)
            images_BCHW = torch.zeros(2, 3, 32, 32)
            torch._dynamo.utils.counters.clear()
            run._stepper._forward(images_BCHW)
            assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
            assert not torch._dynamo.utils.counters["graph_break"]

    def test_the_model_itself_stays_as_it_is(self, data):
        run = build_run(data, compile=True)
        assert set(run.model.state_dict()) == set(build_run(data).model.state_dict())


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("absent-compiler -O2", "compiler 'absent-compiler -O2', which CXX names,"),
        ("", "compiler '', which CXX names,"),
        (None, "g++"),
    ],
)
def test_a_machine_without_compiler_is_told_of_it_before_anything_is_trained(data, monkeypatch, variable, words):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", variable or "")
    if variable is None:
        monkeypatch.delenv("CXX")
    with pytest.raises(ConfigError, match=f"compile: found true, but there is no {words.replace('+', '[+]')} on this"):
        build_run(data, compile=True)


def test_what_differentiates_the_gradient_is_refused():
    with pytest.raises(ConfigError, match="compile: found true, but adahessian differentiates the gradient"):
        build_trial_config({**TINY, "optimizer": "adahessian", "compile": True})
