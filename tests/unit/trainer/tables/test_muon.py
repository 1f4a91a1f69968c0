import pytest
import torch

from trainer.tables.muon import Muon, orthogonalize


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 8), (4, 20), (20, 4), (1, 5), (64, 27)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = draw(*shape)
    found = orthogonalize(matrix)
    values = torch.linalg.svdvals(found)
    assert found.shape == matrix.shape
    assert 0.3 < float(values.min()) <= float(values.max()) < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert float((found * (left @ right)).sum()) > 0.6 * min(shape)


def test_size_of_the_gradient_does_not_matter():
    matrix = draw(6, 9)
    torch.testing.assert_close(orthogonalize(matrix), orthogonalize(1e4 * matrix), rtol=1e-4, atol=1e-5)


def test_of_nothing_comes_nothing():
    assert torch.equal(orthogonalize(torch.zeros(3, 4)), torch.zeros(3, 4))


def build(weights, **changes):
    return Muon(weights, **{"lr": 0.1, "momentum": 0.9, "vector_lr": 0.01, "weight_decay": 0.0, **changes})


def test_a_convolution_is_a_matrix_of_its_outputs_whatever_its_layout():
    gradient = draw(4, 3, 3, 3)
    moved = []
    for weight in (
        torch.zeros(4, 3, 3, 3),
        torch.zeros(4, 3, 3, 3).to(memory_format=torch.channels_last),
        torch.zeros(4, 27),
    ):
        weight.requires_grad_()
        weight.grad = gradient.reshape(weight.shape).clone()
        build([weight]).step()
        moved.append(weight.detach().reshape(4, 27))
    torch.testing.assert_close(moved[0], moved[2])
    torch.testing.assert_close(moved[1], moved[2])


def test_groups_keep_their_ratio_under_a_schedule():
    optimizer = build([draw(3, 3).requires_grad_(), draw(3).requires_grad_()])
    assert [(group["is_matrix"], group["lr_scale"]) for group in optimizer.param_groups] == [
        (True, 1.0),
        (False, pytest.approx(0.1)),
    ]


def test_a_network_of_vectors_alone_has_one_group():
    assert len(build([draw(3).requires_grad_()]).param_groups) == 1


def test_weights_without_gradient_rest_and_decay_shrinks_the_others():
    still, moving = draw(3, 3).requires_grad_(), draw(3).requires_grad_()
    before = still.detach().clone(), moving.detach().clone()
    moving.grad = torch.zeros(3)
    build([still, moving], weight_decay=0.5).step()
    assert torch.equal(still, before[0])
    torch.testing.assert_close(moving.detach(), before[1] * (1 - 0.01 * 0.5))
