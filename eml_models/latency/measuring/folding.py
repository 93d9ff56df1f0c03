"""Merges batch norms into the convolutions before them: in eval mode both are one affine map.

Changes the module that it is given (make a copy first), and keeps its structure: a merged batch norm becomes
an `nn.Identity`, which launches nothing. On a CPU that saves a pass over each map. On CUDA it saves hardly
any in eager mode or in a graph: cuDNN's convolution has no bias (``aten::cudnn_convolution``), so torch adds
the bias that folding makes in a pass of its own; only a compiler fuses that.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from eml_models.errors import InvalidValueError


def fold_batch_norms(model: nn.Module) -> int:
    """Fold every batch norm that alone reads the output of a convolution; returns how many.

    Raises:
        InvalidValueError: the model is in training mode (its batch norms would still change), or its forward
            cannot be traced.
    """
    if model.training:
        raise InvalidValueError("batch norms are folded in eval mode only; call model.eval() first")
    pairs = _find_pairs(model)
    for conv_name, norm_name in pairs:
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        with torch.no_grad():
            model.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
        model.set_submodule(norm_name, nn.Identity())
    return len(pairs)


def _find_pairs(model: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions and of the batch norms that alone read them; each module once."""
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception as error:  # tracing runs the model's own code, which may raise anything
        raise InvalidValueError(f"the model cannot be traced, so its batch norms stay: {error}") from error
    modules = dict(model.named_modules())
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module":
            continue
        module = modules[str(node.target)]
        if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None:  # None: by the batch's own
            continue
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        conv, norm = str(before.target), str(node.target)
        if isinstance(modules[conv], nn.Conv2d) and calls.count(conv) == calls.count(norm) == 1:
            pairs.append((conv, norm))
    return pairs
