from tune_jobs.errors import NoBestTrialError as NoBestTrialError
from tune_jobs.errors import QueryError as QueryError
from tune_jobs.errors import RunFailedError as RunFailedError
from tune_jobs.errors import StoreError as StoreError
from tune_jobs.errors import StudyChangedError as StudyChangedError
from tune_jobs.errors import TuneJobsError as TuneJobsError
from tune_jobs.results.callbacks import Callback as Callback
from tune_jobs.results.callbacks import Report as Report
from tune_jobs.results.of_study import Results as Results
from tune_jobs.results.one_trial import TrialResult as TrialResult
from tune_jobs.results.running import RunResults as RunResults
from tune_jobs.results.running import run_study as run_study
from tune_jobs.results.to_mlflow import MLflow as MLflow
from tune_jobs.results.to_tensorboard import TensorBoard as TensorBoard
from tune_jobs.results.trial_store import TrialStore as TrialStore
from tune_jobs.session.settings import RunSettings as RunSettings
from tune_jobs.study.definition import Study as Study
from tune_jobs.study.method import Asha as Asha
from tune_jobs.study.method import Limits as Limits
from tune_jobs.study.method import SamplerName as SamplerName
from tune_jobs.study.objective import Direction as Direction
from tune_jobs.study.objective import Maximize as Maximize
from tune_jobs.study.objective import Minimize as Minimize
from tune_jobs.study.objective import Objective as Objective
from tune_jobs.study.parameters import Choice as Choice
from tune_jobs.study.parameters import Constant as Constant
from tune_jobs.study.parameters import Float as Float
from tune_jobs.study.parameters import Integer as Integer
from tune_jobs.study.parameters import When as When
from tune_jobs.study.rows import Decision as Decision
from tune_jobs.study.rows import State as State
from tune_jobs.study.space import Space as Space
from tune_jobs.worker.trial_run import TrialRun as TrialRun
from tune_jobs.worker.trial_run import TrialStopped as TrialStopped

__all__: list[str]
__version__: str
