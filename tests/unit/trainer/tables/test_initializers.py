import pytest
import torch
from torch import nn
from torch.nn import init

from trainer.config import find_row
from trainer.tables.initializers import INITIALIZERS, initialize


def test_the_table_has_the_initialisers_of_the_issue():
    assert list(INITIALIZERS) == [
        *("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "torch_default"),
        *("lecun_normal", "orthogonal", "zeros", "normal"),
    ]


def test_layer_that_no_rule_covers_is_refused_by_name():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(TypeError, match="weights of 1, a LayerNorm"):
        initialize(model, INITIALIZERS["he_normal"], {}, torch.Generator())


def test_layers_without_bias_and_without_weights_are_fine():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    initialize(model, INITIALIZERS["he_normal"], {}, torch.Generator().manual_seed(1))
    assert model[0].weight.any()


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8), (6, 5, 3, 3), (40, 2, 3, 3), (30, 1, 3, 3)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    weight = torch.empty(shape)
    INITIALIZERS["orthogonal"].build({}, weight, torch.Generator().manual_seed(1))
    matrix = weight.flatten(1).double()
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, torch.eye(min(matrix.shape), dtype=torch.float64), rtol=0, atol=1e-6)


def test_orthogonal_fills_a_weight_of_any_memory_format():
    plain, last = torch.empty(8, 4, 3, 3), torch.empty(8, 4, 3, 3, memory_format=torch.channels_last)
    for weight in (plain, last):
        INITIALIZERS["orthogonal"].build({}, weight, torch.Generator().manual_seed(1))
    assert torch.equal(plain, last)


def test_normal_has_the_standard_deviation_that_is_set():
    weight = torch.empty(300, 300)
    INITIALIZERS["normal"].build({"init_std": 0.3}, weight, torch.Generator().manual_seed(1))
    assert weight.std().item() == pytest.approx(0.3, rel=0.01)
    assert INITIALIZERS["normal"].defaults == {"init_std": 0.05}


def test_initialize_gives_the_settings_to_every_layer():
    model = nn.Sequential(nn.Conv2d(40, 80, 3), nn.Flatten(), nn.Linear(300, 300))
    initialize(model, INITIALIZERS["normal"], {"init_std": 2.0}, torch.Generator().manual_seed(1))
    assert model[0].weight.std().item() == pytest.approx(2, rel=0.02)
    assert model[2].weight.std().item() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("xavier_uniform", "glorot_uniform"),
        ("GlorotUniform", "glorot_uniform"),
        ("xavier_normal_", "glorot_normal"),
        ("GlorotNormal", "glorot_normal"),
        ("kaiming_uniform", "he_uniform"),
        ("HeUniform", "he_uniform"),
        ("kaiming_normal", "he_normal"),
        ("HeNormal", "he_normal"),
        ("LecunNormal", "lecun_normal"),
        ("orthogonal_", "orthogonal"),
        ("OrthogonalInitializer", "orthogonal"),
        ("Zeros", "zeros"),
        ("RandomNormal", "normal"),
    ],
)
def test_names_of_keras_and_torch_are_understood(alias, name):
    assert find_row("initializer", alias) is INITIALIZERS[name]


@pytest.mark.parametrize(
    ("name", "fill"),
    [
        ("kaiming_uniform_", lambda weight, generator: init.kaiming_uniform_(weight, generator=generator)),
        ("kaiming_normal_", lambda weight, generator: init.kaiming_normal_(weight, generator=generator)),
        ("xavier_uniform_", lambda weight, generator: init.xavier_uniform_(weight, generator=generator)),
        ("xavier_normal_", lambda weight, generator: init.xavier_normal_(weight, generator=generator)),
        ("orthogonal_", lambda weight, generator: init.orthogonal_(weight, generator=generator)),
    ],
)
def test_a_name_of_torch_does_what_torch_does_under_it(name, fill):
    ours, theirs = (torch.empty(30, 20, 3, 3, dtype=torch.float64) for _ in range(2))
    find_row("initializer", name).build({}, ours, torch.Generator().manual_seed(1))
    fill(theirs, torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours, theirs)
