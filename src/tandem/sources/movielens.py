"""Reading MovieLens as published (ml-100k, ml-1m), checked line by line.

Source: Harper and Konstan 2015, https://doi.org/10.1145/2827872, and the README of each archive.
"""

import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.movielens_files import REQUIRED_FILES, MovieLensKind, locate_movielens
from tandem.sources.movielens_formats import (
    ML_1M_ITEMS,
    ML_1M_RATINGS,
    ML_1M_USERS,
    ML_100K_RATINGS,
    ML_100K_USERS,
    TableFormat,
    ml_100k_items,
)
from tandem.sources.movielens_names import ML_100K_GENRES
from tandem.sources.parquet_rows import READ_OPTIONS
from tandem.sources.raw_texts import check_plain
from tandem.sources.schema import Attribute, InteractionTables, LogSchema, TableRead
from tandem.storage.filesystems import explaining_reads, is_file, open_binary, read_text, size_of
from tandem.storage.locations import LITERALLY, Location, spark_address

logger = logging.getLogger(__name__)

BLANK = " \t"  # a line of these alone has no row; Java and Python would each call other characters white space


@dataclass(frozen=True)
class _Table:
    path: Location
    format: TableFormat
    lines: DataFrame  # one column, line

    def read(self) -> DataFrame:
        texts = F.split("line", re.escape(self.format.separator), -1)
        # Named first, so that a line is split once and not once a column.
        return self.lines.select(texts.alias("texts")).select(*self.format.columns(F.col("texts")))


@explaining_reads()
def read_movielens(
    spark: SparkSession, path: Location, kind: MovieLensKind, work: Path | None = None, *, min_zip_code_users: int = 1
) -> InteractionTables:
    """Read the files of ``kind`` below ``path`` (see :func:`locate_movielens`), checking every line in one Spark job.

    A rating is the weight of its interaction. Of users there are ``gender`` (F, M or null), ``occupation``,
    ``zip_code`` and ``age``, of items the title and ``genres`` (names, empty when none).

    Args:
        spark: the session.
        path: the folder or zip.
        kind: which publication.
        work: the folder that a zip is extracted in.
        min_zip_code_users: zip codes of fewer users are to be unknown.

    Raises:
        UserError: a missing, empty, unreadable or truncated file, or a malformed line: named with file, row and column.
    """
    folder = locate_movielens(path, kind, work)
    ratings, users, items = (folder / name for name in REQUIRED_FILES[kind])
    for file in (ratings, users, items):
        with open_binary(file) as opened:  # what may not be read is told here: Spark would tell it in screens of Java
            check_plain(file, opened.read(4096))
    _check_end(ratings, ML_100K_RATINGS if kind == "ml-100k" else ML_1M_RATINGS)
    if kind == "ml-100k":
        formats = (ML_100K_RATINGS, ML_100K_USERS, ml_100k_items(_read_genres(folder / "u.genre")))
    else:
        formats = (ML_1M_RATINGS, ML_1M_USERS, ML_1M_ITEMS)
    tables = [
        _Table(file, format_, _lines(spark, file))
        for file, format_ in zip((ratings, users, items), formats, strict=True)
    ]
    counts = _check(tables)
    _compare_with_info(folder / "u.info", counts[0])
    read = {table.path.name: TableRead(1, count) for table, count in zip(tables, counts, strict=True)}
    ratings_read, users_read, items_read = (table.read() for table in tables)
    schema = movielens_schema(min_zip_code_users)
    return InteractionTables(ratings_read, users_read, items_read, schema, read)


def movielens_schema(min_zip_code_users: int = 1) -> LogSchema:
    """What MovieLens has; zip codes of fewer than ``min_zip_code_users`` users are to be unknown."""
    return LogSchema(
        source="movielens",
        user_attributes=(
            Attribute("gender", "category"),
            Attribute("occupation", "category"),
            Attribute("zip_code", "category", min_zip_code_users),
            Attribute("age", "number"),
        ),
        item_attributes=(Attribute("genres", "categories"),),
    )


def _lines(spark: SparkSession, file: Location) -> DataFrame:
    """The lines of a latin-1 file, without blank ones: one column, line."""
    # The text source keeps the bytes as they are, so decoding them afterwards is exact.
    line = F.decode(F.col("value").cast("binary"), "ISO-8859-1").alias("line")
    lines = spark.read.options(**READ_OPTIONS, **LITERALLY).text(spark_address(file))
    return lines.where(F.col("value").rlike(f"[^{BLANK}]")).select(line)


def _check(tables: list[_Table]) -> list[int]:
    """Count the rows of each table in one query; raise for the first malformed one."""
    summaries = [
        table.lines.agg(
            F.lit(index).alias("table"),
            F.count(F.lit(1)).alias("rows"),
            F.count_if(~F.col("line").rlike(table.format.line_pattern)).alias("malformed"),
            _distinct_keys(table.format).alias("keys"),
        )
        for index, table in enumerate(tables)
    ]
    found = sorted(reduce(DataFrame.unionAll, summaries).collect())
    for table, summary in zip(tables, found, strict=True):
        if summary["rows"] == 0:
            raise UserError(f"{table.path} has no rows; copy it again from the published archive")
        if summary["malformed"]:
            raise UserError(_malformed(table, summary["malformed"]))
        if table.format.unique and summary["keys"] < summary["rows"]:
            raise UserError(_repeated(table))
    return [int(summary["rows"]) for summary in found]


def _distinct_keys(format_: TableFormat) -> Column:
    """How many keys differ. A set, as users and items fit into memory and a distinct aggregate costs two shuffles."""
    if not format_.unique:
        return F.lit(None).cast("int")
    return F.size(F.collect_set(F.substring_index("line", format_.separator, 1).try_cast("long")))


def _numbered_lines(table: _Table) -> Iterator[tuple[int, str]]:
    """The lines with their row in the file, from 1, without blank ones; only to explain an error."""
    with io.TextIOWrapper(open_binary(table.path), "latin-1") as file:
        for row, line in enumerate(file, start=1):
            text = line.rstrip("\n")
            if text.strip(BLANK):
                yield row, text


def _malformed(table: _Table, count: int) -> str:
    problems = ((row, table.format.problem(line)) for row, line in _numbered_lines(table))
    first = next(((row, problem) for row, problem in problems if problem is not None), None)
    if first is None:
        return f"{table.path}: {count} of its rows have not the form of the others; copy it again"
    more = f" ({count} such rows)" if count > 1 else ""
    return f"{table.path}, row {first[0]}: {first[1]}{more}; mend or remove it"


def _repeated(table: _Table) -> str:
    seen: dict[int, int] = {}
    for row, line in _numbered_lines(table):
        key = int(line.split(table.format.separator)[0])
        if key in seen:
            break
        seen[key] = row
    name = table.format.fields[0].name
    return f"{table.path}, row {row}: column {name}: {key} stands in row {seen[key]} already; remove one of them"


def _read_genres(file: Location) -> Sequence[str]:
    """The names in u.genre (``name|index``), in the order of the flags of u.item."""
    if not is_file(file):
        return ML_100K_GENRES
    names: list[str] = []
    for row, line in enumerate(read_text(file, "latin-1").splitlines(), start=1):
        if not line.strip():
            continue
        name, _, index = line.rpartition("|")
        if not name or index.strip() != str(len(names)):
            raise UserError(f"{file}, row {row}: expected name|{len(names)}, found '{line}'; copy the file again")
        names.append(name)
    return names


def _check_end(file: Location, format_: TableFormat) -> None:
    """A copy that broke off inside its last number still has four fields: only the missing end of line tells."""
    with open_binary(file) as stream:
        stream.seek(max(0, size_of(file) - 4096))
        lines = stream.read().decode("latin-1").splitlines(keepends=True)
    if len(lines) < 2 or lines[-1].endswith(("\n", "\r")):
        return
    before, last = (line.strip().split(format_.separator)[-1] for line in lines[-2:])
    if len(last) < len(before):
        raise UserError(f"{file} is truncated: its last row ends within '{lines[-1]}'; copy the file again")


def _compare_with_info(file: Location, ratings: int) -> None:
    """Warn when u.info promises more ratings than there are: the file may have lost its end."""
    if not is_file(file):
        return
    promised = re.search(r"(\d+) ratings", read_text(file, "latin-1"))
    if promised and int(promised[1]) > ratings:
        logger.warning("%s promises %s ratings, but only %d were found beside it", file, promised[1], ratings)
