"""The store at scale: an acknowledged row, questions over 100,000 trials, resuming, and others' storages.

``append``: a study of 10,000 trials x 20 reports is written row by row, as a session writes it. ``resume``:
it is opened again, up to the first proposal. ``questions``: five fixed ones over 5 studies x 20,000 trials
with about 20 reports each, by DuckDB on the plain files and by `TrialStore`, before and after compaction.
``others``: Optuna's SQLite and journal storage and Ray Tune's own files, at sizes that they bear. Run with
``python -m benchmarks.store_scale``; ``--quick`` is ten times smaller.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.comparing import describe_conditions, write_result
from benchmarks.store_data import REPORTS, count_files, make_store, study_named
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Random
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_study
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.instants import utc_now
from tune_jobs.study.rows import ReportRow, StartRow, State, TrialRow, as_json_text

BEST = "select number from {trials} where study = 'study-0' and macs <= 30000000 and state = 'completed'"
BEST += " order by objective desc limit 10"
QUESTIONS = {
    "best 10 under a MAC limit": BEST.replace("select number", "select number, objective, macs"),
    "curves of the best 10": "select number, epoch, val_accuracy from {reports} where study = 'study-0' and"
    f" number in ({BEST}) order by number, epoch",
    "accuracy by optimizer and rate": "select param_optimizer, floor(log10(param_learning_rate)) as decade,"
    " count(*) as n, avg(objective) as mean from {trials} where state = 'completed' group by all",
    "failures by reason": "select reason, count(*) as n from {trials} where state = 'failed' group by all",
    "device-seconds by study": "select study, sum(device_s) as s from {trials} group by all",
}
RUNS = 20


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten times smaller")
    parser.add_argument("--output")
    words = parser.parse_args()
    scale = 10 if words.quick else 1
    print(describe_conditions())
    folder = Path(tempfile.mkdtemp(prefix="store-scale-"))
    try:
        result = {
            "conditions": describe_conditions(),
            "resume": [measure_resume(folder / f"r{n}", n) for n in (1000 // scale, 10_000 // scale)],
            "questions": measure_questions(folder / "q", studies=5, trials=20_000 // scale),
            "others": [measure(folder, 200 // scale) for measure in (ours, optuna_sqlite, optuna_journal)],
            "ray": ray_files(folder / "ray", 40 // scale),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_result(words.output, result)


# Writing and resuming.


def write_study(root: Path, trials: int) -> list[float]:
    """A study written as a session writes it; milliseconds of each acknowledgement."""
    study = study_named("study-0")
    sampler, history = Random(study), History(study)
    times: list[float] = []
    with StudyWriter.open(root, study, versions={}) as writer:
        for number in range(trials):
            name, seq = f"study-0/{number}", 0
            params = as_json_text(sampler.propose(history, number) or {})
            known: dict[str, Any] = {"study": "study-0", "trial_id": name, "number": number, "attempt": 1}
            start = StartRow(
                **known, history_seq=seq, params=params, recipe="{}", seed=number, started_at=utc_now()
            )
            reports = [
                ReportRow(**known, epoch=e, val_accuracy=e / (e + 1), train_loss=1 / e, reported_at=utc_now())
                for e in range(1, REPORTS + 1)
            ]
            end = TrialRow(
                **known, state=State.COMPLETED, reason=f"ran all {REPORTS} epochs", objective=0.95,
                epochs=REPORTS, params=params, seed=number, ended_at=utc_now(),
            )  # fmt: skip
            for rows in ([start], *([r] for r in reports[:-1]), [reports[-1], end]):
                began = time.perf_counter()
                writer.append_many(rows)
                times.append(1000 * (time.perf_counter() - began))
    return times


def measure_resume(root: Path, trials: int) -> dict[str, Any]:
    """Appending a study's rows, then opening it again up to the first proposal."""
    times = sorted(write_study(root, trials))
    at = {f"p{p}": times[len(times) * p // 100] for p in (50, 95, 99)}
    study = study_named("study-0")
    began = time.perf_counter()
    with StudyWriter.open(root, study, versions={}) as writer:
        opened = time.perf_counter()
        session = Session(study, writer, writer.rows)
        folded = time.perf_counter()
        session.next_attempt()
        proposed = time.perf_counter()
        session.close(SessionEnd.FINISHED)
    files, size = count_files(root)
    found = {
        "trials": trials,
        "append_ms": at,
        "open_s": opened - began,
        "fold_s": folded - opened,
        "propose_s": proposed - folded,
        "files_per_1000": 1000 * files / trials,
        "bytes_per_trial": size / trials,
    }
    print(
        f"{trials:,} trials x {REPORTS} reports: append p50 {at['p50']:.2f} p95 {at['p95']:.2f} p99"
        f" {at['p99']:.2f} ms (n={len(times):,}); resume {proposed - began:.2f} s (read {opened - began:.2f},"
        f" fold {folded - opened:.2f}, propose {proposed - folded:.3f})"
    )
    return found


# Questions.


def measure_questions(root: Path, *, studies: int, trials: int) -> dict[str, Any]:
    """The five questions before and after compaction."""
    names = make_store(root, studies=studies, trials=trials)
    total = studies * trials
    found: dict[str, Any] = {"trials": total, "reports": len(TrialStore(root).sql("select 1 from reports"))}
    for layout in ("batches", "compacted"):
        if layout == "compacted":
            began = time.perf_counter()
            for name in names:
                compact_study(root, name)
            found["compact_s"] = time.perf_counter() - began
        files, size = count_files(root)
        kept = TrialStore(root)
        found[layout] = {
            "files_per_1000": 1000 * files / total,
            "bytes_per_trial": size / total,
            "duckdb_ms": {q: _spread(partial(_by_duckdb, root, q)) for q in QUESTIONS},
            "store_ms": {q: _spread(partial(kept.sql, _named(q))) for q in QUESTIONS},
        }
        print(f"\n{total:,} trials, {found['reports']:,} reports, {layout}: {files} files,", end=" ")
        print(f"{1000 * files / total:.1f} a 1,000 trials, {size / total:,.0f} bytes per trial")
        for question in QUESTIONS:
            d, s = (found[layout][f"{by}_ms"][question] for by in ("duckdb", "store"))
            print(f"  {question:32} DuckDB p50 {d[0]:7.1f} p95 {d[1]:7.1f}", end="   ")
            print(f"TrialStore p50 {s[0]:7.1f} p95 {s[1]:7.1f} ms")
    print(f"  compacting took {found['compact_s']:.1f} s")
    return found


def _by_duckdb(root: Path, question: str) -> Any:
    places = {name: f"read_parquet('{root}/{name}/*/*.parquet')" for name in ("trials", "reports")}
    with duckdb.connect() as connection:
        return connection.sql(QUESTIONS[question].format(**places)).fetchall()


def _named(question: str) -> str:
    return QUESTIONS[question].format(trials="trials", reports="reports")


def _spread(ask: Callable[[], Any]) -> tuple[float, float]:
    """The median and the 95th percentile in milliseconds, after one time that does not count."""
    ask()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), sorted(times)[int(0.95 * RUNS)]


# Others.


def ours(folder: Path, trials: int) -> dict[str, Any]:
    root = folder / "ours"
    began = time.perf_counter()
    write_study(root, trials)
    wrote = time.perf_counter() - began
    return _figures("ours", trials, wrote, root, lambda: TrialStore(root).reports())


def optuna_sqlite(folder: Path, trials: int) -> dict[str, Any]:
    from optuna.storages import RDBStorage

    root = folder / "sqlite"
    root.mkdir()
    return _optuna("Optuna SQLite", root, trials, lambda: RDBStorage(f"sqlite:///{root}/study.db"))


def optuna_journal(folder: Path, trials: int) -> dict[str, Any]:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    root = folder / "journal"
    root.mkdir()
    return _optuna("Optuna journal", root, trials, lambda: JournalStorage(JournalFileBackend(f"{root}/log")))


def _optuna(name: str, root: Path, trials: int, storage: Callable[[], Any]) -> dict[str, Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage(), sampler=optuna.samplers.RandomSampler(seed=0), study_name="s"
    )
    began = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        trial.suggest_float("learning_rate", 1e-4, 1.0, log=True)
        trial.suggest_categorical("optimizer", ("sgd", "adam"))
        for epoch in range(1, REPORTS + 1):
            trial.report(epoch / (epoch + 1), epoch)
        study.tell(trial, 0.95)
    wrote = time.perf_counter() - began
    return _figures(
        name, trials, wrote, root, lambda: optuna.load_study(storage=storage(), study_name="s").trials
    )


def _figures(name: str, trials: int, wrote_s: float, root: Path, load: Callable[[], Any]) -> dict[str, Any]:
    began = time.perf_counter()
    load()
    loaded = time.perf_counter() - began
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    found = {
        "name": name,
        "trials": trials,
        "ms_per_trial": 1000 * wrote_s / trials,
        "bytes_per_trial": size / trials,
        "load_ms": 1000 * loaded,
    }
    print(
        f"{name:16} {found['ms_per_trial']:7.1f} ms per trial of {REPORTS} reports,"
        f" {size / trials:8,.0f} bytes per trial, {1000 * loaded:6.0f} ms to load {trials}"
    )
    return found


RAY_RUN = """
import sys, time
from ray import tune
from tune_jobs.on_ray.cluster.local_ray import local_ray
def fit(config):
    for epoch in range(1, {reports} + 1):
        tune.report({{"val_accuracy": epoch / (epoch + 1), "train_loss": 1 / epoch}})
run = tune.RunConfig(name="r", storage_path=sys.argv[1], verbose=0)
config = tune.TuneConfig(num_samples={trials}, reuse_actors=True)
with local_ray(num_cpus=2, object_store_memory=128 << 20):
    tune.Tuner(fit, param_space={{"lr": tune.loguniform(1e-4, 1)}}, tune_config=config, run_config=run).fit()
began = time.perf_counter()
frame = tune.Tuner.restore(sys.argv[1] + "/r", trainable=fit).get_results().get_dataframe()
print(len(frame), time.perf_counter() - began)
"""


def ray_files(root: Path, trials: int) -> dict[str, Any]:
    """What Ray Tune's own files take, and its ResultGrid to read them."""
    root.mkdir()
    code = RAY_RUN.format(trials=trials, reports=REPORTS)
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    rows, seconds = done.stdout.split()[-2:]
    files = [path for path in root.rglob("*") if path.is_file()]
    found = {
        "trials": int(rows),
        "files_per_1000": 1000 * len(files) / trials,
        "bytes_per_trial": sum(path.stat().st_size for path in files) / trials,
        "load_ms": 1000 * float(seconds),
    }
    print(
        f"Ray ResultGrid   {found['files_per_1000']:,.0f} files a 1,000 trials,"
        f" {found['bytes_per_trial']:,.0f} bytes per trial, {found['load_ms']:.0f} ms to load {rows}"
    )
    return found


if __name__ == "__main__":
    main()
