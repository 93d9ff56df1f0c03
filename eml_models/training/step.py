"""One step of training on a batch: forward, loss, backward, clipping of the gradients, update.

`eml_models.training.loop` runs it on a CPU, `eml_models.training.device_steps` on CUDA, where it may become
part of a graph: then its Python code runs only while the graph is captured.
"""

from __future__ import annotations

import torch
from torch import nn

from eml_models.training.evaluation import autocast, compute_dtype
from eml_models.training.half_weights import HalfWeights
from eml_models.training.loss import train_loss
from eml_models.training.recipe import Recipe


class TrainingStep:
    """Trains a network on one batch at a time.

    Attributes:
        network: the network that is trained, in train mode during steps.
        half_weights: the weights in 16 bits with which the network computes; none in fp32.
        scaler: of fp16's loss; None for other precisions.
    """

    def __init__(
        self, recipe: Recipe, network: nn.Module, optimizer: torch.optim.Optimizer, *, device: torch.device
    ) -> None:
        self.network, self.optimizer, self.device = network, optimizer, device
        self._recipe = recipe
        self.half_weights = HalfWeights(network, compute_dtype(recipe.precision))
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        # bf16 has fp32's range and needs no scaling; fp16's small gradients vanish without it, on any device
        self.scaler = torch.amp.GradScaler(device.type) if recipe.precision == "fp16" else None
        if self.scaler:
            _begin_momentum(optimizer)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the network; returns the logits (N, classes) and the loss before the update."""
        with autocast(self.device, self._recipe.precision):
            logits = self.network(images)
            loss = train_loss(logits, labels, smoothing=self._recipe.label_smoothing)
        if self.scaler:
            torch.autograd.backward(self.scaler.scale(loss))
            self.half_weights.fetch_gradients()
            if self._recipe.max_grad_norm is not None:
                self.scaler.unscale_(self.optimizer)
            self._clip_gradients()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            torch.autograd.backward(loss)
            self.half_weights.fetch_gradients()
            self._clip_gradients()
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.half_weights.update()
        return logits.detach(), loss.detach()

    def forget_unfinished(self) -> None:
        """Drop what a step that ended in its middle has left: gradients, and the scaler's notes of them."""
        self.optimizer.zero_grad()
        self.half_weights.forget_gradients()
        if self.scaler:
            state = self.scaler.state_dict()
            self.scaler = torch.amp.GradScaler(self.device.type)
            self.scaler.load_state_dict(state)

    def _clip_gradients(self) -> None:
        if self._recipe.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.max_grad_norm)


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Let the momentum of SGD begin at zero, as its first step would do.

    torch's fused SGD takes memory for the momentum in its first step. If the gradients of that step overflow,
    it skips the step without writing there, and the next step reads what was in that memory.
    """
    for group in optimizer.param_groups:
        if isinstance(optimizer, torch.optim.SGD) and group["momentum"]:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
