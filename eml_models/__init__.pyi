"""The public names of the package, for type checkers; at run time they are imported when first used."""

from eml_models.datasets import DatasetSpec as DatasetSpec
from eml_models.datasets import RawDataset as RawDataset
from eml_models.datasets import data_fingerprint as data_fingerprint
from eml_models.datasets import known_datasets as known_datasets
from eml_models.datasets import register_dataset as register_dataset
from eml_models.errors import DatasetMissingError as DatasetMissingError
from eml_models.errors import DivergedError as DivergedError
from eml_models.errors import EmlError as EmlError
from eml_models.errors import InvalidValueError as InvalidValueError
from eml_models.errors import UnknownNameError as UnknownNameError
from eml_models.evaluation import Evaluation as Evaluation
from eml_models.loading import Dataset as Dataset
from eml_models.loading import load_dataset as load_dataset
from eml_models.macs import count_macs as count_macs
from eml_models.plan import LayerSpec as LayerSpec
from eml_models.plan import Plan as Plan
from eml_models.recipe import Recipe as Recipe
from eml_models.registry import ModelFamily as ModelFamily
from eml_models.registry import Option as Option
from eml_models.registry import OptionKind as OptionKind
from eml_models.registry import PlanBuilder as PlanBuilder
from eml_models.registry import build_model as build_model
from eml_models.registry import build_plan as build_plan
from eml_models.registry import known_models as known_models
from eml_models.registry import register_model as register_model
from eml_models.snapshot import Snapshot as Snapshot
from eml_models.snapshot import load_snapshot as load_snapshot
from eml_models.snapshot import load_trained as load_trained
from eml_models.snapshot import save_snapshot as save_snapshot
from eml_models.train import EpochReport as EpochReport
from eml_models.train import Fit as Fit
from eml_models.train import evaluate_test as evaluate_test
from eml_models.train import fit as fit

__all__: list[str]
