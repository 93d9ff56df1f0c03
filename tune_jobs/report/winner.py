"""Which trial won, in words: ties, the limits it keeps, and whether it is better than the next recipe.

Recipes are compared, not trials, because a recipe may have several. Called by `tune_jobs.report.findings`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eml_models.wording import count_of, listed
from tune_jobs.analysis.intervals import ALPHA, estimate, holm, welch, with_interval
from tune_jobs.report.figures.seen import Seen, words_of
from tune_jobs.study.method import Limits
from tune_jobs.study.rows import State, TrialRow, as_json_text, own_numbers

MOST_TIED = 5
"""Most numbers of trials with the same best value that a sentence names."""

UNITS = {"macs": "MACs", "parameters": "parameters", "latency_ms": "ms of latency"}
"""The words of costs that columns of a trial hold, by the column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """A recipe with its completed trials: the number of the best, and the values of all, the best first."""

    number: int
    values: tuple[float, ...]


def iter_won(seen: Seen) -> Iterator[str]:
    """Sentences on the best trial, its limits, and whether it is better than the next recipe."""
    if not seen.ranked:
        yield (
            "No trial has ended."
            if not seen.ends
            else f"No trial has completed with a value of {seen.metric}: {_states(seen)}."
        )
        return
    best, recipes = seen.ranked[0], _recipes(seen)
    tied = _tied(recipes)
    what = f"{count_of(best.epochs, 'epoch')} ({words_of(seen.params[best.number], 12)}). {_states(seen)}."
    if len(tied) > 1:
        yield (
            f"Trials {_numbers(tied)} tie by {seen.metric}: {_value(best.objective)}. Trial {best.number}"
            f" of them ended after {what}"
        )
    else:
        yield f"Trial {best.number} is the best by {seen.metric}: {_value(best.objective)} after {what}"
    if under := _under_limits(seen, best):
        yield f"Under the limits of the study trial {best.number} has {listed(under)}."
    yield _significance(seen, recipes)
    if len(seen.objectives) > 1:
        others = listed([o.metric for o in seen.objectives[1:]])
        yield f"With {others} as further objectives the front shows what no other trial beats."


def _recipes(seen: Seen) -> list[_Recipe]:
    """The recipes of the completed trials by the best trial of each, the best first."""
    found: dict[str, list[TrialRow]] = defaultdict(list)
    for row in seen.ranked:
        found[as_json_text(seen.params[row.number])].append(row)
    return [
        _Recipe(number=rows[0].number, values=tuple(row.objective or 0.0 for row in rows))
        for rows in found.values()
    ]


def _tied(recipes: Sequence[_Recipe]) -> list[_Recipe]:
    """The recipes whose best trials have the best value, as it is shown."""
    return [recipe for recipe in recipes if _value(recipe.values[0]) == _value(recipes[0].values[0])]


def _value(value: float | None) -> str:
    return f"{value:.6g}"


def _numbers(recipes: Sequence[_Recipe]) -> str:
    """The numbers of their best trials; of many the first ones."""
    numbers = [str(recipe.number) for recipe in sorted(recipes, key=lambda recipe: recipe.number)]
    left = len(numbers) - MOST_TIED
    return listed([*numbers[:MOST_TIED], *([f"{left:,} more"] if left > 0 else [])])


def _under_limits(seen: Seen, row: TrialRow) -> list[str]:
    """What a trial has of each cost that a limit bounds: ``156,320 of 200,000 MACs``."""
    held = {**{name: getattr(row, name) for name in UNITS}, **own_numbers(row.metrics)}
    found = []
    for limit, bound in Limits.from_json(seen.definition["limits"]).bounds().items():
        side, _, cost = limit.partition("_")
        value, unit = held.get(cost), UNITS.get(cost, cost)
        if value is None:
            continue
        if side == "max":
            found.append(f"{_amount(value)} of {_amount(bound)} {unit}")
        else:
            found.append(f"{_amount(value)} {unit} (at least {_amount(bound)})")
    return found


def _amount(value: float) -> str:
    return f"{int(value):,}" if value == value // 1 else f"{value:,.4g}"


def _significance(seen: Seen, recipes: Sequence[_Recipe]) -> str:
    """Whether the best recipe differs from the next, by repeats of both; Holm over all other recipes."""
    repeated = [recipe for recipe in recipes if len(recipe.values) > 1]
    if len(seen.ranked) < 2:
        return "It is the only completed trial, so it is compared with none."
    if len(recipes) < 2:
        return "All completed trials are of its recipe, so it is compared with none."
    if len(repeated) < 2:
        return _unjudged(seen, recipes)
    sign = seen.objective.direction.sign
    first, *others = sorted(repeated, key=lambda recipe: sign * estimate(recipe.values).mean)
    differences = [welch(first.values, other.values) for other in others]
    corrected = holm([difference.p for difference in differences])
    mean = estimate(first.values)
    told = f"By the mean of its repeats the recipe of trial {first.number} leads with"
    told += f" {with_interval(mean.mean, mean.low, mean.high)} (n {mean.n}, 95 %)."
    p = corrected[0]
    if p is None:
        return f"{told} The repeats have no spread, so the difference to the next cannot be judged."
    worse = sum(q is not None and q < ALPHA for q in corrected)
    kind = "significant" if p < ALPHA else "not significant"
    return (
        f"{told} Its difference to the next, the recipe of trial {others[0].number}, is {kind}"
        f" (p {p:.2g}, Welch's t, Holm over {count_of(len(others), 'recipe')});"
        f" it is significantly better than {worse} of them."
    )


def _unjudged(seen: Seen, recipes: Sequence[_Recipe]) -> str:
    """The next recipe, why no test compares it with the best, and what gives more repeats."""
    repeated = next((recipe for recipe in recipes if len(recipe.values) > 1), None)
    once = "each recipe was trained once"
    if repeated is not None:
        times = count_of(len(repeated.values), "time")
        once = f"the recipe of trial {repeated.number} was trained {times}, each other recipe once"
    if len(tied := _tied(recipes)) > 1:
        start = f"Which of {'the two' if len(tied) == 2 else 'them'} is better cannot be judged:"
    else:
        start = (
            f"The next recipe is of trial {recipes[1].number} with {_value(recipes[1].values[0])}. Whether"
            " the difference is significant cannot be judged:"
        )
    return f"{start} {once}, and a second seed may change the order. {_more_seeds(seen)}"


def _more_seeds(seen: Seen) -> str:
    """What trains recipes again; the command ``finalists`` refuses own training and studies of finalists."""
    if seen.is_own:
        return (
            "Let the training function train the best params with several seeds, and report the mean of each."
        )
    if seen.definition["candidates"]:
        return "Train each candidate with more seeds (finalists with a larger --repeats)."
    return "Train the best ones again with several seeds (finalists)."


def _states(seen: Seen) -> str:
    counts = Counter(row.state for row in seen.ends)
    ended = listed([f"{counts[state]:,} {state}" for state in State if counts[state]])
    return f"Of {count_of(len(seen.ends), 'trial')}: {ended}"
