"""The program that measures a step of a recipe on this machine's first GPU, while Ray starts.

``python -m tune_jobs.on_ray.gpus.card_program`` reads a request as a line of JSON from stdin (`request_text`)
and writes the answer as JSON to stdout (`read_answer`). The program, and the processes that it starts, end
when stdin is closed. `tune_jobs.on_ray.gpus.measure` starts it.
"""

from __future__ import annotations

import json

from eml_models.errors import EmlError
from eml_models.request_lines import iter_requests
from tune_jobs.on_ray.gpus.side_by_side import CardLoad, Limits, measure_card
from tune_jobs.on_ray.gpus.step_program import StepRequest, take_answers


def request_text(request: StepRequest, *, limit_s: float) -> str:
    """The request that the program reads from stdin.

    Args:
        limit_s: seconds for the whole measurement.
    """
    return json.dumps({**request.fields(), "limit_s": limit_s}) + "\n"


def read_answer(text: str) -> CardLoad | str:
    """The program's answer: the load, or the reason why it could not be measured."""
    answer = json.loads(text)
    return str(answer["error"]) if "error" in answer else CardLoad.of(answer)


def main() -> None:
    """Answer the one request."""
    answers, fields = take_answers(), json.loads(next(iter_requests()))
    try:
        known = measure_card(StepRequest.of(fields), Limits(whole_s=fields["limit_s"])).fields()
    except EmlError as error:
        known = {"error": str(error)}
    print(json.dumps(known), file=answers, flush=True)


if __name__ == "__main__":
    main()
