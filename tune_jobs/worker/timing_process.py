"""A measuring process that knows a user's own families: it loads their code, then does what any other does.

``python -m tune_jobs.worker.timing_process DEVICE THREADS``; the first line on stdin is the code
(`program_with`), the rest are the requests of `eml_models.latency.bench.worker`.
`eml_models.latency.bench.worker_process` starts it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from eml_models.latency.bench.worker_process import PROGRAM, WorkerProgram
from eml_models.request_lines import iter_requests
from tune_jobs.inputs.user_code import UserCode


def program_with(codes: Sequence[UserCode]) -> WorkerProgram:
    """The program of measuring processes that need this code; the usual one if there is none."""
    if not codes:
        return PROGRAM
    return WorkerProgram(module=__name__, first_line=json.dumps([asdict(code) for code in codes]))


def main() -> None:
    """Load the code of the first line and serve until stdin ends."""
    from eml_models.latency.bench import worker

    answers = worker.take_stdout()  # the code may print
    requests = iter_requests()
    for data in json.loads(next(requests)):
        UserCode(**{**data, "search_paths": tuple(data["search_paths"])}).load()
    worker.serve(answers, requests)


if __name__ == "__main__":
    main()
