"""The columns of the store are a promise to everyone who reads it; here they are written out."""

from __future__ import annotations

import types
import typing
from dataclasses import fields

import pyarrow as pa
import pytest

from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.columns.params import param_types
from tune_jobs.store.columns.schema import PARAM_COLUMNS, SCHEMA_VERSION, SCHEMAS, StudyRow, columns_of
from tune_jobs.study.rows import ROW_TYPES

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
        waterfall: string, notes: string, measured_at: timestamp[us]
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


def test_schemas_are_arrow_schemas_without_metadata() -> None:
    assert all(isinstance(schema, pa.Schema) and schema.metadata is None for schema in SCHEMAS.values())
