"""Logs as any source gives them, for runs of a project: a catalog entry that makes them of rows written in a test."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset
from pyspark.sql import SparkSession

from projects import Project
from tandem.sources.schema import InteractionTables, LogSchema

INTERACTIONS = "user_id long, item_id long, weight double, timestamp long, label int, split string"
TYPES = {"category": "string", "categories": "array<string>", "number": "double"}


class LogDataset(AbstractDataset[NoReturn, InteractionTables]):
    """The log that :func:`use_log` left in a file."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> InteractionTables:
        """Its tables."""
        log = json.loads(self._filepath.read_text())
        schema = LogSchema.from_json(log["schema"])
        sides = {
            side: ", ".join(f"`{one.name}` {TYPES[one.kind]}" for one in attributes)
            for side, attributes in (("users", schema.user_attributes), ("items", schema.item_attributes))
        }
        ids = {"users": "user_id long, key string", "items": "item_id long, key string, title string"}
        return tables(log, {name: ", ".join(filter(None, (ids[name], sides[name]))) for name in ids}, schema)

    def save(self, data: NoReturn) -> None:
        """Never."""
        raise NotImplementedError

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def tables(log: dict[str, Any], types: dict[str, str], schema: LogSchema) -> InteractionTables:
    """Rows in Spark."""
    spark = SparkSession.active()
    interactions = spark.createDataFrame([tuple(row) for row in log["interactions"]], INTERACTIONS)
    users, items = (spark.createDataFrame([tuple(row) for row in log[name]], types[name]) for name in types)
    return InteractionTables(interactions, users, items, schema)


def use_log(project: Project, schema: LogSchema, **rows: list[tuple[Any, ...]]) -> None:
    """Let the project's runs read this log: rows of interactions, users and items, as the schema says."""
    file = project.path("log.json")
    file.write_text(json.dumps({"schema": asdict(schema), **rows}))
    entry = f"interactions_raw:\n  type: logs.LogDataset\n  filepath: {file}\n"
    (project.path("conf/test/catalog.yml")).write_text(entry + "  metadata: {kedro-viz: {layer: raw}}\n")
