"""The plan of a network: its layers with their shapes, from which both the module and its costs come.

A plan is a frozen value without torch. Drawing one takes a few hundred microseconds, so a search can look at
thousands of networks before it builds one. `eml_models.networks.plan_builder` draws plans,
`eml_models.networks.layers` builds modules from them, and a search that limits a network's size sums their
costs. Nothing here measures or runs anything.

A layer's name is the name of its submodule: ``module.get_submodule(layer.name)`` is that layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

OptionValue = bool | int | float | str | None | tuple[int, ...] | tuple[float, ...]


class LayerKind(StrEnum):
    """What a layer does; `eml_models.networks.layers` knows one module for each."""

    CONV = "conv"
    LINEAR = "linear"
    BATCH_NORM = "batch_norm"
    ACTIVATION = "activation"
    MAX_POOL = "max_pool"
    GLOBAL_POOL = "global_pool"
    FLATTEN = "flatten"
    DROPOUT = "dropout"
    ADD = "add"
    SCALE = "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One layer with its shapes for one image. It checks nothing itself: `PlanBuilder` checks what it draws.

    Attributes:
        name: dotted, unique in the plan, for instance ``stage2.0.body.expand.conv``.
        kind: what it computes.
        in_channels, out_channels: channels of the maps; features of a linear layer.
        input_size, output_size: (height, width) of the maps; (1, 1) after the global pooling.
        kernel, stride, groups, bias: of convolutions and pooling; padding is (kernel - 1) // 2.
        function: of an activation, ``relu``, ``relu6``, ``silu`` or ``sigmoid``; empty for other kinds.
        rate: of a dropout, the share of values set to zero.
        zero_gamma: whether a batch norm's scale starts at zero, so that its residual block starts as the
            identity.
    """

    name: str
    kind: LayerKind
    in_channels: int
    out_channels: int
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False
    function: str = ""
    rate: float = 0.0
    zero_gamma: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds of a convolution or linear layer, without its bias; 0 for all other kinds."""
        if self.kind not in (LayerKind.CONV, LayerKind.LINEAR):
            return 0
        return self._weights * self.output_size[0] * self.output_size[1]

    @property
    def params(self) -> int:
        """Trainable parameters: weights, biases, and the scale and shift of a batch norm."""
        if self.kind is LayerKind.BATCH_NORM:
            return 2 * self.out_channels
        return self._weights + (self.out_channels if self.bias else 0)

    @property
    def activations(self) -> int:
        """Output elements of a convolution; 0 for all other kinds."""
        return self._outputs if self.kind is LayerKind.CONV else 0

    def traffic_elements(self, batch: int) -> int:
        """Elements that this layer reads and writes in an eager forward pass; see `Plan.traffic_bytes`."""
        if self.kind in (LayerKind.FLATTEN, LayerKind.DROPOUT):
            return 0
        inputs = self.in_channels * self.input_size[0] * self.input_size[1]
        if self.kind is LayerKind.ADD:
            inputs *= 2
        if self.kind is LayerKind.SCALE:
            inputs += self.in_channels
        running = 2 * self.out_channels if self.kind is LayerKind.BATCH_NORM else 0
        return batch * (inputs + self._outputs) + self.params + running

    @property
    def _weights(self) -> int:
        if self.kind is LayerKind.CONV:
            return self.kernel * self.kernel * (self.in_channels // self.groups) * self.out_channels
        return self.in_channels * self.out_channels if self.kind is LayerKind.LINEAR else 0

    @property
    def _outputs(self) -> int:
        return self.out_channels * self.output_size[0] * self.output_size[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Nodes that run one after the other, grouped under a name."""

    name: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """``after(add(body(x), shortcut(x)))``; an empty `shortcut` or `after` is the identity."""

    name: str
    body: tuple[Node, ...]
    shortcut: tuple[Node, ...]
    add: LayerSpec
    after: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """``scale(x, gate(x))``: `gate` computes a number for each channel of the map, which multiplies it."""

    name: str
    gate: tuple[Node, ...]
    scale: LayerSpec


Node = LayerSpec | Chain | Residual | Gated


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A network of one family, for one input shape and number of classes.

    Attributes:
        model: name of the family.
        options: every option of the family with its value, defaults included.
        input_shape: (channels, height, width) of an image.
        num_classes: number of classes that the network distinguishes.
        nodes: the layers, grouped as in the module.
        adapted: notes on changes that kept maps from becoming too small.
        layers: all layers of `nodes`, in the order in which they run.
    """

    model: str
    options: Mapping[str, OptionValue] = field(hash=False)
    input_shape: tuple[int, int, int]
    num_classes: int
    nodes: tuple[Node, ...]
    adapted: tuple[str, ...] = ()
    layers: tuple[LayerSpec, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(_iter_layers(self.nodes)))

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and linear layers for one image, and nothing else.

        Left out: batch norm, activations, pooling, additions and biases (fvcore's ``.total()`` counts some
        of them). One multiply-add is 1 MAC and 2 FLOPs.
        """
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable parameters, so without the running statistics of batch norms."""
        return sum(layer.params for layer in self.layers)

    @property
    def activations(self) -> int:
        """Output elements of all convolutions for one image; GPU time follows them more closely than MACs."""
        return sum(layer.activations for layer in self.layers)

    def traffic_bytes(self, *, bytes_per_element: int = 4, batch: int = 1) -> int:
        """Estimate the memory traffic of an eager forward pass in eval mode.

        Every layer reads its inputs and weights and writes its outputs once, as unfused kernels do. Left out:
        caches (a map in a cache is not read from memory), workspaces and layout changes of convolutions,
        reading the image from its file, casts under autocast, and the backward pass.
        """
        return bytes_per_element * sum(layer.traffic_elements(batch) for layer in self.layers)

    def describe(self) -> str:
        """A table of the layers for people; only the totals count batch norms, activations and flattening."""
        hidden = (LayerKind.BATCH_NORM, LayerKind.ACTIVATION, LayerKind.FLATTEN)
        rows = [_describe_layer(layer) for layer in self.layers if layer.kind not in hidden]
        head = ("layer", "kind", "output", "kernel", "parameters", "MACs")
        lines = [self._title(), "", *_align([head, *rows]), ""]
        lines.append(
            f"{self.macs:,} MACs, {self.parameters:,} parameters, {self.activations:,} convolution outputs, "
            f"about {self.traffic_bytes():,} bytes of memory traffic (fp32, eager, one image)"
        )
        lines += [f"adapted: {text}" for text in self.adapted]
        return "\n".join(lines)

    def _title(self) -> str:
        channels, height, width = self.input_shape
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.model}({options}) on {channels} x {height} x {width}, {self.num_classes} classes"


def _iter_layers(nodes: tuple[Node, ...]) -> Iterator[LayerSpec]:
    for node in nodes:
        if isinstance(node, LayerSpec):
            yield node
        elif isinstance(node, Chain):
            yield from _iter_layers(node.nodes)
        elif isinstance(node, Gated):
            yield from _iter_layers((*node.gate, node.scale))
        else:
            yield from _iter_layers((*node.body, *node.shortcut, node.add, *node.after))


def _describe_layer(layer: LayerSpec) -> tuple[str, ...]:
    height, width = layer.output_size
    kernel = ""
    if layer.kind in (LayerKind.CONV, LayerKind.MAX_POOL):
        kernel = f"{layer.kernel}x{layer.kernel}"
        kernel += f" stride {layer.stride}" if layer.stride > 1 else ""
        kernel += f" groups {layer.groups}" if layer.groups > 1 else ""
    shape = f"{layer.out_channels} x {height} x {width}"
    return (layer.name, layer.kind.value, shape, kernel, f"{layer.params:,}", f"{layer.macs:,}")


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    """Pad cells so that columns align; the last two columns are numbers and align to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    texts = len(widths) - 2
    return [
        "  ".join(
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
