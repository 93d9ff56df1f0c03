"""Searching networks under a limit: parts of lists, the width that a share buys, what can be reached."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from session_testing import Clock, MemoryLog, play, rising

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
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.list_options import gather_lists
from tune_jobs.study.method import Limits
from tune_jobs.study.rows import State
from tune_jobs.study.space import Choice, Constant, Float, Integer, Params, Space, When


def proposals(study: Study, count: int) -> Iterator[Params]:
    sampler, history = Random(study), History(study)
    for number in range(count):
        yield sampler.propose(history, number) or {}


def test_parts_become_the_lists_of_the_family() -> None:
    parts = {f"width_{stage}": stage / 4 for stage in range(1, 8)}
    whole = gather_lists({**parts, "width_mult": 0.5}, "mobilenet")
    assert whole == {"width_mult": 0.5, "widths": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)}


def test_missing_part_is_told() -> None:
    with pytest.raises(
        InvalidValueError, match="widths needs all parts from width_1 to width_7 and no other, got width_1"
    ):
        gather_lists({"width_1": 1.0, "width_2": 1.0}, "mobilenet")


def test_names_that_look_like_parts_are_options_where_there_is_no_list() -> None:
    assert gather_lists({"width_1": 3}, "small_cnn") == {"width_1": 3}


@pytest.mark.parametrize("build", [mobilenet, digits_mobilenet])
def test_networks_use_their_share_of_the_limit_and_no_more(build: object) -> None:
    study = build()  # type: ignore[operator]  # a shipped study's function
    limit = study.limits.max_macs
    shares = []
    for number, params in enumerate(proposals(study, 12)):
        recipe = resolve_recipe(study, params, number)
        macs = count_cost(recipe).macs
        share = float(params["macs_share"])
        wider = {**recipe.model_options, "width_mult": recipe.model_options["width_mult"] * 1.002 + 0.001}
        more = count_cost(recipe.with_changes(model_options=wider)).macs
        at_least = recipe.model_options["width_mult"] == 0.1
        assert macs <= limit * share or at_least
        assert more > limit * share or at_least
        shares.append(macs / (limit * share))
    assert sorted(shares)[len(shares) // 2] > 0.9


def test_what_a_row_says_is_what_is_trained() -> None:
    study = digits_mobilenet()
    params = next(proposals(study, 1))
    recipe = resolve_recipe(study, params, 0)
    options = recipe.model_options
    assert options["widths"] == tuple(params[f"width_{stage}"] for stage in range(1, 8))
    assert options["depths"] == tuple(params[f"depth_{stage}"] for stage in range(1, 8))
    plan = build_plan("mobilenet", input_shape=(1, 8, 8), num_classes=10, **options)
    assert plan.macs == count_cost(recipe).macs


def test_nothing_beyond_the_limit_is_handed_out_and_refused_ones_are_rows() -> None:
    study = digits_mobilenet().with_changes(
        trials=10, asha=None, limits=Limits(max_macs=110_000, max_parameters=25_000)
    )
    log = MemoryLog()
    play(Session(study, log, clock=Clock()), rising)
    trained = [row for row in log.trials if row.state is State.COMPLETED]
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    assert len(trained) == 10
    assert all((row.macs or 0) <= 110_000 and (row.parameters or 0) <= 25_000 for row in trained)
    assert refused
    assert all(
        row.device_s == 0 and row.macs is not None and "above the limit" in row.reason for row in refused
    )
    started = {row.number for row in log.starts}
    assert not started & {row.number for row in refused}


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
    with pytest.raises(InvalidValueError) as told:
        check_reachable(study.with_changes(limits=Limits(max_macs=1)))
    return int(str(told.value).split("smallest network has ")[1].split(" ")[0].replace(",", ""))


def test_smallest_network_is_of_the_cheapest_choice() -> None:
    space = Space(Choice("model", ("resnet18", "small_cnn")), Float("learning_rate", 0.1, 1.0))
    study = digits_mobilenet().with_changes(
        space=space, recipe=digits_mobilenet().recipe.with_changes(model_options={}), limits=Limits()
    )
    small = build_plan("small_cnn", input_shape=(1, 8, 8), num_classes=10).macs
    assert told_smallest(study) == small


@pytest.mark.parametrize(
    ("limits", "told"),
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
def test_impossible_limits_are_refused_with_what_can_be_reached(limits: Limits, told: str) -> None:
    with pytest.raises(InvalidValueError, match=told):
        check_reachable(digits_mobilenet().with_changes(limits=limits))


def narrowed_resnet(*, highest: float, max_macs: int, min_macs: int) -> Study:
    recipe = digits_mobilenet().recipe.with_changes(model="resnet18", model_options={})
    space = Space(Float("macs_share", 0.5, highest), Float("learning_rate", 0.01, 1.0))
    return Study(name="x", space=space, recipe=recipe, limits=Limits(max_macs=max_macs, min_macs=min_macs))


def test_a_least_that_no_share_of_the_limit_reaches_is_refused() -> None:
    with pytest.raises(InvalidValueError) as told:
        check_reachable(narrowed_resnet(highest=0.7, max_macs=20_000_000, min_macs=14_000_001))
    assert str(told.value).endswith(
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
    assert "stride 2 became 1, or its map of 2 x 2 px would fall below 2 px" in adapted["mobilenet"][0]
    assert list_adapted(mobilenet()) == {}


def test_limits_that_exclude_each_other_are_refused_where_all_networks_can_be_looked_at() -> None:
    recipe = digits_mobilenet().recipe.with_changes(model="resnet18", model_options={})
    space = Space(Integer("width", 2, 20), Float("learning_rate", 0.01, 1.0))
    costs = [count_cost(recipe.with_changes(model_options={"width": width})) for width in (9, 10)]
    limits = Limits(min_macs=costs[0].macs + 1, max_parameters=costs[1].parameters - 1)
    study = Study(name="gap", space=space, recipe=recipe, limits=limits)
    with pytest.raises(InvalidValueError) as told:
        check_reachable(study)
    assert "its 19 networks were refused: 11 by max_parameters" in str(told.value)
    assert "8 by min_macs" in str(told.value)
    assert str(told.value).endswith("lower --min-macs, raise --max-parameters, or widen the space")
    assert check_reachable(study.with_changes(limits=Limits(min_macs=10, max_parameters=10**6))) == []


def test_limits_that_leave_next_to_nothing_are_noted_with_the_nearest_miss() -> None:
    study = digits_mobilenet().with_changes(
        limits=Limits(max_macs=200_000, min_macs=190_000, max_parameters=6000)
    )
    (note,) = check_reachable(study)
    assert note.startswith(
        "none of 100 networks drawn at random is within the limits; they were refused: 100 by"
    )
    assert "max_parameters 6,000" in note
    assert "the nearest miss has" in note
    assert check_reachable(study) == [note]


def test_the_better_part_of_proposals_is_near_the_limit() -> None:
    """Uniform widths, expansions and depths rarely are; a solved width is, unless the shape is too costly."""
    study = digits_mobilenet()
    limit = study.limits.max_macs or 0
    solved = [count_cost(resolve_recipe(study, p, 0)).macs / limit for p in proposals(study, 40)]
    generator = random.Random(0)
    free = study.with_changes(space=Space(*(p for p in study.space.parameters if p.name != "macs_share")))
    uniform = []
    for params in proposals(free, 40):
        recipe = free.recipe_for(params, 0)
        options = {**recipe.model_options, "width_mult": generator.uniform(0.1, 1.0)}
        uniform.append(count_cost(recipe.with_changes(model_options=options)).macs / limit)
    near = [sum(0.6 <= share <= 1.0 for share in shares) / 40 for shares in (solved, uniform)]
    assert near[0] > 0.8
    assert near[0] > 3 * near[1]


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
