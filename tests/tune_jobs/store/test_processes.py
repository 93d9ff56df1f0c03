"""Whether the process that a lock names still lives, as far as this machine can tell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tune_jobs.store.files import processes
from tune_jobs.store.files.processes import describe_process, is_gone, is_here, lives


def test_a_process_is_told_from_another_that_got_its_number() -> None:
    me = describe_process()
    assert is_here(me)
    assert is_gone({**me, "process_started": "1"})
    assert is_gone({**me, "pid": 2**30})
    assert not is_gone({**me, "machine": "elsewhere", "pid": 2**30})


def test_a_process_lives_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = {
            **describe_process(),
            "pid": process.pid,
            "process_started": processes._started(process.pid),
        }
        assert lives(holder) is True
        process.communicate(b"\n")
    assert lives(holder) is False


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        ("host|boot-1|pid:[1]", True),
        ("host|boot-0|pid:[1]", False),
        ("host|boot-1|pid:[2]", None),
        ("another|boot-0|pid:[1]", None),
        ("host", None),
        (None, None),
    ],
)
def test_only_this_host_and_its_earlier_boots_are_known(
    monkeypatch: pytest.MonkeyPatch, machine: str | None, found: bool | None
) -> None:
    monkeypatch.setattr(processes, "_machine", lambda: "host|boot-1|pid:[1]")
    assert lives({**describe_process(), "machine": machine}) is found


def test_a_holder_without_fields_is_of_nobody_known() -> None:
    assert lives({}) is None
