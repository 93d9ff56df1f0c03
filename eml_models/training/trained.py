"""A trained network as it is used: it takes images as their data set stores them, and knows its facts.

`eml_models.training.snapshot.load_trained` builds it. What training itself calls is the network inside, which
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
    """A trained network with the standardisation that it was trained with as its first step.

    On a CPU in fp32 its logits are those of the training, to the bit.

    Args:
        module: takes standardised images.

    Attributes:
        facts: which images it takes, its classes, its recipe and the fingerprint of its data.
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
        """The recipe that trained it.

        Raises:
            InvalidValueError: its family or data set is not registered in this process.
        """
        return Recipe.from_json(json.dumps(self.facts.recipe))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images as stored, in bytes or floats, on the network's device.

        Raises:
            InvalidValueError: no tensor (N, C, H, W) of images of the shape that it was trained on.
        """
        logits: torch.Tensor = self.module((images_NCHW.to(self.mean.dtype) - self.mean) / self.std)
        return logits


def _check_images(network: TrainedNetwork, arguments: tuple[object, ...]) -> None:
    """Refuse images of another shape: global pooling would give an answer to any."""
    expected = tuple(network.facts.data.input_shape)
    rule = f"images must be a tensor (N, {', '.join(map(str, expected))}), as the network was trained on"
    images = arguments[0] if arguments else None
    if not isinstance(images, torch.Tensor):
        raise InvalidValueError(f"{rule}, got {type(images).__name__}; torch.as_tensor makes one of an array")
    if images.dim() != 4 or tuple(images.shape[1:]) != expected:
        raise InvalidValueError(f"{rule}, got {tuple(images.shape)}")
