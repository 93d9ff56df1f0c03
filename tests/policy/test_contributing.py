"""The pages for people who change the code name every wing and room, and no path that does not exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from documents import ROOT, blocks, page
from session_testing import Clock, a_study, play

import tune_jobs
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter

PAGES = {name: page(name) for name in ("architecture", "extending", "habits")}
TEXTS = {"contributing": (ROOT / "CONTRIBUTING.md").read_text(), **PAGES}
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt|yaml))`")
PATHS = sorted({(name, path) for name, text in TEXTS.items() for path in PATH.findall(text)})
IN_EVERY_WING = "__init__.py"
FOLDERS = sorted(
    f"{path.parent.relative_to(ROOT)}/"
    for package in ("eml_models", "tune_jobs")
    for path in (ROOT / package).rglob("*/__init__.py")
)
SCHEDULES = "eml_models/training/schedules.py"
CONTRACT = "tests/contracts/test_schedule_contract.py"


@pytest.mark.parametrize(("name", "path"), PATHS)
def test_path_exists(name: str, path: str) -> None:
    if path != IN_EVERY_WING:
        assert (ROOT / path).exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_wing_or_room_is_named(folder: str) -> None:
    assert f"`{folder}`" in PAGES["architecture"]


@pytest.mark.parametrize("name", PAGES)
def test_contributing_leads_to_each_page(name: str) -> None:
    assert f"](docs/{name}.md)" in TEXTS["contributing"]


def test_ten_changes_are_named_by_file() -> None:
    (table,) = re.findall(r"## Ten likely changes\n\n(.*?)\n\n", PAGES["extending"], re.DOTALL)
    rows = table.splitlines()[2:]
    assert len(rows) == 10
    assert all(PATH.search(row) for row in rows)


def module_at(path: Path, name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # where dataclasses look for the types of their fields
    found.loader.exec_module(module)
    return module


def test_worked_change_applies_and_keeps_the_contract(tmp_path: Path) -> None:
    for name in (SCHEDULES, CONTRACT):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (change,) = blocks("diff", PAGES["extending"])
    (tmp_path / "change.diff").write_text(f"{change}\n")
    subprocess.run(["git", "apply", "change.diff"], cwd=tmp_path, check=True)
    try:
        changed = module_at(tmp_path / SCHEDULES, "changed_schedules").SCHEDULES
        contract = module_at(tmp_path / CONTRACT, "changed_contract")
    finally:
        for name in ("changed_schedules", "changed_contract"):
            sys.modules.pop(name, None)
    (added,) = set(changed) - set(module_at(ROOT / SCHEDULES, "present_schedules").SCHEDULES)
    got = [changed[added].multiplier(progress) for progress in contract.AT]
    assert got == pytest.approx(contract.VALUES[added], abs=1e-6)
    assert changed[added].source


def files_of(walk: str) -> list[str]:
    """The files of a walk of the page, in their order."""
    part = PAGES["architecture"].split(f"## {walk}\n")[1].split("\n## ")[0]
    return list(dict.fromkeys(path for path in PATH.findall(part) if path.endswith(".py")))


@pytest.mark.parametrize(
    ("walk", "entry", "least"),
    [
        ("The walk of a proposal to a row", "next_attempt", 12),
        ("The walk of a report to a decision and to Parquet", "record_report", 6),
    ],
)
def test_walk_enters_the_files_of_the_page_in_their_order(
    walk: str, entry: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a session does without Ray: the files of the page that it enters are entered in this order."""
    code = Path(tune_jobs.__file__).parents[1]
    walks: list[list[str]] = []
    inner = getattr(Session, entry)

    def walked(*args: object, **words: object) -> object:
        entered: list[str] = []

        def note(frame: object, event: str, _argument: object) -> None:
            path = Path(frame.f_code.co_filename)  # type: ignore[attr-defined]  # a frame of the interpreter
            if event == "call" and path.is_relative_to(code):
                entered.append(str(path.relative_to(code)))

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            return inner(*args, **words)
        finally:
            sys.setprofile(before)
            walks.append(entered)

    monkeypatch.setattr(Session, entry, walked)
    study = a_study(trials=4)
    with StudyWriter.open(tmp_path / "store", study, versions={}) as log:
        play(Session(study, log, clock=Clock()))
    on_page = files_of(walk)
    longest = max(walks, key=lambda entered: len({*entered} & {*on_page}))
    seen = [path for path in on_page if path in longest]
    rest = iter(longest)
    assert [path for path in seen if path not in rest] == []  # each is searched for behind the one before
    assert len(seen) >= least
