"""The optimizers by name: what each accepts, its settings, and its paper.

Recipes are checked against this frozen table, which needs no torch. The training loop calls
`build_optimizer`. Learning-rate schedules are in `eml_models.training.schedules`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """One optimizer.

    Attributes:
        torch_name: the class in ``torch.optim`` that computes it.
        momentum: the default momentum; None for an optimizer that takes none.
        momentum_open: whether momentum must be above 0; otherwise 0 is allowed.
        settings: fixed arguments of the torch class.
        fused: whether to use the fused implementation, which is the fastest on one CPU thread. Microseconds
            per step, fused and ``foreach`` (torch 2.14): for a small CNN on digits, Adam 109 and 282,
            momentum 56 and 95; for a MobileNet, Adam 1,936 and 6,899. Only plain SGD on a ResNet-18 is slower
            fused, 414 and 287. RMSprop has no fused implementation.
        source: the paper of the update, and where torch deviates from it.
    """

    name: str
    torch_name: str
    momentum: float | None = None
    momentum_open: bool = False
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    fused: bool = True
    source: str

    def check_momentum(self, momentum: float) -> None:
        """Refuse a momentum that this optimizer cannot use.

        Raises:
            InvalidValueError: it takes no momentum, or not this value.
        """
        if self.momentum is None:
            raise InvalidValueError(
                f"optimizer {self.name!r} takes no momentum, got {momentum}; use sgd_momentum, or None"
            )
        if self.momentum_open and momentum == 0:
            raise InvalidValueError(f"momentum of {self.name!r} must be in (0, 1), got {momentum}; use sgd")


ADAM_SETTINGS = MappingProxyType({"betas": (0.9, 0.999), "eps": 1e-8})

OPTIMIZERS: Mapping[str, OptimizerSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            OptimizerSpec(
                name="sgd",
                torch_name="SGD",
                source="Robbins and Monro 1951, Annals of Mathematical Statistics",
            ),
            OptimizerSpec(
                name="sgd_momentum",
                torch_name="SGD",
                momentum=0.9,
                source="Polyak 1964; in torch the rate multiplies the velocity, not the gradient",
            ),
            OptimizerSpec(
                name="nesterov",
                torch_name="SGD",
                momentum=0.9,
                momentum_open=True,
                settings=MappingProxyType({"nesterov": True}),
                source="Nesterov 1983, in the form of Sutskever et al. 2013 (ICML, PMLR 28)",
            ),
            OptimizerSpec(
                name="adam",
                torch_name="Adam",
                settings=ADAM_SETTINGS,
                source="arXiv 1412.6980, algorithm 1; weight decay is added to the gradient",
            ),
            OptimizerSpec(
                name="adamw",
                torch_name="AdamW",
                settings=ADAM_SETTINGS,
                source="arXiv 1711.05101, algorithm 2; the decay is multiplied by the learning rate",
            ),
            OptimizerSpec(
                name="rmsprop",
                torch_name="RMSprop",
                momentum=0.0,
                settings=MappingProxyType({"alpha": 0.99, "eps": 1e-8}),
                fused=False,
                source="Tieleman and Hinton 2012, lecture 6.5",
            ),
        )
    }
)
"""Every optimizer by its name. All take weight decay; all except adamw add it to the gradient."""


def get_optimizer_spec(name: str) -> OptimizerSpec:
    """The optimizer of that name.

    Raises:
        UnknownNameError: no optimizer has this name; the message lists all names.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def build_optimizer(
    name: str, module: Any, *, learning_rate: float, momentum: float | None = None, weight_decay: float = 0.0
) -> Any:
    """Build the ``torch.optim.Optimizer`` of a module's trainable parameters; not for use in compiled code.

    Weight decay acts on the weights of convolutions and linear layers only. Parameters with one dimension,
    which are biases and the scales and shifts of batch norms, are in a group without it (arXiv 1812.01187,
    section 3.1). The types are Any, because this module must not import torch.

    Args:
        module: a ``torch.nn.Module``, already on its device.
        momentum: None for the optimizer's default.

    Raises:
        InvalidValueError: an unknown name, or a momentum that the optimizer does not take.
    """
    import torch  # takes seconds, and a search only reads the table above

    spec = get_optimizer_spec(name)
    arguments = dict(spec.settings)
    if momentum is not None:
        spec.check_momentum(momentum)
    if spec.momentum is not None:
        arguments["momentum"] = spec.momentum if momentum is None else momentum
    arguments["fused" if spec.fused else "foreach"] = True
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = getattr(torch.optim, spec.torch_name)
    if _counts_on_device(optimizer, parameters):
        arguments["capturable"] = True
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return _without_compiler(optimizer)(
        [group for group in groups if group["params"]], lr=learning_rate, **arguments
    )


def _counts_on_device(optimizer: type[Any], parameters: Sequence[Any]) -> bool:
    """Whether the optimizer is to count its steps on the GPU, in tensors beside the parameters.

    Only so can a CUDA graph hold an update. RMSprop otherwise counts on the CPU, with an addition per
    parameter and step.
    """
    on_gpu = bool(parameters) and all(p.device.type == "cuda" for p in parameters)
    return on_gpu and "capturable" in inspect.signature(optimizer).parameters


@cache
def _without_compiler(optimizer: type[Any]) -> type[Any]:
    """The same optimizer, which does not import torch's compiler.

    torch wraps five methods so that its compiler leaves them out. The first call of each wrapper imports the
    compiler: 870 modules, 1.1 s in each process that trains (torch 2.14), of 3.6 s until its first step. Here
    the methods are called without their wrappers; the updates are the same to the bit. A torch with other
    wrappers imports the compiler again, which a test notices.
    """
    import torch

    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(optimizer, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(optimizer.step))  # its wrapper turned gradients off
    return type(optimizer.__name__, (optimizer,), {**methods, "step": step, "__module__": __name__})
