"""Efficient image models in plain PyTorch: networks drawn from plans, data sets, and training.

The names below are imported from their modules at their first use, so that ``import eml_models`` takes
milliseconds and loads no torch. `__init__.pyi` declares the same names for type checkers; a test compares
the two. Imports nothing of `tune_jobs`.
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
    "eml_models.networks.plan": ("LayerSpec", "Plan"),
    "eml_models.networks.registry": (
        "ModelFamily",
        "Option",
        "OptionKind",
        "PlanBuilder",
        "build_model",
        "build_plan",
        "known_models",
        "register_model",
    ),
    "eml_models.networks.macs": ("count_macs",),
    "eml_models.data.datasets": (
        "DatasetSpec",
        "RawDataset",
        "data_fingerprint",
        "known_datasets",
        "register_dataset",
    ),
    "eml_models.data.loading": ("Dataset", "load_dataset"),
    "eml_models.training.recipe": ("Recipe",),
    "eml_models.data.facts": ("DataFacts", "NetworkFacts"),
    "eml_models.training.trained": ("TrainedNetwork",),
    "eml_models.training.exporting": ("export_network", "export_trained"),
    "eml_models.training.snapshot": ("Snapshot", "load_snapshot", "load_trained", "save_snapshot"),
    "eml_models.latency.measuring.modes": ("Mode", "parse_mode"),
    "eml_models.latency.measuring.timing": ("Measurement", "measure_latency"),
    "eml_models.latency.measuring.of_recipe": ("measure_recipe_latency",),
    "eml_models.latency.counting.operators": ("OperatorCounts", "count_operators"),
    "eml_models.latency.deploy": ("Deployed", "deploy", "save_deployed", "save_onnx"),
    "eml_models.training.evaluation": ("Evaluation",),
    "eml_models.training.epoch_report": ("EpochReport",),
    "eml_models.training.final_evaluation": ("evaluate_test",),
    "eml_models.training.loop": ("Fit", "fit"),
}
"""The public names of each module."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
