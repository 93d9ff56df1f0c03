"""What a space can reach: limits that no network meets, notes, and what small images change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eml_models import ModelFamily, Option, OptionKind, PlanBuilder, build_plan, register_model
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import unregister_model
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.feasible.reach import check_reachable, list_adapted
from tune_jobs.inputs.shipped import digits_families, digits_mobilenet, mobilenet
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Random
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits
from tune_jobs.study.objective import Maximize, Minimize
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Params, When
from tune_jobs.study.space import Space
from tune_jobs.study.steps import Steps


def proposals(study: Study, count: int) -> Iterator[Params]:
    sampler, history = Random(study), History(study)
    for number in range(count):
        yield sampler.propose(history, number) or {}


@pytest.mark.parametrize("build", [mobilenet, digits_mobilenet])
def test_no_proposal_lies_outside_what_the_space_is_said_to_reach(build: object) -> None:
    study = build()  # type: ignore[operator]  # a shipped study's function
    free = study.with_changes(space=Space(*(p for p in study.space.parameters if p.name != "macs_share")))
    costs = [count_cost(free.recipe_for(params, 0)).macs for params in proposals(free, 30)]
    least = told_smallest(free)
    assert least <= min(costs)
    assert check_reachable(free.with_changes(limits=Limits(max_macs=least))) == []
    (note,) = check_reachable(free.with_changes(limits=Limits(max_macs=10**15)))
    assert max(costs) <= int(note.split("largest network has ")[1].split(" ")[0].replace(",", ""))


def told_smallest(study: Study) -> int:
    with pytest.raises(InvalidValueError) as message:
        check_reachable(study.with_changes(limits=Limits(max_macs=1)))
    return int(str(message.value).split("smallest network has ")[1].split(" ")[0].replace(",", ""))


def test_smallest_network_is_of_the_cheapest_choice() -> None:
    space = Space(Choice("model", ("resnet18", "small_cnn")), Float("learning_rate", 0.1, 1.0))
    study = digits_mobilenet().with_changes(
        space=space, recipe=digits_mobilenet().recipe.with_changes(model_options={}), limits=Limits()
    )
    small = build_plan("small_cnn", input_shape=(1, 8, 8), num_classes=10).macs
    assert told_smallest(study) == small


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_macs=1000), "max_macs is 1,000, but its smallest network has"),
        (
            Limits(min_macs=10**12, max_macs=10**13),
            "min_macs is 1,000,000,000,000, but its largest network has",
        ),
        (Limits(max_macs=200_000, max_parameters=10), "max_parameters is 10, but its smallest network has"),
        (Limits(), "'macs_share' is a share of the limit on MACs, and this study has none; give --max-macs"),
    ],
)
def test_impossible_limits_are_refused_with_what_can_be_reached(limits: Limits, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        check_reachable(digits_mobilenet().with_changes(limits=limits))


def narrowed_resnet(*, highest: float, max_macs: int, min_macs: int) -> Study:
    recipe = digits_mobilenet().recipe.with_changes(model="resnet18", model_options={})
    space = Space(Float("macs_share", 0.5, highest), Float("learning_rate", 0.01, 1.0))
    return Study(name="x", space=space, recipe=recipe, limits=Limits(max_macs=max_macs, min_macs=min_macs))


def test_a_least_that_no_share_of_the_limit_reaches_is_refused() -> None:
    with pytest.raises(InvalidValueError) as message:
        check_reachable(narrowed_resnet(highest=0.7, max_macs=20_000_000, min_macs=14_000_001))
    assert str(message.value).endswith(
        "min_macs is 14,000,001, but no macs_share lets a network have more than 14,000,000 MACs;"
        " lower --min-macs, or widen the space"
    )
    assert check_reachable(narrowed_resnet(highest=1.0, max_macs=20_000_000, min_macs=14_000_001)) == []


def test_a_shape_that_has_the_least_at_its_narrowest_width_is_within_reach_of_any_share() -> None:
    narrowest = build_plan("resnet18", input_shape=(1, 8, 8), num_classes=10, width=1).macs
    study = narrowed_resnet(highest=0.7, max_macs=narrowest, min_macs=narrowest)
    cost = count_cost(resolve_recipe(study, {"macs_share": 0.7, "learning_rate": 0.1}, 0))
    assert cost.macs == narrowest
    assert refusal(study, cost) is None
    assert check_reachable(study) == []
    beyond = study.with_changes(limits=Limits(max_macs=narrowest - 1))
    assert count_cost(resolve_recipe(beyond, {"macs_share": 0.7, "learning_rate": 0.1}, 0)) == cost
    assert refusal(beyond, cost) is not None


def test_what_small_images_change_is_listed_by_family() -> None:
    adapted = list_adapted(digits_families())
    assert set(adapted) == {"mobilenet", "resnet18"}
    plan = build_plan("mobilenet", input_shape=(1, 8, 8), num_classes=10)
    assert adapted["mobilenet"] == list(plan.adapted)
    assert (
        "stride 2 became 1, because its map of 2 x 2 px would become smaller than 2 px"
        in adapted["mobilenet"][0]
    )
    assert list_adapted(mobilenet()) == {}


def falling(net: PlanBuilder, *, thrift: int) -> None:
    """A network that costs less the larger its number is."""
    net.conv_bn_act("only", 64 // thrift)
    net.classifier()


def test_a_number_that_makes_networks_smaller_refuses_nothing_that_can_be_reached() -> None:
    option = Option(name="thrift", kind=OptionKind.INTEGER, default=1, low=1, high=16, doc="Saves channels.")
    register_model(ModelFamily(name="falling", draw=falling, options=(option,)))
    try:
        costs = [build_plan("falling", input_shape=(1, 8, 8), num_classes=10, thrift=n).macs for n in (1, 16)]
        recipe = digits_mobilenet().recipe.with_changes(model="falling", model_options={})
        study = Study(name="f", space=Space(Integer("thrift", 1, 16)), recipe=recipe)
        assert told_smallest(study) == costs[1] < costs[0]
        assert check_reachable(study.with_changes(limits=Limits(max_macs=costs[1]))) == []
    finally:
        unregister_model("falling")


@pytest.mark.parametrize("asked", [(64,), (4, 64)])
def test_a_number_that_others_depend_on_is_looked_at_wherever_these_change(asked: tuple[int, ...]) -> None:
    recipe = digits_mobilenet().recipe.with_changes(model="resnet18", model_options={})
    costs = {width: count_cost(recipe.with_changes(model_options={"width": width})).macs for width in (4, 64)}
    decay = Float("weight_decay", 1e-5, 1e-2, log=True, when=When("width", asked))
    space = Space(Integer("width", 4, 64, step=20), decay)
    study = Study(name="x", space=space, recipe=recipe)
    assert told_smallest(study) == costs[4]
    assert check_reachable(study.with_changes(limits=Limits(min_macs=costs[64]))) == []
    with pytest.raises(InvalidValueError, match=f"its largest network has {costs[64]:,} MACs"):
        check_reachable(study.with_changes(limits=Limits(min_macs=costs[64] + 1)))


def test_numbers_that_change_nothing_until_another_moves_are_looked_at_again() -> None:
    """At the least width of all, fours of channels hide a stage's own width."""
    stages = [p for p in digits_mobilenet().space.parameters if p.name != "macs_share"]
    space = Space(*stages, Float("width_mult", 0.01, 1.0))
    largest = {p.name: p.value if isinstance(p, Constant) else p.high for p in space.parameters}
    study = digits_mobilenet().with_changes(space=space, limits=Limits())
    most = count_cost(study.recipe_for(largest, 0)).macs
    assert check_reachable(study.with_changes(limits=Limits(min_macs=most))) == []
    with pytest.raises(InvalidValueError, match=f"its largest network has {most:,} MACs"):
        check_reachable(study.with_changes(limits=Limits(min_macs=most + 1)))


def test_a_space_of_many_choices_is_looked_at_in_time() -> None:
    """4 ** 14 combinations: as numbers they have two ends each, as names the gate alone judges them."""
    recipe = digits_mobilenet().recipe
    stages = range(1, 8)
    numbers = Space(*(Choice(f"{n}_{s}", (1, 2, 3, 4)) for n in ("width", "depth") for s in stages))
    study = digits_mobilenet().with_changes(space=numbers, recipe=recipe, limits=Limits(max_macs=10**15))
    assert len(check_reachable(study)) == 1
    options = tuple(
        Option(name=f"name_{n}", kind=OptionKind.CHOICE, default="a", choices=("a", "b"), doc="A letter.")
        for n in range(20)
    )
    register_model(ModelFamily(name="lettered", draw=draw_lettered, options=options))
    try:
        names = Space(*(Choice(option.name, ("a", "b")) for option in options))
        lettered = recipe.with_changes(model="lettered", model_options={})
        assert check_reachable(study.with_changes(space=names, recipe=lettered)) == []
    finally:
        unregister_model("lettered")


def draw_lettered(net: PlanBuilder, **letters: str) -> None:
    net.conv_bn_act("only", 8 + sum(letter == "b" for letter in letters.values()))
    net.classifier()


def test_fine_steps_cost_a_few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[float] = []
    walk = Steps.__iter__
    monkeypatch.setattr(Steps, "__iter__", lambda grid: (walked.append(v) or v for v in walk(grid)))
    study = digits_mobilenet()
    fine = [
        Float(p.name, p.low, p.high, step=1e-7) if isinstance(p, Float) else p for p in study.space.parameters
    ]
    changed = study.with_changes(space=Space(*fine), limits=Limits(max_macs=200_000, min_macs=20_000))
    check_reachable(changed)
    assert list_adapted(changed)
    assert len(walked) < 10_000


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, True),
        ({"objectives": (Minimize("gb"), Minimize("hours"))}, True),
        ({"objectives": (Minimize("gb"), Maximize("iou"))}, False),
        ({"asha": None}, False),
        ({"epochs": 1}, False),  # without a rung
    ],
)
def test_asha_needs_an_objective_that_training_reports(changes: dict[str, Any], is_refused: bool) -> None:
    words: dict[str, Any] = {
        "name": "own",
        "space": Space(Float("lr", 0.1, 1)),
        "train": lambda params, run: {"iou": 0.5},
        "cost": lambda params: {"gb": 1.0, "hours": 2},
        "objectives": (Minimize("gb"),),
        "epochs": 9,
    }
    study = Study(**{**words, **changes})
    if not is_refused:
        assert check_reachable(study) == []
        return
    with pytest.raises(InvalidValueError, match=r"each objective \(gb.* is a cost, .*METRIC:max,gb:min, or"):
        check_reachable(study)
