"""Kedro datasets that do not exist elsewhere. Importing them starts neither Spark nor a deep-learning framework."""

from tandem.datasets.atomic_json import AtomicJSONDataset
from tandem.datasets.interaction_tables import InteractionTablesDataset
from tandem.datasets.parquet_folder import ParquetFolderDataset
from tandem.datasets.paths import PathDataset, StagedFolderDataset
from tandem.datasets.plotly_json import PlotlyJSONDataset
from tandem.datasets.recsys2021 import RecSys2021Dataset
from tandem.datasets.reports import ReportsDataset
from tandem.datasets.vocabularies import VocabulariesDataset

__all__ = [
    "AtomicJSONDataset",
    "InteractionTablesDataset",
    "ParquetFolderDataset",
    "PathDataset",
    "PlotlyJSONDataset",
    "RecSys2021Dataset",
    "ReportsDataset",
    "StagedFolderDataset",
    "VocabulariesDataset",
]
