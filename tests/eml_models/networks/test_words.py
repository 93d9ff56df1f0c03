"""Networks as text: read, written, and put on one input."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.latency.explaining.campaign import Campaign
from eml_models.latency.measuring.modes import PLAIN
from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.plan_builder import PlanBuilder
from eml_models.networks.registry import register_model, unregister_model
from eml_models.networks.words import (
    NAMED,
    NetworkSpec,
    name_network,
    on_one_input,
    parse_input,
    parse_network,
)

OF_A_TRIAL = NetworkSpec(name="s/1", model="small_cnn", input_shape=(1, 8, 8), num_classes=2)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("resnet18", 555_422_720),
        ("resnet18-35m", 35_046_656),
        ("mobilenet-130m", 133_347_840),
        ("mobilenet-30m", 29_026_048),
    ],
)
def test_named_networks_have_the_macs_of_their_names(name: str, macs: int) -> None:
    assert parse_network(name).plan().macs == macs
    assert name in NAMED


@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 2), ((1, 28, 28), 10)])
def test_families_are_compared_on_the_images_of_the_first_trial(
    shape: tuple[int, int, int], classes: int
) -> None:
    trial = replace(OF_A_TRIAL, input_shape=shape, num_classes=classes)
    other = replace(trial, name="s/2", num_classes=5)
    family, named = parse_network("mobilenet:width_mult=0.5"), parse_network("resnet18-35m")
    found = on_one_input([family, trial, named, other], trials={"s/1", "s/2"})
    assert [network.input_shape for network in found] == [shape] * 4
    assert [network.num_classes for network in found] == [classes, classes, classes, 5]
    # whose MACs are 35 M on CIFAR's images alone has no such name elsewhere
    assert [network.name for network in found] == [family.name, "s/1", "resnet18:width=16", "s/2"]
    assert Campaign(networks=tuple(found), modes=(PLAIN,), batch_sizes=(1,)).networks == tuple(found)


def test_families_alone_are_compared_on_cifars_images_or_those_asked_for() -> None:
    networks = [parse_network("resnet18-35m"), parse_network("small_cnn")]
    assert on_one_input(networks, trials=()) == networks
    assert on_one_input(networks, trials=(), shape=(3, 32, 32)) == networks
    larger = on_one_input(networks, trials=(), shape=parse_input("3x64x64"))
    assert [network.shown_input for network in larger] == ["3x64x64"] * 2
    assert larger[0].name == "resnet18:width=16"
    assert larger[0].plan().macs > 3.9 * networks[0].plan().macs


def test_trial_of_another_input_is_refused_with_its_words() -> None:
    of_cifar = replace(OF_A_TRIAL, name="t/4", input_shape=(3, 32, 32), options={"width": 24})
    with pytest.raises(InvalidValueError) as caught:
        on_one_input([OF_A_TRIAL, of_cifar], trials={"s/1", "t/4"})
    assert "trial t/4 takes images of 3x32x32, but all networks are measured on 1x8x8" in str(caught.value)
    assert "'small_cnn:width=24'" in str(caught.value)
    with pytest.raises(InvalidValueError, match=r"trial s/1 takes images of 1x8x8, but .* on 3x32x32"):
        on_one_input([OF_A_TRIAL], trials={"s/1"}, shape=(3, 32, 32))


def test_a_network_is_a_family_with_options() -> None:
    found = parse_network("mobilenet:width_mult=0.5,depths=[1,1,1,2,1,1,1],activation=relu")
    assert found.model == "mobilenet"
    assert found.options == {"width_mult": 0.5, "depths": [1, 1, 1, 2, 1, 1, 1], "activation": "relu"}
    assert found.plan().options["activation"] == "relu"
    assert parse_network("small_cnn").plan().model == "small_cnn"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mobilnet-130m", "known: mobilenet-130m"),
        ("mobilenet:width", "NAME=VALUE"),
        ("mobilenet:width=2", "unknown option 'width'"),
        ("mobilenet:width_mult=99", "width_mult"),
        ("resnet18:width=8,width=16", "width is given twice, got 'width=16' too; choose one"),
    ],
)
def test_a_network_that_is_none_says_what_there_is(text: str, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        parse_network(text)


WIDTHS = (1.7612345678, 0.6381234567, 0.5612345678, 1.0712345678, 1.2612345678, 1.1212345678, 1.3712345678)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (NetworkSpec(name="", model="resnet18"), "resnet18"),
        (NetworkSpec(name="", model="resnet18", options={"width": 8}), "resnet18:width=8"),
        (
            NetworkSpec(name="", model="mobilenet", options={"width_mult": 0.5, "activation": "relu"}),
            "mobilenet:width_mult=0.5,activation=relu",
        ),
        (
            NetworkSpec(name="", model="mobilenet", options={"zero_gamma": False, "head_channels": None}),
            "mobilenet:zero_gamma=false",
        ),
        (NetworkSpec(name="", model="unknown", options={"rate": 0.123456789}), "unknown:rate=0.123456789"),
    ],
)
def test_a_network_is_named_by_words(network: NetworkSpec, words: str) -> None:
    assert name_network(network) == words


@pytest.mark.parametrize("width_mult", [0.1, 0.123456789, 0.3712345678, 1.9876543210])
def test_words_are_rounded_no_further_than_the_layers_allow(width_mult: float) -> None:
    options = {"divisor": 1, "width_mult": width_mult, "widths": WIDTHS, "dropout": 0.1}
    network = NetworkSpec(name="", model="mobilenet", options=options, input_shape=(1, 8, 8))
    words = name_network(network)
    read = replace(parse_network(words.replace(",", ",\n     ")), input_shape=(1, 8, 8))
    assert read.name == words
    assert read.plan().nodes == network.plan().nodes
    assert len(words) < 120


ODD_TEXTS = ("null", "1e5", "true", "[1]", "plain", "a,b", "a b", "x=1", 'say "so"', "it's", "ü\n")


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_words_hold_a_choice_of_any_text(text: str) -> None:
    def draw(net: PlanBuilder, *, tag: str) -> None:
        net.conv_bn_act("stem", 8)
        net.classifier()

    tag = Option(name="tag", kind=OptionKind.CHOICE, default="plain", choices=ODD_TEXTS, doc="")
    register_model(ModelFamily(name="odd", draw=draw, options=(tag,)))
    try:
        words = name_network(NetworkSpec(name="", model="odd", options={"tag": text}))
        assert parse_network(words).options == {"tag": text}
        assert shlex.split(f"latency {shlex.quote(words)}")[1] == "".join(words.split())
        if text.isalnum():  # as people type it
            assert parse_network(f"odd:tag={text}").options == {"tag": text}
    finally:
        unregister_model("odd")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000 + "]" * 100_000, "NaN", "1e400", "1_6"])
def test_a_value_that_no_option_takes_is_refused(value: str) -> None:
    with pytest.raises(InvalidValueError, match="width"):
        parse_network(f"resnet18:width={value}")


def test_unknown_networks_are_unknown_names() -> None:
    with pytest.raises(UnknownNameError):
        parse_network("vgg")
