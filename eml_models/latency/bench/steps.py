"""Builds what a case times: the network or what is left of it, its batch, and where that comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from eml_models.errors import InvalidValueError
from eml_models.latency.bench.cases import Case, Source, Variant
from eml_models.latency.measuring.preparing import Prepared
from eml_models.latency.measuring.timing import fit_into_memory
from eml_models.networks.layers import build_module
from eml_models.networks.plan import Chain, Gated, LayerSpec, Node, Plan, Residual
from eml_models.networks.registry import build_model, get_model
from eml_models.networks.words import NetworkSpec

SEED = 0
"""The seed of weights and images. Times do not depend on them, and results of a run should not either."""

SKELETON_SIDE = 8
"""Pixels of a skeleton's image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is timed.

    Attributes:
        call: to be run within `settings`.
        batch_size: what fits into memory.
        notes: one if that is not the case's batch size.
    """

    call: Callable[[], object]
    settings: Callable[[], AbstractContextManager[None]]
    batch_size: int
    notes: tuple[str, ...] = ()


def build_step(case: Case, device: torch.device) -> Step:
    """The step of a case; it has run once.

    Raises:
        UnsupportedModeError: the device does not have the mode, or the network cannot be compiled.
        InvalidValueError: not even one image fits.
    """
    prepared = Prepared(build_variant(case), case.mode, device, kernel_search=case.kernel_search)

    def build(batch_size: int) -> Callable[[], object]:
        if case.source is Source.LOADER:
            load = _build_loader(case.network, batch_size)
            return lambda: prepared.run(prepared.place(load()))
        placed = prepared.place(torch.rand(batch_size, *case.network.input_shape))
        return lambda: prepared.run(placed)

    if case.variant is Variant.SKELETON:  # what operators cost by their number does not depend on the batch
        one = prepared.place(torch.rand(1, 1, SKELETON_SIDE, SKELETON_SIDE))
        return Step(call=lambda: prepared.run(one), settings=prepared.settings, batch_size=case.batch_size)
    call, num_images, notes = fit_into_memory(build, case.batch_size, settings=prepared.settings)
    return Step(call=call, settings=prepared.settings, batch_size=num_images, notes=notes)


def build_variant(case: Case) -> nn.Module:
    """The network of a case, whole or reduced to its variant.

    Raises:
        InvalidValueError: the variant is not defined: the family builds its module by itself, or has
            depthwise convolutions that do more than filter each channel.
    """
    plan = case.network.plan()
    if case.variant is Variant.SKELETON and get_model(case.network.model).build is not None:
        raise InvalidValueError(
            f"{case.network.model} builds its module by itself: there is no skeleton of it"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        if case.variant is Variant.SKELETON:
            return build_module(skeleton(plan))
        module: nn.Module = build_model(plan)
    if case.variant is Variant.WITHOUT_DEPTHWISE:
        remove_depthwise(module)
        if any(map(_is_depthwise, module.modules())):
            raise InvalidValueError(
                f"{case.network.model} has depthwise convolutions that change more than the stride: without"
                " them it is another network"
            )
    return module


def skeleton(plan: Plan) -> Plan:
    """The same layers on one channel of a small map: as many operators, next to no arithmetic and traffic."""
    return replace(plan, input_shape=(1, SKELETON_SIDE, SKELETON_SIDE), nodes=_narrow_all(plan.nodes))


def remove_depthwise(module: nn.Module) -> int:
    """Replace each depthwise convolution by nothing, or by taking every other pixel; returns how many.

    A convolution that changes the number of channels, or the size other than by one stride, stays.
    """
    found = [
        (name, part) for name, part in module.named_modules() if _is_depthwise(part) and _filters_only(part)
    ]
    for name, part in found:
        module.set_submodule(name, nn.Identity() if part.stride == (1, 1) else Subsample(part.stride[0]))
    return len(found)


def _is_depthwise(part: nn.Module) -> TypeGuard[nn.Conv2d]:
    return isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1


def _filters_only(conv: nn.Conv2d) -> bool:
    reach = tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    return (
        conv.in_channels == conv.out_channels
        and conv.stride[0] == conv.stride[1]
        and conv.padding in (reach, "same")
    )


class Subsample(nn.Module):
    """Every `stride`-th pixel of a map."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps[:, :, :: self.stride, :: self.stride]


def _narrow_all(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(map(_narrow, nodes))


def _narrow(node: Node) -> Node:
    if isinstance(node, LayerSpec):
        return replace(node, in_channels=1, out_channels=1, groups=1)
    if isinstance(node, Chain):
        return replace(node, nodes=_narrow_all(node.nodes))
    if isinstance(node, Gated):
        scale = replace(node.scale, in_channels=1, out_channels=1)
        return replace(node, gate=_narrow_all(node.gate), scale=scale)
    return Residual(
        name=node.name,
        body=_narrow_all(node.body),
        shortcut=_narrow_all(node.shortcut),
        add=replace(node.add, in_channels=1, out_channels=1),
        after=_narrow_all(node.after),
    )


class _Images(Dataset[torch.Tensor]):
    """Images in bytes, made floats and normalised one by one, as the usual data set of a DataLoader does."""

    def __init__(self, shape: tuple[int, int, int], count: int) -> None:
        from PIL import Image
        from torchvision import transforms

        channels, height, width = shape
        pixels = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8).numpy()
        # PIL knows one and three channels; time does not depend on which of several
        self._images = [Image.fromarray(p[:, :, 0] if channels != 3 else p) for p in pixels]
        mean = [0.5] * (3 if channels == 3 else 1)
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, mean)])
        self._channels = channels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> torch.Tensor:
        image: torch.Tensor = self._transform(self._images[index])
        return image if image.shape[0] == self._channels else image.expand(self._channels, -1, -1)


def _build_loader(network: NetworkSpec, batch_size: int) -> Callable[[], torch.Tensor]:
    """Each call makes a batch; in this process, since a further one would hide its time and not save it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        images = _Images(network.input_shape, batch_size)
    loader = DataLoader(images, batch_size=batch_size)

    def load() -> torch.Tensor:
        batch: torch.Tensor = next(iter(loader))
        return batch

    return load
