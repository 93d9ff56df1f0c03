"""The program of one process that trains steps of a recipe on the first GPU that it sees, to measure them.

``python -m tune_jobs.on_ray.gpus.step_program`` reads a request as a line of JSON from stdin
(`StepRequest.text`), prepares the steps, and answers with a line of JSON: the load of a step, or that it is
ready. From then on it trains steps from each line `GO` to the line `STOP`, and answers with their pace. An
answer may be an error; it is the last. Everything else that is printed goes to stderr. The program ends when
stdin is closed. `tune_jobs.on_ray.gpus.side_by_side` starts such processes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO, Any

from eml_models.errors import EmlError
from eml_models.request_lines import RequestLines, iter_requests
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.user_code import UserCode

GO, STOP = "go", "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """What a process trains, and how.

    Attributes:
        recipe: the recipe as JSON: what it names may be known only once the user's parts are loaded.
        code: the user's module, which is loaded first.
        where: options of `eml_models.training.step_load.tried_steps`: the device, and the settings that the
            steps of trials have too.
        registered: parts that the driver registered itself, see `tune_jobs.on_ray.worker.registered`; empty
            if there are none.
    """

    recipe: str
    code: UserCode | None
    where: dict[str, Any]
    registered: bytes = b""

    def text(self, *, measures: bool) -> str:
        """The request as a line.

        Args:
            measures: whether the answer is to be the load of a step.
        """
        return json.dumps({**self.fields(), "measures": measures})

    def fields(self) -> dict[str, Any]:
        """The request in types of JSON."""
        return {
            "recipe": self.recipe,
            "code": asdict(self.code) if self.code else None,
            "where": self.where,
            "registered": base64.b64encode(self.registered).decode(),
        }

    @classmethod
    def of(cls, fields: dict[str, Any]) -> StepRequest:
        """The request of these `fields`; others are ignored."""
        code = fields["code"]
        return cls(
            recipe=fields["recipe"],
            code=UserCode(**{**code, "search_paths": tuple(code["search_paths"])}) if code else None,
            where=fields["where"],
            registered=base64.b64decode(fields["registered"]),
        )

    def load_parts(self) -> None:
        """Load the user's parts into this process."""
        if self.registered:
            from tune_jobs.on_ray.worker.registered import load_parts

            load_parts(self.code, self.registered)
        elif self.code is not None:
            self.code.load()


def take_answers() -> IO[str]:
    """Stdout for answers alone: what the user's code and C++ libraries print there goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(lines: RequestLines, answers: IO[str]) -> None:
    """Answer a request and the lines after it, until an error or the end of stdin."""

    def answer(**known: Any) -> None:
        print(json.dumps(known), file=answers, flush=True)

    try:
        _serve(lines, answer)
    except EmlError as error:
        answer(error=str(error))
    except Exception as error:  # torch and CUDA raise many types; the driver shows the message
        answer(error=f"{type(error).__name__}: {error}")


def _serve(lines: RequestLines, answer: Callable[..., None]) -> None:
    from eml_models.training.step_load import tried_steps

    fields = json.loads(next(lines))
    request = StepRequest.of(fields)
    request.load_parts()
    with tried_steps(Recipe.from_json(request.recipe), **request.where) as steps:
        if fields["measures"]:
            answer(load=asdict(steps.load()))
        else:
            steps.prepare()
            answer(ready=True)
        for _ in lines:  # GO
            pace = steps.train_until(lines.have_next)
            next(lines)  # STOP
            answer(pace=asdict(pace))


if __name__ == "__main__":
    serve(iter_requests(), take_answers())
