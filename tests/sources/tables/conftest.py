"""What the tests of one's own tables share."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

COMPILING = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@pytest.fixture(autouse=True)
def _not_compiling(request: pytest.FixtureRequest) -> Iterator[None]:
    """To compile a plan takes longer than these rows: it is evaluated as it stands."""
    if "spark" not in request.fixturenames:
        yield
        return
    spark: SparkSession = request.getfixturevalue("spark")
    for name, value in COMPILING.items():
        spark.conf.set(name, value)
    yield
    for name in COMPILING:
        spark.conf.unset(name)
