"""report --html and --pictures write files, and refuse places where they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from every_ending import every_ending

from tune_jobs import run_study
from tune_jobs.cli.main import cli
from tune_jobs.report.figures.drawing import can_draw

pytestmark = pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pages")
    run_study(every_ending(trials=6), store=folder, inline=True)
    return str(folder)


def report(store: str, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["report", "cells", "--store", store, *words])
    return done.exit_code, done.stdout, done.stderr


def test_page_and_pictures_are_written(store: str, tmp_path: Path) -> None:
    page, folder = tmp_path / "cells.html", tmp_path / "made" / "pictures"
    code, out, err = report(store, "--html", str(page), "--pictures", str(folder))
    assert (code, out) == (0, "")
    assert "cells.html" in err
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert 'href="#tables"' in text
    names = {path.name for path in folder.iterdir()}
    assert {"history.svg", "history.png", "curves.svg", "ledger.png"} <= names
    assert names >= {"tables.md", "tables.tex"}
    assert len([name for name in names if name.endswith(".svg")]) * 2 == len(names) - 2
    _, printed, _ = report(store, "--format", "markdown")
    assert (folder / "tables.md").read_text().startswith(printed.splitlines()[0])
    assert (folder / "tables.tex").read_text().count(r"\begin{table}") >= 1


def test_places_that_cannot_be_are_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words, said in (
        (("--html", str(tmp_path)), "is a folder"),
        (("--html", str(tmp_path / "no" / "page.html")), "in a folder that does not exist"),
        (("--html", ""), "is a folder"),
        (("--pictures", ""), "got an empty text"),
        (("--html", str(tmp_path / "page.html"), "--pictures", str(tmp_path / "file")), "names a folder"),
    ):
        done = CliRunner().invoke(cli, ["report", "cells", "--store", store, *words])
        assert said in str(done.exception) + done.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_results_give_the_same_figure(store: str) -> None:
    from tune_jobs import TrialStore
    from tune_jobs.errors import EmlError

    results = TrialStore(store).results("cells")
    assert results.figure("history").table.rows
    with pytest.raises(EmlError, match="gives no figure 'finalists': the study compares no finalists"):
        results.figure("finalists")
    with pytest.raises(EmlError, match=r"known: .*history"):
        results.figure("histories")
