"""The builder of plans: the layers that it draws, and drawings that it refuses."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.networks.plan_builder import PlanBuilder


def test_squeeze_and_excitation_costs_by_hand() -> None:
    net = PlanBuilder((6, 8, 10), 10)
    net.squeeze_excite("se", 2, activation="silu")
    assert (net.channels, net.size) == (6, (8, 10))
    net.classifier()
    plan = net.finish("mine", {})
    assert [layer.name for layer in plan.layers[:6]] == [
        *(f"se.gate.{name}" for name in ("pool", "squeeze", "act", "excite", "sigmoid")),
        "se.scale",
    ]
    assert plan.macs == 6 * 2 + 2 * 6 + 6 * 10
    assert plan.parameters == (6 * 2 + 2) + (2 * 6 + 6) + (6 * 10 + 10)


class TestPlanBuilder:
    def test_linear_on_a_map_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="call global_pool or flatten first"):
            PlanBuilder((1, 8, 8), 10).linear("classifier", 10)

    def test_flatten_makes_a_vector_of_all_values(self) -> None:
        net = PlanBuilder((3, 8, 10), 10)
        net.flatten("flat")
        assert (net.channels, net.size) == (240, (1, 1))

    def test_two_layers_of_one_name_are_refused(self) -> None:
        net = PlanBuilder((1, 8, 8), 10)
        net.conv("a", 4)
        with pytest.raises(InvalidValueError, match="two layers have the name 'a'"):
            net.conv("a", 4)

    def test_body_that_changes_the_shape_needs_a_projection(self) -> None:
        net = PlanBuilder((4, 8, 8), 10)
        with pytest.raises(InvalidValueError, match="project=True"), net.residual("block"):
            net.conv("a", 8)

    def test_pooling_inside_a_projected_body_is_refused(self) -> None:
        net = PlanBuilder((4, 8, 8), 10)
        with (
            pytest.raises(InvalidValueError, match="only strided convolutions"),
            net.residual("b", project=True),
        ):
            net.max_pool("a")

    def test_projection_takes_the_strides_of_the_body(self) -> None:
        net = PlanBuilder((4, 33, 33), 10)
        net.conv("before", 4, stride=2)
        with net.residual("block", project=True):
            net.conv("a", 8, stride=2)
            net.conv("b", 8, stride=2)
        assert net.size == (5, 5)

    def test_projected_blocks_may_be_nested(self) -> None:
        net = PlanBuilder((4, 33, 33), 10)
        with net.residual("outer", project=True):
            with net.residual("inner", project=True):
                net.conv("a", 8, stride=2)
            net.conv("b", 8, stride=2)
        assert net.size == (9, 9)

    def test_network_that_does_not_end_in_classes_is_refused(self) -> None:
        net = PlanBuilder((1, 8, 8), 10)
        net.conv("a", 10)
        with pytest.raises(InvalidValueError, match=r"net\.classifier\(\)"):
            net.finish("mine", {})

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"kernel": 2}, "kernel must be odd"),
            ({"groups": 3}, "groups must divide"),
            ({"out_channels": 0}, "out_channels must be at least 1"),
            ({"stride": 0}, "stride must be at least 1"),
        ],
    )
    def test_convolution_that_cannot_be_is_refused(self, arguments: dict[str, int], message: str) -> None:
        with pytest.raises(InvalidValueError, match=message):
            PlanBuilder((4, 8, 8), 10).conv("a", **({"out_channels": 8} | arguments))

    def test_pooling_that_cannot_be_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="kernel and stride must be at least 1, got 2 and 0"):
            PlanBuilder((4, 8, 8), 10).max_pool("a", stride=0)

    def test_unknown_activation_and_bad_dropout_are_refused(self) -> None:
        net = PlanBuilder((1, 8, 8), 10)
        with pytest.raises(UnknownNameError, match="known: relu, "):
            net.activation("act", "rellu")
        with pytest.raises(InvalidValueError, match=r"rate must be in \[0, 1\)"):
            net.dropout("drop", 1.0)
