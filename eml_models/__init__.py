"""Efficient image models in plain PyTorch: networks drawn from plans, data sets, and training.

The names below come from its modules and are imported when they are first used, so that ``import eml_models``
takes milliseconds and loads no torch. `__init__.pyi` tells type checkers the same; a test holds the two
together.
"""

from __future__ import annotations

from eml_models.lazy import lazy_names

_HOMES = {
    "eml_models.errors": (
        "DatasetMissingError",
        "DeployError",
        "DivergedError",
        "EmlError",
        "InvalidValueError",
        "UnknownNameError",
        "UnsupportedModeError",
    ),
    "eml_models.plan": ("LayerSpec", "Plan"),
    "eml_models.registry": (
        "ModelFamily",
        "Option",
        "OptionKind",
        "PlanBuilder",
        "build_model",
        "build_plan",
        "known_models",
        "register_model",
    ),
    "eml_models.macs": ("count_macs",),
    "eml_models.datasets": (
        "DatasetSpec",
        "RawDataset",
        "data_fingerprint",
        "known_datasets",
        "register_dataset",
    ),
    "eml_models.loading": ("Dataset", "load_dataset"),
    "eml_models.recipe": ("Recipe",),
    "eml_models.facts": ("DataFacts", "NetworkFacts"),
    "eml_models.trained": ("TrainedNetwork",),
    "eml_models.exporting": ("export_network", "export_trained"),
    "eml_models.snapshot": ("Snapshot", "load_snapshot", "load_trained", "save_snapshot"),
    "eml_models.latency.modes": ("Mode", "parse_mode"),
    "eml_models.latency.measure": ("Measurement", "measure_latency"),
    "eml_models.latency.recipes": ("measure_recipe_latency",),
    "eml_models.latency.operators": ("OperatorCounts", "count_operators"),
    "eml_models.latency.deploy": ("Deployed", "deploy", "save_deployed", "save_onnx"),
    "eml_models.evaluation": ("Evaluation",),
    "eml_models.epoch_report": ("EpochReport",),
    "eml_models.train": ("Fit", "evaluate_test", "fit"),
}
"""Which module each public name is from."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
