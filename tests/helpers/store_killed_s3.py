"""A writer on a bucket that is killed; a module of its own, so that it starts quickly."""

from __future__ import annotations

import os
import signal
import sys

from store_testing import NEVER, open_writer, report, start


def main(url: str) -> None:
    """Acknowledge a start and some reports, say how many rows, and die of SIGKILL."""
    writer = open_writer(url, policy=NEVER)
    writer.append(start(0))
    last = [writer.append(report(0, epoch)).seq for epoch in (1, 2, 3)][-1]
    print(last, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
