"""Keeps a copy of a network's weights in 16 bits while it trains, cast in one operation per step.

Autocast casts each weight before its use and each gradient after it: 46 more operators in a ResNet-18's step
and 110 in a MobileNet's. Here the network computes with the copies. One operation fetches all gradients after
the backward pass, and one casts all weights after the update. The numbers are those of autocast, to the bit.
`eml_models.training.loop.Fit` uses it for bf16 and fp16.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from eml_models.networks.layers import Network

CAST_BY_AUTOCAST = (nn.Conv2d, nn.Linear)
"""The layers of a `Network` whose weights and biases autocast casts."""


class HalfWeights:
    """The weights of a network's convolutions and linear layers in 16 bits, beside those in fp32.

    A module of a user's own family may use its weights in any way, so it has no copies and autocast casts.

    Args:
        module: on its device; its parameters stay the weights that the optimizer updates.
        dtype: of the copies; for fp32 there are none.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        has_copies = dtype is not torch.float32 and isinstance(module, Network)
        parts = module.modules() if has_copies else ()
        self._places: list[tuple[nn.Module, str]] = [
            (part, name)
            for part in parts
            if type(part) in CAST_BY_AUTOCAST
            for name, weight in part.named_parameters(recurse=False)
            if weight.requires_grad
        ]
        self._weights: list[torch.Tensor] = [part.get_parameter(name) for part, name in self._places]
        self._copies: list[torch.Tensor] = [
            nn.Parameter(torch.empty_like(weight, dtype=dtype)) for weight in self._weights
        ]
        self._gradients = [torch.empty_like(weight) for weight in self._weights]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the network compute with the copies inside."""
        self.update()
        self._put(self._copies)
        try:
            yield
        finally:
            self._put(self._weights)

    @torch.no_grad()
    def fetch_gradients(self) -> None:
        """Give each weight the gradient of its copy, in fp32; call this after each backward pass.

        The gradients lie in the same memory each time.
        """
        if not self._copies:
            return
        torch._foreach_copy_(self._gradients, [copy.grad for copy in self._copies if copy.grad is not None])
        for weight, copy, gradient in zip(self._weights, self._copies, self._gradients, strict=True):
            weight.grad, copy.grad = gradient, None

    def forget_gradients(self) -> None:
        """Drop the gradients of a backward pass that ended in its middle."""
        for copy in self._copies:
            copy.grad = None

    @torch.no_grad()
    def update(self) -> None:
        """Cast the weights to the copies; call this after each update of the weights."""
        if self._copies:
            torch._foreach_copy_(self._copies, self._weights)

    def _put(self, weights: list[torch.Tensor]) -> None:
        for (part, name), weight in zip(self._places, weights, strict=True):
            setattr(part, name, weight)
