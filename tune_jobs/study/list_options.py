"""List options that are searched part by part: ``width_1``, ``width_2``, ... are the parts of ``widths``.

A pure function of a family's options; `tune_jobs.study.definition` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from eml_models.errors import raise_if_any
from eml_models.networks.registry import get_model
from tune_jobs.study.parameters import Value

PART = re.compile(r"(.+)_([1-9][0-9]*)")


def gather_lists(options: Mapping[str, Value], model: str) -> dict[str, Value]:
    """Options with the parts of list options put together: ``width_1``, ``width_2``, ... become ``widths``.

    Raises:
        InvalidValueError: a list lacks parts, or has too many.
        UnknownNameError: there is no such model.
    """
    lists = {option.name: option.length for option in get_model(model).options if option.length}
    whole: dict[str, Value] = {}
    parts: dict[str, dict[int, Value]] = {}
    for name, value in options.items():
        match = PART.fullmatch(name)
        if match and f"{match[1]}s" in lists:
            parts.setdefault(f"{match[1]}s", {})[int(match[2])] = value
        else:
            whole[name] = value
    problems = []
    for name, found in parts.items():
        wanted = range(1, lists[name] + 1)
        if set(found) == set(wanted):
            whole[name] = tuple(found[number] for number in wanted)  # type: ignore[misc]  # scalars, as spaces have
        else:
            part, got = name[:-1], ", ".join(f"{name[:-1]}_{number}" for number in sorted(found))
            problems.append(
                f"{name} needs all parts from {part}_1 to {part}_{lists[name]} and no other, got {got}"
            )
    raise_if_any(f"options of {model}", problems)
    return whole
