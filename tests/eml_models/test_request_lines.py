"""A process that is asked line by line ends with whoever asks it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.patience import patience_s

HANGS = """
import time
from eml_models.request_lines import iter_requests
for line in iter_requests():
    print(line, flush=True)
    while line == "hang":
        time.sleep(1)
"""


def begin(*, leads_group: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HANGS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=leads_group,
    )


@pytest.mark.parametrize("leads_group", [True, False])
@pytest.mark.parametrize("last", ["hang", "rest"])
def test_a_process_ends_when_nobody_asks_any_more(leads_group: bool, last: str) -> None:
    with begin(leads_group=leads_group) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for request in ("first", last):  # each is answered while stdin is open
            process.stdin.write(f"{request}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{request}\n"
        process.stdin.close()
        process.wait(patience_s())
