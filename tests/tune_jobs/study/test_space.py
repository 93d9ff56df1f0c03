"""Parameters and the space that they make: bounds, conditions, grids, JSON."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Role, Value, When
from tune_jobs.study.space import Space

SPACE = Space(
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.5, 0.9, step=0.2, when=When("optimizer", ("sgd",))),
    Integer("width", 2, 8, step=3),
    Constant("widths", (1, 2.5)),
)


@pytest.mark.parametrize(
    ("parameter", "admitted", "refused"),
    [
        (
            Float("x", 0.1, 1.0, log=True),
            [0.1, 0.5, 1],
            [0.0999, 1.0001, "0.5", True, None, math.nan, math.inf],
        ),
        (Float("x", 0.0, 1.0, step=0.25), [0, 0.25, 1.0], [0.3, 10**400]),
        (Float("x", 0.7, 0.7 + 0.1, step=0.1), [0.7, 0.8], [0.75]),
        (Integer("x", 2, 8, step=3), [2, 5, 8], [1, 3, 11, 5.0, "5", True]),
        (Choice("x", (32, "a", False)), [32, 32.0, "a", False], [0, "32", True, "A", None]),
        (Constant("x", (1, 2)), [(1, 2), [1, 2]], [(2, 1), 1, None]),
    ],
)
def test_bounds_are_inclusive_and_types_are_strict(
    parameter: Parameter, admitted: list[Value], refused: list[object]
) -> None:
    for value in admitted:
        assert parameter.problem_of(value) is None, value
    for value in refused:
        assert "got" in (parameter.problem_of(value) or ""), value


@pytest.mark.parametrize(
    ("parameter", "value", "canonical"),
    [
        (Float("x", 0, 1), 1, 1.0),
        (Float("x", 0.1, 0.5, step=0.1), 0.1 + 2 * 0.1, 0.3),
        (Integer("x", 1, 4), 4, 4),
        (Choice("x", (32, "a")), 32.0, 32),
        (Constant("x", (1, 2)), [1, 2], (1, 2)),
    ],
)
def test_an_admitted_value_becomes_the_parameters_own(
    parameter: Parameter, value: Value, canonical: Value
) -> None:
    assert parameter.canonical(value) == canonical
    assert type(parameter.canonical(value)) is type(canonical)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Float("x", 0.1, 0.5, step=0.1), (0.1, 0.2, 0.3, 0.4, 0.5)),
        (Float("x", 0.5, 0.5), (0.5,)),
        (Float("x", 0.1, 0.5), None),
        (Integer("x", 2, 9, step=3), (2, 5, 8)),
        (Choice("x", ("b", "a")), ("b", "a")),
        (Constant("x", 3), (3,)),
    ],
)
def test_grid_holds_all_values_or_there_is_none(
    parameter: Parameter, values: tuple[Scalar, ...] | None
) -> None:
    grid = parameter.grid()
    assert (None if grid is None else tuple(grid)) == values


@pytest.mark.parametrize(
    ("build", "problems"),
    [
        (lambda: Float("x", 1.0, 0.1), ["exchange them"]),
        (lambda: Float("x", 0.0, math.inf), ["bounds must be finite"]),
        (lambda: Float("x", 0.0, 1.0, log=True), ["must start above 0"]),
        (lambda: Float("x", 0.1, 1.0, log=True, step=0.1), ["log and step exclude each other"]),
        (lambda: Integer("x", 0, 4, step=0), ["step must be a finite number above 0, got 0"]),
        (lambda: Integer("x", 4, 1.5), ["high must be a whole number, got 1.5"]),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", ()), ["at least one value"]),
        (lambda: Choice("x", (1, True)), ["values must differ"]),
        (lambda: When("x", "sgd"), ["write ('sgd',)"]),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Space(Constant("a b", 1)), ["must be an identifier"]),
        (lambda: Space(Constant("a", 1), Constant("a", 2)), ["'a' appears twice; rename one"]),
        (lambda: Space(Constant("b", 1, when=When("a", (1,)))), ["must come before it in the space"]),
        (
            lambda: Space(Choice("a", (1, 2)), Constant("b", 1, when=When("a", (3, 2)))),
            ["'b' depends on a=3, but 'a' has no such value"],
        ),
    ],
)
def test_what_makes_no_space_is_refused_with_the_rule(build: object, problems: list[str]) -> None:
    with pytest.raises(InvalidValueError) as refused:
        build()  # type: ignore[operator]  # functions, above
    assert all(problem in str(refused.value) for problem in problems)


def test_params_are_brought_into_order_and_type() -> None:
    params = {"widths": [1, 2.5], "width": 5, "momentum": 0.5 + 0.2, "optimizer": "sgd"}
    valid = SPACE.validated(params)  # type: ignore[arg-type]  # lists, as JSON has them
    assert list(valid.items()) == [
        ("optimizer", "sgd"),
        ("momentum", 0.7),
        ("width", 5),
        ("widths", (1, 2.5)),
    ]


def test_all_problems_of_params_are_shown_at_once() -> None:
    with pytest.raises(InvalidValueError) as refused:
        SPACE.validated({"optimizer": "adam", "momentum": 0.5, "width": 3, "depth": 1})
    assert str(refused.value).splitlines() == [
        "params: 4 problems",
        "  - depth: not in this space; known: optimizer, momentum, width, widths",
        "  - momentum: does not apply to these params",
        "  - width must be 2 plus a multiple of 3, got 3",
        "  - widths: missing",
    ]


def test_condition_decides_what_applies() -> None:
    assert [p.name for p in SPACE.active({"optimizer": "adam"})] == ["optimizer", "width", "widths"]
    assert [p.name for p in SPACE.active({"optimizer": "sgd"})] == list(SPACE.names)
    assert When("x", (1,)).holds({"x": 1.0})
    assert not When("x", (1,)).holds({"x": True})
    assert not When("x", (1,)).holds({})


def test_fixed_parameters_become_constants_that_keep_their_condition() -> None:
    fixed = SPACE.fixed({"momentum": 0.7, "width": 8})
    assert fixed["momentum"] == Constant("momentum", 0.7, when=When("optimizer", ("sgd",)))
    assert [p.role for p in fixed.parameters] == [Role.SEARCHED, Role.FIXED, Role.FIXED, Role.FIXED]
    with pytest.raises(InvalidValueError, match="width must be 2 plus a multiple of 3, got 4"):
        SPACE.fixed({"width": 4})
    with pytest.raises(UnknownNameError, match="unknown parameter 'widht'; known: width"):
        SPACE.fixed({"widht": 2})


def test_a_fixed_parameter_that_another_constant_rules_out_is_refused() -> None:
    rule = "momentum applies only with optimizer 'sgd', but optimizer is fixed at 'adam'"
    way_out = "leave momentum out, or fix optimizer at 'sgd'"
    with pytest.raises(InvalidValueError, match=f"fixed parameters: {rule}; {way_out}"):
        SPACE.fixed({"momentum": 0.7, "optimizer": "adam"})
    with pytest.raises(InvalidValueError, match=rule):
        SPACE.fixed({"optimizer": "adam"}).fixed({"momentum": 0.7})
    assert SPACE.fixed({"momentum": 0.7, "optimizer": "sgd"})["momentum"].role is Role.FIXED
    assert SPACE.fixed({"optimizer": "adam"}).names == SPACE.names


def test_a_fixed_parameter_below_another_that_does_not_apply_is_refused() -> None:
    space = Space(
        Choice("a", ("x", "y")),
        Choice("b", (1, 2), when=When("a", ("x",))),
        Choice("c", (1, 2), when=When("b", (1,))),
    )
    with pytest.raises(InvalidValueError, match="c applies only with b 1, but b does not apply either"):
        space.fixed({"a": "y", "c": 2})


def test_grid_of_a_space_has_each_point_once_the_last_parameter_fastest() -> None:
    points = list(SPACE.iter_grid())
    assert len(points) == 3 * 3 + 3
    assert points[0] == {"optimizer": "sgd", "momentum": 0.5, "width": 2, "widths": (1, 2.5)}
    assert [p["width"] for p in points[:4]] == [2, 5, 8, 2]
    assert all(SPACE.validated(point) == point for point in points)
    with pytest.raises(InvalidValueError, match=r"'x' is continuous, .*; give it a step or make it a Choice"):
        list(Space(Float("x", 0, 1)).iter_grid())


def test_json_holds_everything() -> None:
    assert SPACE.as_json()[1] == {
        "kind": "float",
        "role": "searched",
        "name": "momentum",
        "low": 0.5,
        "high": 0.9,
        "log": False,
        "step": 0.2,
        "when": {"parameter": "optimizer", "values": ["sgd"]},
    }
    assert SPACE.as_json()[3] == {
        "kind": "constant",
        "role": "fixed",
        "name": "widths",
        "value": [1, 2.5],
        "when": None,
    }


@given(low=st.floats(-1e6, 1e6), span=st.floats(0, 1e6), share=st.floats(0, 1))
def test_a_number_of_the_range_is_admitted_as_it_is(low: float, span: float, share: float) -> None:
    parameter = Float("x", low, low + span)
    value = min(max(low + share * span, parameter.low), parameter.high)
    assert parameter.problem_of(value) is None
    assert parameter.canonical(value) == value


@given(low=st.integers(-50, 50), steps=st.integers(0, 40), step=st.sampled_from([0.1, 0.25, 0.3, 1e-3, 7.0]))
def test_each_value_of_a_grid_is_admitted_and_stays_itself(low: int, steps: int, step: float) -> None:
    parameter = Float("x", low / 10, low / 10 + steps * step, step=step)
    grid = parameter.grid() or ()
    assert len(grid) in (steps, steps + 1)
    for value in grid:
        assert parameter.problem_of(value) is None
        assert parameter.canonical(value) == value
