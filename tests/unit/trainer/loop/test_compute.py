import platform

import pytest
import torch
from torch import nn

from trainer.loop.compute import autocast, choose_precision, exact_arithmetic

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_arithmetic_that_is_named_is_used_whatever_the_hardware(precision, device):
    assert choose_precision(precision, device) == precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"avx10_2": True}, "bf16"),
        ({"bf16": True}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": False, "avx2": True, "avx512_f": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_processor_has_a_unit_for_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", CPU) == expected


def test_torch_calls_the_units_as_auto_does():
    units = {"x86_64": {"avx512_bf16", "amx_bf16", "avx10_2"}, "aarch64": {"bf16"}}[platform.machine()]
    assert units <= set(torch.cpu.get_capabilities())


@pytest.mark.parametrize(("has_units", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_on_a_gpu_that_does_not_emulate_it(monkeypatch, has_units, expected):
    def is_supported(including_emulation=True):
        return has_units or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert choose_precision("auto", CUDA) == expected


def test_autocast_computes_products_in_bf16_and_only_when_asked():
    layer, images = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = layer(images)
    with autocast("fp32", CPU):
        assert torch.equal(layer(images), plain)
    with autocast("bf16", CPU):
        rounded = layer(images)
    assert rounded.dtype is torch.bfloat16
    torch.testing.assert_close(rounded.float(), plain, rtol=0.02, atol=0.02)
    assert layer.weight.dtype is torch.float32


def test_exact_arithmetic_lasts_as_long_as_its_block(monkeypatch):
    switches = ("benchmark", "deterministic", "allow_tf32")
    for name, value in zip(switches, (True, False, True), strict=True):
        monkeypatch.setattr(torch.backends.cudnn, name, value)
    with exact_arithmetic():
        assert [getattr(torch.backends.cudnn, name) for name in switches] == [False, True, False]
        assert torch.backends.cudnn.enabled
    assert [getattr(torch.backends.cudnn, name) for name in switches] == [True, False, True]
