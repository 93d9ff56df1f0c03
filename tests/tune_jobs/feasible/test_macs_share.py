"""The width that a share of the limit on MACs leads to."""

from __future__ import annotations

import random

import pytest

from eml_models import build_plan
from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.feasible.macs_share import resolve_recipe, width_bounds
from tune_jobs.inputs.shipped import digits_families, digits_mobilenet, mobilenet
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Tpe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, Limits
from tune_jobs.study.parameters import Choice, Float, Params
from tune_jobs.study.space import Space


def proposals(study: Study, count: int) -> list[Params]:
    return list(iter_drawn(study, count, role="test"))


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
    params = proposals(study, 1)[0]
    recipe = resolve_recipe(study, params, 0)
    options = recipe.model_options
    assert options["widths"] == tuple(params[f"width_{stage}"] for stage in range(1, 8))
    assert options["depths"] == tuple(params[f"depth_{stage}"] for stage in range(1, 8))
    plan = build_plan("mobilenet", input_shape=(1, 8, 8), num_classes=10, **options)
    assert plan.macs == count_cost(recipe).macs


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


def test_a_share_needs_a_limit_and_a_family_that_names_its_width() -> None:
    study = digits_mobilenet()
    params = proposals(study, 1)[0]
    with pytest.raises(InvalidValueError, match="this study has none; give --max-macs"):
        resolve_recipe(study.with_changes(limits=Limits()), params, 0)
    assert width_bounds("mobilenet") == (0.01, 4.0)
    assert width_bounds("resnet18")[0] == 1
    assert all(isinstance(bound, int) for bound in width_bounds("resnet18"))


def test_recipe_without_a_share_is_that_of_the_study() -> None:
    study = digits_mobilenet()
    free = study.with_changes(space=Space(Float("learning_rate", 0.1, 1.0)), limits=Limits())
    assert resolve_recipe(free, {"learning_rate": 0.5}, 3) == free.recipe_for({"learning_rate": 0.5}, 3)


def test_a_search_across_families_has_each_ones_own_parameters() -> None:
    study = digits_families()
    history, sampler = History(study), Tpe(study)
    models = set()
    for number in range(12):
        params = sampler.propose(history, number)
        recipe = resolve_recipe(study, params, number)
        models.add(recipe.model)
        cost = count_cost(recipe)
        if recipe.model == "resnet18":
            assert set(params) == {"model", "macs_share", "learning_rate", "weight_decay"}
            wider = recipe.with_changes(model_options={"width": recipe.model_options["width"] + 1})
            assert cost.macs <= 1_000_000 * float(params["macs_share"]) < count_cost(wider).macs  # type: ignore[arg-type]  # a share is a number
        else:
            assert params["divisor"] == 4
    assert models == {"mobilenet", "resnet18"}


def test_a_share_of_a_family_without_a_width_is_refused() -> None:
    from eml_models import ModelFamily, PlanBuilder, register_model
    from eml_models.networks.registry import unregister_model

    def fixed(net: PlanBuilder) -> None:
        net.conv_bn_act("only", 8)
        net.classifier()

    register_model(ModelFamily(name="fixed", draw=fixed))
    try:
        study = digits_mobilenet().with_changes(
            space=Space(Float("macs_share", 0.5, 1.0), Choice("optimizer", ("sgd",))),
            recipe=Recipe(model="fixed", dataset="digits", learning_rate=0.1, epochs=3),
            asha=Asha(),
        )
        with pytest.raises(InvalidValueError, match="'fixed' names no option"):
            resolve_recipe(study, {"macs_share": 0.7, "optimizer": "sgd"}, 0)
    finally:
        unregister_model("fixed")
