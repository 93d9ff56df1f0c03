"""Counts the operators of a training step that launch a kernel, on the shipped `Fit`, without a GPU.

``python -m benchmarks.op_counts [--against FOLDER]``: a table on stdout, the same as JSON in
``benchmarks/results/op_counts.json``. FOLDER is a checkout of an earlier commit to compare with. A step runs
on a CPU with the loss of a GPU, and torch's dispatcher is asked for each operator. One operator launches one
kernel or more: cuDNN and multi-tensor updates launch several inside one operator, so a GPU counts more. The
casts are those of a CPU's autocast, which casts the input of a pooling layer that a GPU's does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "op_counts.json"
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "small CNN": {"model": "small_cnn"},
    "ResNet-18": {"model": "resnet18"},
    "MobileNet x0.525": {"model": "mobilenet", "model_options": {"width_mult": 0.525}},
}
OPTIMIZERS = ("sgd_momentum", "adamw", "rmsprop")
CASES: Mapping[str, Mapping[str, Any]] = {
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "fp32, smoothing": {"precision": "fp32", "label_smoothing": 0.1},
    "bf16, smoothing": {"precision": "bf16", "label_smoothing": 0.1},
}


def count_step(**changes: Any) -> Counter[str]:
    """The launching operators of one step of a recipe, by name."""
    from torch.utils._python_dispatch import TorchDispatchMode

    from eml_models import Recipe, fit

    found: Counter[str] = Counter()

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            returns = func._schema.returns
            views = [one.alias_info is not None and not one.alias_info.is_write for one in returns]
            name = func.overloadpacket.__name__
            if func.namespace == "aten" and not (views and all(views)) and "empty" not in name:
                found[name] += 1
            return func(*args, **(kwargs or {}))

    recipe = Recipe(
        **{"learning_rate": 0.01, "epochs": 1, "batch_size": 4, "max_train_samples": 4, **changes}
    )
    training = fit(recipe)
    with _loss_of_a_gpu(), training.tried() as (step, _):
        step()  # makes the optimizer's state
        with Count():
            step()
    return found


def _loss_of_a_gpu() -> AbstractContextManager[object]:
    """A context in which the loss is computed as on a GPU; an earlier commit has one loss for all devices."""
    if find_spec("eml_models.training.loss") is None:
        return nullcontext()
    return patch("eml_models.training.loss.takes_few_operators", lambda device: True)


def count_all() -> dict[str, dict[str, int]]:
    """The number of launching operators of each network in each case."""
    return {
        network: {
            **{case: count_step(**options, **changes).total() for case, changes in CASES.items()},
            **{name: count_step(**options, optimizer=name).total() for name in OPTIMIZERS[1:]},
        }
        for network, options in NETWORKS.items()
    }


def count_in(folder: Path) -> dict[str, dict[str, int]]:
    """The counts of the code in another checkout, in a process of its own."""
    code = f"import json, runpy; print(json.dumps(runpy.run_path({__file__!r})['count_all']()))"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    counts: dict[str, dict[str, int]] = json.loads(done.stdout)
    return counts


def main() -> None:
    """Count, print and write."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="a checkout of an earlier commit")
    before_in = parser.parse_args().against
    after = count_all()
    before = count_in(before_in.resolve()) if before_in else {}
    print(f"| network | {' | '.join(next(iter(after.values())))} |")
    for network, counts in after.items():
        cells = [
            f"{before[network][case]} -> {count}" if before else str(count) for case, count in counts.items()
        ]
        print(f"| {network} | {' | '.join(cells)} |")
    result = {"torch": torch.__version__, "before": before, "after": after}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
