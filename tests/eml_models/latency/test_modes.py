"""Modes as words, and which of them a device has: a GPU's rules need no GPU."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from eml_models.latency.measuring.modes import (
    PLAIN,
    Capabilities,
    Cast,
    Mode,
    Precision,
    default_modes,
    iter_all_modes,
    parse_mode,
    unsupported_reason,
)

CPU = Capabilities(kind="cpu", name="a CPU", compiler="g++")
A100 = Capabilities(kind="cuda", name="A100", compute_capability=(8, 0), has_triton=True)
V100 = Capabilities(kind="cuda", name="V100", compute_capability=(7, 0), has_triton=True)
P100 = Capabilities(kind="cuda", name="P100", compute_capability=(6, 0), has_triton=True)


def test_all_modes_are_there_once_and_read_back() -> None:
    modes = list(iter_all_modes())
    assert len(modes) == len(set(modes)) == 7 * 2 * 5 * 2
    assert [parse_mode(str(mode)) for mode in modes] == modes


def test_parts_may_be_left_out() -> None:
    assert parse_mode("fp32") == PLAIN
    assert parse_mode("folded/bf16-weights") == Mode(precision=Precision.BF16, cast=Cast.WEIGHTS, folded=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fp8/nchw", "unknown part 'fp8'"),
        ("fp32/nchw/channels_last", "says its layout twice"),
        ("bf16/nchw", "reached by autocast or by casting weights"),
        ("fp32-autocast", "fp32 and tf32 by neither"),
        ("bf16-quickly", "unknown part"),
        ("", "unknown part ''"),
    ],
)
def test_wrong_words_say_the_rule(text: str, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        parse_mode(text)


@pytest.mark.parametrize(
    ("text", "device", "reason"),
    [
        ("fp32/nchw/eager", CPU, None),
        ("bf16-autocast/channels_last/max-autotune/folded", CPU, None),
        ("tf32", CPU, "tensor cores"),
        ("fp32/graph", CPU, "CUDA graphs"),
        ("fp32/reduce-overhead", CPU, "on a CPU it is compile"),
        ("fp32/compile", Capabilities(kind="cpu", name="a CPU"), "C++ compiler"),
        ("fp32/compile", A100, None),
        ("tf32/graph", A100, None),
        ("tf32", V100, "needs an Ampere GPU"),
        ("bf16-weights", V100, "needs an Ampere GPU"),
        ("fp16-weights/graph", V100, None),
        ("fp32/compile", P100, "compute capability 7.0"),
        ("fp32/compile", Capabilities(kind="cuda", name="A100", compute_capability=(8, 0)), "triton"),
    ],
)
def test_a_device_lacks_a_mode_with_a_reason(text: str, device: Capabilities, reason: str | None) -> None:
    found = unsupported_reason(parse_mode(text), device)
    assert found is None if reason is None else found is not None and reason in found


@pytest.mark.parametrize("device", [CPU, A100])
def test_default_modes_exist_on_their_device(device: Capabilities) -> None:
    modes = default_modes(device.kind)
    assert PLAIN in modes
    assert [mode for mode in modes if unsupported_reason(mode, device)] == []
