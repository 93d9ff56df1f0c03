"""Recipes: rules, JSON both ways, and that they, and the package, load no torch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import patience_s

import eml_models
from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    known_datasets,
    register_dataset,
    unregister_dataset,
)
from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.networks.registry import ModelFamily, PlanBuilder, register_model, unregister_model
from eml_models.training.optimizers import OPTIMIZERS
from eml_models.training.recipe import CHOICES, Recipe, describe_differences
from eml_models.training.schedules import SCHEDULES


def positive(high: float) -> st.SearchStrategy[float]:
    return st.floats(0, high, exclude_min=True, allow_nan=False)


OPTIMIZER_FIELDS = st.sampled_from(list(OPTIMIZERS.values())).flatmap(
    lambda spec: st.fixed_dictionaries(
        {"optimizer": st.just(spec.name)},
        optional={"momentum": st.floats(0.1, 0.99) if spec.momentum is not None else st.none()},
    )
)
FIELDS = st.fixed_dictionaries(
    {"learning_rate": positive(10), "epochs": st.integers(1, 1000)},
    optional={
        "dataset": st.sampled_from(known_datasets()),
        "schedule": st.sampled_from(list(SCHEDULES)),
        "weight_decay": st.floats(0, 1),
        "warmup_fraction": st.floats(0, 1, exclude_max=True),
        "batch_size": st.integers(1, 4096),
        "precision": st.sampled_from(CHOICES["precision"]),
        "augmentation": st.sampled_from(CHOICES["augmentation"]),
        "train_on": st.sampled_from(CHOICES["train_on"]),
        "channels_last": st.booleans(),
        "max_grad_norm": st.none() | positive(10),
        "ema_decay": st.none() | st.floats(0.1, 0.9999),
        "cutout": st.floats(0, 1),
        "validation_fraction": st.floats(0.01, 0.99),
        "max_train_samples": st.none() | st.integers(1, 10**6),
        "seed": st.integers(0, 2**63 - 1),
        "model_options": st.fixed_dictionaries({}, optional={"width": st.integers(1, 64)}),
    },
)


@given(FIELDS, OPTIMIZER_FIELDS)
def test_recipe_survives_json(fields: dict[str, object], optimizer: dict[str, object]) -> None:
    recipe = Recipe(**fields, **optimizer)  # type: ignore[arg-type]  # the strategies fit the fields
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again.to_json() == recipe.to_json()
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_json_of_a_recipe_is_canonical() -> None:
    recipe = Recipe(
        learning_rate=1, epochs=2, model="mobilenet", model_options={"width_mult": 1, "head_channels": 64}
    )
    text = recipe.to_json()
    assert '"learning_rate":1.0' in text
    assert '"model_options":{"head_channels":64,"width_mult":1.0}' in text
    assert text == Recipe.from_json(text).to_json()


def test_list_options_are_equal_before_and_after_json() -> None:
    recipe = Recipe(
        learning_rate=1.0, epochs=1, model="mobilenet", model_options={"expansions": [6, 3, 6, 6, 6, 6, 6]}
    )
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.as_dict()["model_options"]["expansions"] == [6.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0]


def test_all_problems_of_a_recipe_are_shown_together() -> None:
    with pytest.raises(InvalidValueError) as caught:
        Recipe(
            learning_rate=-1,
            epochs=2.5,  # type: ignore[arg-type]  # the point of the test
            precision="fp8",  # type: ignore[arg-type]  # the point of the test
            optimizer="adm",
            model="smal_cnn",
            dataset=["digits"],  # type: ignore[arg-type]  # the point of the test
        )
    assert str(caught.value).splitlines() == [
        "recipe: 6 problems",
        "  - learning_rate must be a finite number above 0, got -1",
        "  - epochs must be a whole number at least 1, got 2.5",
        "  - precision must be one of fp32, bf16, fp16, got 'fp8'",
        "  - unknown model 'smal_cnn'; known: small_cnn, mobilenet, resnet18; did you mean 'small_cnn'?",
        "  - dataset must be a text: a name, arrays:FILE.npz or folder:DIR, got ['digits']",
        "  - unknown optimizer 'adm'; known: adam, adamw, sgd, sgd_momentum, rmsprop, nesterov; did you mean"
        " 'adam'?",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number above 0, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number above 0, got inf"),
        ({"learning_rate": "0.1"}, "learning_rate must be a finite number above 0, got '0.1'"),
        ({"epochs": True}, "epochs must be a whole number at least 1, got True"),
        ({"epochs": -3}, "epochs must be a whole number at least 1, got -3"),
        ({"momentum": 1}, r"momentum must be a finite number in \[0, 1\) or None, got 1"),
        ({"optimizer": "adam", "momentum": 0.9}, "optimizer 'adam' takes no momentum, got 0.9"),
        ({"optimizer": "nesterov", "momentum": 0}, r"momentum of 'nesterov' must be in \(0, 1\), got 0.0"),
        ({"validation_fraction": 1}, r"validation_fraction must be a finite number in \(0, 1\), got 1"),
        ({"label_smoothing": 1}, "label_smoothing must be"),
        ({"max_grad_norm": 0}, "max_grad_norm must be a finite number above 0 or None, got 0"),
        *(
            ({"ema_decay": wrong}, rf"ema_decay must be a finite number in \(0, 1\) or None, got {wrong}")
            for wrong in (0, 1, 2, -0.5)
        ),
        ({"cutout": -0.25}, r"cutout must be a finite number in \[0, 1\], got -0.25"),
        ({"cutout": 16}, r"cutout must be a finite number in \[0, 1\], got 16"),
        ({"cutout": None}, r"cutout must be a finite number in \[0, 1\], got None"),
        ({"channels_last": 1}, "channels_last must be True or False, got 1"),
        ({"seed": -1}, "seed must be a whole number in"),
        ({"model_options": {"wdth": 8}}, "unknown option 'wdth'; it takes: width"),
        ({"model_options": 3}, "model_options must be a mapping, got 3"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; known: cosine"),
        ({"augmentation": "rotate"}, "augmentation must be one of none, flip, crop, crop_flip, got 'rotate'"),
    ],
)
def test_a_broken_rule_is_an_error(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Recipe(learning_rate=0.1, epochs=1).with_changes(**changes)


def test_numpy_numbers_become_plain_ones() -> None:
    recipe = Recipe(learning_rate=np.float32(0.5), epochs=np.int64(3))  # type: ignore[arg-type]  # as users pass
    assert (type(recipe.learning_rate), type(recipe.epochs)) == (float, int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a recipe must be JSON"),
        ("[]", "a recipe must be a JSON object"),
        (
            '{"learning_rate": 1, "epochs": 1, "lerning": 2}',
            "unknown field 'lerning'; known, nearest first: learning_rate",
        ),
        ('{"learning_rate": 1}', "epochs is missing"),
    ],
)
def test_what_is_no_recipe_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Recipe.from_json(text)


def test_changing_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown field of a recipe 'epoch'; known: epochs"):
        Recipe(learning_rate=0.1, epochs=1).with_changes(epoch=2)


def test_options_given_are_not_shared_with_the_caller() -> None:
    options = {"width": 8}
    recipe = Recipe(learning_rate=0.1, epochs=1, model_options=options)
    options["width"] = 9
    assert recipe.model_options == {"width": 8}


def test_differences_name_each_field() -> None:
    old = Recipe(learning_rate=0.1, epochs=1)
    assert describe_differences(old, old) == []
    assert describe_differences(old, old.with_changes(epochs=2)) == ["epochs: was 1, is now 2"]


def test_learning_rate_is_the_schedule_times_the_peak() -> None:
    recipe = Recipe(learning_rate=0.5, epochs=1, schedule="linear", warmup_fraction=0.5)
    assert [recipe.learning_rate_at(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.0, 0.25, 0.5, 0.25, 0.0]


def draw_one_layer(net: PlanBuilder) -> None:
    net.classifier()


def read_nothing(folder: Path, download: bool) -> RawDataset:
    raise AssertionError("a recipe reads no data")


@pytest.fixture
def _own_names() -> Iterator[None]:
    register_model(ModelFamily(name="one_layer", draw=draw_one_layer))
    register_dataset(DatasetSpec(name="nothing", input_shape=(1, 8, 8), num_classes=2, read=read_nothing))
    yield
    unregister_model("one_layer")
    unregister_dataset("nothing")


@pytest.mark.usefixtures("_own_names")
def test_registered_names_are_known() -> None:
    assert Recipe(learning_rate=0.1, epochs=1, model="one_layer", dataset="nothing").dataset == "nothing"


LIGHT = "eml_models, eml_models.training.recipe, eml_models.data.datasets, eml_models.training.optimizers"
LIGHT += ", eml_models.training.schedules"


def test_importing_the_light_modules_loads_no_torch_and_no_numpy() -> None:
    program = (
        f"import sys; import {LIGHT}; from eml_models import Recipe, build_plan, register_dataset;"
        "Recipe(learning_rate=.1, epochs=1); dir(eml_models);"
        "print(*{'torch', 'numpy', 'sklearn', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True, timeout=patience_s()
    )
    assert done.stdout.split() == []


def test_public_names_are_those_of_the_stub() -> None:
    stub = Path(eml_models.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imports = [line.split() for line in stub.splitlines() if line.startswith("from ")]
    assert all(words[3] == words[5] for words in imports)
    assert sorted(words[3] for words in imports) == eml_models.__all__
    for words in imports:
        home = __import__(words[1], fromlist=[words[3]])
        assert getattr(eml_models, words[3]) is getattr(home, words[3])
    assert {"fit", "Recipe"} <= set(dir(eml_models))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        eml_models.fitt  # type: ignore[attr-defined]  # noqa: B018 - looking it up is what is tested
