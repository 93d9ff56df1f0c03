"""The studies of a store: defined a single time, checked when they continue, and read if undamaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_testing import (
    integer,
    make_study,
    open_writer,
)

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError, StudyChangedError
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.method import Asha
from tune_jobs.study.parameters import Choice, Float


def test_a_changed_definition_is_refused_with_the_difference(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    open_writer(tmp_path, make_study(trials=99, description="more of the same")).close()
    changed = make_study("s", Float("learning_rate", 1e-4, 0.5, log=True), asha=Asha(min_epochs=2))
    with pytest.raises(StudyChangedError) as caught:
        open_writer(tmp_path, changed)
    message = str(caught.value)
    assert "space.learning_rate.high: was 1.0, is now 0.5" in message
    assert "asha.min_epochs: was 1, is now 2" in message
    assert "--name=s-2" in message
    open_writer(tmp_path).close()  # the refused one has freed the study


def test_a_parameter_keeps_its_type_over_all_studies(tmp_path: Path) -> None:
    open_writer(tmp_path, make_study("first", Float("x", 0, 1))).close()
    for parameter, kind in ((integer("x"), "int64"), (Choice("x", ("a", "b")), "string")):
        with pytest.raises(InvalidValueError) as caught:
            open_writer(tmp_path, make_study("second", parameter))
        assert f"'x' is {kind} in study 'second' but double in study 'first'" in str(caught.value)
    assert TrialStore(tmp_path).studies()["study"].tolist() == ["first"]
    open_writer(tmp_path, make_study("second", Float("x", 5, 6))).close()


def test_studies_and_definitions(store: Path) -> None:
    reader = TrialStore(store)
    frame = reader.studies()
    assert frame["study"].tolist() == ["other", "s"]
    assert frame["fingerprint"].nunique() == 1
    assert reader.definition("s")["objectives"] == [{"metric": "val_accuracy", "direction": "maximize"}]
    assert frame["versions"].tolist() == ['{"tune-jobs":"0"}'] * 2


def test_a_damaged_definition_is_named_and_the_other_studies_are_read(store: Path) -> None:
    definition = store / "studies" / "study_slug=s-s" / "definition-1.parquet"
    definition.write_bytes(b"PAR1")
    reader = TrialStore(store)
    assert reader.studies()["study"].tolist() == ["other"]
    assert str(definition) in reader.problems[0]
    assert len(reader.trials("other")) == 2
    with pytest.raises(StoreError, match="definition-1"):
        reader.trials("s")
