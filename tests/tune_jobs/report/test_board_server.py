"""A board's answers: pages, parts, news and logs; what is refused; and a store that changes underneath."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_testing import HOME, Client, ask, asked, changed, news_of, text_of, write_drawn, write_rows
from bucket_testing import bucket_away, moody_url
from figures_testing import MARKUP, a_study, seen_of
from store_testing import snapshot_of_tree

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.report.board.server import MOST_STUDIES
from tune_jobs.report.board.study_parts import HEADLINES
from tune_jobs.report.board.trial_parts import END_BYTES
from tune_jobs.report.documents import report_document
from tune_jobs.report.figures.catalog import FIGURES, figure_of
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.report.figures.figure import Figure
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.formats import TABLE
from tune_jobs.report.page.whole import study_page
from tune_jobs.results.trial_store import TrialStore
from tune_jobs.store.files.objects import CACHE_VARIABLE
from tune_jobs.store.upkeep.compact import compact_study
from tune_jobs.store.upkeep.deletion import delete_study
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import ReportRow, State, TrialRow

pytestmark = pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")

TOKEN = "a-token-of-sixteen-or-more"
TRIAL = f"{HOME}trial/3"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test of this module changes."""
    store = tmp_path_factory.mktemp("drawn") / "store"
    write_drawn(store, 12, objectives=2)
    logs = Logs(store=str(store), study="drawn")
    logs.write(3, 1, "\n".join(f"line {number} {MARKUP}" for number in range(130_000)))
    logs.write(3, 2, "\x1b[31mred\x1b[0m & <b>bold</b>\n 10%\r100%\nthe end\n")
    return store


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a study without trials, whose page costs nothing."""
    store = tmp_path_factory.mktemp("empty") / "store"
    write_drawn(store, 0)
    Logs(store=str(store), study="drawn").write(3, 2, "a log")
    return store


def test_parts_are_those_of_the_page_of_the_report(drawn: Path) -> None:
    results = TrialStore(drawn).results("drawn")
    seen, tables = results.seen, report_document(results.known, TABLE)
    page = study_page(seen, tables)

    async def talk(client: Client) -> None:
        for name in ("findings", "tables"):
            assert await text_of(client, f"{HOME}part/{name}") in page
        for name in FIGURES:
            text = await text_of(client, f"{HOME}part/{name}")
            assert text.startswith(f'<section id="{name}"')
            is_drawn = isinstance(figure_of(seen, name), Figure)
            assert (text in page, "Not drawn: " in text) == (is_drawn, not is_drawn)
        assert await text_of(client, f"{HOME}page") == page

    ask(drawn, talk)


def test_frame_has_a_place_for_each_part_and_no_row(empty: Path) -> None:
    async def talk(client: Client) -> None:
        text = await text_of(client, HOME)
        assert re.findall(r'data-part="([^"]+)"', text) == [f"{HOME}part/{name}" for name in HEADLINES]
        assert [*re.findall(r' (?:src|href)="([^"#][^"]*)"', text)][:3] == [
            "data:,", "/static/board.css", "/static/live.js",
        ]  # fmt: skip
        assert not re.search(r"https?://|<script>|style=|onclick", text)
        assert f'content="0; url={HOME}page?live"' in text
        async with client.get(f"{HOME}page?live") as answer:
            assert answer.headers["Refresh"]
        async with client.get(f"{HOME}page") as answer:
            assert "Refresh" not in answer.headers

    ask(empty, talk)


def test_every_answer_has_a_strict_policy_and_is_of_get_or_head(empty: Path) -> None:
    paths = ["/", HOME, f"{HOME}page", f"{HOME}news", f"{HOME}part/now", f"{TRIAL}/log/2", "/nothing",
             "/study/unknown/", "/static/live.js", "/static/board.css", "/favicon.ico", "/enter"]  # fmt: skip

    async def talk(client: Client) -> None:
        for path in paths:
            async with client.get(path, allow_redirects=False) as answer:
                headers = answer.headers
                assert headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                script = re.search(r"script-src ([^;]*)", headers["Content-Security-Policy"])
                assert script is None or script[1] == "'self'"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["Server"] == "tune-jobs"
            async with client.head(path, allow_redirects=False) as head:
                assert (head.status, await head.read()) == (answer.status, b"")
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                async with client.request(method, path, data=b"x", allow_redirects=False) as refused:
                    assert refused.status in (404, 405, 413), (method, path)

    ask(empty, talk)


def test_browser_is_not_sent_what_it_has(empty: Path) -> None:
    async def talk(client: Client) -> None:
        for path in (f"{HOME}part/now", f"{HOME}page", "/static/live.js", f"{TRIAL}/part/logs"):
            async with client.get(path) as answer:
                tag = answer.headers["ETag"]
            async with client.get(path, headers={"If-None-Match": tag}) as again:
                assert (again.status, await again.read()) == (304, b"")
                assert again.headers["ETag"] == tag
            async with client.get(path, headers={"If-None-Match": '"other"'}) as other:
                assert other.status == 200

    ask(empty, talk)


def test_store_is_only_read(drawn: Path) -> None:
    before = snapshot_of_tree(drawn)

    async def talk(client: Client) -> None:
        for path in (
            "/news",
            "/part/studies",
            f"{HOME}news",
            f"{HOME}page",
            f"{TRIAL}/part/facts",
            f"{TRIAL}/part/logs",
        ):
            await text_of(client, path)

    ask(drawn, talk)
    assert snapshot_of_tree(drawn) == before
    with StudyWriter.open(drawn, a_study(objectives=2), versions={}):  # no lock is held either
        pass


def test_list_of_studies_leads_to_each(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        assert 'data-part="/part/studies"' in await text_of(client, "/")
        assert '<a href="/study/drawn">drawn</a>' in await text_of(client, "/part/studies")
        async with client.get("/study/drawn", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, HOME)

    ask(drawn, talk)


def test_board_of_one_study_shows_no_other(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        async with client.get("/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, HOME)
        await text_of(client, HOME)
        for path in (
            "/study/other/",
            "/study/other/news",
            "/study/other/trial/0/log/1",
            "/news",
            "/part/studies",
        ):
            await text_of(client, path, 404)

    ask(drawn, talk, study="drawn")


def test_unknown_study_is_named_with_the_known(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        text = await text_of(client, "/study/drawm/", 404)
        assert "unknown study &#x27;drawm&#x27;; known: drawn; did you mean &#x27;drawn&#x27;?" in text

    ask(drawn, talk)


@pytest.mark.parametrize(
    "path",
    [
        f"{HOME}trial/3/log/../../../../studies",
        f"{HOME}trial/3/log/..%2f..%2f..%2fstudies",
        f"{HOME}trial/3/log/%2e%2e",
        f"{HOME}trial/..%2f3/log/1",
        f"{HOME}trial/3/log/1.log",
        f"{HOME}trial/3/log/9",
        f"{HOME}trial/-1/log/1",
        f"{HOME}trial/\u0663/log/1",
        "/study/../drawn/trial/3/log/1",
        "/study/..%2fdrawn/trial/3/log/1",
        "/study/%2e%2e/trial/3/log/1",
        "/study/DRAWN/trial/3/log/1",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/server.py",
        f"{HOME}part/nothing",
    ],
)
def test_path_outside_leads_nowhere(drawn: Path, path: str) -> None:
    from yarl import URL

    async def talk(client: Client) -> None:
        url = URL(f"http://127.0.0.1:{client.port}{path}", encoded=path.isascii())
        async with client.session.get(url, allow_redirects=False) as answer:
            assert answer.status == 404
            assert "line 1" not in await answer.text()

    ask(drawn, talk)


def test_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 2)
    Logs(store=str(tmp_path / "store"), study="drawn").write(0, 1, "of trial 0")
    (tmp_path / "secret").write_text("of somebody else")
    folder = tmp_path / "store" / "logs" / "drawn"
    (folder / "0" / "attempt-2.log").symlink_to(tmp_path / "secret")
    (folder / "1").symlink_to(tmp_path)

    async def talk(client: Client) -> None:
        for path in (f"{HOME}trial/0/log/2", f"{HOME}trial/1/log/1", f"{HOME}trial/0/part/logs"):
            async with client.get(path) as answer:
                assert "of somebody else" not in await answer.text()

    ask(tmp_path / "store", talk)


def test_long_log_is_shown_by_its_end_with_a_link_to_the_whole(drawn: Path) -> None:
    whole = Logs(store=str(drawn), study="drawn").read(3, 1)
    assert whole is not None
    assert len(whole) > 5_000_000

    async def talk(client: Client) -> None:
        text = await text_of(client, f"{TRIAL}/part/logs")
        assert len(text) < 3 * END_BYTES
        assert f'<a href="{TRIAL}/log/1">the whole log, {len(whole):,} bytes, as text</a>' in text
        assert MARKUP not in text
        assert "line 129999 &lt;script&gt;" in text
        assert text.index("Attempt 2") < text.index("Attempt 1")
        async with client.get(f"{TRIAL}/log/1") as answer:
            assert answer.content_type == "text/plain"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert await answer.text() == whole

    ask(drawn, talk)


def test_log_is_shown_as_a_terminal_shows_it_at_last(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        text = await text_of(client, f"{TRIAL}/part/logs")
        assert ">red &amp; &lt;b&gt;bold&lt;/b&gt;\n100%\nthe end</pre>" in text
        text = await text_of(client, f"{HOME}trial/4/part/logs")
        assert "No attempt of this trial has a log" in text

    ask(drawn, talk)


def test_trial_page_has_its_facts_and_words_for_a_trial_that_is_not_there(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        assert f'data-part="{TRIAL}/part/facts"' in await text_of(client, TRIAL)
        assert "trial 3 of drawn: " in await text_of(client, f"{TRIAL}/part/facts")
        assert "has no trial 99; it has 0 to 11" in await text_of(client, f"{HOME}trial/99/part/facts")
        async with client.get(f"{HOME}trial?number=3", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, TRIAL)
        assert "named by its number" in await text_of(client, f"{HOME}trial?number={MARKUP}", 404)

    ask(drawn, talk)


def without_values(seen: Seen) -> Seen:
    """The study with curves of NaN, which rows hold as a missing value."""
    rows = [replace(r, metrics='{"iou":null}') if isinstance(r, ReportRow) else r for r in seen.rows]
    return replace(seen, rows=rows)


CASES: dict[str, Callable[[], Seen]] = {
    "none": lambda: seen_of(0),
    "one": lambda: seen_of(1, state=State.COMPLETED),
    "failed": lambda: seen_of(4, state=State.FAILED),
    "four objectives": lambda: seen_of(8, objectives=4),
    "one parameter": lambda: seen_of(8, parameters=1),
    "NaN": lambda: without_values(seen_of(8)),
}


@pytest.mark.parametrize("case", CASES)
def test_odd_studies_have_every_part_without_markup(case: str, tmp_path: Path) -> None:
    seen = CASES[case]()
    changes = {"objectives": len(seen.objectives), "parameters": len(seen.definition["space"])}
    write_rows(tmp_path / "store", a_study(**changes), seen.rows)

    async def talk(client: Client) -> None:
        texts = [await text_of(client, f"{HOME}part/{name}") for name in HEADLINES]
        texts += [await text_of(client, f"{HOME}trial/0/part/{name}") for name in ("facts", "logs")]
        for text in [*texts, await text_of(client, f"{HOME}page")]:
            assert "<script" not in text
        if any(isinstance(row, TrialRow) and row.state is State.FAILED for row in seen.rows):
            assert "&lt;script&gt;alert(&#x27;x&#x27;)" in "".join(texts)

    ask(tmp_path / "store", talk)


def test_page_follows_a_run_row_by_row(tmp_path: Path) -> None:
    study, rows = a_study(), [replace(row, seq=0) for row in seen_of(3).rows]
    rows[0] = replace(rows[0], detail='{"trials":60,"workers":2}')
    with StudyWriter.open(tmp_path, study, versions={"tune-jobs": "0"}) as writer:
        end = next(index for index, row in enumerate(rows) if isinstance(row, TrialRow))
        for row in rows[:end]:
            writer.append(row)

        async def talk(client: Client) -> None:
            text = await text_of(client, f"{HOME}part/now")
            assert "trials that run" in text
            assert f'<a href="{HOME}trial/0">0</a>' in text
            news = await news_of(client)
            assert news["status"].startswith("Running. 0 of 60 trials have ended. ")
            for row in rows[end:]:
                writer.append(row)
            later = await changed(client, news["version"])
            assert later["status"].startswith("Running. 3 of 60 trials have ended. ")
            assert "trials that run" not in await text_of(client, f"{HOME}part/now")
            writer.close()
            last = await changed(client, later["version"])
            assert not last["status"].startswith("Running")

        ask(tmp_path, talk)


def test_end_of_a_run_changes_no_figure_and_draws_none_again(tmp_path: Path, monkeypatch: Any) -> None:
    from tune_jobs.report.board import study_parts

    drawings: list[str] = []
    draw = study_parts.figure_part
    monkeypatch.setattr(
        study_parts, "figure_part", lambda figure: (drawings.append(figure.name), draw(figure))[1]
    )
    rows = [replace(row, seq=0) for row in seen_of(3).rows]
    writer = StudyWriter.open(tmp_path, a_study(), versions={"tune-jobs": "0"})
    writer.append_many(rows)

    async def talk(client: Client) -> None:
        await text_of(client, f"{HOME}part/history")
        news = await news_of(client)
        writer._lock.release()  # as the kernel does for a killed run, which changes no row
        later = await changed(client, news["version"])
        assert later["status"].startswith("The last run was killed. ")
        await text_of(client, f"{HOME}part/history")
        assert drawings == ["history"]

    ask(tmp_path, talk)


@pytest.mark.parametrize("what", ["study", "store"])
def test_deleted_store_is_said_in_words_and_its_return_ends_them(tmp_path: Path, what: str) -> None:
    store = tmp_path / "store"
    write_drawn(store, 3)

    async def talk(client: Client) -> None:
        before = await text_of(client, f"{HOME}part/history")
        news = await news_of(client)
        if what == "study":
            delete_study(str(store), "drawn")
        else:
            shutil.rmtree(store)
        gone = await changed(client, news["version"])
        assert gone["problem"].startswith("The store cannot be read: ")
        assert ("unknown study" if what == "study" else "there is no store at") in gone["problem"]
        assert "read before" in gone["problem"]
        assert not re.search(r"\?\.|\.\.", gone["problem"])
        assert await text_of(client, f"{HOME}part/history") == before
        await text_of(client, HOME)
        write_drawn(store, 5)
        back = await changed(client, gone["version"])
        assert (back["problem"], "5 trials have ended" in back["status"]) == ("", True)
        assert await text_of(client, f"{HOME}part/history") != before

    ask(store, talk)


def test_compacted_store_is_read_as_before(tmp_path: Path) -> None:
    write_drawn(tmp_path, 3)

    async def talk(client: Client) -> None:
        before = await text_of(client, f"{HOME}part/history")
        news = await news_of(client)
        compact_study(str(tmp_path), "drawn")
        later = await changed(client, news["version"])
        assert later["problem"] == ""
        assert await text_of(client, f"{HOME}part/history") == before

    ask(tmp_path, talk)


def test_damage_is_named_on_the_page(tmp_path: Path) -> None:
    write_drawn(tmp_path, 3)
    damaged = next(p for p in (tmp_path / "reports").rglob("*.parquet") if "no-rows" not in p.name)
    damaged.write_bytes(damaged.read_bytes()[:-30])

    async def talk(client: Client) -> None:
        assert damaged.name in await text_of(client, f"{HOME}part/now")

    ask(tmp_path, talk)


def test_bucket_is_followed_and_its_absence_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    url = moody_url()
    write_drawn(url, 2)
    Logs(store=url, study="drawn").write(1, 1, "0123456789\nlast line")

    async def talk(client: Client) -> None:
        assert "last line</pre>" in await text_of(client, f"{HOME}trial/1/part/logs")
        await text_of(client, f"{HOME}part/findings")
        news = await news_of(client)
        with bucket_away():
            away = await changed(client, news["version"])
            assert "could not connect to the endpoint" in away["problem"]
            assert "the logs cannot be read" in await text_of(client, f"{HOME}trial/1/part/logs", 503)
        back = await changed(client, away["version"])
        assert (back["problem"], "2 trials have ended" in back["status"]) == ("", True)

    ask(url, talk)


@pytest.mark.slow
def test_s3_store_is_followed(s3_store: str) -> None:
    write_drawn(s3_store, 2)
    Logs(store=s3_store, study="drawn").write(1, 1, "x" * 100_000 + "\nlast line")

    async def talk(client: Client) -> None:
        text = await text_of(client, f"{HOME}trial/1/part/logs")
        assert "last line</pre>" in text
        assert "the whole log, 100,010 bytes" in text
        news = await news_of(client)
        assert "2 trials have ended" in news["status"]
        assert "drawn" in await text_of(client, "/part/studies")
        write_rows(
            s3_store, a_study(), [replace(row, number=9, trial_id="drawn/9") for row in seen_of(1).rows[1:]]
        )
        later = await changed(client, news["version"])
        assert "3 trials have ended" in later["status"]

    ask(s3_store, talk)


def test_viewer_needs_the_token_everywhere_and_gives_it_in_no_address(empty: Path) -> None:
    async def talk(client: Client) -> None:
        for path in (
            "/",
            HOME,
            f"{HOME}news",
            f"{HOME}part/now",
            f"{HOME}page",
            f"{TRIAL}/log/2",
            "/nothing",
        ):
            text = await text_of(client, path, 401)
            assert "needs its token" in text
            assert "name=" not in text.replace('name="viewport"', "")  # no form puts it in an address
            await text_of(client, f"{path}?token={TOKEN}", 401)
            async with client.get(
                path, allow_redirects=False, headers={"Authorization": f"Bearer {TOKEN}"}
            ) as answer:
                assert answer.status != 401
        await text_of(client, "/static/enter.js")
        await text_of(client, "/enter", 401, headers={"Authorization": "Bearer wrong"})
        async with client.get("/enter") as answer:
            assert (answer.status, "Basic" in answer.headers["WWW-Authenticate"]) == (401, True)
        async with client.get(
            "/enter", allow_redirects=False, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        await text_of(client, HOME)  # the client has the cookie now

    ask(empty, talk, token=TOKEN)


def test_name_that_another_site_leads_here_is_refused(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        for path in ("/", HOME, "/static/live.js", "/enter"):
            text = await text_of(client, path, 421, headers={"Host": "evil.example"})
            assert "not known by the name in the address" in text

    ask(drawn, talk)


def test_two_boards_of_a_store_do_not_disturb_each_other(drawn: Path) -> None:
    async def run() -> None:
        async with asked(drawn) as one, asked(drawn) as other:
            texts = await asyncio.gather(*(text_of(c, f"{HOME}part/curves") for c in (one, other)))
            assert texts[0] == texts[1]
            versions = {(await news_of(client))["version"] for client in (one, other)}
            assert len(versions) == 2

    asyncio.run(run())


def test_rows_of_few_studies_are_kept(tmp_path: Path) -> None:
    names = [f"s{index}" for index in range(MOST_STUDIES + 1)]
    for name in names:
        StudyWriter.open(tmp_path, a_study().with_changes(name=name), versions={}).close()

    async def run() -> None:
        async with asked(tmp_path) as client:
            for name in names:
                await text_of(client, f"/study/{name}/part/now")
            assert "No trial has ended" in await text_of(client, f"/study/{names[0]}/part/ended")

    asyncio.run(run())


def test_more_open_pages_than_kept_studies_are_read_once_each(tmp_path: Path) -> None:
    names = [f"s{index}" for index in range(MOST_STUDIES + 2)]
    for name in names:
        StudyWriter.open(tmp_path, a_study().with_changes(name=name), versions={}).close()

    async def talk(client: Client) -> None:
        first = {name: (await news_of(client, f"/study/{name}/news"))["version"] for name in names}
        for name in ("unknown", *names):
            await text_of(client, f"/study/{name}/", 404 if name == "unknown" else 200)
        again = {name: (await news_of(client, f"/study/{name}/news"))["version"] for name in names}
        assert again == first

    ask(tmp_path, talk)


def test_news_is_json_that_a_page_can_show(drawn: Path) -> None:
    async def talk(client: Client) -> None:
        news = json.loads(await text_of(client, f"{HOME}news"))
        assert set(news) == {"version", "status", "problem"}
        assert secrets.compare_digest(news["problem"], "")

    ask(drawn, talk)
