"""What Java is asked for each column of a plan."""

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.datasets.spark_session import keep_lookups

REFLECTION = "r\n"  # how py4j's questions about classes and members begin


def test_java_is_not_asked_again_what_functions_are(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_lookups(spark)
    java: Any = spark._jvm
    sent: list[str] = []
    send = java._gateway_client.send_command

    def noted(command: str, *arguments: Any, **options: Any) -> Any:
        sent.append(command)
        return send(command, *arguments, **options)

    monkeypatch.setattr(java._gateway_client, "send_command", noted)
    text = F.col("id").cast("string")
    column = F.when(F.col("id") > 1, F.concat(text, F.lit("b"))).otherwise(F.coalesce(text, F.lit("c")))
    asked = [command for command in sent if command.startswith(REFLECTION) and "functions" in command]
    monkeypatch.undo()
    assert sent
    assert asked == []
    assert [row[0] for row in spark.range(3).select(column).collect()] == ["0", "1", "2b"]
