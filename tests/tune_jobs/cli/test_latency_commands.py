"""The command ``latency`` from words to rows; small networks are really measured, in worker processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import a_study, play

from eml_models.latency.bench.cases import Case
from eml_models.latency.bench.processes import Bench
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.explaining.investigation import run_campaign
from eml_models.latency.measuring.modes import PLAIN, parse_mode
from eml_models.networks.macs import count_macs
from eml_models.networks.registry import build_model, known_models, unregister_model
from eml_models.networks.words import parse_network
from tune_jobs import TrialStore
from tune_jobs.cli.latency_commands import compare_on_one_input, load_codes, resolve_network
from tune_jobs.inputs.user_code import UserCode, load_study
from tune_jobs.report import latency_tables
from tune_jobs.report.render import render
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.worker.timing_process import program_with

TINY = "resnet18:width=4"
TINY_MOBILENET = "mobilenet:width_mult=0.1,head_channels=8,depths=[1,1,1,1,1,1,1]"


def test_latency_prints_one_document_and_stores_its_rows(cli: Cli) -> None:
    code, out, err = cli(
        "latency", TINY, "--batch-sizes", "2", "--modes", "fp32,tf32/nchw/eager", "--format", "json"
    )
    assert code == 0, err
    document = json.loads(out)
    assert [entry["mode"] for entry in document["measurements"]] == ["fp32/nchw/eager"] * 2
    assert {entry["allocator"] for entry in document["measurements"]} == {"default", "keeping"}
    assert "TF32 is a format of NVIDIA's tensor cores" in document["skipped"][0]["reason"]
    assert document["verdicts"] == document["waterfalls"] == []
    assert document["fastest"][0]["network"] == TINY
    rows = TrialStore("trials").latencies()
    assert len(rows) == 2
    assert rows["run"].nunique() == 1
    assert set(rows["batch_size"]) == {2}
    assert (rows["median_ms"] > 0).all()
    assert "default" in set(rows["allocator"])
    code, out, _ = cli("query", "select count(*) as n from latencies where kernels > 60", "--format", "csv")
    assert (code, out) == (0, "n\n2\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("vgg",), "unknown network 'vgg'"),
        (("resnet18:depth=3",), "unknown option 'depth'"),
        (("resnet18", "resnet18"), "named twice"),
        (("resnet18", "--modes", "fp7"), "unknown part 'fp7'"),
        (("resnet18", "--batch-sizes", "0"), "whole numbers from 1"),
        (("resnet18", "--batch-sizes", "1,x"), "whole numbers from 1"),
        (
            ("resnet18", "--input", "3,32"),
            "an input must be CHANNELS,HEIGHT,WIDTH, such as 3,32,32, got '3,32'",
        ),
        (("resnet18", "--input", "3,0,32"), "got '3,0,32'"),
        (("resnet18", "--input", "3,-8,8"), "got '3,-8,8'"),
        (("resnet18", "--input", "9" * 5000 + ",8,8"), "an input must be CHANNELS,HEIGHT,WIDTH"),
        (("resnet18", "--device", "cuda:7"), "there is no device 'cuda:7'; this machine has cpu"),
        (("resnet18", "--device", "abacus"), "this machine has cpu"),
        (("resnet18", "--threads", "0"), "must be positive"),
        (("resnet18", "--max-minutes", "0"), "max_minutes must be above 0, got 0"),
        (("resnet18", "--max-minutes", "-1.5"), "max_minutes must be above 0, got -1.5"),
        (("resnet18", "--max-minutes", "nan"), "max_minutes must be above 0, got nan"),
        (("resnet18", "--max-minutes", "soon"), "not a valid float"),
        (("digits-recipes/one",), "STUDY/NUMBER"),
        ((), "MODEL"),
    ],
)
def test_wrong_words_are_usage_errors_and_write_nothing(cli: Cli, words: tuple[str, ...], says: str) -> None:
    code, out, err = cli("latency", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert not any(Path("trials").rglob("*.parquet"))


def test_a_trial_of_a_store_names_its_network(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    study = a_study(name="s")
    with StudyWriter.open(store, study, versions={}) as writer:
        play(Session(study, writer))
    asked = resolve_network("s/0", store)
    assert (asked.study, asked.number) == ("s", 0)
    assert asked.network.model == study.recipe.model
    assert asked.network.input_shape == (1, 8, 8)
    with pytest.raises(ValueError, match="never trained"):
        resolve_network("s/999", store)


def test_a_trial_and_a_family_are_measured_on_the_trials_images(cli: Cli) -> None:
    study = a_study(name="s")
    with StudyWriter.open("trials", study, versions={}) as writer:
        play(Session(study, writer))
    words = (TINY, "s/0")
    asked = [resolve_network(text, "trials") for text in words]
    compared = [one.network for one in compare_on_one_input(asked, None)]
    assert [(network.name, network.input_shape) for network in compared] == [(n, (1, 8, 8)) for n in words]
    code, out, err = cli("latency", *words, "--batch-sizes", "1", "--modes", "fp32", "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert document["notes"][0] == "every network takes images of 1x8x8, for 10 classes"
    assert [entry["input"] for entry in document["networks"]] == ["1x8x8"] * 2
    macs = {entry["network"]: entry["MACs"] for entry in document["networks"]}
    narrow = build_model("resnet18", input_shape=(1, 8, 8), num_classes=10, width=4)
    assert macs[TINY] == count_macs(narrow, (1, 8, 8))
    assert set(TrialStore("trials").latencies()["input_shape"]) == {"1x8x8"}
    code, _, err = cli("latency", "s/0", "resnet18", "--input", "3,32,32")
    assert code == 2
    assert "trial s/0 takes images of 1x8x8, but all networks are measured on 3x32x32" in err
    assert "replace it by a network like it: 'small_cnn" in err


OWN = f"{Path(__file__).parents[3] / 'examples' / 'my_study.py'}:my_study"


@pytest.fixture
def own_code() -> Iterator[None]:
    """What the example registers is forgotten, as if no command had loaded it."""
    module = load_study(OWN)[1]
    yield
    forget(module)


def forget(code: UserCode | None) -> None:
    assert code is not None
    sys.modules.pop(code.module, None)
    if "residual_cnn" in known_models():
        unregister_model("residual_cnn")


def test_a_network_of_a_users_own_family_is_measured_by_its_code(cli: Cli, own_code: None) -> None:
    study, code = load_study(OWN)
    with StudyWriter.open("trials", study, versions={}) as writer:
        play(Session(study, writer))
    forget(code)
    status, out, err = cli("latency", "odd-or-even/1")
    assert (status, out) == (2, "")
    assert "unknown model 'residual_cnn'" in err
    assert "Name it by its code, as for its run: FILE.py:FUNCTION" in err
    words = (f"{OWN}/1", "residual_cnn:width=4")
    codes = load_codes(words)
    assert codes == [code]
    trial, other = (resolve_network(text, "trials").network for text in words)
    assert (trial.name, trial.model, trial.input_shape) == ("odd-or-even/1", "residual_cnn", (1, 8, 8))
    case = Case(network=other, mode=PLAIN, batch_size=1)
    with Bench("cpu", program=program_with(codes)) as bench:
        bench.time(bench.open([case]), rounds=1, seconds=0.001)
        assert bench.result(case).median_ms > 0


@pytest.fixture(scope="module")
def result() -> CampaignResult:
    """A whole investigation of two tiny networks; nothing is compiled, as on a machine without a compiler."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.devnull)
        return run_campaign(
            Campaign(
                networks=(parse_network(TINY), parse_network(TINY_MOBILENET)),
                modes=(parse_mode("fp32"), parse_mode("fp32/channels_last/eager/folded")),
                batch_sizes=(1, 2),
                rounds=1,
                seconds=0.01,
            )
        )


def test_an_investigation_adds_up_and_names_what_it_could_not_do(result: CampaignResult) -> None:
    assert len(result.waterfalls) == 2
    for waterfall in result.waterfalls:
        assert sum(share.ms for share in waterfall.shares) == pytest.approx(waterfall.total_ms)
        reasons = dict(waterfall.untestable)
        assert "needs a C++ compiler" in reasons["compiled"]
        assert "graph replay" in reasons
    assert [verdict.hypothesis.value for verdict in result.verdicts] == list("abcde")
    assert result.ceilings is not None
    assert all(rate > 1e8 for rate in result.ceilings.flops.values())


def test_an_investigation_is_shown_in_tables_and_words(result: CampaignResult) -> None:
    texts = [
        render(table, "table")
        for table in (
            latency_tables.describe_networks(result),
            latency_tables.describe_modes(result),
            latency_tables.describe_waterfalls(result),
            latency_tables.describe_fastest(result),
        )
    ]
    for text in texts:
        assert TINY in text
    assert "real step" in texts[2]
    lines = list(latency_tables.iter_verdict_lines(result))
    assert sum(line.startswith("(") for line in lines) == 5
    assert any("thread(s), torch" in line for line in latency_tables.iter_note_lines(result))
    json.dumps(latency_tables.as_document(result), allow_nan=False)


def test_fastest_is_no_slower_than_before(result: CampaignResult) -> None:
    for network in result.counts:
        before, after = result.before(network, 2), result.fastest(network, 2)
        assert before is not None
        assert after is not None
        assert after.measurement.median_ms <= before.measurement.median_ms
        assert before.case.allocator == "default"
