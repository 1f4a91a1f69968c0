import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from trainer.networks.resnets import PaddedShortcut
from trainer.tables.models import MODELS


def build(name, **settings):
    return MODELS[name].build({**MODELS[name].defaults, **settings}, 10)


def draw_images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def list_channels(model):
    return [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def test_resnet18_is_torchvisions_with_another_stem():
    theirs = resnet18(num_classes=10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = build("resnet18")
    weights = list(theirs.state_dict().values())
    assert [value.shape for value in ours.state_dict().values()] == [value.shape for value in weights]
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    images = draw_images(4, 3, 32, 32)
    for model in (ours.train(), theirs.train()):
        model(images).logsumexp(1).sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_resnet20_has_the_papers_layers():
    assert list_channels(build("resnet20")) == [16] * 7 + [32] * 6 + [64] * 6
    images, sides = torch.zeros(1, 3, 32, 32), []
    for layer in build("resnet20").features:
        images = layer(images)
        sides.append(images.shape[-1])
    assert sides == [32] * 3 + [32] * 3 + [16] * 3 + [8] * 3  # the stem's three layers, then blocks


def test_resnet20_has_no_weights_in_its_shortcuts():
    assert {layer.kernel_size for layer in build("resnet20").modules() if isinstance(layer, nn.Conv2d)} == {(3, 3)}


def test_padded_shortcut_thins_pixels_and_adds_channels():
    images = draw_images(2, 3, 6, 6)
    padded = PaddedShortcut(5, 2)(images)
    assert padded.shape == (2, 8, 3, 3)
    assert torch.equal(padded[:, :3], images[:, :, ::2, ::2])
    assert not padded[:, 3:].any()


def test_a_block_that_adds_nothing_passes_its_input_on():
    block = build("resnet20").features[3]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    images = draw_images(2, 16, 8, 8).abs()
    assert torch.equal(block(images), images)


def test_a_plain_block_does_not():
    block = build("plain").features[2]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    assert not block(draw_images(2, 16, 8, 8).abs()).any()


def test_plain_is_resnet20_without_shortcuts():
    plain, residual = build("plain", normalization="batch"), build("resnet20")
    assert {name: value.shape for name, value in plain.state_dict().items()} == {
        name: value.shape for name, value in residual.state_dict().items()
    }
    plain.load_state_dict(residual.state_dict())
    images = draw_images(2, 3, 32, 32)
    assert not torch.allclose(plain.eval()(images), residual.eval()(images))
    for block in residual.features[3:]:
        block.shortcut = None
    assert torch.equal(plain(images), residual.eval()(images))


@pytest.mark.parametrize("depth", [3, 12])
def test_gradients_vanish_in_plain_and_not_in_resnet20(depth):
    """By torch's own initialisation, whose variance shrinks the signal with every layer that nothing normalises."""
    shares = {}
    for name in ("plain", "resnet20"):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = build(name, depth=depth)
        model(draw_images(4, 3, 32, 32)).logsumexp(1).sum().backward()
        norms = [layer.weight.grad.norm().item() for layer in model.modules() if isinstance(layer, nn.Conv2d)]
        shares[name] = norms[0] / norms[-1]
    assert shares["plain"] < 1e-4
    assert shares["resnet20"] > 0.5


def test_width_keeps_shortcuts_in_shape():
    for name in ("resnet20", "resnet18", "plain"):
        for width in (0.01, 0.3, 1.7):
            assert build(name, width=width, normalization="none")(draw_images(1, 3, 32, 32)).shape == (1, 10)
