"""Every verb over a store with studies of own training: right words, no traceback, no figure of a dummy."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import own_studies
import pytest
import torch
from cli_testing import Cli

from tune_jobs import TrialStore

CODE = own_studies.FILE
STUDIES = ("cells", "pair", "plain", "files")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test here changes."""
    folder = tmp_path_factory.mktemp("own")
    for name in STUDIES:
        own_studies.train_into(str(folder / "trials"), getattr(own_studies, name)())
    return folder


def ended(folder: Path, study: str, state: str) -> list[int]:
    trials = TrialStore(folder / "trials").trials(study)
    return sorted(trials[trials["state"] == state]["number"])


def test_the_studies_have_trials_of_every_end(folder: Path) -> None:
    assert ended(folder, "cells", "completed")
    assert ended(folder, "cells", "stopped")
    assert ended(folder, "cells", "infeasible")
    assert ended(folder, "pair", "failed")


def test_list_names_each_objective(cli: Cli) -> None:
    code, out, _ = cli("list", "--format", "json")
    assert code == 0
    found = {row["study"]: (row["objective"], row["best"]) for row in json.loads(out)}
    assert {study: objective for study, (objective, _) in found.items()} == {
        "cells": "number",
        "pair": "IoU",
        "plain": "number",
        "files": "IoU",
    }
    assert found["cells"][1] > 1


@pytest.mark.parametrize("study", STUDIES)
def test_audits_compute_everything_again_without_the_code(cli: Cli, study: str) -> None:
    code, out, _ = cli("show", study, "--audit")
    assert code == 0
    assert "computed again: 0 differ" in out


def test_show_ranks_by_the_own_objective_and_prints_all_metrics(cli: Cli) -> None:
    code, out, _ = cli("show", "cells")
    assert code == 0
    assert "momentum=heavy" in out
    assert "memory_gb=" in out
    assert "note=ok" in out
    _, data, _ = cli("show", "cells", "--format", "json")
    rows = json.loads(data)
    values = [row["number"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert [json.loads(row["metrics"])["number"] for row in rows] == values
    assert all(row["macs"] == 1000 * json.loads(row["params"])["epochs"] for row in rows)
    assert all(row["network"] is None for row in rows)


def test_show_has_the_rungs_of_the_metric_and_not_of_the_column_of_its_name(cli: Cli, folder: Path) -> None:
    _, out, _ = cli("show", "cells")
    reports = TrialStore(folder / "trials").reports("cells")
    stopped = reports[(reports["epoch"] == 1) & (reports["decision"] == "stop")]["metric_number"]
    (line,) = [line for line in out.splitlines() if line.startswith("    1 ")]
    assert f"{stopped.min():.4f} .. {stopped.max():.4f}" in line


def test_a_study_without_costs_shows_none(cli: Cli) -> None:
    _, out, _ = cli("show", "plain", "--format", "csv")
    header = next(csv.reader(io.StringIO(out)))
    assert header == ["trial", "number", "epochs", "train_s", "params", "network", "metrics"]
    query = "select macs, parameters, activations, val_accuracy, latency_ms from trials where study = 'plain'"
    _, out, _ = cli("query", query, "--format", "json")
    assert {value for row in json.loads(out) for value in row.values()} == {None}


@pytest.mark.parametrize("verb", ["show", "report"])
def test_a_front_has_the_values_of_its_metrics(cli: Cli, verb: str) -> None:
    code, out, _ = cli(verb, "pair", "--format", "json")
    assert code == 0
    rows = json.loads(out) if verb == "show" else []
    for row in rows:
        metrics = json.loads(row["metrics"])
        assert (row["IoU"], row["number"], row["memory_gb"]) == (
            metrics["IoU"],
            metrics["number"],
            metrics["memory_gb"],
        )
    code, out, _ = cli(verb, "pair")
    assert code == 0
    assert "the front: " in out
    assert "hypervolume (IoU " in out
    assert "parameters" not in out


@pytest.mark.parametrize(
    "words", [[], ["--top", "2"], ["--by", "momentum"], ["--by", "model"], ["--format", "csv"]]
)
@pytest.mark.parametrize("study", ["cells", "pair", "plain"])
def test_report(cli: Cli, study: str, words: list[str]) -> None:
    code, out, err = cli("report", study, *words)
    assert (code, err) == (0, "")
    assert out


def test_intervals_of_a_metric_of_unknown_range_are_not_cut(cli: Cli) -> None:
    code, out, _ = cli("report", "files", "--format", "json")
    assert code == 0
    assert {row["lr"] for row in json.loads(out)} == {0.1, 0.5}


def test_query_has_typed_columns(cli: Cli) -> None:
    sql = (
        'select param_momentum_string as momentum, param_epochs, metric_number, "IoU", note, memory_gb, macs'
        " from trials where study = 'cells' and state = 'completed'"
    )
    code, out, _ = cli("query", sql, "--format", "json")
    assert code == 0
    for row in json.loads(out):
        assert row["momentum"] in ("heavy", "light", "broken")
        assert row["macs"] == 1000 * row["param_epochs"]
        assert isinstance(row["metric_number"], float)
        assert row["note"] == "ok"


def test_compact_repair_and_delete(cli: Cli, folder: Path, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    code, _, _ = cli("compact", "--output", copy)
    assert code == 0
    code, out, _ = cli("repair", "cells", "--store", copy)
    assert (code, "has no damage" in out) == (0, True)
    code, _, _ = cli("show", "cells", "--audit", "--store", copy)
    assert code == 0
    code, _, err = cli("delete", "cells", "--yes", "--store", copy)
    assert (code, "deleted 'cells'" in err) == (0, True)


def resolved(cli: Cli, study: str, *words: str) -> dict[str, Any]:
    code, out, err = cli("run", f"{CODE}:{study}", "--dry-run", "--format", "json", *words)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        ([], "summary", "tpe over lr, momentum, epochs, model; training by train; 14 trials of 9 epochs"),
        (["--epochs", "4"], "summary", "14 trials of 4 epochs"),
        (["--trials", "20"], "summary", "20 trials"),
        (["--objectives", "IoU:max,memory_gb:min"], "summary", "for IoU, memory_gb"),
        (["--fix", "momentum=heavy", "--fix", "epochs=2"], "summary", "tpe over lr, model;"),
        (["--max-macs", "2k"], "summary", "within max_macs 2,000"),
        (["--sampler", "random", "--no-asha"], "summary", "random over"),
    ],
)
def test_run_resolves_options(cli: Cli, words: list[str], key: str, value: str) -> None:
    found = resolved(cli, "cells", "--name", "other", *words)
    assert value in found[key]
    assert found["adapted_to_small_images"] == {}
    assert found["definition"]["recipe"] is None


def test_a_dry_run_for_people_knows_no_network(cli: Cli) -> None:
    code, out, _ = cli("run", f"{CODE}:cells", "--dry-run")
    assert code == 0
    assert "fixed       training by train, epochs 9" in out
    assert "the store holds 14 trials of 14" in out
    assert not {"network", "data set", "digits", "resnet18"} & set(out.split())


def test_show_of_a_trial_has_its_params_metrics_and_curve(cli: Cli, folder: Path) -> None:
    number = ended(folder, "cells", "completed")[0]
    code, out, _ = cli("show", "cells", str(number), "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert found["params"].keys() == {"lr", "momentum", "epochs", "model"}
    assert found["end"]["metrics"]["number"] == found["objectives"]["number"]
    code, out, _ = cli("show", "cells", str(number))
    assert code == 0
    assert "IoU" in out


def test_run_takes_points_of_its_own_names(cli: Cli, tmp_path: Path) -> None:
    points = tmp_path / "points.json"
    points.write_text('[{"momentum": "light", "epochs": 2, "lr": 0.1}]')
    found = resolved(cli, "cells", "--enqueue", str(points))
    assert found["settings"]["points"] == [{"lr": 0.1, "momentum": "light", "epochs": 2}]
    points.write_text('[{"momentum": 0.9}]')
    code, _, err = cli("run", f"{CODE}:cells", "--dry-run", "--enqueue", str(points))
    assert code == 2
    assert "momentum must be one of" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dataset", "mnist"], "--dataset is of a recipe, and this study trains by its own function"),
        (["--train-samples", "5"], "--train-samples is of a recipe"),
        (["--precision", "bf16"], "--precision is of a recipe"),
        (["--measure-latency"], "own training measures its latency itself; report it as a metric"),
        (["--max-parameters", "2k"], "must return 'parameters', which a limit names"),
        (["--objectives", "IoU"], "metric of own training needs a direction"),
        (["--fix", "momentum=0.9"], "momentum must be one of"),
        (["--scale", "smoke", "--dataset", "mnist"], "--dataset is of a recipe"),
    ],
)
def test_run_says_what_does_not_fit(cli: Cli, words: list[str], said: str) -> None:
    code, out, err = cli("run", f"{CODE}:cells", "--dry-run", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_the_smoke_scale_has_fewer_trials_and_epochs_and_says_so(cli: Cli) -> None:
    code, out, err = cli("run", f"{CODE}:cells", "--dry-run", "--scale", "smoke", "--format", "json")
    assert code == 0
    assert "'cells-smoke': epochs 6 (full: 9), trials 12 (full: 14)" in err
    assert "data and networks stay as train makes them" in err
    assert json.loads(out)["definition"]["epochs"] == 6
    found = resolved(cli, "cells", "--scale", "smoke", "--epochs", "8", "--trials", "13")
    assert "13 trials of 8 epochs" in found["summary"]


def test_export_writes_what_the_trial_saved_last(cli: Cli, folder: Path, tmp_path: Path) -> None:
    number, *_ = ended(folder, "cells", "completed")
    file = tmp_path / "best.pt"
    code, out, err = cli("export", "cells", str(number), "--output", str(file))
    assert (code, out) == (0, ""), err
    assert f"load it with torch.load({str(file)!r}, weights_only=True)" in err
    (lr,) = TrialStore(folder / "trials").sql(
        f"select param_lr from trials where trial_id = 'cells/{number}'"
    )["param_lr"]
    state = torch.load(file, weights_only=True)
    assert state["epoch"] == 9
    assert torch.equal(state["weights"], torch.full((2,), lr * 9))


def test_export_writes_a_saved_folder(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("export", "files", "0", "--output", str(tmp_path / "best"))
    assert code == 0, err
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert (tmp_path / "best" / "model.txt").read_text() == "epoch 2"


@pytest.mark.parametrize(
    ("study", "number", "output", "said"),
    [
        ("cells", "0", "x.onnx", "saves a state or a folder and no network; write the state as NAME.pt"),
        ("cells", "0", "x.pt2", "load the state into your network and export that"),
        ("files", "0", "x.pt", "trial 0 of 'files' saved a folder alone; write it with --output NAME"),
        ("cells", "0", "x", "trial 0 of 'cells' saved a state alone; write it with --output NAME.pt"),
        ("cells", "99", "x.pt", "trial 99 was never trained"),
        ("cells", "0", "no/x.pt", "there is no folder"),
    ],
)
def test_export_says_what_it_cannot_write(
    cli: Cli, folder: Path, study: str, number: str, output: str, said: str
) -> None:
    code, out, err = cli("export", study, number, "--output", output)
    assert (code, out) == (2, "")
    assert said in err
    assert not (folder / output).exists()


def test_export_of_a_trial_that_kept_nothing_names_those_that_did(cli: Cli, folder: Path) -> None:
    number = ended(folder, "cells", "stopped")[0]
    code, _, err = cli("export", "cells", str(number), "--output", "x.pt")
    assert code == 2
    assert f"trial {number} of 'cells' kept no state; trials that did: " in err
    assert str(ended(folder, "cells", "completed")[0]) in err


@pytest.mark.parametrize("study", ["cells", "pair", "files"])
def test_replay_trains_again_by_the_code_and_compares_each_metric(cli: Cli, folder: Path, study: str) -> None:
    for state in ("completed", "stopped", "failed"):
        for number in ended(folder, study, state)[:1]:
            code, out, err = cli("replay", f"{CODE}:{study}", str(number), "--format", "json")
            assert code == 0, err
            rows = json.loads(out)
            assert all(row["equal"] and row["stored"] == row["again"] for row in rows)
            assert f"{len(rows)} of {len(rows)} values equal to the bit" in err
            assert {row["metric"] for row in rows} >= {"IoU"}


def test_replay_shows_a_difference(cli: Cli, folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.py"
    changed.write_text(Path(CODE).read_text().replace('1 - params["lr"] / 2', '1 - params["lr"] / 3'))
    number = ended(folder, "cells", "completed")[0]
    code, out, err = cli("replay", f"{changed}:cells", str(number), "--format", "json")
    assert code == 1
    assert {row["metric"] for row in json.loads(out) if not row["equal"]} == {"IoU"}
    assert "own training repeats to the bit if it seeds all that it draws by run.seed" in err


def test_replay_of_code_that_raises_says_where(cli: Cli, folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "raises.py"
    changed.write_text(
        Path(CODE).read_text().replace('== "broken" and epoch == 2', '!= "none" and epoch == 2')
    )
    number = ended(folder, "cells", "completed")[0]
    code, _, err = cli("replay", f"{changed}:cells", str(number))
    assert code == 1
    assert (
        f"training function train raised ValueError: no such momentum after epoch 1 of trial {number}" in err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["replay", "cells", "0"],
            "a store holds no code; name the study by its code, as for its run: replay",
        ),
        (["replay", f"{CODE}:cells", "99"], "trial 99 was never trained"),
        (["latency", "cells/0"], "so the store has its params and knows no network of it"),
        (["latency", f"{CODE}:cells/0"], "report its latency as a metric"),
        (
            ["finalists", "cells", "--dry-run"],
            "is trained by train, but eml_models trains and tests finalists",
        ),
        (["finalists", f"{CODE}:cells", "--dry-run"], "train its best params yourself"),
        (["run", "digits-recipes", "--warm-start", "cells", "--dry-run"], "params of the same meaning"),
    ],
)
def test_what_does_not_work_for_own_training_says_why(cli: Cli, words: list[str], said: str) -> None:
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_an_objective_without_a_direction_says_how_to_write_it_with_the_metrics_that_are_known(
    cli: Cli, tmp_path: Path
) -> None:
    words = ("run", f"{CODE}:cells", "--dry-run", "--objectives")
    code, out, err = cli(*words, "R2")
    assert (code, out) == (2, "")
    assert "R2:max or R2:min" in err
    known = err.split("as far as known: ")[1]
    assert {name.strip() for name in known.split(",")} == {"number:max", "IoU", "note", "macs", "memory_gb"}
    assert "val_accuracy" not in err
    code, _, err = cli(*words, "R2", "--store", str(tmp_path / "none"))
    assert (code, "as far as known: number:max\n" in err) == (2, True)


def test_an_objective_that_the_study_declares_has_its_direction_there(cli: Cli) -> None:
    found = resolved(cli, "cells", "--objectives", "number, IoU:min")
    assert found["definition"]["objectives"] == [
        {"metric": "number", "direction": "maximize"},
        {"metric": "IoU", "direction": "minimize"},
    ]


def test_warm_start(cli: Cli) -> None:
    found = resolved(cli, "cells", "--name", "second", "--warm-start", "cells")
    assert found["settings"]["warm_start"] == "cells"


def test_replay_writes_what_it_saves_again(cli: Cli, folder: Path, tmp_path: Path) -> None:
    number, file = ended(folder, "cells", "stopped")[0], tmp_path / "again.pt"
    code, _, err = cli("replay", f"{CODE}:cells", str(number), "--output", str(file))
    assert code == 0, err
    assert torch.load(file, weights_only=True)["epoch"] == 1
    code, _, err = cli("replay", f"{CODE}:cells", str(number), "--output", "x.onnx")
    assert (code, "saves a state or a folder and no network" in err) == (2, True)


def test_a_run_ends_with_the_words_for_what_it_saved(cli: Cli, tmp_path: Path) -> None:
    words = [f"{CODE}:cells", "--inline", "--store", str(tmp_path / "trials")]
    code, out, err = cli("run", *words)
    assert code == 0, err
    assert "best 5 of 5 completed trials" in out
    assert "write the saved state of its best trial to a file:" in err
    assert "--output cells.pt" in err
    assert "latency" not in err
    assert 'query "select param_momentum_string, count(*)' in err
    code, _, err = cli("export", "cells", "best", "--output", str(tmp_path / "x.pt"), *words[2:])
    assert code == 0, err
    code, out, _ = cli("show", "cells", "--audit", *words[2:])
    assert (code, "0 differ" in out) == (0, True)
    code, _, err = cli(
        "run", f"{CODE}:cells", "--inline", "--name", "second", "--warm-start", "cells", *words[2:]
    )
    assert code == 0, err
    assert "given to the sampler" in err
    code, out, _ = cli("show", "second", "--audit", *words[2:])
    assert (code, "0 differ" in out) == (0, True)
