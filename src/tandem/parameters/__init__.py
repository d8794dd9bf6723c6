"""Every parameter of a run, typed and checked before anything starts.

One model per top-level key of ``conf/*/parameters*.yml``. Unknown keys are errors. The ranks receive the same models,
as JSON.
"""

from tandem.parameters.click import (
    ClickBaselineParameters,
    ClickEarlyStopping,
    ClickModelParameters,
    ClickParameters,
)
from tandem.parameters.closed import Fraction, Parameters, Rate, Seed
from tandem.parameters.data import DataParameters, DataSource, Future, MovieLensSource, RecSys2021Source
from tandem.parameters.distributed import ChosenMpi, DistributedParameters
from tandem.parameters.interactions import CleaningParameters
from tandem.parameters.movielens import SyntheticMovieLens
from tandem.parameters.ncf import NCFBaselineParameters, NCFEarlyStoppingParameters, NCFParameters, NeuMFParameters
from tandem.parameters.recsys2021 import RecSys2021FeatureParameters
from tandem.parameters.spark import KubernetesParameters, SparkParameters
from tandem.parameters.tables import (
    FeatureParameters,
    InteractionsTableParameters,
    ItemsTableParameters,
    TableParameters,
    TablesParameters,
    UsersTableParameters,
)
from tandem.parameters.training import EarlyStoppingParameters, TrainingParameters
from tandem.parameters.two_tower import (
    IndexParameters,
    PointwiseParameters,
    RecommendationParameters,
    SoftmaxParameters,
    TowerParameters,
    TwoTowerModelParameters,
    TwoTowerParameters,
)

__all__ = [
    "ChosenMpi",
    "CleaningParameters",
    "DataParameters",
    "DataSource",
    "DistributedParameters",
    "EarlyStoppingParameters",
    "FeatureParameters",
    "Fraction",
    "Future",
    "IndexParameters",
    "InteractionsTableParameters",
    "ItemsTableParameters",
    "KubernetesParameters",
    "MovieLensSource",
    "NCFBaselineParameters",
    "NCFEarlyStoppingParameters",
    "NCFParameters",
    "NeuMFParameters",
    "Parameters",
    "PointwiseParameters",
    "Rate",
    "RecSys2021FeatureParameters",
    "RecSys2021Source",
    "RecommendationParameters",
    "Seed",
    "SoftmaxParameters",
    "SparkParameters",
    "SyntheticMovieLens",
    "TableParameters",
    "TablesParameters",
    "TowerParameters",
    "TrainingParameters",
    "TwoTowerModelParameters",
    "TwoTowerParameters",
    "UsersTableParameters",
    "ClickBaselineParameters",
    "ClickEarlyStopping",
    "ClickModelParameters",
    "ClickParameters",
]
