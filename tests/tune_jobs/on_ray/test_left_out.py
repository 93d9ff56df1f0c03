"""Paths that a job does not get: their names through links, and the rules for each name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_path_through_links_has_a_name_after_each(tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs.left_out import names_on_the_way

    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "real" / "a").symlink_to("../b")
    (tmp_path / "b").touch()
    top = tmp_path.resolve()
    assert names_on_the_way(top / "b") == []
    assert names_on_the_way(top / "folder" / "a") == [top / "real" / "a", top / "b"]


def test_link_to_a_folder_above_it_leads_back(tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs.left_out import leads_back

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "b" / "beside").symlink_to("../../c")
    assert leads_back(tmp_path / "a" / "b" / "up", tmp_path)
    assert not leads_back(tmp_path / "a" / "b" / "beside", tmp_path)
    assert not leads_back(tmp_path / "a" / "b", tmp_path)


def test_reason_of_a_folder_is_that_of_all_below_it(tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs.left_out import Rules, Why

    for name in ("runs/studies/study_slug=s/x", "venv2/pyvenv.cfg", "src/keep.py", "src/no.log", "big/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "src" / ".gitignore").write_text("*.log\n")
    rules = Rules(tmp_path, {"big": Why.NAMED})
    assert rules.why("runs/studies/study_slug=s/x") is Why.SIGN
    assert rules.why("venv2/pyvenv.cfg") is Why.SIGN
    assert rules.why("big/x") is Why.NAMED
    assert rules.why("src/no.log") is Why.GITIGNORE
    assert rules.why("src/keep.py") is None
