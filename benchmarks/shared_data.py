"""What reading a data set once a node saves: CPU time and memory of worker processes on CIFAR-10's size.

    python -m benchmarks.shared_data [--workers 1,2,4] [--repeats 3] [--output FILE]

``own`` is each worker process reading for itself, ``shared`` one task reading for all. The images are random
bytes in the files of CIFAR-10's Python version, read by the package's own reader with its checks; only the
MD5 sums are those of the files made here. Each worker trains three short trials, so that what it costs is
beginning. A run of one worker shares nothing. Reads /proc: Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.comparing import describe_conditions, run_variant, summarise, write_result
from eml_models.data.datasets import DatasetSpec, RawDataset, register_dataset
from eml_models.training.recipe import Recipe
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Float
from tune_jobs.study.space import Space

VARIANTS = ("own", "shared")
TRIALS_PER_WORKER = 3
MB = 1e6
MEMORY_PERIOD_S = 1.0
"""Asking for the memory of a process takes the kernel some hundredths of a second."""


def write_standin(folder: Path, *, images_per_file: int = 10_000) -> None:
    """Random images in the layout of CIFAR-10's Python version, and the sums of its files."""
    import numpy as np

    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    sums = {}
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = np.random.RandomState(number).randint(0, 256, (images_per_file, 3 * 32 * 32))
        labels = [i % 10 for i in range(images_per_file)]
        sums[name] = _write(base / name, {"data": images.astype(np.uint8), "labels": labels})
    sums["batches.meta"] = _write(base / "batches.meta", {"label_names": list("abcdefghij")})
    (folder / "sums.json").write_text(json.dumps(sums))


def _write(path: Path, content: dict[str, Any]) -> str:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def read_standin(folder: Path, download: bool) -> RawDataset:
    """CIFAR-10's reader, with the checksums of the files made here."""
    from torchvision.datasets import CIFAR10

    from eml_models.data.readers import read_cifar10

    sums = json.loads((folder / "sums.json").read_text())
    CIFAR10.train_list = [[name, sums[name]] for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [[name, sums[name]] for name, _ in CIFAR10.test_list]
    CIFAR10.meta = {**CIFAR10.meta, "md5": sums["batches.meta"]}
    return read_cifar10(folder, False)


STANDIN = DatasetSpec(
    name="cifar10_standin",
    input_shape=(3, 32, 32),
    num_classes=10,
    read=read_standin,
    num_train=50_000,
    num_test=10_000,
)
register_dataset(STANDIN)


def measure_variant(variant: str, workers: int, data_dir: str) -> dict[str, float]:
    """One study on a Ray of its own."""
    from tune_jobs import RunSettings, TrialStore, run_study
    from tune_jobs.inputs.user_code import UserCode
    from tune_jobs.on_ray.worker import shared_data

    if variant == "own":
        shared_data.SMALL_BYTES = 1 << 60
    study = Study(
        name="shared-data",
        space=Space(Float("learning_rate", 1e-3, 1.0, log=True)),
        recipe=Recipe(
            model="small_cnn",
            model_options={"width": 4},
            dataset=STANDIN.name,
            learning_rate=0.1,
            epochs=2,
            max_train_samples=200,
            validation_fraction=0.004,
        ),
        trials=TRIALS_PER_WORKER * workers,
        asha=None,
    )
    code = UserCode(module="benchmarks.shared_data", search_paths=(os.getcwd(),))
    seen: dict[int, dict[str, float]] = {}
    all_pss_mb = [0.0]
    looked_at = [0.0]

    def look(progress: object) -> None:
        with_memory = time.monotonic() - looked_at[-1] >= MEMORY_PERIOD_S
        total = _look(seen, with_memory=with_memory)
        if with_memory:
            looked_at.append(time.monotonic())
            all_pss_mb.append(total)

    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder, "store"))
        settings = RunSettings(store=store, workers=workers, data_dir=data_dir)
        began = time.perf_counter()
        run_study(study, settings, code=code, on_progress=look)
        wall_s = time.perf_counter() - began
        events = TrialStore(store).events()
    pids = {int(pid) for pid in events.loc[events["kind"] == "attempt_started", "pid"]}
    trained = [seen[pid] for pid in pids if pid in seen]
    return {
        "processes": len(pids),
        "worker_cpu_s": statistics.mean(found["cpu_s"] for found in trained),
        "worker_pss_mb": statistics.mean(found["pss_mb"] for found in trained),
        "all_cpu_s": sum(found["cpu_s"] for found in seen.values()),
        "peak_all_pss_mb": max(all_pss_mb),
        "wall_s": wall_s,
    }


def _look(seen: dict[int, dict[str, float]], *, with_memory: bool) -> float:
    """Note the processor time of each worker process of this program's Ray, and its proportional set size.

    Returns:
        The latter of all that live, in MB.
    """
    living: list[int] = []
    for pid in _descendants(os.getpid()):
        with suppress(OSError, ValueError, IndexError):  # it ends while it is looked at
            place = Path(f"/proc/{pid}")
            if not place.joinpath("cmdline").read_bytes().startswith(b"ray::"):
                continue
            words = place.joinpath("stat").read_text().rsplit(")", 1)[1].split()
            ticks = int(words[11]) + int(words[12])
            seen.setdefault(pid, {"pss_mb": 0.0})["cpu_s"] = ticks / os.sysconf("SC_CLK_TCK")
            living.append(pid)
            if with_memory:
                lines = place.joinpath("smaps_rollup").read_text().splitlines()[1:]
                pss = dict(line.split(":") for line in lines)["Pss"]
                seen[pid]["pss_mb"] = int(pss.split()[0]) * 1024 / MB
    return sum(seen[pid]["pss_mb"] for pid in living)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def compare(worker_counts: list[int], repeats: int, output: str | None) -> None:
    """Run every variant in turn and print a table of medians and ranges."""
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_standin(Path(folder))
        for _ in range(repeats):
            for workers in worker_counts:
                for variant in VARIANTS if workers > 1 else VARIANTS[:1]:
                    words = ("--variant", variant, "--workers", str(workers), "--data-dir", folder)
                    runs.setdefault(f"{variant} {workers}", []).append(
                        run_variant("benchmarks.shared_data", *words)
                    )
    print(describe_conditions())
    for name, found in runs.items():
        figures = (f"{key} {summarise([run[key] for run in found])}" for key in found[0])
        print(f"{name}: " + ", ".join(figures))
    write_result(output, {"conditions": describe_conditions(), "runs": runs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--data-dir", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure_variant(arguments.variant, int(arguments.workers), arguments.data_dir)))
    else:
        compare([int(n) for n in arguments.workers.split(",")], arguments.repeats, arguments.output)


if __name__ == "__main__":
    # by its name, so that the data set is registered and pickled as that of the module that workers import
    from benchmarks import shared_data as this

    this.main()
