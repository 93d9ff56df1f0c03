"""The columns of the store are a promise to everyone who reads it; here they are written out."""

from __future__ import annotations

import types
import typing
from dataclasses import fields

import pyarrow as pa
import pytest
from store_testing import integer, make_study

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.columns.params import conflicts, param_types, typed_params
from tune_jobs.store.columns.schema import PARAM_COLUMNS, SCHEMA_VERSION, SCHEMAS, StudyRow, columns_of
from tune_jobs.study.rows import ROW_TYPES
from tune_jobs.study.space import Choice, Constant, Float, Integer, Space

PARAMS = """
    param_optimizer: string, param_learning_rate: double, param_momentum: double, param_weight_decay: double,
    param_schedule: string, param_warmup_fraction: double, param_batch_size: int64,
    param_label_smoothing: double, param_augmentation: string, param_model: string, param_width: int64,
    param_width_mult: double, param_expansion: double, param_widths: list<element: double>,
    param_expansions: list<element: double>,
    param_depths: list<element: int64>, param_dropout: double, param_activation: string,
    param_max_grad_norm: double, param_epochs: int64,
    param_macs_share: double,
    param_width_1: double, param_width_2: double, param_width_3: double, param_width_4: double,
    param_width_5: double, param_width_6: double, param_width_7: double,
    param_expansion_1: double, param_expansion_2: double, param_expansion_3: double,
    param_expansion_4: double, param_expansion_5: double, param_expansion_6: double,
    param_expansion_7: double,
    param_depth_1: int64, param_depth_2: int64, param_depth_3: int64, param_depth_4: int64,
    param_depth_5: int64, param_depth_6: int64, param_depth_7: int64,
    param_repeat: int64, param_candidate: string, param_divisor: int64, param_head_channels: int64,
    param_se_ratio: double, param_ema_decay: double, param_cutout: double
"""
COLUMNS = {
    "studies": """
        study: string, definition: string, fingerprint: string, params: string, description: string,
        created_at: timestamp[us], versions: string
    """,
    "starts": f"""
        study: string, trial_id: string, number: int64, attempt: int64, seq: int64, history_seq: int64,
        params: string, recipe: string, seed: int64, warm_started_from: string, started_at: timestamp[us],
        {PARAMS}
    """,
    "reports": """
        study: string, trial_id: string, number: int64, attempt: int64, seq: int64, epoch: int64,
        train_loss: double, train_accuracy: double, val_loss: double, val_accuracy: double,
        learning_rate: double, epoch_s: double, elapsed_s: double, samples_per_s: double,
        peak_memory_bytes: int64, decision: string, decision_reason: string, history_seq: int64,
        reported_at: timestamp[us], test_accuracy: double, latency_ms: double,
        metrics: string
    """,
    "trials": f"""
        study: string, trial_id: string, number: int64, attempt: int64, seq: int64, history_seq: int64,
        state: string, reason: string, failure: string, objective: double, objectives: string, epochs: int64,
        best_epoch: int64, val_accuracy: double, test_accuracy: double, macs: int64, parameters: int64,
        activations: int64, traffic_bytes: int64, latency_ms: double, peak_memory_bytes: int64,
        train_s: double, wall_s: double,
        device_s: double, error: string, params: string, seed: int64, git_commit: string, git_dirty: bool,
        torch_version: string, ray_version: string, optuna_version: string, device: string,
        data_fingerprint: string, hostname: string, metrics: string, ended_at: timestamp[us],
        {PARAMS}
    """,
    "events": """
        study: string, seq: int64, kind: string, session: string, trial_id: string, number: int64,
        attempt: int64, node: string, device: string, pid: int64, duration_s: double, failure: string,
        code: string, detail: string, happened_at: timestamp[us]
    """,
    "latencies": """
        run: string, network: string, study: string, number: int64, model: string, options: string,
        input_shape: string, macs: int64, parameters: int64, activations: int64, traffic_bytes: int64,
        kernels: int64, device: string, device_name: string, mode: string, precision: string,
        casting: string, layout: string, execution: string, folded: bool, source: string, variant: string,
        allocator: string, kernel_search: bool, batch_size: int64, requested_batch_size: int64, n: int64,
        median_ms: double, q1_ms: double, q3_ms: double, threads: int64, torch_version: string,
        cudnn_version: int64, clock_mhz: double, load_average: double, hostname: string, git_commit: string,
        notes: string, measured_at: timestamp[us]
    """,
}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_have_these_names_order_and_types(table: str) -> None:
    expected = [" ".join(column.split()) for column in COLUMNS[table].split(",")]
    assert [f"{field.name}: {field.type}" for field in SCHEMAS[table]] == expected
    assert SCHEMA_VERSION == 2, "each change of columns raises the version"


@pytest.mark.parametrize("row_type", [*ROW_TYPES, StudyRow, LatencyRow])
def test_schema_begins_with_the_fields_of_its_row(row_type: type) -> None:
    names = [field.name for field in fields(row_type)]
    assert SCHEMAS[row_type.table].names[: len(names)] == names
    hints = typing.get_type_hints(row_type)
    for column in columns_of(row_type.table):
        optional = isinstance(hints[column.name], types.UnionType)
        assert (column.optional, column.type in typing.get_args(hints[column.name]) or not optional) == (
            optional,
            True,
        )


def test_shipped_studies_have_a_column_for_every_parameter() -> None:
    for build in SHIPPED.values():
        kinds = param_types(build().space)
        assert kinds == {name: PARAM_COLUMNS[name] for name in kinds}


def test_param_types_follow_from_the_space() -> None:
    space = Space(
        Float("a", 0, 1),
        Integer("b", 1, 2),
        Choice("c", ("x", "y")),
        Choice("d", (True, False)),
        Choice("e", (1, 2.5)),
        Constant("f", (1.0, 2)),
        Constant("g", ()),
        Integer("expansion", 1, 6),
        Constant("widths", (16, 32)),
    )
    assert param_types(space) == {
        "a": "double",
        "b": "int64",
        "c": "string",
        "d": "bool",
        "e": "double",
        "f": "list<double>",
        "g": "list<double>",
        "expansion": "double",
        "widths": "list<double>",
    }


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (Choice("x", ("auto", 1)), "'x' mixes int64 and string in ['auto', 1]; use one type"),
        (Choice("x", (True, 2)), "'x' mixes bool and int64"),
        (
            Choice("batch_size", ("all", "half")),
            "'batch_size' is int64 in every store, got string",
        ),
        (Float("batch_size", 1, 2), "'batch_size' is int64 in every store, got double"),
        (Constant("x", 2**63), "must fit in 64 bits, got 9223372036854775808"),
    ],
)
def test_param_types_refuse_what_no_column_can_hold(parameter: typing.Any, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        param_types(Space(parameter))
    assert message in str(caught.value)


def test_conflicts_name_both_sides() -> None:
    other = param_types(make_study("other", Float("x", 0, 1)).space)
    assert conflicts("mine", param_types(Space(integer("x"))), {"other": other}) == [
        "parameter 'x' is int64 in study 'mine' but double in study 'other'"
    ]
    assert conflicts("mine", other, {"other": other}) == []


def test_typed_params_hold_whole_numbers_as_floats_and_refuse_the_rest() -> None:
    assert typed_params('{"learning_rate":1,"widths":[1,2.5],"own":"x","momentum":null}') == {
        "learning_rate": 1.0,
        "widths": [1.0, 2.5],
        "momentum": None,
    }
    for text in (
        '{"learning_rate":"x"}',
        '{"batch_size":1.5}',
        '{"batch_size":true}',
        '{"widths":1}',
        "[]",
        "{",
    ):
        with pytest.raises(InvalidValueError, match="params"):
            typed_params(text)


def test_schemas_are_arrow_schemas_without_metadata() -> None:
    assert all(isinstance(schema, pa.Schema) and schema.metadata is None for schema in SCHEMAS.values())
