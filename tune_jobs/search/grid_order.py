"""The order in which a grid's points are tried: seeded, each point once, and balanced wherever it is cut off.

Nested loops would try the first level of the first factor with all levels of the others before its second
level, so that an interrupted grid compares nothing. A plain shuffle has every level early only by chance.
This order has every level early by construction: of a factor with n levels, each level is tried within the
first n trials. After any number of trials, the counts of any two levels differ by at most 2 (by at most 1 if
n divides the product P of the larger factors' levels, or has no divisor in common with it).

How: trial t takes level ``t + shift`` of a factor, modulo its n. A block of n trials therefore has each level
once, as a row of a Latin square has each symbol. The next block has another shift, so that two factors do not
move in step. Each combination comes once: trials agree in all larger factors if their t are equal modulo P.
Over these trials, t takes the multiples of g = gcd(P, n) modulo n. After all of them (lcm(P, n) trials) a
part of the shift takes the next of the g residues; the other part is equal for all these trials. Both parts,
and the order of the levels, are drawn from the seed. A point costs a few operations per factor, and no list
of the grid is made, however large it is.

A conditional parameter is not a factor of that product. First come all combinations of the parameters that
always apply, each with the first combination of its conditional parameters; then those that have a second
combination come again with the second, and so on. `repeat` of a shipped study changes last: every cell is
tried once before any is tried twice, since more cells show more than more seeds of a few cells.

Pure: the order follows from the space and the seed. `sampler.Grid` calls it.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, product

from eml_models import seeds
from tune_jobs.study.bindings import REPEAT
from tune_jobs.study.parameters import Parameter, Params, Value
from tune_jobs.study.space import Space

MAX_SHUFFLED = 256
"""Levels. More levels come in the order of an arithmetic progression, which needs no list of them."""

Levels = Sequence[Value]
"""The levels of a parameter in its own order: a tuple, or a range that may be too long for `len`."""


def iter_points(space: Space, seed: int, *, repeat: str | None = REPEAT) -> Iterator[Params]:
    """Each point of a space without continuous parameters once, in the order of this module.

    Args:
        repeat: the parameter that changes last; None for own training, whose names mean nothing here.
    """
    names = {p.when.parameter for p in space.parameters if p.when is not None}
    repeats = [p for p in space.parameters if p.name == repeat and p.when is None and p.name not in names]
    others = [p for p in space.parameters if p not in repeats]
    for level in _levels(repeats[0]) if repeats else (None,):
        given: Params = {} if level is None else {repeats[0].name: level}
        for chosen in _iter_chosen(others, {}, seed):
            point = {**given, **chosen}
            yield {name: point[name] for name in space.names if name in point}


def count_points(space: Space) -> int | None:
    """The number of points of a space, without making them; None if a parameter is continuous."""
    if any(parameter.grid() is None for parameter in space.parameters):
        return None
    return _count(space.parameters, {})


class Product:
    """The order of all combinations of factors that always apply.

    Args:
        sizes: the number of levels of each factor, at least 1.
        seed: the seed of the shifts and of the order of levels.

    Attributes:
        size: the number of combinations.
    """

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        self.size = math.prod(sizes)
        self._sizes, self._seed = tuple(sizes), seed
        self._relabelled = [_permutation(n, seeds.derive(seed, j, "levels")) for j, n in enumerate(sizes)]
        self._shifts: dict[int, tuple[int, Callable[[int], int]]] = {}
        self._larger: dict[int, int] = {}
        self._turned: dict[int, Callable[[int], int]] = {}
        larger = 1
        for factor in sorted(range(len(sizes)), key=lambda j: -sizes[j]):
            self._larger[factor] = larger
            shared = math.gcd(larger, sizes[factor])
            self._turned[factor] = _permutation(shared, seeds.derive(seed, factor, "turns"))
            larger *= sizes[factor]

    def levels(self, trial: int) -> tuple[int, ...]:
        """The level of each factor in a trial; `trial` is in [0, size)."""
        return tuple(self._level(factor, trial) for factor in range(len(self._sizes)))

    def _level(self, factor: int, trial: int) -> int:
        n, larger = self._sizes[factor], self._larger[factor]
        shift = self._turned[factor](trial % (larger * n) // math.lcm(larger, n))
        if math.gcd(larger, n) > 1:
            shift += self._shift(factor, trial % larger // n)
        return self._relabelled[factor]((trial + shift) % n)

    def _shift(self, factor: int, block: int) -> int:
        """The shift of a block: in n blocks each shift comes once, in an order drawn for these n."""
        n = self._sizes[factor]
        group, place = divmod(block, n)
        known = self._shifts.get(factor)
        if known is None or known[0] != group:
            known = group, _permutation(n, seeds.derive(self._seed, factor, f"shifts {group}"))
            self._shifts[factor] = known
        return known[1](place)


def _permutation(n: int, seed: int) -> Callable[[int], int]:
    """A permutation of 0 ... n - 1."""
    draw = random.Random(seed)
    if n <= MAX_SHUFFLED:
        # by `random` alone, whose stream Python promises to keep
        return sorted(range(n), key=lambda _: draw.random()).__getitem__
    first, step = int(draw.random() * n), int(draw.random() * n)
    step = next(s for s in count(step) if math.gcd(s, n) == 1)
    return lambda place: (first + place * step) % n


def _iter_chosen(parameters: Sequence[Parameter], given: Mapping[str, Value], seed: int) -> Iterator[Params]:
    """The values of `parameters` under the given params: each combination that applies, once."""
    now, later = _split(parameters, given)
    levels = [_levels(parameter) for parameter in now]
    order = Product([_num_levels(found) for found in levels], seed)

    def iter_cells() -> Iterator[Params]:
        for trial in range(order.size):
            chosen = zip(now, levels, order.levels(trial), strict=True)
            yield {parameter.name: found[level] for parameter, found, level in chosen}

    brought: dict[tuple[bool, ...], _Brought] = {}
    most = 1  # the most points of a cell seen so far
    turn = 0
    while turn < most:
        visits: Counter[tuple[bool, ...]] = Counter()
        for cell in iter_cells():
            which = tuple(p.when is not None and p.when.holds(cell) for p in later)
            if which not in brought:
                brought[which] = _Brought(later, {**given, **cell}, seed)
            size, visit = brought[which].size, visits[which]
            visits[which] += 1
            most = max(most, size)
            if turn < size:
                yield {**cell, **brought[which].point((visit + visit // size + turn) % size)}
        turn += 1


class _Brought:
    """The points of the parameters that depend on the params of a cell; one empty point if there are none."""

    def __init__(self, parameters: Sequence[Parameter], given: Mapping[str, Value], seed: int) -> None:
        names = [p.name for p in _split(parameters, given)[0]]
        self.size = _count(parameters, given)
        self._points: list[Params] = [] if names else [{}]
        self._rest = _iter_chosen(parameters, given, seeds.derive(seed, -1, f"brings {names}"))

    def point(self, index: int) -> Params:
        while len(self._points) <= index:
            self._points.append(next(self._rest))
        return self._points[index]


def _split(
    parameters: Sequence[Parameter], given: Mapping[str, Value]
) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters that apply under the given params, and those that depend on parameters of the first."""
    now: list[Parameter] = []
    later: list[Parameter] = []
    for parameter in parameters:  # a parent stands before what depends on it
        if parameter.when is None or parameter.when.holds(given):
            now.append(parameter)
        elif any(parameter.when.parameter == parent.name for parent in (*now, *later)):
            later.append(parameter)
    return now, later


def _count(parameters: Sequence[Parameter], given: Mapping[str, Value]) -> int:
    """How many points `_iter_chosen` yields. Levels of a parent that no condition names count as one kind."""
    now, later = _split(parameters, given)
    if not later:
        return math.prod(_num_levels(_levels(parameter)) for parameter in now)
    total = 0
    for kinds in product(*(_kinds(parameter, later) for parameter in now)):
        named = {p.name: value for p, (value, _) in zip(now, kinds, strict=True) if value is not None}
        total += math.prod(number for _, number in kinds) * _count(later, {**given, **named})
    return total


def _kinds(parent: Parameter, later: Sequence[Parameter]) -> list[tuple[Value | None, int]]:
    """The levels that conditions of `later` name, and None for all others, each with its number of levels."""
    conditions = [p.when for p in later if p.when is not None and p.when.parameter == parent.name]
    named = {value: None for when in conditions for value in when.values if parent.problem_of(value) is None}
    num_others = _num_levels(_levels(parent)) - len(named)
    return [*((value, 1) for value in named), *([(None, num_others)] if num_others else [])]


def _levels(parameter: Parameter) -> Levels:
    levels = parameter.grid()
    assert levels is not None  # the sampler has refused continuous parameters
    return levels


def _num_levels(levels: Levels) -> int:
    """The number of levels, also of a range that is too long for `len`."""
    return -((levels.start - levels.stop) // levels.step) if isinstance(levels, range) else len(levels)
