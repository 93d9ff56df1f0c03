"""Draws a plan layer by layer and tracks the channels and the size of the map.

A family's `draw` function calls a `PlanBuilder`; `eml_models.networks.registry.build_plan` makes one for each
plan. It checks every layer, and reduces strides so that no map becomes smaller than `MIN_MAP_PX`. It makes
values only: no torch, no module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.networks.plan import Chain, Gated, LayerKind, LayerSpec, Node, OptionValue, Plan, Residual

MIN_INPUT_PX = 8
"""The smallest side of an image in pixels: a smaller image could not even be halved twice."""

MIN_MAP_PX = 2
"""The smallest side of a map in pixels: around a map of 1 px, a 3x3 kernel would read only padding."""

ACTIVATIONS = ("relu", "relu6", "silu")


class PlanBuilder:
    """A plan that is being drawn: each method appends layers at its end.

    Attributes:
        input_shape: (channels, height, width) of an image.
        num_classes: number of classes that the network distinguishes.
        channels, size: channels and (height, width) of the present map.
        adapted: notes on changes that kept maps from becoming too small.
    """

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        _check_task(input_shape, num_classes)
        self.input_shape = input_shape
        self.num_classes = num_classes
        self.channels = input_shape[0]
        self.size = input_shape[1:]
        self.adapted: list[str] = []
        self._nodes: list[Node] = []
        self._names: set[str] = set()
        self._prefix = ""
        self._total_stride = 1

    def conv_bn_act(
        self,
        name: str,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = "relu",
    ) -> None:
        """A chain of a convolution without bias, a batch norm, and an activation unless that is None."""
        with self.chain(name):
            self.conv("conv", out_channels, kernel=kernel, stride=stride, groups=groups)
            self.batch_norm("norm")
            if activation is not None:
                self.activation("act", activation)

    def conv(
        self,
        name: str,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        """A convolution with padding (kernel - 1) / 2. `fit_stride` may reduce its stride."""
        problems = _find_conv_problems(
            self.channels, out_channels, kernel=kernel, stride=stride, groups=groups
        )
        raise_if_any(self._prefix + name, problems)
        stride = self.fit_stride(name, stride)
        size = (_side_after(self.size[0], stride), _side_after(self.size[1], stride))
        self._append(
            LayerSpec(
                name=self._prefix + name,
                kind=LayerKind.CONV,
                in_channels=self.channels,
                out_channels=out_channels,
                input_size=self.size,
                output_size=size,
                kernel=kernel,
                stride=stride,
                groups=groups,
                bias=bias,
            )
        )
        self._total_stride *= stride

    def batch_norm(self, name: str, *, zero_gamma: bool = False) -> None:
        """A batch norm; with `zero_gamma` its scale starts at zero (arXiv 1706.02677, section 5.1)."""
        self._same(name, LayerKind.BATCH_NORM, zero_gamma=zero_gamma)

    def activation(self, name: str, function: str) -> None:
        """An activation, one of `ACTIVATIONS`."""
        if function not in ACTIVATIONS:
            raise UnknownNameError("activation", function, ACTIVATIONS)
        self._same(name, LayerKind.ACTIVATION, function=function)

    def dropout(self, name: str, rate: float) -> None:
        """Dropout of single values; a rate of 0 draws no layer."""
        if not 0.0 <= rate < 1.0:
            raise InvalidValueError(f"{self._prefix}{name}: rate must be in [0, 1), got {rate!r}")
        if rate > 0.0:
            self._same(name, LayerKind.DROPOUT, rate=rate)

    def max_pool(self, name: str, *, kernel: int = 2, stride: int = 2) -> None:
        """Max pooling with padding (kernel - 1) // 2; left out if the map is too small for it."""
        if kernel < 1 or stride < 1:
            raise InvalidValueError(
                f"{self._prefix}{name}: kernel and stride must be at least 1, got {kernel} and {stride}"
            )
        padding = (kernel - 1) // 2
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in self.size)
        if min(height, width) < MIN_MAP_PX:
            self._note(name, f"pooling of stride {stride} left out")
            return
        self._append(
            LayerSpec(
                name=self._prefix + name,
                kind=LayerKind.MAX_POOL,
                in_channels=self.channels,
                out_channels=self.channels,
                input_size=self.size,
                output_size=(height, width),
                kernel=kernel,
                stride=stride,
            )
        )

    def global_pool(self, name: str) -> None:
        """The mean over each map: (channels, height, width) becomes a vector of `channels`."""
        self._reshape(name, LayerKind.GLOBAL_POOL, self.channels)

    def flatten(self, name: str) -> None:
        """All values as one vector."""
        self._reshape(name, LayerKind.FLATTEN, self.channels * self.size[0] * self.size[1])

    def linear(self, name: str, out_features: int, *, bias: bool = True) -> None:
        """A linear layer on a vector; call `global_pool` or `flatten` before it."""
        if self.size != (1, 1):
            raise InvalidValueError(
                f"{self._prefix}{name}: a linear layer needs a vector, got a map of {_text(self.size)} px; "
                "call global_pool or flatten first"
            )
        if out_features < 1:
            raise InvalidValueError(
                f"{self._prefix}{name}: out_features must be at least 1, got {out_features}"
            )
        self._same(name, LayerKind.LINEAR, out_channels=out_features, bias=bias)

    def classifier(self, *, dropout: float = 0.0) -> None:
        """The usual end of a network: global pooling, dropout, and a linear layer onto the classes."""
        self.global_pool("pool")
        self.dropout("dropout", dropout)
        self.linear("classifier", self.num_classes)

    @contextmanager
    def chain(self, name: str) -> Iterator[None]:
        """A group, under `name`, of the layers that are drawn inside it."""
        outer, prefix = self._enter(name)
        yield
        nodes = tuple(self._nodes)
        self._leave(outer, prefix)
        self._group(Chain(name=prefix + name, nodes=nodes))

    @contextmanager
    def residual(self, name: str, *, project: bool = False, activation: str | None = None) -> Iterator[None]:
        """A residual block; its body is drawn inside it.

        Args:
            name: name of the block; its parts are ``body``, ``shortcut``, ``add`` and ``after``.
            project: if the body changes the shape, use a 1x1 convolution with batch norm as the shortcut
                (arXiv 1512.03385, option B); without `project`, such a body is an error.
            activation: the activation after the addition.
        """
        channels, size, stride = self.channels, self.size, self._total_stride
        outer, prefix = self._enter(f"{name}.body")
        yield
        body = tuple(self._nodes)
        end, end_size = self.channels, self.size
        shortcut: tuple[Node, ...] = ()
        if (end, end_size) != (channels, size):
            if not project:
                raise InvalidValueError(
                    f"{prefix}{name}: the body changes {channels} x {_text(size)} into {end} x "
                    f"{_text(end_size)}, so the input cannot be added; use project=True or chain()"
                )
            self._nodes, self._prefix = [], f"{prefix}{name}.shortcut."
            self.channels, self.size, stride = channels, size, self._total_stride // stride
            self._draw_projection(end, end_size, stride=stride)
            shortcut = tuple(self._nodes)
        self._nodes, self._prefix = [], f"{prefix}{name}."
        self._same("add", LayerKind.ADD)
        add = self._nodes.pop()
        assert isinstance(add, LayerSpec)
        self._prefix += "after."
        if activation is not None:
            self.activation("act", activation)
        after = tuple(self._nodes)
        self._leave(outer, prefix)
        self._group(Residual(name=prefix + name, body=body, shortcut=shortcut, add=add, after=after))

    def _draw_projection(self, channels: int, size: tuple[int, int], *, stride: int) -> None:
        total = self._total_stride
        self.conv("conv", channels, kernel=1, stride=stride)
        self.batch_norm("norm")
        self._total_stride = total  # the body has counted its stride already
        if self.size != size:
            raise InvalidValueError(
                f"{self._prefix[:-1]}: the body makes {_text(size)} px, the shortcut {_text(self.size)} px; "
                "inside a residual body, only strided convolutions may change the size"
            )

    def squeeze_excite(self, name: str, squeezed: int, *, activation: str = "relu") -> None:
        """Scale each channel by a number made from the means of all channels (arXiv 1709.01507, section 3).

        Args:
            name: name of the block; its parts are ``gate`` and ``scale``.
            squeezed: number of values between the two linear layers of the gate.
            activation: the activation between the two; a sigmoid follows the second.
        """
        channels, size = self.channels, self.size
        outer, prefix = self._enter(f"{name}.gate")
        self.global_pool("pool")
        self.linear("squeeze", squeezed)
        self.activation("act", activation)
        self.linear("excite", channels)
        self._same("sigmoid", LayerKind.ACTIVATION, function="sigmoid")
        gate = tuple(self._nodes)
        self._nodes, self._prefix = [], f"{prefix}{name}."
        self.size = size
        self._same("scale", LayerKind.SCALE)
        scale = self._nodes.pop()
        assert isinstance(scale, LayerSpec)
        self._leave(outer, prefix)
        self._group(Gated(name=prefix + name, gate=gate, scale=scale))

    def finish(self, model: str, options: Mapping[str, OptionValue]) -> Plan:
        """The plan of the layers that were drawn.

        Raises:
            InvalidValueError: the network does not end in one value per class.
        """
        if (self.channels, self.size) != (self.num_classes, (1, 1)) or not self._nodes:
            raise InvalidValueError(
                f"model {model!r} ends in {self.channels} x {_text(self.size)} values for {self.num_classes} "
                "classes; end its draw function with net.classifier()"
            )
        return Plan(
            model=model,
            options=options,
            input_shape=self.input_shape,
            num_classes=self.num_classes,
            nodes=tuple(self._nodes),
            adapted=tuple(self.adapted),
        )

    def fit_stride(self, name: str, stride: int) -> int:
        """The largest stride up to `stride` that keeps the map at `MIN_MAP_PX`; a change is noted."""
        fitting = stride
        while fitting > 1 and _side_after(min(self.size), fitting) < MIN_MAP_PX:
            fitting -= 1
        if fitting != stride:
            self._note(name, f"stride {stride} became {fitting}")
        return fitting

    def _note(self, name: str, change: str) -> None:
        self.adapted.append(
            f"{self._prefix}{name}: {change}, because its map of {_text(self.size)} px would become smaller "
            f"than {MIN_MAP_PX} px"
        )

    def _enter(self, name: str) -> tuple[list[Node], str]:
        outer, prefix = self._nodes, self._prefix
        self._nodes, self._prefix = [], f"{prefix}{name}."
        return outer, prefix

    def _leave(self, outer: list[Node], prefix: str) -> None:
        self._nodes, self._prefix = outer, prefix

    def _same(
        self,
        name: str,
        kind: LayerKind,
        *,
        out_channels: int | None = None,
        bias: bool = False,
        function: str = "",
        rate: float = 0.0,
        zero_gamma: bool = False,
    ) -> None:
        """Append a layer that keeps the size of the map."""
        self._append(
            LayerSpec(
                name=self._prefix + name,
                kind=kind,
                in_channels=self.channels,
                out_channels=out_channels or self.channels,
                input_size=self.size,
                output_size=self.size,
                bias=bias,
                function=function,
                rate=rate,
                zero_gamma=zero_gamma,
            )
        )

    def _reshape(self, name: str, kind: LayerKind, features: int) -> None:
        self._append(
            LayerSpec(
                name=self._prefix + name,
                kind=kind,
                in_channels=self.channels,
                out_channels=features,
                input_size=self.size,
                output_size=(1, 1),
            )
        )

    def _append(self, layer: LayerSpec) -> None:
        self._group(layer)
        self.channels, self.size = layer.out_channels, layer.output_size

    def _group(self, node: Node) -> None:
        if node.name in self._names:
            raise InvalidValueError(f"two layers have the name {node.name!r}; give each its own")
        self._names.add(node.name)
        self._nodes.append(node)


def _check_task(input_shape: tuple[int, int, int], num_classes: int) -> None:
    problems = []
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in input_shape)
    if len(input_shape) != 3 or not whole or input_shape[0] < 1:
        problems.append(
            f"input_shape must be (channels, height, width) in whole numbers, got {input_shape!r}"
        )
    elif min(input_shape[1:]) < MIN_INPUT_PX:
        problems.append(
            f"images must be at least {MIN_INPUT_PX} x {MIN_INPUT_PX} px, got {_text(input_shape[1:])}; "
            "enlarge or pad them"
        )
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        problems.append(f"num_classes must be a whole number of at least 1, got {num_classes!r}")
    raise_if_any("network", problems)


def _find_conv_problems(
    channels: int, out_channels: int, *, kernel: int, stride: int, groups: int
) -> list[str]:
    problems = []
    if kernel < 1 or kernel % 2 == 0:
        problems.append(
            f"kernel must be odd and at least 1, because an even kernel changes the map's size, got {kernel}"
        )
    if stride < 1:
        problems.append(f"stride must be at least 1, got {stride}")
    if out_channels < 1:
        problems.append(f"out_channels must be at least 1, got {out_channels}")
    if groups < 1 or channels % groups or out_channels % groups:
        problems.append(f"groups must divide the channels, got {groups} for {channels} -> {out_channels}")
    return problems


def _side_after(side: int, stride: int) -> int:
    """The output side of a padded convolution with an odd kernel: side / stride, rounded up."""
    return (side - 1) // stride + 1


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
