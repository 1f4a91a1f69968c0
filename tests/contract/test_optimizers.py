"""What holds for every row of the table of optimizers."""

import copy
import io
import pickle
from contextlib import contextmanager
from functools import cache, partial

import pytest
import pytorch_optimizer
import torch
from optimizer_equations import EQUATIONS

from trainer.config import ConfigError, build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun
from trainer.tables.muon import Muon
from trainer.tables.optimizers import OPTIMIZERS

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 3}

# Settings of each row that are not its defaults, and what builds the same with torch alone.
TORCH = {
    "sgd": (
        {"lr": 0.05, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, weight_decay=0.01),
    ),
    "momentum": (
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8, weight_decay=0.01),
    ),
    "nesterov": (
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8, weight_decay=0.01, nesterov=True),
    ),
    "adagrad": (
        {"lr": 0.05, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adagrad(parameters, lr=0.05, eps=1e-2, weight_decay=0.01),
    ),
    "rmsprop": (
        {"lr": 0.05, "alpha": 0.9, "momentum": 0.5, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.RMSprop(
            parameters, lr=0.05, alpha=0.9, momentum=0.5, eps=1e-2, weight_decay=0.01
        ),
    ),
    "adadelta": (
        {"lr": 0.5, "rho": 0.8, "epsilon": 1e-3, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adadelta(parameters, lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.01),
    ),
    "amsgrad": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adam(
            parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.01, amsgrad=True
        ),
    ),
    "adamax": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adamax(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.01),
    ),
    "nadam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "momentum_decay": 0.5, "weight_decay": 0.01},
        lambda parameters: torch.optim.NAdam(
            parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, momentum_decay=0.5, weight_decay=0.01
        ),
    ),
    "radam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.RAdam(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.01),
    ),
    "adam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adam(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.01),
    ),
    "adamw": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.1},
        lambda parameters: torch.optim.AdamW(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.1),
    ),
    "rprop": (
        {"lr": 0.05, "eta_minus": 0.4, "eta_plus": 1.5, "min_step": 0.01, "max_step": 0.03},
        lambda parameters: torch.optim.Rprop(parameters, lr=0.05, etas=(0.4, 1.5), step_sizes=(0.01, 0.03)),
    ),
    "adafactor": (
        {"lr": 0.05, "beta2_decay": -0.5, "clip_threshold": 1.2, "weight_decay": 0.1},
        lambda parameters: torch.optim.Adafactor(parameters, lr=0.05, beta2_decay=-0.5, d=1.2, weight_decay=0.1),
    ),
    "asgd": (
        {"lr": 0.05, "lambd": 0.5, "lr_power": 0.5, "weight_decay": 0.01},
        lambda parameters: torch.optim.ASGD(parameters, lr=0.05, lambd=0.5, alpha=0.5, weight_decay=0.01),
    ),
    "lbfgs": (
        {"lr": 0.1, "max_iterations": 3, "history_size": 2, "line_search": "none"},
        lambda parameters: torch.optim.LBFGS(parameters, lr=0.1, max_iter=3, history_size=2),
    ),
}

# Settings of every other row that are not its defaults.
OTHERS = {
    "muon": {"lr": 0.05, "momentum": 0.8, "vector_lr": 0.01, "weight_decay": 0.1},
    "lion": {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1},
    "lamb": {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.1},
    "shampoo": {"lr": 0.1, "momentum": 0.5, "precondition_every": 3, "matrix_epsilon": 0.1, "weight_decay": 0.1},
    "soap": {
        "lr": 0.05,
        "beta1": 0.8,
        "beta2": 0.9,
        "precondition_every": 3,
        "epsilon": 1e-2,
        "weight_decay": 0.1,
    },
    "sophia": {
        "lr": 0.1,
        "beta1": 0.8,
        "beta2": 0.9,
        "clip_threshold": 0.5,
        "hessian_every": 3,
        "epsilon": 1e-2,
        "weight_decay": 0.1,
    },
    "adahessian": {
        "lr": 0.01,
        "beta1": 0.8,
        "beta2": 0.9,
        "hessian_every": 3,
        "epsilon": 1e-2,
        "weight_decay": 0.1,
    },
    "schedule_free_sgd": {"lr": 0.5, "momentum": 0.8, "weight_decay": 0.1},
    "schedule_free_adamw": {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2, "weight_decay": 0.1},
    "prodigy": {
        "lr": 2.0,
        "beta1": 0.8,
        "beta2": 0.95,
        "d0": 1e-3,
        "d_coef": 2.0,
        "epsilon": 1e-2,
        "weight_decay": 0.1,
    },
    "adan": {"lr": 0.05, "beta1": 0.9, "beta2": 0.8, "beta3": 0.95, "epsilon": 1e-2, "weight_decay": 0.1},
    "sam": {"lr": 0.05, "rho": 0.5, "momentum": 0.8, "weight_decay": 0.1},
}
SETTINGS = {name: settings for name, (settings, _) in TORCH.items()} | OTHERS

CLASSES = {
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "nesterov": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "amsgrad": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rprop": torch.optim.Rprop,
    "adafactor": torch.optim.Adafactor,
    "asgd": torch.optim.ASGD,
    "lbfgs": torch.optim.LBFGS,
    "muon": partial(Muon, lr=0.02, momentum=0.95, vector_lr=1e-3, weight_decay=0.0),
    "lion": pytorch_optimizer.Lion,
    "lamb": pytorch_optimizer.Lamb,
    "shampoo": pytorch_optimizer.Shampoo,
    "soap": pytorch_optimizer.SOAP,
    "sophia": pytorch_optimizer.SophiaH,
    "adahessian": pytorch_optimizer.AdaHessian,
    "schedule_free_sgd": pytorch_optimizer.ScheduleFreeSGD,
    "schedule_free_adamw": pytorch_optimizer.ScheduleFreeAdamW,
    "prodigy": pytorch_optimizer.Prodigy,
    "adan": pytorch_optimizer.Adan,
    "sam": partial(pytorch_optimizer.SAM, base_optimizer=torch.optim.SGD),
}

# Arguments, under the names of torch or of the package, in which a row differs on purpose from the class it builds.
CHOSEN = {
    "momentum": {"momentum"},
    "nesterov": {"momentum", "nesterov"},
    "amsgrad": {"amsgrad"},
    "lbfgs": {"history_size", "line_search_fn"},  # 100 changes are much memory; without a search it diverges easily
    "lamb": {"adam_debias"},  # would divide lr by 1 - beta1^t: ten times lr in the first step
    "shampoo": {"matrix_eps"},  # 1e-6 diverges easily where not every step has its own inversion
    "adahessian": {"eps"},  # 1e-16 is nothing in fp32
    "sam": {"lr", "momentum", "weight_decay"},  # of the SGD inside it
}

# Settings with which each row lowers the training loss within three epochs of four steps.
TRAINING = {
    "sgd": {"lr": 0.2},
    "momentum": {"lr": 0.05},
    "nesterov": {"lr": 0.05},
    "adagrad": {"lr": 0.01},
    "rmsprop": {"lr": 0.003},
    "adadelta": {"lr": 1.0},
    "amsgrad": {"lr": 0.01},
    "adamax": {"lr": 0.01},
    "nadam": {"lr": 0.01},
    "radam": {"lr": 0.03},
    "adam": {"lr": 0.01},
    "adamw": {"lr": 0.01},
    "rprop": {"lr": 0.01},
    "adafactor": {"lr": 0.03},
    "asgd": {"lr": 0.2},
    "lbfgs": {"lr": 0.1, "max_iterations": 3},
    "muon": {"lr": 0.05},
    "lion": {"lr": 0.003},
    "lamb": {"lr": 0.03},
    "shampoo": {"lr": 0.1, "precondition_every": 3},
    "soap": {"lr": 0.01, "precondition_every": 3},
    "sophia": {"lr": 0.3, "hessian_every": 3},
    "adahessian": {"lr": 0.05, "hessian_every": 3},
    "schedule_free_sgd": {"lr": 0.3},
    "schedule_free_adamw": {"lr": 0.01},
    "prodigy": {"lr": 1.0, "d0": 1e-3},
    "adan": {"lr": 0.01},
    "sam": {"lr": 0.05},
}

# The learning rate warms up, as shares of `lr`.
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
SHAPES = ((4, 5, 3, 3), (6, 4), (5,))  # a convolution, a matrix that is taller than wide, a vector
# Soap's first bases are unique only where no axis is longer than all the others together.
SHAPES_OF = {"soap": ((4, 5, 3, 3), (4, 4), (5,))}


def rows_that(fit):
    return pytest.mark.parametrize("row", [row for row in OPTIMIZERS.values() if fit(row)], ids=lambda row: row.name)


def rows_that_have(name):
    return rows_that(lambda row: name in row.defaults)


def list_ends(setting):
    """The least and the greatest legal value, or one near it where there is none."""
    if setting.choices is not None:
        return setting.choices
    low = -1e6 if setting.low is None else setting.low + 1e-9 * setting.low_open
    high = 1e6 if setting.high is None else setting.high - 1e-9 * setting.high_open
    return (int(low), int(high)) if setting.kind == "int" else (low, high)


def build_weights(row, dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    shapes = SHAPES_OF.get(row.name, SHAPES)
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [weight.to(dtype).requires_grad_() for weight in weights]


def find_loss(weights, step):
    """How far a neuron of these weights is from another one, on other inputs in each step."""
    numbers = torch.cat([weight.flatten() for weight in weights])
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(40, len(numbers), generator=generator, dtype=torch.float64) / 4
    targets = inputs.sum(1).div(4).tanh().to(numbers.dtype)
    return ((inputs.to(numbers.dtype) @ numbers).tanh() - targets).square().sum()


assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5, check_dtype=False)


@contextmanager
def seeded(step):
    """The global generator, from which some draw, as it is for this step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step)
        yield


def take_step(row, optimizer, weights, settings, step, loss=find_loss, factors=FACTORS):
    """One step in the way that `trainer.loop.step.Stepper` makes it."""
    for group in optimizer.param_groups:
        group["lr"] = settings["lr"] * factors[step] * group.get("lr_scale", 1.0)
    creates_graph = row.differentiates_gradient and step % settings["hessian_every"] == 0

    def evaluate_gradient():
        objective = loss(weights, step)
        gradients = torch.autograd.grad(objective, weights, create_graph=creates_graph)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        return objective.detach()

    with seeded(step):
        if row.gradient_first:
            evaluate_gradient()
        optimizer.step(evaluate_gradient)


def take_steps(row, optimizer, weights, settings, steps=range(10)):
    for step in steps:
        take_step(row, optimizer, weights, settings, step)


def walk(row, settings, fused=False):
    """The weights after ten steps."""
    weights = build_weights(row)
    take_steps(row, row.build(weights, settings, fused), weights, settings)
    return weights


def build_run(row):
    config = build_trial_config({**TINY, "optimizer": row.name, **TRAINING[row.name]})
    return TrainingRun(config, draw_data(), device="cpu", num_threads=1)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More threads take longer over weights as small as these."""
    torch.set_num_threads(1)


@cache
def draw_data():
    return draw_synthetic(250, 20)


@cache
def train_straight(name):
    """A training without interruption: the results and the weights of its three epochs."""
    run = build_run(OPTIMIZERS[name])
    return [(run.run_epoch(), copy.deepcopy(run.model.state_dict())) for _ in range(3)]


def assert_same_epoch(run, straight):
    """The next epoch of a run is this one of the training without interruption, to the bit."""
    expected, weights = straight
    result = run.run_epoch()
    assert (result.train_loss, result.val_loss) == (expected.train_loss, expected.val_loss)
    assert result.num_gradient_evaluations == expected.num_gradient_evaluations
    found = run.model.state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


@pytest.mark.parametrize("row", OPTIMIZERS.values(), ids=OPTIMIZERS)
class TestOptimizers:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert ("torch.optim" if row.package is None else "pytorch_optimizer.") in row.source
        assert all(setting.description for setting in row.settings)

    def test_pickles(self, row):
        copied = pickle.loads(pickle.dumps(row))
        assert (copied.name, copied.settings) == (row.name, row.settings)
        theirs = CLASSES[row.name](build_weights(row))
        assert type(copied.build(build_weights(row), row.defaults, False)) is type(theirs)

    def test_has_the_defaults_of_its_class(self, row):
        ours = row.build(build_weights(row), row.defaults, False).defaults
        theirs = CLASSES[row.name](build_weights(row)).defaults
        differing = {name for name in ours | theirs if ours.get(name) != theirs.get(name)}
        assert differing == CHOSEN.get(row.name, set())

    def test_builds_with_the_ends_of_every_range(self, row):
        for setting in row.settings:
            if not setting.complement_of:
                for end in list_ends(setting):
                    assert setting.check(end) is None
                    row.build(build_weights(row), {**row.defaults, setting.name: end}, False)

    def test_every_setting_changes_the_steps(self, row):
        settings = SETTINGS[row.name]
        assert set(settings) == set(row.defaults), "the comparisons have to touch every setting"
        chosen = torch.cat([weight.flatten() for weight in walk(row, settings)])
        for name, default in row.defaults.items():
            other = torch.cat([weight.flatten() for weight in walk(row, {**settings, name: default})])
            assert not torch.allclose(chosen, other, rtol=1e-3, atol=1e-4), name

    def test_lowers_the_training_loss(self, row):
        losses = [result.train_loss for result, _ in train_straight(row.name)]
        assert losses[-1] < losses[0] - 0.05

    def test_same_seed_same_result(self, row):
        assert_same_epoch(build_run(row), train_straight(row.name)[0])

    def test_resume_after_any_epoch_equals_no_interruption(self, row):
        straight, run = train_straight(row.name), build_run(row)
        run.run_epoch()
        for epoch in straight[1:]:
            state = copy.deepcopy(run.state_dict())
            run = build_run(row)
            run.load_state_dict(state)
            assert_same_epoch(run, epoch)

    def test_counts_gradient_evaluations(self, row):
        for result, _ in train_straight(row.name):
            if row.gradient_evaluations_per_step is None:
                assert result.num_gradient_evaluations > result.num_steps
            else:
                assert result.num_gradient_evaluations == result.num_steps * row.gradient_evaluations_per_step

    def test_refuses_settings_it_does_not_have(self, row):
        foreign = {each.name for other in OPTIMIZERS.values() for each in other.settings} - {
            each.name for each in row.settings
        }
        for name in foreign:
            with pytest.raises(ConfigError) as caught:
                build_trial_config({"optimizer": row.name, name: 0.5})
            assert [fault.parameter for fault in caught.value.faults] == [name]
            assert f"'{row.name}' does not have this setting" in str(caught.value)

    def test_both_spellings_of_a_decay_rate_agree(self, row):
        for setting in row.settings:
            if setting.complement_of:
                spelt = build_trial_config({"optimizer": row.name, setting.name: 0.25})
                assert spelt == build_trial_config({"optimizer": row.name, setting.complement_of: 0.75})
                with pytest.raises(ConfigError, match="spells in another way"):
                    build_trial_config({"optimizer": row.name, setting.name: 0.25, setting.complement_of: 0.75})


def test_every_row_is_held_to_torch_or_to_its_paper():
    assert set(TORCH) | set(EQUATIONS) == set(OPTIMIZERS)


KERNELS = [(row, fused) for row in OPTIMIZERS.values() for fused in ((False, True) if row.has_fused else (False,))]


@pytest.mark.parametrize(("row", "fused"), KERNELS, ids=[row.name + " fused" * fused for row, fused in KERNELS])
@pytest.mark.parametrize("through", ["memory", "file"])
def test_state_round_trip_equals_no_interruption(row, fused, through):
    settings = SETTINGS[row.name]
    straight, paused = walk(row, settings, fused), build_weights(row)
    before, after = (row.build(paused, settings, fused) for _ in range(2))
    take_steps(row, before, paused, settings, range(5))
    state = before.state_dict()
    if through == "file":
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    after.load_state_dict(state)
    take_steps(row, after, paused, settings, range(5, 10))
    assert all(map(torch.equal, straight, paused))


@rows_that(lambda row: row.name in TORCH)
def test_equals_torch(row):
    settings, build_with_torch = TORCH[row.name]
    config = build_trial_config({"optimizer": row.name, **settings})
    theirs = build_weights(row)
    take_steps(row, build_with_torch(theirs), theirs, settings)
    assert all(map(torch.equal, walk(row, config.optimizer.settings), theirs))


@rows_that(lambda row: row.has_fused)
def test_fused_kernel_agrees(row):
    assert "cpu" in row.fused_devices
    settings = SETTINGS[row.name]
    torch.testing.assert_close(walk(row, settings, True), walk(row, settings, False), rtol=1e-5, atol=1e-6)


@rows_that(lambda row: row.name in EQUATIONS)
def test_equals_the_equations_of_its_paper(row):
    settings, weights = SETTINGS[row.name], build_weights(row)
    optimizer = row.build(weights, settings, False)
    start = [weight.detach() for weight in build_weights(row, torch.float64)]
    path = EQUATIONS[row.name](find_loss, list(start), FACTORS, **settings)
    for step in range(10):
        take_step(row, optimizer, weights, settings, step)
        with seeded(step):
            assert_close(weights, next(path))


@rows_that(lambda row: row.switches)
def test_evaluates_the_average_of_its_paper(row):
    settings, weights = SETTINGS[row.name], build_weights(row)
    optimizer = row.build(weights, settings, False)
    start = [weight.detach() for weight in build_weights(row, torch.float64)]
    paths = (EQUATIONS[row.name](find_loss, list(start), FACTORS, **settings, evaluated=each) for each in (True, False))
    for step, (average, training) in enumerate(zip(*paths, strict=True)):
        take_step(row, optimizer, weights, settings, step)
        optimizer.eval()
        assert_close(weights, average)
        optimizer.train()
        assert_close(weights, training)


def test_muon_is_torchs_on_matrices():
    """Torch's iteration runs in bf16: the steps agree to a few percent of their size."""
    row, settings = OPTIMIZERS["muon"], SETTINGS["muon"]
    start, ours, theirs = ([weight for weight in build_weights(row) if weight.ndim == 2] for _ in range(3))
    take_steps(row, row.build(ours, settings, False), ours, settings)
    take_steps(row, torch.optim.Muon(theirs, lr=0.05, momentum=0.8, weight_decay=0.1), theirs, settings)
    for before, our, their in zip(start, ours, theirs, strict=True):
        assert (our - their).norm() < 0.05 * (their - before).norm()


# What weight decay alone leaves of the weights after two steps, where it is not the square of what one step leaves.
LR, WEIGHT_DECAY = 0.1, 0.5
KEPT = 1 - LR * WEIGHT_DECAY
KEPT_OF = {
    "soap": KEPT,  # its first step changes nothing
    "adan": (1 + LR * WEIGHT_DECAY) ** -2,
    # The second step is between the last weights and their average with those before, by a tenth.
    "schedule_free_sgd": 0.1 * KEPT**2 + 0.9 * (KEPT + KEPT**2) / 2,
    "schedule_free_adamw": 0.1 * KEPT**2 + 0.9 * (KEPT + KEPT**2) / 2,
}
# Settings that keep other rates and other decays out of it.
DECAY_ALONE = {
    "asgd": {"lambd": 0.0},
    "muon": {"vector_lr": LR},
    "prodigy": {"d0": 1.0},
    "shampoo": {"precondition_every": 1},
}


@rows_that_have("weight_decay")
def test_decoupled_weight_decay_leaves_the_gradient_alone(row):
    settings = {**row.defaults, "lr": LR, "weight_decay": WEIGHT_DECAY, **DECAY_ALONE.get(row.name, {})}
    weights, before = build_weights(row), build_weights(row)
    moved = torch.ones(3, requires_grad=True)  # without any gradient prodigy takes no step

    def find_loss_of_moved(weights, step):
        *rest, last = weights
        return last.square().sum() + 0 * sum(weight.square().sum() for weight in rest)

    optimizer = row.build([*weights, moved], settings, False)
    for step in range(2):
        take_step(row, optimizer, [*weights, moved], settings, step, find_loss_of_moved, factors=(1.0, 1.0))
    kept = KEPT_OF.get(row.name, KEPT**2)
    is_kept = all(torch.allclose(weight, kept * old) for weight, old in zip(weights, before, strict=True))
    # A penalty in the gradient of plain SGD comes to the same thing: nothing adapts to it, nothing remembers it.
    assert is_kept == (row.decoupled_weight_decay or row.name in ("sgd", "asgd", "schedule_free_sgd"))


@rows_that_have("hessian_every")
def test_a_hessian_counts_as_one_more_gradient_where_it_is_due(row):
    """Every third step, four steps to an epoch: steps 0 and 3; 6; and 9."""
    counts = [result.num_gradient_evaluations for result, _ in train_straight(row.name)]
    assert counts == [4 + 2, 4 + 1, 4 + 1]
