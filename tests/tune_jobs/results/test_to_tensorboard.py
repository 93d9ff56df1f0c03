"""The files for TensorBoard hold every number of every report; read as their format says."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from every_ending import every_ending

from tune_jobs import TensorBoard, run_study

pytest.importorskip("tensorboardX", reason="the extra tensorboard is not installed")


def events(folder: Path) -> Iterator[Any]:
    """The events of a folder's files: records of a length, its check sum, the event and its check sum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.rglob("events.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def test_each_trial_has_its_metrics_by_epoch_and_its_params(tmp_path: Path) -> None:
    callback = TensorBoard(tmp_path / "runs")
    results = run_study(
        every_ending(trials=5),
        store=tmp_path / "store",
        inline=True,
        callbacks=[callback],
        on_note=pytest.fail,
    )
    reports = results.reports.dropna(subset=["iou"])
    number = int(results.best.number)
    ours = {
        int(e): v for n, e, v in reports[["number", "epoch", "iou"]].itertuples(index=False) if n == number
    }
    written: dict[int, float] = {}
    tags = set()
    for event in events(tmp_path / "runs" / "cells" / str(number)):
        for value in event.summary.value:
            tags.add(value.tag)
            if value.tag == "iou" and value.HasField("simple_value") and event.step in ours:
                written[event.step] = value.simple_value
    assert written == pytest.approx(ours)
    assert {"masks", "_hparams_/session_start_info", "end/text_summary"} <= tags
    assert "kind" not in tags  # a text
    assert {path.name for path in (tmp_path / "runs" / "cells").iterdir()} == {
        str(n) for n in results.trials["number"]
    }
