"""Which weights are evaluated and kept, and that training knows nothing of it.

Shapes: B images of a batch, C = 3 channels, N images, K classes.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from trainer.config import build_trial_config
from trainer.data.dataset import build_dataset
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import load_checkpoint, write_checkpoint
from trainer.loop.evaluation_weights import EvaluationWeights
from trainer.loop.training_run import TrainingRun
from trainer.networks.layers import Dropout
from trainer.networks.network import Network
from trainer.tables.models import MODELS
from trainer.tables.optimizers import OPTIMIZERS

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "precision": "fp32"}
SCHEDULE_FREE = {"schedule_free_sgd": {"lr": 0.5}, "schedule_free_adamw": {"lr": 0.01}}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    """180 images to train on, three batches of 50 and part of a fourth; 20 to validate, 40 to test."""
    return draw_synthetic(200, 40)


def build_run(data, **settings):
    return TrainingRun(build_trial_config({**TINY, "epochs": 3, **settings}), data, device="cpu", num_threads=1)


def run_to_end(run):
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    return results


def show(results):
    """Every number of the results to the last bit, NaN included, but those of the clock."""
    return [repr(replace(each, train_seconds=0.0, validation_seconds=0.0)) for each in results]


def list_bytes(state):
    """A state in which tensors are bytes, so that it can be compared."""
    if isinstance(state, torch.Tensor):
        return state.numpy().tobytes()
    if isinstance(state, dict):
        return {name: list_bytes(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [list_bytes(value) for value in state]
    return repr(state)


def list_weights(model):
    return [weight.detach().clone() for weight in model.parameters()]


def build_network(**settings):
    config = build_trial_config({**TINY, **settings})
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return MODELS[config.model.name].build(config.model.settings, 10).train()


def draw_images(*sizes):
    """A list of images_BCHW."""
    generator = torch.Generator().manual_seed(5)
    return [2 + 3 * torch.randn(size, 3, 32, 32, generator=generator) for size in sizes]


def build_optimizer(model, name="sgd", **settings):
    row = OPTIMIZERS[name]
    return row.build(model.parameters(), {**row.defaults, **settings}, False)


def build_weights(model, optimizer="sgd", ema_decay=None, **settings):
    """The evaluation weights of a model and its optimizer."""
    row = OPTIMIZERS[optimizer]
    built = build_optimizer(model, optimizer, **settings)
    return EvaluationWeights(model, built, switches=row.switches, ema_decay=ema_decay), built


def take_step(model, optimizer, number):
    """A step on gradients that hang on nothing but its number."""
    generator = torch.Generator().manual_seed(number)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)
    optimizer.step()


class Scaling(Network):
    """Batch normalisation behind a product and dropout."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.layers = nn.Sequential(Dropout(0.5), nn.BatchNorm2d(3))

    def forward(self, images_NCHW):
        return self.layers(self.factor * images_NCHW)


class TestNothing:
    def test_without_average_the_model_itself_is_evaluated_and_no_image_is_read(self):
        model = build_network()
        weights, optimizer = build_weights(model)
        for number in range(2):
            take_step(model, optimizer, number)
            weights.after_step()
        before = list_bytes(model.state_dict())
        with weights.applied(lambda: pytest.fail("its own statistics are right")) as evaluated:
            assert evaluated is model
        assert list_bytes(model.state_dict()) == before
        assert weights.state_dict() == {}


class TestAverage:
    def test_equals_one_by_hand(self):
        model = build_network(normalization="none")
        weights, optimizer = build_weights(model, ema_decay=0.8, lr=0.1)
        first = list_weights(model)
        with weights.applied(list) as evaluated:
            assert all(map(torch.equal, list_weights(evaluated), first)), "before any step it is the weights as drawn"
        expected = None
        for number in range(4):
            take_step(model, optimizer, number)
            weights.after_step()
            now = [weight.double() for weight in list_weights(model)]
            if expected is None:
                expected = now
            expected = [0.8 * mean + 0.2 * weight for mean, weight in zip(expected, now, strict=True)]
            with weights.applied(list) as evaluated:
                found = list_weights(evaluated)
            torch.testing.assert_close(found, expected, check_dtype=False)
        assert not torch.allclose(found[0], list_weights(model)[0])

    def test_goes_on_from_its_state(self):
        model = build_network()
        straight, optimizer = build_weights(model, ema_decay=0.8, lr=0.1)
        for number in range(2):
            take_step(model, optimizer, number)
            straight.after_step()
        state = copy.deepcopy(straight.state_dict())
        resumed, _ = build_weights(model, ema_decay=0.8)
        resumed.load_state_dict(state)
        take_step(model, optimizer, 2)
        averages = []
        for weights in (straight, resumed):
            weights.after_step()
            with weights.applied(lambda: draw_images(20)) as evaluated:
                averages.append(list_bytes(evaluated.state_dict()))
        assert averages[0] == averages[1]

    def test_best_weights_are_the_averaged_ones(self, data):
        run = build_run(data, optimizer="sgd", lr=0.3, ema_decay=0.7, epochs=1)
        steps = []
        run.optimizer.register_step_post_hook(lambda *_: steps.append(list_weights(run.model)))
        result = run.run_epoch()
        expected = steps[0]
        for now in steps[1:]:
            expected = [0.7 * mean + 0.3 * weight for mean, weight in zip(expected, now, strict=True)]
        best = run.build_best_model()
        assert len(steps) == 3
        torch.testing.assert_close(list_weights(best), expected)
        assert not torch.allclose(list_weights(best)[0], list_weights(run.model)[0])
        images_NCHW, labels_N = normalise(run, run._images.held_out_indices_N)
        with torch.no_grad():
            logits_NK = best(images_NCHW)
        assert result.val_loss == pytest.approx(nn.functional.cross_entropy(logits_NK, labels_N).item(), rel=1e-4)
        assert result.val_accuracy == pytest.approx((logits_NK.argmax(1) == labels_N).double().mean().item())

    def test_its_statistics_are_those_of_training_images_as_they_are(self, data):
        run = build_run(data, optimizer="sgd", lr=0.3, ema_decay=0.7, epochs=1)
        run.run_epoch()
        best = run.build_best_model()
        expected = copy.deepcopy(best)
        update_bn([normalise(run, run._images.train_indices_N)[0]], expected)
        torch.testing.assert_close(best.state_dict(), expected.state_dict(), rtol=1e-4, atol=1e-5)

    def test_training_is_the_same_to_the_bit_with_and_without(self, data):
        plain, averaging = build_run(data), build_run(data, ema_decay=0.5)
        expected, found = run_to_end(plain), run_to_end(averaging)
        assert [each.train_loss for each in found] == [each.train_loss for each in expected]
        assert list_bytes(averaging.model.state_dict()) == list_bytes(plain.model.state_dict())
        assert [each.val_loss for each in found] != [each.val_loss for each in expected]


def normalise(run, indices_N):
    """Images and labels by arithmetic of our own."""
    mean_C, std_C = run.channels
    images_NHWC, labels_N = (run._data.train_images_NHWC[indices_N], run._data.train_labels_N[indices_N])
    images_NCHW = ((torch.from_numpy(images_NHWC).float() - mean_C) / std_C).permute(0, 3, 1, 2)
    return images_NCHW, torch.from_numpy(labels_N)


EVALUATIONS = {"average": ("sgd", 0.8), **{name: (name, None) for name in SCHEDULE_FREE}}


@pytest.mark.parametrize(("optimizer", "ema_decay"), EVALUATIONS.values(), ids=EVALUATIONS)
class TestEvaluation:
    """What holds for the average kept beside the optimizer and for the one that it keeps itself."""

    def test_training_goes_on_as_if_nothing_had_been_evaluated(self, optimizer, ema_decay):
        ends = []
        for evaluates in (False, True):
            model = build_network()
            weights, built = build_weights(model, optimizer, ema_decay)
            for number in range(3):
                take_step(model, built, number)
                weights.after_step()
                before = list_bytes([model.state_dict(), built.state_dict()])
                if evaluates:
                    with weights.applied(lambda: draw_images(10)) as evaluated:
                        assert list_bytes(evaluated.state_dict()) != before[0]
                assert list_bytes([model.state_dict(), built.state_dict()]) == before
            ends.append(list_bytes([model.state_dict(), built.state_dict()]))
        assert ends[0] == ends[1]

    def test_statistics_are_the_mean_over_batches_of_those_of_each(self, optimizer, ema_decay):
        model = Scaling()
        weights, built = build_weights(model, optimizer, ema_decay)
        take_step(model, built, 0)
        weights.after_step()
        batches = draw_images(4, 6, 6)
        with weights.applied(lambda: batches) as evaluated:
            factor, norm = evaluated.factor.item(), evaluated.layers[1]
            seen = [factor * images_BCHW for images_BCHW in batches]
            means = torch.stack([each.mean((0, 2, 3)) for each in seen])
            variances = torch.stack([each.var((0, 2, 3)) for each in seen])
            torch.testing.assert_close(norm.running_mean, means.mean(0), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(norm.running_var, variances.mean(0), rtol=1e-4, atol=1e-4)
            assert norm.momentum == 0.1

    def test_statistics_equal_those_of_torch_for_a_whole_network(self, optimizer, ema_decay):
        model = build_network(depth=2)
        weights, built = build_weights(model, optimizer, ema_decay)
        for number in range(2):
            take_step(model, built, number)
            weights.after_step()
        with weights.applied(lambda: draw_images(8, 8)) as evaluated:
            expected = copy.deepcopy(evaluated)
            update_bn(draw_images(8, 8), expected)
            assert list_bytes(evaluated.state_dict()) == list_bytes(expected.state_dict())

    def test_an_evaluation_does_not_hang_on_those_before_it(self, optimizer, ema_decay):
        model = build_network()
        weights, built = build_weights(model, optimizer, ema_decay)
        take_step(model, built, 0)
        weights.after_step()
        states = []
        for _ in range(2):
            with weights.applied(lambda: draw_images(8)) as evaluated:
                states.append(list_bytes(evaluated.state_dict()))
        assert states[0] == states[1]

    def test_without_batch_normalisation_no_image_is_read(self, optimizer, ema_decay):
        model = build_network(normalization="group")
        weights, built = build_weights(model, optimizer, ema_decay)
        take_step(model, built, 0)
        weights.after_step()
        with weights.applied(lambda: pytest.fail("there are no statistics")):
            pass


@pytest.mark.parametrize(("optimizer", "settings"), SCHEDULE_FREE.items(), ids=SCHEDULE_FREE)
class TestScheduleFree:
    def test_the_mean_of_all_last_weights_is_evaluated(self, optimizer, settings):
        model = build_network(normalization="none")
        weights, built = build_weights(model, optimizer, **settings)
        lasts = []
        for number in range(4):
            take_step(model, built, number)
            lasts.append([built.state[weight]["z"].clone() for weight in model.parameters()])
        trained = list_weights(model)
        with weights.applied(list) as evaluated:
            found = list_weights(evaluated)
        expected = [torch.stack(each).mean(0) for each in zip(*lasts, strict=True)]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found[0], trained[0])
        assert all(map(torch.equal, list_weights(model), trained))

    def test_best_weights_are_the_mean(self, data, optimizer, settings):
        run = build_run(data, optimizer=optimizer, epochs=1, **settings)
        run.run_epoch()
        with run._evaluation_weights.applied(run._load_for_statistics) as evaluated:
            expected = list_bytes(evaluated.state_dict())
        assert list_bytes(run.build_best_model().state_dict()) == expected
        assert list_bytes(run.model.state_dict()) != expected


RESUMED = {
    "ema": {"ema_decay": 0.9},
    "mixup": {"mixup_alpha": 0.4},
    "cutout": {"cutout_size": 9},
    "clip": {"gradient_clip_norm": 0.5},
    "full": {"batch_size": "full", "normalization": "group"},
    "dropout": {"dropout": 0.5},
    "all": {"ema_decay": 0.9, "mixup_alpha": 0.4, "cutout_size": 9, "gradient_clip_norm": 0.5, "dropout": 0.5},
    **{name: {"optimizer": name, **settings} for name, settings in SCHEDULE_FREE.items()},
}


@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_resume_after_any_epoch_equals_no_pause(data, tmp_path, settings):
    straight, written = build_run(data, **settings), build_run(data, **settings)
    expected = show(run_to_end(straight))
    for epoch in range(4):
        if epoch:
            written.run_epoch()
        write_checkpoint(written, tmp_path)
        resumed = build_run(data, **settings)
        load_checkpoint(resumed, tmp_path)
        assert list_bytes(resumed.state_dict()) == list_bytes(written.state_dict())
        assert show(run_to_end(resumed)) == expected[epoch:]
        assert list_bytes(resumed.state_dict()) == list_bytes(straight.state_dict())
        assert resumed.evaluate_test() == straight.evaluate_test()


def test_statistics_are_of_all_classes_also_where_images_are_in_their_order(monkeypatch):
    monkeypatch.setattr("trainer.data.run_data._STATISTICS_IMAGES", 101)
    monkeypatch.setattr("trainer.loop.training_run._EVALUATION_BATCH", 50)
    labels_N = np.sort(np.arange(240, dtype=np.int64) % 4)
    images_NHWC = np.broadcast_to((60 * labels_N)[:, None, None, None], (240, 32, 32, 3)).astype(np.uint8)
    data = build_dataset("imagefolder", ("a", "b", "c", "d"), images_NHWC, labels_N, images_NHWC, labels_N)
    config = build_trial_config(
        {"model": "mlp", "hidden": 4, "dataset": "imagefolder", "data_dir": "x", "precision": "fp32"}
    )
    batches = list(TrainingRun(config, data, device="cpu")._load_for_statistics())
    assert [len(each) for each in batches] == [34, 34, 33]
    for images_NCHW in batches:
        assert len(images_NCHW[:, 0, 0, 0].unique()) == 4
