"""The table of a lab report: the objective by the levels of some parameters, ready to paste.

The last parameter has a column for each level, the others have a row for each combination of theirs. A cell
has the mean of its trials, the interval of this mean, and the number of the trials. For people, Markdown and
LaTeX these are one text; JSON and CSV have a column of numbers for each. Called by `documents`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.wording import count_of
from tune_jobs.analysis.factors import Design, Outcome, repeat_of, values_of
from tune_jobs.analysis.intervals import Estimate, estimate
from tune_jobs.report.column_numbers import column_format
from tune_jobs.report.formats import CSV, JSON
from tune_jobs.report.plain import plain
from tune_jobs.report.tables import Table

Level = Any
Levels = tuple[Level, ...]
"""A level of each parameter of a pivot."""

NOT_USED = "(not used)"
"""Stands for the level of a parameter that does not apply to a trial."""

NUMBERS = ("mean", "low", "high", "n", "failed")
"""The columns of a level in the forms for programs."""


def pivot_table(
    outcomes: Sequence[Outcome],
    design: Design,
    definition: Mapping[str, Any],
    names: Sequence[str],
    form: str,
) -> Table:
    """The table of the trials that completed or failed.

    Args:
        names: parameters with levels: one or more; the last has the columns, unless it is the only one.
        form: JSON and CSV have numbers, all others a text in each cell.

    Raises:
        UnknownNameError: the study has no such parameter.
        InvalidValueError: a parameter has no levels, or is given twice; or no trial has a value.
    """
    require_levels(definition, design, names)
    cells = _cells(outcomes, names)
    found = {
        key: estimate(values).within(design.span)
        for key, group in cells.items()
        if (values := values_of(group))
    }
    if not found:
        way_out = "mend what makes its trials fail, and run it again" if cells else "run it first"
        raise InvalidValueError(
            f"no trial of the study has completed with a value, so there is nothing to show; {way_out}"
        )
    over = names[-1:] if len(names) > 1 else ()
    down = tuple(names[: len(names) - len(over)])
    rows = _ordered({key[: len(down)] for key in cells}, down, definition)
    columns = _ordered({key[len(down) :] for key in cells}, over, definition)
    heads = [f"{over[0]} {_word(level[0])}" if over else design.metric for level in columns]
    if form in (JSON, CSV):
        return Table(
            columns=(*down, *(f"{head} {number}" for head in heads for number in NUMBERS)),
            rows=tuple(
                (*row, *(value for column in columns for value in _numbers(found, cells, (*row, *column))))
                for row in rows
            ),
        )
    spec = column_format(
        value for one in found.values() for value in (one.mean, one.low, one.high) if value is not None
    )
    return Table(
        title=_title(design, cells, found),
        columns=(*down, *heads),
        rows=tuple(
            (*map(_word, row), *(_text(found, cells, (*row, *column), spec) for column in columns))
            for row in rows
        ),
    )


def require_levels(definition: Mapping[str, Any], design: Design, names: Sequence[str]) -> None:
    """Refuse names that are no parameters with levels.

    Raises:
        UnknownNameError: the study has no such parameter.
        InvalidValueError: a parameter is held at a value or has a range, or is given twice; says the way out.
    """
    space = {parameter["name"]: parameter for parameter in definition["space"]}
    for name in names:
        if name not in space and name not in design.factors:
            raise UnknownNameError("parameter", name, (*design.factors, *design.numbers))
    levels = f"parameters with levels: {', '.join(design.factors) or 'none'}"
    repeat = repeat_of(definition)
    problems = [
        f"{name} stands for seeds, over which each cell is a mean; {levels}"
        if name == repeat
        else _problem_of(name, space[name], design, levels)
        for name in names
        if name not in design.factors
    ]
    problems += [f"{name} is given twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    raise_if_any("--pivot", problems)


def _problem_of(name: str, parameter: Mapping[str, Any], design: Design, levels: str) -> str:
    """Why a parameter has no levels, and the way out."""
    if name in design.numbers:
        return (
            f"{name} is searched over a range and so has no levels; {levels}. Search it as a choice of"
            " values, or take report without --pivot, which has its rank correlation"
        )
    return f"{name} is {parameter.get('value')!r} in all trials, one level alone; {levels}"


def _cells(outcomes: Sequence[Outcome], names: Sequence[str]) -> dict[Levels, list[Outcome]]:
    """The trials of each combination of levels, without trials to which no parameter applies."""
    cells: dict[Levels, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if any(name in outcome.params for name in names):
            cells[tuple(outcome.params.get(name) for name in names)].append(outcome)
    return cells


def _ordered(keys: Iterable[Levels], names: Sequence[str], definition: Mapping[str, Any]) -> list[Levels]:
    """Combinations of levels: numbers by size, texts in the order of the space, last what does not apply."""
    values = {p["name"]: [plain(value) for value in p.get("values", ())] for p in definition["space"]}

    def place(key: Levels) -> tuple[Any, ...]:
        places: list[tuple[Any, ...]] = []
        for name, level in zip(names, key, strict=True):
            if level is None:
                places.append((2, 0.0))
            elif isinstance(level, int | float) and not isinstance(level, bool):
                places.append((0, float(level)))
            else:
                places.append((1, float(values[name].index(level)) if level in values[name] else 0.0))
        return tuple(places)

    return sorted(keys, key=place)


def _word(level: Level) -> str:
    """A level as a text that no other level has."""
    if level is None:
        return NOT_USED
    text = f"{level:.15g}" if isinstance(level, float) else str(level)
    return repr(text) if text in ("", NOT_USED) or text != " ".join(text.split()) else text


def _numbers(
    found: Mapping[Levels, Estimate], cells: Mapping[Levels, Sequence[Outcome]], key: Levels
) -> tuple[float | int | None, ...]:
    group, one = cells.get(key, ()), found.get(key)
    if one is None:
        return None, None, None, 0, len(group)
    return one.mean, one.low, one.high, one.n, len(group) - one.n


def _text(
    found: Mapping[Levels, Estimate],
    cells: Mapping[Levels, Sequence[Outcome]],
    key: Levels,
    spec: str,
) -> str | None:
    """A cell as a text: ``0.9100 [0.8852, 0.9348] (3)``; None without trials."""
    one = found.get(key)
    if one is None:
        return f"failed ({len(cells[key])})" if key in cells else None
    interval = "" if one.low is None or one.high is None else f" [{one.low:{spec}}, {one.high:{spec}}]"
    return f"{one.mean:{spec}}{interval} ({one.n})"


def _title(
    design: Design, cells: Mapping[Levels, Sequence[Outcome]], found: Mapping[Levels, Estimate]
) -> str:
    """What the numbers are, and what a reader must know of the trials behind them."""
    alone = all(len({outcome.cell for outcome in group}) == 1 for group in cells.values())
    failed = sum(len(group) for group in cells.values()) - sum(one.n for one in found.values())
    interval = (
        " [its 95 % interval, Student's t]" if any(one.low is not None for one in found.values()) else ""
    )
    parts = [f"mean {design.metric}{interval} (number of trials)"]
    if not alone:
        parts.append("over all else, so that an interval is of the spread of the other parameters too")
    elif any(one.n > 1 for one in found.values()):
        parts.append("over seeds")
    if design.is_adaptive:
        parts.append("biased: the search chose where to look and which trials to stop")
    if failed:
        parts.append(f"without {count_of(failed, 'failed trial')}")
    return "; ".join(parts)
