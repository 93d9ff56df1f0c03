"""One thing to be timed: a network in a mode over a batch, whole or with something taken away.

Frozen values and their JSON, in which they travel to a worker process; `steps` builds what is timed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from eml_models.latency.measuring.modes import Mode, parse_mode
from eml_models.networks.words import NetworkSpec


class Source(StrEnum):
    """Where a batch comes from: it is there already, or made image by image as a DataLoader does."""

    CACHED = "cached"
    LOADER = "loader"


class Variant(StrEnum):
    """What is run: all of the network; the same operators on one channel, which leaves what they cost by
    their mere number; or all but its depthwise convolutions."""

    WHOLE = "whole"
    SKELETON = "skeleton"
    WITHOUT_DEPTHWISE = "without depthwise"


class Allocator(StrEnum):
    """How glibc treats freed memory; fixed when a process starts (see `conditions.KEEPING_MEMORY`)."""

    DEFAULT = "default"
    KEEPING = "keeping"


def usual_allocator(device: str) -> Allocator:
    """That of the cases in which the allocator is not the question.

    On a GPU glibc's: its settings touch the host's side alone, and each further process takes hundreds of MB
    of the GPU's memory.
    """
    return Allocator.DEFAULT if device.startswith("cuda") else Allocator.KEEPING


def usual_search(device: str) -> bool:
    """Whether cuDNN searches in the cases in which its choice is not the question.

    On a GPU it does not, as torch does by default: it takes seconds for each network, batch and mode, and on
    an H200 it gained nothing. A stage of the waterfall shows what it is worth. A CPU has none, and one word
    for it.
    """
    return not device.startswith("cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one timing is of.

    Attributes:
        kernel_search: on CUDA, cuDNN tries its kernels and keeps the quickest (torch's default: it does not).
    """

    network: NetworkSpec
    mode: Mode
    batch_size: int
    source: Source = Source.CACHED
    variant: Variant = Variant.WHOLE
    allocator: Allocator = Allocator.KEEPING
    kernel_search: bool = True

    @property
    def key(self) -> str:
        """A text that no other case has."""
        words = (self.network.name, self.mode, self.batch_size, self.source, self.variant, self.allocator)
        return " ".join(map(str, (*words, "search" if self.kernel_search else "no search")))

    @property
    def words(self) -> str:
        """The case in words for people, without what most cases share."""
        parts = [self.network.name, str(self.mode), f"batch {self.batch_size}"]
        parts += [self.variant.value] if self.variant is not Variant.WHOLE else []
        parts += ["from a loader"] if self.source is Source.LOADER else []
        return " ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        network = {**asdict(self.network), "options": dict(self.network.options)}
        return {**asdict(self), "network": network, "mode": str(self.mode)}


def case_from_dict(data: Mapping[str, Any]) -> Case:
    """The case of `Case.as_dict`."""
    network = {**data["network"], "input_shape": tuple(data["network"]["input_shape"])}
    return Case(
        network=NetworkSpec(**network),
        mode=parse_mode(data["mode"]),
        batch_size=data["batch_size"],
        source=Source(data["source"]),
        variant=Variant(data["variant"]),
        allocator=Allocator(data["allocator"]),
        kernel_search=data["kernel_search"],
    )
