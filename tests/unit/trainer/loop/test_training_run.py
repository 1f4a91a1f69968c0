"""One training run on tiny images, on one thread of the CPU.

Shapes: N images, B images of a batch, C = 3 channels, H = 32 rows, W = 32 columns, K classes.
"""

import copy
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from trainer.api import train
from trainer.config import ConfigError, build_trial_config
from trainer.data.augmentation import draw_mixing
from trainer.data.dataset import build_dataset, build_split
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun
from trainer.networks.layers import Dropout
from trainer.randomness import build_generator
from trainer.tables.optimizers import OPTIMIZERS

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 2}
CNN3C3D = {"model": "cnn3c3d", "dataset": "synthetic", "batch_size": 20, "train_size": 40, "epochs": 1}
AS_THEY_ARE = {"crop_padding": 0, "flip": False}


@pytest.fixture(scope="module")
def data():
    """240 images to train on, four batches of 50 and part of a fifth; 30 to validate, 40 to test."""
    return draw_synthetic(270, 40)


@pytest.fixture(scope="module")
def easy_data():
    """Noise around one colour per class."""
    generator = np.random.default_rng(0)
    colours_KC = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [180, 180, 40]])

    def draw(num):
        labels_N = np.arange(num, dtype=np.int64) % 4
        images_NHWC = colours_KC[labels_N][:, None, None] + generator.integers(-40, 40, (num, 32, 32, 3))
        return images_NHWC.astype(np.uint8), labels_N

    return build_dataset("imagefolder", ("red", "green", "blue", "yellow"), *draw(200), *draw(40))


def build_run(data, settings=TINY, **others):
    config = build_trial_config({"precision": "fp32", **settings, **others})
    return TrainingRun(config, data, device="cpu", num_threads=1)


def run_to_end(run):
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    return results


def show(results):
    """Every number of the results to the last bit, NaN included, but those of the clock."""
    return [repr(replace(each, train_seconds=0.0, validation_seconds=0.0)) for each in results]


def list_bytes(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def watch(run):
    """Keeps the images_BCHW and logits_BK of every batch that the network is trained on."""
    images, logits = [], []

    def keep(model, inputs, output_BK):
        if model.training:
            images.append(inputs[0].clone())
            logits.append(output_BK.detach().clone())

    run.model.register_forward_hook(keep)
    return images, logits


def leave_repeats_out(images):
    """Batches without those that are the same as the one before."""
    return [each for index, each in enumerate(images) if not index or not torch.equal(each, images[index - 1])]


def find_images(run, data, images):
    """Which training images some batches without augmentation were made of."""
    where = {image.tobytes(): index for index, image in enumerate(data.train_images_NHWC)}
    mean_C, std_C = run.channels
    bytes_NHWC = (torch.cat(images).permute(0, 2, 3, 1) * std_C + mean_C).round().to(torch.uint8).contiguous()
    return [where[image.tobytes()] for image in bytes_NHWC.numpy()]


class TestRandomness:
    def test_same_seed_gives_the_same_numbers_to_the_bit(self, data):
        runs = [build_run(data, seed=3) for _ in range(2)]
        first, second = (show(run_to_end(run)) for run in runs)
        assert first == second
        assert list_bytes(runs[0].model) == list_bytes(runs[1].model)
        assert runs[0].evaluate_test() == runs[1].evaluate_test()

    def test_another_seed_gives_other_weights_another_order_and_other_augmentation(self, data):
        runs = [build_run(data, seed=seed, **AS_THEY_ARE) for seed in (0, 1)]
        weights = [list_bytes(run.model)["head.weight"] for run in runs]
        assert weights[0] != weights[1]
        watched = [watch(run)[0] for run in runs]
        results = [run.run_epoch() for run in runs]
        orders = [find_images(run, data, images) for run, images in zip(runs, watched, strict=True)]
        assert orders[0] != orders[1]
        assert results[0].train_loss != results[1].train_loss
        augmentations = [run.state_dict()["generators"]["augmentation"] for run in runs]
        assert not torch.equal(*augmentations)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_for_one_seed_every_optimizer_gets_the_same_weights_order_and_augmentation(self, data, optimizer):
        calm = {"lr": 0.1} if optimizer == "lbfgs" else {}  # with its default of 1 it diverges on some processors
        reference, other = build_run(data, optimizer="sgd", lr=0.1), build_run(data, optimizer=optimizer, **calm)
        assert list_bytes(other.model) == list_bytes(reference.model)
        (images, _), (other_images, _) = watch(reference), watch(other)
        for run in (reference, other):
            run_to_end(run)
        other_images = leave_repeats_out(other_images)  # some optimizers evaluate a batch more than once
        assert len(images) == len(other_images) == 8
        assert all(map(torch.equal, images, other_images))

    @pytest.mark.parametrize(
        "settings",
        [
            {"lr": 0.5, "weight_decay": 0.1},
            {"loss": "mse"},
            {"schedule": "one_cycle", "label_smoothing": 0.2},
            {"epochs": 7, "early_stopping_patience": 1},
            {"batch_size": 25},
            {"initializer": "glorot_uniform"},
            {"width": 0.5},
            {"dropout": 0.5},
            {"gradient_clip_norm": 0.1, "ema_decay": 0.9},
        ],
        ids=lambda settings: ",".join(settings),
    )
    def test_no_other_setting_changes_the_order_or_the_augmentation(self, data, settings):
        reference, other = build_run(data), build_run(data, **settings)
        same_weights = not {"initializer", "width"} & set(settings)
        assert (list_bytes(other.model) == list_bytes(reference.model)) == same_weights
        (images, _), (other_images, _) = watch(reference), watch(other)
        for run in (reference, other):
            run.run_epoch()
        assert torch.equal(torch.cat(images)[:200], torch.cat(other_images)[:200])

    def test_global_generators_are_neither_read_nor_moved(self, data):
        results = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            random.seed(seed)
            before = torch.get_rng_state(), random.getstate()
            run = build_run(data)
            results.append([*show(run_to_end(run)), run.evaluate_test()])
            assert torch.equal(torch.get_rng_state(), before[0])
            assert random.getstate() == before[1]
        assert results[0] == results[1]

    def test_generators_differ_by_seed_and_by_purpose(self):
        keys = [(0, "order"), (1, "order"), (0, "weights"), (10, "order"), (1, "0/order")]
        drawn = [int(torch.randint(2**62, (), generator=build_generator(*key))) for key in keys]
        assert len(set(drawn)) == len(keys)
        assert int(torch.randint(2**62, (), generator=build_generator(0, "order"))) == drawn[0]


class TestEpoch:
    def test_counts_images_steps_and_gradients_and_leaves_an_incomplete_last_batch_out(self, data):
        run = build_run(data, **AS_THEY_ARE)
        images, _ = watch(run)
        for epoch in (1, 2):
            result = run.run_epoch()
            assert (result.epoch, run.epoch) == (epoch, epoch)
            assert (result.num_samples, result.num_steps, result.num_gradient_evaluations) == (200, 4, 4)
            assert result.train_seconds > 0
            assert result.validation_seconds > 0
        assert [len(each) for each in images] == [50] * 8
        first, second = find_images(run, data, images[:4]), find_images(run, data, images[4:])
        assert len(set(first)) == len(set(second)) == 200
        assert set(first) != set(second), "not always the same images are left out"

    def test_trains_on_every_image_of_the_split_once_and_on_none_that_validates(self, data):
        run = build_run(data, batch_size=60, **AS_THEY_ARE)
        images, _ = watch(run)
        run.run_epoch()
        order = find_images(run, data, images)
        split = build_split(data.train_labels_N)
        assert sorted(order) == split.train_indices_N.tolist()
        assert order != sorted(order)
        assert not set(order) & set(split.validation_indices_N.tolist())

    def test_augmentation_is_drawn_anew_in_every_epoch(self, data):
        run = build_run(data, batch_size=240)
        images, _ = watch(run)
        run_to_end(run)
        first, second = ({image.numpy().tobytes() for image in epoch} for epoch in images)
        assert len(first & second) < 20  # an undisturbed image now and then; there are 162 ways to disturb one

    def test_train_size_trains_on_so_many(self, data):
        result = build_run(data, train_size=120).run_epoch()
        assert (result.num_samples, result.num_steps) == (100, 2)

    def test_a_batch_may_be_a_single_image(self, data):
        run = build_run(data, batch_size=1, train_size=12, epochs=1)
        before = list_bytes(run.model)
        images, _ = watch(run)
        result = run.run_epoch()
        assert (result.num_samples, result.num_steps, result.num_gradient_evaluations) == (12, 12, 12)
        assert [len(each) for each in images] == [1] * 12
        assert result.stop_reason == "epochs"
        assert list_bytes(run.model) != before

    @pytest.mark.parametrize(("train_size", "num_samples"), [(None, 240), (35, 35)])
    def test_a_full_batch_is_one_step_per_epoch_on_every_image(self, data, train_size, num_samples):
        run = build_run(data, batch_size="full", normalization="group", train_size=train_size, **AS_THEY_ARE)
        images, _ = watch(run)
        for result in run_to_end(run):
            assert (result.num_samples, result.num_steps, result.num_gradient_evaluations) == (num_samples, 1, 1)
        first, second = (find_images(run, data, [each]) for each in images)
        expected = build_split(data.train_labels_N, train_size=train_size).train_indices_N.tolist()
        assert sorted(first) == sorted(second) == expected

    def test_a_full_batch_is_worked_off_in_parts_that_come_to_the_same(self, data, monkeypatch):
        settings = {
            "batch_size": "full",
            "normalization": "group",
            "cutout_size": 8,
            "optimizer": "momentum",
            "lr": 0.1,
        }
        whole = run_to_end(build_run(data, **settings))
        monkeypatch.setattr("trainer.data.run_data._CHUNK", 100)
        run = build_run(data, **settings)
        images, _ = watch(run)
        parted = run_to_end(run)
        assert [len(each) for each in images[:3]] == [100, 100, 40]
        for name in ("train_loss", "train_accuracy", "val_loss"):
            found, expected = ([getattr(each, name) for each in results] for results in (parted, whole))
            assert found == pytest.approx(expected, rel=1e-3), name

    def test_counts_every_gradient_that_an_optimizer_asks_for(self, data):
        counts = {}
        for name, settings in (("lbfgs", {"max_iterations": 4}), ("sam", {})):
            run = build_run(data, optimizer=name, lr=0.1, epochs=1, **settings)
            images, _ = watch(run)
            result = run.run_epoch()
            counts[name] = result.num_gradient_evaluations
            assert result.num_steps == 4
            assert len(images) == counts[name]
        assert counts["sam"] == 8
        assert counts["lbfgs"] > 8

    def test_mixup_and_cutout_are_in_the_images_that_are_trained_on(self, data):
        runs = [build_run(data, **AS_THEY_ARE, **more) for more in ({}, {"mixup_alpha": 1.0}, {"cutout_size": 32})]
        seen = []
        for run in runs:
            images, _ = watch(run)
            run_to_end(run)
            seen.append(images)
        plain, mixed, holed = seen
        shares = [share for epoch in (1, 2) for share in draw_mixing(runs[1].config, epoch, 4)]
        for index, share in enumerate(shares):
            expected = share * plain[index] + (1 - share) * plain[index].roll(1, 0)
            torch.testing.assert_close(mixed[index], expected)
        kept = holed[0] != 0
        assert torch.equal(holed[0][kept], plain[0][kept])
        assert 0.3 < kept.double().mean() < 0.6  # a square as large as the image covers 56 % of it on average

    def test_dropout_leaves_others_out_in_every_epoch(self, data):
        run = build_run(data, batch_size=240, dropout=0.5)
        masks = []

        def keep(layer, inputs, output):
            if layer.training:
                masks.append((inputs[0] > 0) & (output == 0))

        next(layer for layer in run.model.modules() if isinstance(layer, Dropout)).register_forward_hook(keep)
        run_to_end(run)
        first, second = masks
        assert (first ^ second).double().mean() > 0.2

    def test_training_numbers_are_those_of_each_batch_as_it_was_met(self, data):
        run = build_run(data, label_smoothing=0.4, **AS_THEY_ARE)
        images, logits = watch(run)
        result = run.run_epoch()
        labels_N = torch.from_numpy(data.train_labels_N[find_images(run, data, images)])
        logits_NK = torch.cat(logits)
        loss = cross_entropy(logits_NK, labels_N, label_smoothing=0.4).item()
        assert result.train_loss == pytest.approx(loss, rel=1e-5)
        assert result.train_accuracy == pytest.approx((logits_NK.argmax(1) == labels_N).double().mean().item())

    def test_label_smoothing_is_not_in_the_validation_loss(self, data):
        run = build_run(data, label_smoothing=0.4, optimizer="momentum", lr=0.1)
        result = run.run_epoch()
        chosen_N = build_split(data.train_labels_N).validation_indices_N
        logits_NK, labels_N = predict(run, run.model, data.train_images_NHWC[chosen_N], data.train_labels_N[chosen_N])
        assert result.val_loss == pytest.approx(cross_entropy(logits_NK, labels_N).item(), rel=1e-4)
        smoothed = cross_entropy(logits_NK, labels_N, label_smoothing=0.4).item()
        assert result.val_loss != pytest.approx(smoothed, rel=1e-2)
        assert result.val_accuracy == pytest.approx((logits_NK.argmax(1) == labels_N).double().mean().item())

    def test_a_penalty_is_trained_on_and_not_in_the_training_loss(self, data):
        plain, penalised = (build_run(data, CNN3C3D, batch_size=40, l2_penalty=factor) for factor in (0.0, 1.0))
        # One step: its loss is of the weights as they were drawn, the same for both.
        assert penalised.run_epoch().train_loss == plain.run_epoch().train_loss
        assert list_bytes(penalised.model) != list_bytes(plain.model)

    def test_learning_rate_is_that_of_the_last_step(self, data):
        for settings, expected in [
            ({"schedule": "constant"}, [0.2, 0.2]),
            ({"schedule": "step", "step_epochs": 1, "gamma": 0.5}, [0.2, 0.1]),
            ({"schedule": "constant", "warmup_epochs": 1.5}, [0.2 * 4 / 6, 0.2]),
            ({"schedule": "cosine"}, [0.1 * (1 + math.cos(math.pi * step / 8)) for step in (3, 7)]),
        ]:
            run = build_run(data, optimizer="sgd", lr=0.2, **settings)
            lrs = [(run.run_epoch().lr, run.optimizer.param_groups[0]["lr"]) for _ in range(2)]
            assert [lr for lr, _ in lrs] == pytest.approx(expected)
            assert all(reported == used for reported, used in lrs)

    def test_the_validation_loss_reaches_the_schedule(self, data):
        plateau = {"schedule": "reduce_on_plateau", "plateau_patience": 0, "plateau_factor": 0.5}
        run = build_run(data, optimizer="sgd", lr=0.2, epochs=4, plateau_min_delta=100, **plateau)
        assert [each.lr for each in run_to_end(run)] == pytest.approx([0.2, 0.2, 0.1, 0.05])

    def test_bf16_repeats_to_the_bit_as_well(self, data):
        runs = [build_run(data, train_size=100, epochs=1, precision=name) for name in ("bf16", "bf16", "fp32")]
        assert [run.precision for run in runs] == ["bf16", "bf16", "fp32"]
        losses = [run.run_epoch().train_loss for run in runs]
        assert losses[0] == losses[1]
        assert losses[0] == pytest.approx(losses[2], rel=0.1)
        assert losses[0] != losses[2]


class TestData:
    def test_reads_images_that_cannot_be_written_to(self, data):
        names = ("train_images_NHWC", "train_labels_N", "test_images_NHWC", "test_labels_N")
        arrays = {name: getattr(data, name).copy() for name in names}
        for array in arrays.values():
            array.setflags(write=False)
        runs = [build_run(each) for each in (data, replace(data, **arrays))]
        results = [[*show(run_to_end(run)), run.evaluate_test()] for run in runs]
        assert results[0] == results[1]

    def test_leaves_the_images_as_they_are(self, data):
        run = build_run(data)
        run_to_end(run)
        run.evaluate_test()
        again = build_dataset(
            data.name,
            data.classes,
            data.train_images_NHWC,
            data.train_labels_N,
            data.test_images_NHWC,
            data.test_labels_N,
        )
        assert again.digest == data.digest == run.data_digest

    def test_a_configuration_that_does_not_fit_the_images_is_refused(self, data):
        with pytest.raises(ConfigError, match="batch_size: found 241; allowed: up to 240"):
            build_run(data, batch_size=241)
        with pytest.raises(ConfigError, match="train_size: found 270; allowed: up to 240"):
            build_run(data, train_size=270)

    def test_an_easy_problem_is_learnt(self, easy_data):
        run = build_run(easy_data, optimizer="nesterov", lr=0.1, epochs=4, batch_size=20)
        results = run_to_end(run)
        assert results[-1].best_val_accuracy > 0.9  # chance is 0.25
        assert results[-1].train_loss < results[0].train_loss
        assert run.evaluate_test()[1] > 0.9


class TestEnd:
    def test_stops_after_the_last_epoch_and_has_no_next_one(self, data):
        run = build_run(data)
        results = run_to_end(run)
        assert [(each.stop_reason, each.done) for each in results] == [(None, False), ("epochs", True)]
        with pytest.raises(RuntimeError, match=r"ended after epoch 2 \(epochs\); there is no next epoch"):
            run.run_epoch()
        assert run.epoch == 2

    @pytest.mark.parametrize("patience", [1, 2])
    def test_stops_when_patience_is_used_up(self, data, patience):
        # After the first epoch nothing gains 99 percentage points.
        stopping = {"early_stopping_patience": patience, "early_stopping_min_delta": 0.99}
        results = run_to_end(build_run(data, epochs=9, **stopping))
        assert [each.stop_reason for each in results] == [None] * patience + ["patience"]

    def test_a_run_whose_patience_ends_with_the_last_epoch_has_had_all_epochs(self, data):
        run = build_run(data, epochs=2, early_stopping_patience=1, early_stopping_min_delta=0.99)
        assert run_to_end(run)[-1].stop_reason == "epochs"

    def test_a_loss_that_is_not_finite_ends_the_epoch_and_the_run_as_diverged(self, data):
        run = build_run(data, optimizer="sgd", lr=1e30, batch_size=2)
        (result,) = run_to_end(run)
        assert result.stop_reason == "diverged"
        assert not math.isfinite(result.train_loss)
        assert math.isnan(result.val_loss)
        assert math.isnan(result.val_accuracy)
        assert math.isnan(result.best_val_accuracy)
        assert result.best_epoch == 0
        # of 120 steps; the loss is looked at every 50
        assert (result.num_steps, result.num_samples, result.num_gradient_evaluations) == (51, 102, 51)
        assert 0 <= result.train_accuracy <= 1
        with pytest.raises(RuntimeError, match="no best weights: no epoch has ended with a finite validation loss"):
            run.evaluate_test()

    def test_a_validation_loss_that_is_not_finite_is_diverged_and_never_best(self, data):
        # A single step, whose loss is of the weights before it.
        run = build_run(data, optimizer="sgd", lr=1e30, batch_size=240)
        (result,) = run_to_end(run)
        assert math.isfinite(result.train_loss)
        assert not math.isfinite(result.val_loss)
        assert (result.stop_reason, result.best_epoch) == ("diverged", 0)

    def test_a_loss_beyond_twice_its_first_value_is_diverged_though_it_is_finite(self, data):
        (result,) = run_to_end(build_run(data, optimizer="sgd", lr=100, epochs=9))
        assert result.stop_reason == "diverged"
        assert 5 < result.train_loss < math.inf
        assert math.isfinite(result.val_loss)
        assert result.best_epoch == 1

    def test_a_loss_is_compared_with_the_first_of_the_run_and_not_of_the_epoch(self, data):
        # One step per epoch, so that no loss is above another one of its epoch.
        run = build_run(data, optimizer="sgd", lr=100, epochs=9, batch_size=240)
        first, second = run_to_end(run)
        assert second.train_loss > 2 * first.train_loss
        assert [first.stop_reason, second.stop_reason] == [None, "diverged"]
        assert math.isfinite(run.evaluate_test()[0]), "the first epoch was a good one"

    def test_a_loss_that_comes_back_within_the_epoch_is_not_diverged(self, data):
        # Adagrad's first step is as long as the learning rate, whatever the gradient; later ones are shorter.
        run = build_run(data, optimizer="adagrad", lr=3.0, schedule="cosine", batch_size=5, epochs=1, **AS_THEY_ARE)
        images, logits = watch(run)
        (result,) = run_to_end(run)
        labels_N = torch.from_numpy(data.train_labels_N[find_images(run, data, images)])
        pairs = zip(logits, labels_N.split(5), strict=True)
        losses = [cross_entropy(logits_BK, labels_B).item() for logits_BK, labels_B in pairs]
        assert result.train_loss == pytest.approx(sum(losses) / 48, rel=1e-5)
        assert result.train_loss > 3 * losses[0]
        assert result.stop_reason == "epochs"


class TestBestWeights:
    def test_test_images_are_read_with_the_weights_of_the_best_epoch(self, data):
        run = build_run(data, optimizer="momentum", lr=0.3, epochs=30)
        weights, accuracies, best_epochs = [], [], []
        while not best_epochs or best_epochs[-1] == run.epoch:
            result = run.run_epoch()
            weights.append(list_bytes(run.model))
            accuracies.append(result.val_accuracy)
            best_epochs.append(result.best_epoch)
            assert result.best_val_accuracy == max(accuracies)
            assert result.best_epoch == accuracies.index(max(accuracies)) + 1
        best = run.build_best_model()
        assert list_bytes(best) == weights[best_epochs[-1] - 1] != weights[-1]
        logits_NK, labels_N = predict(run, best, data.test_images_NHWC, data.test_labels_N)
        loss, accuracy = run.evaluate_test()
        assert loss == pytest.approx(cross_entropy(logits_NK, labels_N).item(), rel=1e-4)
        assert accuracy == pytest.approx((logits_NK.argmax(1) == labels_N).double().mean().item())
        assert list_bytes(run.model) == weights[-1], "the run itself still has its own weights"

    def test_before_any_epoch_there_are_none(self, data):
        run = build_run(data)
        for read in (run.evaluate_test, run.build_best_model):
            with pytest.raises(RuntimeError, match="no best weights"):
                read()

    def test_reading_the_test_images_changes_nothing(self, data):
        straight, reading = build_run(data), build_run(data)
        expected = show(run_to_end(straight))
        found = show([reading.run_epoch()])
        reading.evaluate_test()
        assert found + show([reading.run_epoch()]) == expected

    def test_the_best_model_is_ready_to_predict_also_in_a_run_that_was_just_restored(self, data):
        run, restored = build_run(data), build_run(data)
        run.run_epoch()
        restored.load_state_dict(run.state_dict())
        assert not restored.build_best_model().training
        assert list_bytes(restored.build_best_model()) == list_bytes(run.build_best_model())


def predict(run, model, images_NHWC, labels_N):
    """The logits_NK, and the labels_N as a tensor, by arithmetic of our own."""
    mean_C, std_C = run.channels
    images_NCHW = ((torch.from_numpy(images_NHWC).float() - mean_C) / std_C).permute(0, 3, 1, 2)
    with torch.no_grad():
        return model.eval()(images_NCHW), torch.from_numpy(labels_N)


class TestState:
    def test_a_state_that_a_run_goes_on_from_is_still_good_for_another(self, data):
        before, first, second = (build_run(data, optimizer="adam", lr=0.01, epochs=3) for _ in range(3))
        before.run_epoch()
        state = copy.deepcopy(before.state_dict())
        first.load_state_dict(state)
        expected = show(run_to_end(first))
        second.load_state_dict(state)
        assert show(run_to_end(second)) == expected


class TestTrain:
    def test_yields_each_epoch_to_the_end(self, data):
        config = build_trial_config({**TINY, "precision": "fp32"})
        assert show(train(config, data, device="cpu", num_threads=1)) == show(run_to_end(build_run(data)))

    def test_the_number_of_threads_is_as_asked_or_as_it_was(self, data):
        config = build_trial_config(TINY)
        TrainingRun(config, data, device="cpu", num_threads=2)
        assert torch.get_num_threads() == 2
        TrainingRun(config, data, device="cpu")
        assert torch.get_num_threads() == 2
        TrainingRun(config, data, device="cpu", num_threads=1)
        assert torch.get_num_threads() == 1


class TestEvaluatingOnTheTestImages:
    def test_trains_on_all_and_what_it_calls_validation_is_the_test(self, data):
        run = build_run(data, evaluate_on="test", epochs=1)
        result = run.run_epoch()
        assert result.num_samples == 250  # of 270, in batches of 50
        assert (result.val_loss, result.val_accuracy) == run.evaluate_test()

    def test_resumes_to_the_bit(self, data):
        whole = build_run(data, evaluate_on="test", contrast_jitter=0.5, standardization="picture")
        expected = show(run_to_end(whole))
        first, second = (
            build_run(data, evaluate_on="test", contrast_jitter=0.5, standardization="picture") for _ in range(2)
        )
        begun = show([first.run_epoch()])
        second.load_state_dict(first.state_dict())
        assert begun + show(run_to_end(second)) == expected


def test_images_scaled_by_their_own_values_reach_the_network_so_in_training_and_evaluation(data):
    run = build_run(data, standardization="picture", epochs=1, **AS_THEY_ARE)
    images, _ = watch(run)
    run.run_epoch()
    means = torch.cat([batch.mean((1, 2, 3)) for batch in images])
    deviations = torch.cat([batch.std((1, 2, 3), correction=0) for batch in images])
    torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviations, torch.ones_like(deviations), atol=1e-4, rtol=0)


def test_every_batch_is_told_of_in_training_and_evaluation(data):
    told = []
    run = TrainingRun(
        build_trial_config(TINY), data, device="cpu", num_threads=1, on_batch=lambda: told.append(run.epoch)
    )
    run_to_end(run)
    assert told == [1] * 5 + [2] * 5, "four of training and one of validation"
    run.evaluate_test()
    assert len(told) == 11


CHANGING = {**TINY, "epochs": 4, "optimizer": "momentum", "lr": 0.01, "schedule": "cosine"}
CHANGES = '{"1": {"lr": 0.02, "batch_size": 30}, "3": {"lr": 0.005, "flip": true, "weight_decay": 0.001}}'


def test_changes_are_what_a_run_of_other_settings_does_that_takes_over(data):
    """As under population based training: each part is a run of its own, with the state of the one before."""
    changing = build_run(data, CHANGING, weight_decay=0.01, changes=CHANGES)
    parts = [
        build_run(data, CHANGING, weight_decay=0.01),
        build_run(data, CHANGING, weight_decay=0.01, lr=0.02, batch_size=30),
        build_run(data, CHANGING, weight_decay=0.001, lr=0.005, batch_size=30),
    ]
    expected = [parts[0].run_epoch()]
    parts[1].take_over(parts[0].state_dict(), parts[0].config)
    expected += [parts[1].run_epoch(), parts[1].run_epoch()]
    parts[2].take_over(parts[1].state_dict(), parts[1].config)
    expected.append(parts[2].run_epoch())
    found = run_to_end(changing)
    assert [result.num_steps for result in found] == [4, 8, 8, 8]
    for result, other in zip(found, expected, strict=True):
        assert (result.train_loss, result.val_loss, result.lr) == (other.train_loss, other.val_loss, other.lr)
    assert changing.stop_reason == "epochs"


@pytest.mark.parametrize("num_epochs", [1, 2, 3])
def test_changes_go_on_from_a_state_to_the_bit(data, num_epochs):
    whole = build_run(data, CHANGING, weight_decay=0.01, changes=CHANGES)
    results = run_to_end(whole)
    first = build_run(data, CHANGING, weight_decay=0.01, changes=CHANGES)
    for _ in range(num_epochs):
        first.run_epoch()
    second = build_run(data, CHANGING, weight_decay=0.01, changes=CHANGES)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for expected, found in zip(results[num_epochs:], run_to_end(second), strict=True):
        assert (expected.train_loss, expected.val_loss) == (found.train_loss, found.val_loss)
