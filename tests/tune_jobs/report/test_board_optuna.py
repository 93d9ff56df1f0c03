"""Optuna's dashboard over a copy of a study: it shows the trials, follows the store, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from board_testing import Client, ask, text_of
from mini_studies import registered, short
from store_testing import snapshot_of_tree

pytest.importorskip("optuna_dashboard")

from tune_jobs import run_study
from tune_jobs.report.board.optuna_pages import OptunaBoard


async def trials_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await text_of(client, "/api/studies/0"))["trials"]
    return found


def test_pages_show_the_trials_and_follow_the_store(tmp_path: Path) -> None:
    store = tmp_path / "trials"
    with registered():
        run_study(short().with_changes(trials=4), inline=True, store=str(store))

        async def talk(client: Client) -> None:
            assert "bundle.js" in await text_of(client, "/dashboard/studies/0")
            assert '"short"' in await text_of(client, "/api/studies")
            trials = await trials_of(client)
            assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
            assert {trial["state"] for trial in trials} <= {"Complete", "Pruned"}
            run_study(short().with_changes(trials=6), inline=True, store=str(store))
            while len(await trials_of(client)) < 6:
                pass
            before = snapshot_of_tree(store)
            for method in ("POST", "PUT", "DELETE"):
                for path in ("/api/studies", "/api/studies/0", "/api/studies/0/note", "/api/trials/0/tell"):
                    async with client.request(method, path, json={}) as answer:
                        assert answer.status in (405, 413)
            assert snapshot_of_tree(store) == before
            assert len(await trials_of(client)) == 6

        ask(store, talk, study="short", make=OptunaBoard)


def test_its_pages_are_guarded_as_ours(tmp_path: Path) -> None:
    store = tmp_path / "trials"
    with registered():
        run_study(short().with_changes(trials=1), inline=True, store=str(store))

        async def talk(client: Client) -> None:
            await text_of(client, "/api/studies", 421, headers={"Host": "evil.example"})
            await text_of(client, "/api/studies", 401)
            async with client.get("/api/studies", headers={"Authorization": "Bearer " + "t" * 20}) as answer:
                assert answer.status == 200
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]

        ask(store, talk, study="short", make=OptunaBoard, token="t" * 20)
