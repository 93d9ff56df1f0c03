"""A trained network for use: it takes images as stored by their data set, and carries its facts.

`eml_models.training.snapshot.load_trained` builds it. Training itself uses only the inner network, which
takes standardised images (`eml_models.data.batches.ImagePreparation`).
"""

from __future__ import annotations

import json

import torch
from torch import nn

from eml_models.data.facts import NetworkFacts
from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe


class TrainedNetwork(nn.Module):
    """A trained network whose first step standardises images as in its training.

    On a CPU in fp32 its logits equal those of the training, to the bit.

    Args:
        module: the inner network, which takes standardised images.

    Attributes:
        facts: its images, its classes, its recipe and the fingerprint of its data.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: nn.Module, facts: NetworkFacts) -> None:
        super().__init__()
        self.module, self.facts = module, facts
        for name, values in (("mean", facts.data.mean), ("std", facts.data.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_forward_pre_hook(_check_images)  # not in `forward`, which graphs are traced from

    @property
    def recipe(self) -> Recipe:
        """The recipe of its training.

        Raises:
            InvalidValueError: its family or data set is not registered in this process.
        """
        return Recipe.from_json(json.dumps(self.facts.recipe))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images as stored, in bytes or floats, on the network's device.

        Raises:
            InvalidValueError: the input is not a tensor (N, C, H, W) of images of the trained shape.
        """
        logits: torch.Tensor = self.module((images_NCHW.to(self.mean.dtype) - self.mean) / self.std)
        return logits


def _check_images(network: TrainedNetwork, arguments: tuple[object, ...]) -> None:
    """Refuse images of another shape: with global pooling the network would accept any size."""
    expected = tuple(network.facts.data.input_shape)
    rule = f"images must be a tensor (N, {', '.join(map(str, expected))}), as the network was trained on"
    images = arguments[0] if arguments else None
    if not isinstance(images, torch.Tensor):
        raise InvalidValueError(
            f"{rule}, got {type(images).__name__}; torch.as_tensor turns an array into a tensor"
        )
    if images.dim() != 4 or tuple(images.shape[1:]) != expected:
        raise InvalidValueError(f"{rule}, got {tuple(images.shape)}")
