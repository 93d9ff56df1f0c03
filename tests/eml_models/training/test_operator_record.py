"""The record of a step's operators: what waits for a device, and where two steps differ.

Tensors on a simulated CUDA device have no values, so an operator that needs a value is found by its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from eml_models.training.operator_record import OperatorRecord, difference


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def recorded(work: Callable[[], object], device_type: str = "cpu") -> OperatorRecord:
    with OperatorRecord(device_type) as record:
        work()
    return record


X = torch.arange(6.0).view(2, 3)


@pytest.mark.parametrize(
    ("work", "waiting"),
    [
        (lambda: X.sum().item(), "aten._local_scalar_dense.default"),
        (lambda: float(X[0, 0]), "aten._local_scalar_dense.default"),
        (lambda: X.sum() > 3 and X, "aten._local_scalar_dense.default"),
        (lambda: X.nonzero(), "aten.nonzero.default"),
        (lambda: X[X > 2], "aten.index.Tensor"),
        (lambda: torch.equal(X, X + 1), "aten.equal.default"),
        (lambda: X.unique(), "aten._unique2.default"),
        (lambda: X[torch.tensor([1, 0])], None),
        (lambda: torch.where(X > 2, X, 0).sum(), None),
        (lambda: X.add_(torch.tensor(0.0)), None),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_an_operator_that_waits_is_named(work: Callable[[], object], waiting: str | None) -> None:
    assert recorded(work).waiting == waiting


@pytest.mark.parametrize(
    ("work", "waiting"),
    [
        (lambda x: x.cpu(), "aten._to_copy.default"),
        (lambda x: x + torch.ones(3).to("cuda"), "aten._to_copy.default"),
        (lambda x: x + torch.ones(()), None),
        (lambda x: x.copy_(torch.ones(2, 3)), "aten.copy_.default"),
        (lambda x: x * 2 + x.mean(), None),
        (lambda x: x[x > 2], "aten.index.Tensor"),
    ],
)
def test_on_a_gpu_work_that_leaves_it_is_named(
    work: Callable[[torch.Tensor], object], waiting: str | None, fake: FakeTensorMode
) -> None:
    x = torch.empty(2, 3, device="cuda")

    def alone() -> None:
        try:
            work(x)
        except (DataDependentOutputException, DynamicOutputShapeException):
            record.waiting = record.waiting or "aten.index.Tensor"  # a tensor without values has no such rows

    with OperatorRecord("cuda") as record:
        alone()
    assert record.waiting == waiting


def test_counts_that_an_optimizer_keeps_on_the_host_are_found(fake: FakeTensorMode) -> None:
    """A graph would not add to them."""
    parameter = torch.nn.Parameter(torch.empty(3, device="cuda"))
    count = torch.zeros(3)
    with OperatorRecord("cuda") as record:
        parameter.detach().mul_(0.5)
        count.add_(1)
    assert record.waiting == "aten.add_.Tensor"


def stepping(factor: float, shape: int = 3) -> OperatorRecord:
    return recorded(lambda: (X.new_ones(shape) * factor).relu_())


def test_equal_steps_do_not_differ() -> None:
    assert difference(stepping(2.0), stepping(2.0)) is None


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (lambda: stepping(2.5), "aten.mul.Tensor"),
        (lambda: stepping(2.0, 4), "aten.new_ones.default"),
        (lambda: recorded(lambda: X.new_ones(3) * 2.0), "aten.relu_.default"),
        (lambda: recorded(lambda: (X.new_ones(3) * 2.0).relu_().exp()), "aten.exp.default"),
        (lambda: recorded(lambda: (X.new_ones(3) * 2.0).sigmoid_()), "aten.sigmoid_.default"),
    ],
)
def test_the_first_difference_of_two_steps_is_named(other: Callable[[], OperatorRecord], name: str) -> None:
    assert difference(stepping(2.0), other()) == name


def test_a_tensor_of_the_step_before_is_a_difference() -> None:
    """A graph would read the old place."""
    kept = [torch.ones(3), torch.ones(3)]
    first, second = (recorded(lambda tensor=tensor: X[0] + tensor) for tensor in kept)
    assert difference(first, second) == "aten.add.Tensor"
    assert difference(first, recorded(lambda: X[0] + kept[0])) is None


def test_a_constant_that_python_makes_anew_is_no_difference() -> None:
    first, second, third = (recorded(lambda n=n: X + torch.tensor([n, 1, 1])) for n in (1.0, 1.0, 2.0))
    assert difference(first, second) is None
    assert difference(first, third) == "aten.lift_fresh.default"
