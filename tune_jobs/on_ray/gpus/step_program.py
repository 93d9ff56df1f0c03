"""The program that measures a step of a recipe on this machine's first GPU, while Ray starts.

``python -m tune_jobs.on_ray.gpus.step_program`` reads a request as a line of JSON from stdin (`request_text`)
and writes the answer as JSON to stdout (`read_answer`). Everything else that is printed goes to stderr. The
program ends when stdin is closed. `tune_jobs.on_ray.gpus.measure` starts it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eml_models.errors import EmlError
from eml_models.request_lines import iter_requests
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.user_code import UserCode

if TYPE_CHECKING:
    from eml_models.training.step_load import StepLoad


def request_text(
    recipe: Recipe,
    code: UserCode | None,
    *,
    data_dir: str | None,
    download: bool,
    kernels: str,
    execution: str,
) -> str:
    """The request that the program reads from stdin."""
    where = {"data_dir": data_dir, "download": download, "kernels": kernels, "execution": execution}
    asked = json.dumps({"recipe": recipe.to_json(), "code": asdict(code) if code else None, "where": where})
    return f"{asked}\n"


def read_answer(text: str) -> StepLoad | str:
    """The program's answer: the load of a step, or the reason why it could not be measured."""
    from eml_models.training.step_load import StepLoad

    answer = json.loads(text)
    return str(answer["error"]) if "error" in answer else StepLoad(**answer)


def main() -> None:
    """Answer the one request."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the user's code and C++ libraries may print to stdout
    print(json.dumps(_answer(json.loads(next(iter_requests())))), file=answers, flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from eml_models.training.step_load import measure_step_load

    try:
        if (code := request["code"]) is not None:
            UserCode(**{**code, "search_paths": tuple(code["search_paths"])}).load()
        recipe = Recipe.from_json(request["recipe"])
        return asdict(measure_step_load(recipe, device="cuda", **request["where"]))
    except EmlError as error:
        return {"error": str(error)}
    except Exception as error:  # torch and CUDA raise many types; the driver shows the message
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
