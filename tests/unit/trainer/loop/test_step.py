"""One change of the weights, against what torch makes of the same by hand.

Shapes: B images of a batch, C = 3 channels, H = 32 rows, W = 32 columns, K = 10 classes.
"""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from trainer.config import build_trial_config
from trainer.loop.step import Stepper, blend
from trainer.networks.layers import Dropout
from trainer.tables.initializers import INITIALIZERS, initialize
from trainer.tables.models import MODELS

MLP = {"model": "mlp", "hidden": 8, "depth": 1}
FASTCNN = {"model": "fastcnn", "width": 0.25, "depth": 1}
CNN3C3D = {"model": "cnn3c3d", "l2_penalty": 0.1}
NETWORKS = {
    "mlp": MLP,
    "without normalisation": {**FASTCNN, "normalization": "none"},
    "group normalisation": {**FASTCNN, "normalization": "group"},
    "penalty": CNN3C3D,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_stepper(settings=MLP, *, precision="fp32", **others):
    """A stepper and its model, whose weights hang on nothing but the settings of the model."""
    config = build_trial_config({"optimizer": "sgd", **settings, **others})
    model = MODELS[config.model.name].build(config.model.settings, 10)
    generator = torch.Generator().manual_seed(3)
    initialize(model, INITIALIZERS[config.initializer.name], config.initializer.settings, generator)
    return Stepper(config, model.train(), precision), model


def draw_batch(num_images=17, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images_BCHW = torch.randn(num_images, 3, 32, 32, generator=generator)
    return images_BCHW, torch.randint(10, (num_images,), generator=generator)


def take(batch):
    """The batch as one part."""
    return [lambda: batch]


def cut(batch, sizes=(7, 7, 3)):
    """The batch in several parts."""
    pairs = zip(*(each.split(sizes) for each in batch), strict=True)
    return [lambda pair=pair: pair for pair in pairs]


def list_gradients(model):
    return [weight.grad.clone() for weight in model.parameters()]


def list_weights(model):
    return [weight.detach().clone() for weight in model.parameters()]


def differentiate(model, batch, lose=cross_entropy):
    """Loss, logits_BK and gradients of a copy of the model, by torch alone, and the penalty in the gradients."""
    model = copy.deepcopy(model)
    logits_BK = model(batch[0])
    loss = lose(logits_BK, batch[1])
    loss.backward()
    gradients = list_gradients(model)
    if getattr(model, "l2_penalty", 0):
        # Of half the sum of squares; biases, which have one axis, are left out.
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            gradient += model.l2_penalty * weight.detach() * (weight.ndim > 1)
    return loss.detach(), logits_BK.detach(), gradients


def measure_norm(gradients):
    return torch.cat([each.flatten() for each in gradients]).norm().item()


class TestGradient:
    @pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
    @pytest.mark.parametrize("cut", [take, cut], ids=["one part", "three parts"])
    def test_equals_that_of_the_whole_batch_by_hand(self, settings, cut):
        stepper, model = build_stepper(settings)
        batch = draw_batch()
        expected = differentiate(model, batch)
        loss, logits_BK = stepper.step(0, 0.1, cut(batch))
        torch.testing.assert_close((loss, logits_BK, list_gradients(model)), expected, rtol=1e-4, atol=1e-6)
        assert stepper.num_gradient_evaluations == 1

    @pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
    def test_steps_in_parts_lead_where_steps_at_once_do(self, settings):
        (whole, model), (parted, other) = build_stepper(settings), build_stepper(settings)
        for each in (model, other):  # float32 sums of parts differ by more than the bound on some processors
            each.double()
        for index in range(3):
            images_BCHW, labels_B = draw_batch(seed=index)
            batch = images_BCHW.double(), labels_B
            whole.step(index, 0.01, take(batch))
            parted.step(index, 0.01, cut(batch))
        torch.testing.assert_close(list_weights(other), list_weights(model), rtol=1e-4, atol=1e-6)

    def test_the_weights_move_against_it(self):
        stepper, model = build_stepper()
        before = list_weights(model)
        stepper.step(0, 0.25, take(draw_batch()))
        moved = zip(before, list_gradients(model), strict=True)
        expected = [weight - 0.25 * gradient for weight, gradient in moved]
        torch.testing.assert_close(list_weights(model), expected)

    def test_smooths_labels(self):
        stepper, model = build_stepper(label_smoothing=0.3)
        batch = draw_batch()
        expected = differentiate(model, batch, lambda *each: cross_entropy(*each, label_smoothing=0.3))
        torch.testing.assert_close((*stepper.step(0, 0.1, cut(batch)), list_gradients(model)), expected)

    def test_one_part_is_made_once_and_several_for_each_evaluation(self):
        batch, made = draw_batch(), []

        def count(parts):
            return [lambda part=part: made.append(1) or part() for part in parts]

        for parts in (take(batch), cut(batch)):
            made.clear()
            stepper, _ = build_stepper(optimizer="lbfgs", max_iterations=3)
            stepper.step(0, 1.0, count(parts))
            num_evaluations = stepper.num_gradient_evaluations
            assert num_evaluations > 1
            assert len(made) == (1 if len(parts) == 1 else 3 * num_evaluations)

    def test_bf16_is_the_arithmetic_of_the_network_and_not_of_the_loss(self):
        stepper, model = build_stepper(precision="bf16")
        batch = draw_batch()
        expected = differentiate(model, batch)
        loss, logits_BK = stepper.step(0, 0.1, take(batch))
        assert [loss.dtype, logits_BK.dtype] == [torch.float32, torch.bfloat16]
        assert loss != expected[0]
        assert loss.item() == pytest.approx(expected[0].item(), rel=0.02)


class TestLearningRate:
    def test_is_that_of_the_step(self):
        stepper, _ = build_stepper(lr=0.5)
        for index, lr in enumerate((0.1, 0.2)):
            stepper.step(index, lr, take(draw_batch()))
            assert [group["lr"] for group in stepper.optimizer.param_groups] == [lr]

    def test_is_scaled_where_a_group_says_so(self):
        stepper, model = build_stepper(optimizer="muon", lr=0.02, vector_lr=0.001)
        for index, lr in enumerate((0.1, 0.2)):
            before = list_weights(model)
            stepper.step(index, lr, take(draw_batch()))
            assert [group["lr"] for group in stepper.optimizer.param_groups] == pytest.approx([lr, lr * 0.05])
            for weight, old in zip(list_weights(model), before, strict=True):
                if weight.ndim == 1 and index == 0:  # the first step of Adam is as long as its learning rate
                    moved = (weight - old).abs()
                    torch.testing.assert_close(moved, torch.full_like(moved, 0.005), rtol=1e-3, atol=1e-6)


class TestClipping:
    @pytest.mark.parametrize("settings", [MLP, CNN3C3D], ids=["mlp", "penalty"])
    @pytest.mark.parametrize("cut", [take, cut], ids=["one part", "three parts"])
    def test_a_longer_gradient_is_scaled_down_to_the_norm(self, settings, cut):
        batch = draw_batch()
        gradients = differentiate(build_stepper(settings)[1], batch)[2]
        limit = measure_norm(gradients) / 3
        stepper, model = build_stepper(settings, gradient_clip_norm=limit)
        stepper.step(0, 0.1, cut(batch))
        clipped = list_gradients(model)
        assert measure_norm(clipped) == pytest.approx(limit, rel=1e-4)
        torch.testing.assert_close(clipped, [each / 3 for each in gradients], rtol=1e-3, atol=1e-6)

    def test_equals_torchs(self):
        batch = draw_batch()
        stepper, model = build_stepper(gradient_clip_norm=0.1)
        weights = [torch.nn.Parameter(weight) for weight in list_weights(model)]
        for weight, gradient in zip(weights, differentiate(model, batch)[2], strict=True):
            weight.grad = gradient
        assert torch.nn.utils.clip_grad_norm_(weights, 0.1) > 0.1
        stepper.step(0, 0.1, take(batch))
        assert all(map(torch.equal, list_gradients(model), [weight.grad for weight in weights]))

    def test_a_shorter_gradient_stays_as_it_is_to_the_bit(self):
        batch = draw_batch()
        (plain, model), (clipping, other) = build_stepper(), build_stepper(gradient_clip_norm=1e3)
        for stepper in (plain, clipping):
            stepper.step(0, 0.1, take(batch))
        assert all(map(torch.equal, list_gradients(other), list_gradients(model)))

    def test_both_gradients_of_sam_are_clipped(self):
        stepper, model = build_stepper(optimizer="sam", momentum=0.0, gradient_clip_norm=0.01)
        before = list_weights(model)
        stepper.step(0, 1.0, take(draw_batch()))
        moved = [weight - old for weight, old in zip(list_weights(model), before, strict=True)]
        assert measure_norm(moved) == pytest.approx(0.01, rel=1e-3)


class TestMixup:
    def test_blends_each_image_with_the_one_before_it(self):
        images_BCHW, _ = draw_batch(5)
        before = images_BCHW.clone()
        blended = blend(images_BCHW, 0.3)
        for index in range(5):
            expected = 0.3 * images_BCHW[index] + 0.7 * images_BCHW[index - 1]  # of the first, that is the last
            torch.testing.assert_close(blended[index], expected)
        assert torch.equal(images_BCHW, before)
        assert torch.equal(blend(images_BCHW, 1.0), images_BCHW)
        assert torch.equal(blend(images_BCHW, 0.0), images_BCHW.roll(1, 0))

    @pytest.mark.parametrize("settings", [MLP, FASTCNN], ids=["mlp", "fastcnn"])
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_loss_and_gradient_equal_those_by_hand(self, settings, share):
        stepper, model = build_stepper(settings)
        images_BCHW, labels_B = draw_batch(6)

        def lose(logits_BK, labels_B):
            log_p_BK = logits_BK.log_softmax(1)
            pairs = [(index, index - 1) for index in range(6)]
            own, neighbours = (sum(log_p_BK[pair[0], labels_B[pair[which]]] for pair in pairs) for which in (0, 1))
            return -(share * own + (1 - share) * neighbours) / 6

        mixed = [share * images_BCHW[index] + (1 - share) * images_BCHW[index - 1] for index in range(6)]
        expected = differentiate(model, (torch.stack(mixed), labels_B), lose)
        found = stepper.step(0, 0.1, take((images_BCHW, labels_B)), share)
        torch.testing.assert_close((*found, list_gradients(model)), expected, rtol=1e-4, atol=1e-5)

    def test_a_share_of_one_is_no_mixing(self):
        (plain, model), (mixing, other) = build_stepper(), build_stepper()
        expected = plain.step(0, 0.1, take(draw_batch()))
        found = mixing.step(0, 0.1, take(draw_batch()), 1.0)
        assert all(map(torch.equal, found, expected))
        assert all(map(torch.equal, list_weights(other), list_weights(model)))


class TestSeveralEvaluations:
    @pytest.mark.parametrize("settings", [MLP, CNN3C3D], ids=["mlp", "penalty"])
    def test_lbfgs_evaluates_as_often_as_it_likes_and_equals_torchs(self, settings):
        stepper, model = build_stepper(settings, optimizer="lbfgs", max_iterations=4)
        theirs, (images_BCHW, labels_B) = copy.deepcopy(model), draw_batch()
        optimizer = torch.optim.LBFGS(
            theirs.parameters(), lr=0.8, max_iter=4, history_size=10, line_search_fn="strong_wolfe"
        )
        losses = []

        def evaluate():
            optimizer.zero_grad()
            loss = cross_entropy(theirs(images_BCHW), labels_B)
            objective = loss if theirs.penalty() is None else loss + theirs.penalty()
            objective.backward()
            losses.append(objective.detach())
            return objective

        expected = differentiate(model, (images_BCHW, labels_B))[:2]
        found = stepper.step(0, 0.8, take((images_BCHW, labels_B)))
        optimizer.step(evaluate)
        assert stepper.num_gradient_evaluations == len(losses) > 2
        assert all(map(torch.equal, list_weights(model), list_weights(theirs)))
        torch.testing.assert_close(found, expected)
        assert losses[-1] < losses[0]

    def test_lbfgs_in_parts_leads_where_it_does_at_once(self):
        settings = {"optimizer": "lbfgs", "max_iterations": 3}
        (whole, model), (parted, other) = build_stepper(**settings), build_stepper(**settings)
        for index in range(2):
            batch = draw_batch(seed=index)
            expected, found = whole.step(index, 1.0, take(batch)), parted.step(index, 1.0, cut(batch))
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
        assert parted.num_gradient_evaluations == whole.num_gradient_evaluations > 4
        torch.testing.assert_close(list_weights(other), list_weights(model), rtol=1e-3, atol=1e-4)

    def test_sam_takes_the_gradient_at_the_worst_point_nearby(self):
        stepper, model = build_stepper(optimizer="sam", rho=0.5, momentum=0.0)
        batch, before = draw_batch(), list_weights(model)
        loss, logits_BK, gradients = differentiate(model, batch)
        worst, norm = copy.deepcopy(model), measure_norm(gradients)
        with torch.no_grad():
            for weight, gradient in zip(worst.parameters(), gradients, strict=True):
                weight += 0.5 * gradient / norm
        worst_loss, _, gradients = differentiate(worst, batch)
        found = stepper.step(0, 0.1, take(batch))
        assert stepper.num_gradient_evaluations == 2
        assert worst_loss > loss
        torch.testing.assert_close(found, (loss, logits_BK))
        expected = [weight - 0.1 * gradient for weight, gradient in zip(before, gradients, strict=True)]
        torch.testing.assert_close(list_weights(model), expected)


@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "sophia", "clip_threshold": 1e3, "hessian_every": 2}, {"optimizer": "adahessian"}],
    ids=lambda settings: settings["optimizer"],
)
class TestSecondOrder:
    def test_draws_the_same_whatever_was_drawn_before_and_leaves_the_generator_as_it_was(self, settings):
        ends = []
        for start in (0, 100):
            stepper, model = build_stepper(**settings)
            for index in range(3):
                torch.manual_seed(start + index)
                before = torch.get_rng_state()
                stepper.step(index, 0.01, take(draw_batch(seed=index)))
                assert torch.equal(torch.get_rng_state(), before)
            ends.append(list_weights(model))
        assert all(map(torch.equal, *ends))

    def test_every_seed_and_step_draws_something_else(self, settings):
        ends = []
        for seed, index in ((0, 0), (0, 2), (1, 0)):
            stepper, model = build_stepper(seed=seed, **settings)
            stepper.step(index, 0.01, take(draw_batch()))
            ends.append(list_weights(model)[0].numpy().tobytes())
        assert len(set(ends)) == 3

    def test_no_gradient_keeps_its_graph_after_a_step(self, settings):
        stepper, model = build_stepper(**settings)
        for index in range(3):
            stepper.step(index, 0.01, take(draw_batch()))
            assert all(weight.grad is not None for weight in model.parameters())
            assert not any(weight.grad.requires_grad for weight in model.parameters())

    def test_gradient_and_loss_are_those_of_the_batch(self, settings):
        stepper, model = build_stepper(**settings)
        expected = differentiate(model, draw_batch())
        found = stepper.step(0, 0.01, take(draw_batch()))
        torch.testing.assert_close((*found, list_gradients(model)), expected)

    def test_counts_the_products_with_the_hessian(self, settings):
        stepper, _ = build_stepper(**settings)
        counts = []
        for index in range(4):
            stepper.step(index, 0.01, take(draw_batch()))
            counts.append(stepper.num_gradient_evaluations)
        assert counts == ([2, 3, 5, 6] if settings["optimizer"] == "sophia" else [2, 4, 6, 8])


class TestDropout:
    def step(self, index=0, parts=take, **settings):
        """Which units were left out, in each evaluation and part of a step."""
        stepper, model = build_stepper({**MLP, "hidden": 200}, dropout=0.5, **settings)
        masks = []
        dropout = next(layer for layer in model.modules() if isinstance(layer, Dropout))
        dropout.register_forward_hook(lambda _, inputs, output: masks.append((inputs[0] > 0) & (output == 0)))
        stepper.step(index, 0.1, parts(draw_batch()))
        return masks

    def test_masks_are_a_function_of_seed_and_step(self):
        first, again, later, other = (self.step(**settings) for settings in ({}, {}, {"index": 1}, {"seed": 1}))
        assert first[0].any()
        assert torch.equal(first[0], again[0])
        assert not torch.equal(first[0], later[0])
        assert not torch.equal(first[0], other[0])

    def test_all_evaluations_of_a_step_have_the_same(self):
        first, second = self.step(optimizer="sam", rho=0.0)
        assert torch.equal(first, second)

    def test_parts_have_masks_of_their_own(self):
        first, second, _ = self.step(parts=cut)
        assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "optimizer", [{"optimizer": "sam", "lr": 0.05, "rho": 0.5}, {"optimizer": "lbfgs", "max_iterations": 5}], ids=str
)
def test_statistics_are_of_the_weights_that_a_step_begins_with_not_of_those_that_it_tries(optimizer):
    stepper, model = build_stepper(FASTCNN, **optimizer)
    twin, batch = copy.deepcopy(model), draw_batch()
    stepper.step(0, 0.05, take(batch))
    assert stepper.num_gradient_evaluations > 1
    twin(batch[0])
    expected = {name: value for name, value in twin.named_buffers() if "running" in name or "tracked" in name}
    assert expected
    for name, value in expected.items():
        assert torch.equal(dict(model.named_buffers())[name], value), name
    # In the next step they are taken again.
    assert all(each.track_running_stats for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d))
