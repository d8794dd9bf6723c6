"""What the catalog is made from: which data a run reads, where its tables are, and the seed of every draw."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from tandem.errors import UserError
from tandem.parameters.closed import Parameters, Seed
from tandem.parameters.movielens import SyntheticMovieLens
from tandem.parameters.tables import Place, TablesParameters
from tandem.storage.locations import location

DataSource = Literal["movielens", "tables"]
MovieLensSource = Literal["synthetic", "ml-100k", "ml-1m"]
RecSys2021Source = Literal["planted", "noise", "unique", "files"]
Future = Literal["error", "keep", "drop"]

FEWEST_ROWS = 100


def _place(given: Any) -> str:
    try:
        return str(location(given))
    except UserError as error:
        raise ValueError(str(error)) from None


OptionalPlace = Annotated[
    str | None,
    BeforeValidator(lambda given: None if given is None else _place(given)),
    WithJsonSchema({"anyOf": [{"type": "path or address"}, {"type": "null"}]}),
]


class DataParameters(Parameters):
    """Every parameter that the catalog reads; nodes read the seed as well."""

    seed: Seed = Field(
        default=42, description="of every draw: generated data, splits, negatives, weights, order of the rows, dropout"
    )
    tables_path: Place = Field(
        default="data",
        description="where Spark's tables are: a folder, `s3://BUCKET/FOLDER` or `hdfs://HOST:PORT/FOLDER`",
    )
    data: DataSource = Field(
        default="movielens", description="which log: MovieLens, or tables of your own (the block `tables`)"
    )
    movielens: MovieLensSource = Field(
        default="synthetic", description="which MovieLens: generated, or one of the published formats"
    )
    movielens_path: OptionalPlace = Field(
        default=None,
        description="folder (or its address) with the files, or the zip, for `movielens` other than `synthetic`; null: "
        "`data/01_raw/movielens`; relative paths start at the project",
    )
    synthetic_movielens: SyntheticMovieLens = SyntheticMovieLens()
    recsys2021: RecSys2021Source = Field(
        default="planted", description="which rows: generated in one of three kinds, or files"
    )
    recsys2021_path: OptionalPlace = Field(
        default=None, description="folder (or its address) with `train/` and `test/`, for `recsys2021: files`"
    )
    recsys2021_rows: Annotated[int, Field(strict=True, ge=FEWEST_ROWS)] = Field(
        default=100_000, description="generated rows, train and test together"
    )
    recsys2021_future: Future = Field(
        default="error", description="rows of files that have a time which has not come yet"
    )

    tables: TablesParameters | None = Field(
        default=None, validate_default=True, description="a log of your own, for `data: tables`"
    )

    @field_validator("movielens", mode="before")
    @classmethod
    def _no_log_of_ones_own(cls, source: Any) -> Any:
        if source == "parquet":
            raise ValueError(
                "parquet is no MovieLens any more; write down which file and column plays which role by tandem "
                "describe FILE... --out conf/local/tables.yml, which sets data: tables (docs/own_tables.md)"
            )
        return source

    @field_validator("tables", mode="after")
    @classmethod
    def _tables_are_there(cls, tables: TablesParameters | None, info: ValidationInfo) -> TablesParameters | None:
        if tables is None and info.data.get("data") == "tables":
            raise ValueError(
                "data=tables needs the block tables, which says which file and column plays which role; tandem "
                "describe FILE... --out conf/local/tables.yml writes one"
            )
        return tables

    @field_validator("movielens_path", mode="after")
    @classmethod
    def _movielens_path_has_its_source(cls, path: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("movielens")  # none where that is wrong itself
        if path is not None and source == "synthetic":
            raise ValueError(
                f"found {path} with movielens=synthetic, which generates data; add movielens=ml-100k or ml-1m, which "
                "say what is there; for a log of your own see tandem describe"
            )
        return path

    @field_validator("recsys2021_path", mode="after")
    @classmethod
    def _recsys2021_path_has_its_source(cls, path: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("recsys2021")
        if path is not None and source in ("planted", "noise", "unique"):
            raise ValueError(f"found {path} with recsys2021={source}, which generates rows; add recsys2021=files")
        if path is None and source == "files":
            raise ValueError("recsys2021=files needs the folder of train/ and test/; add recsys2021_path=FOLDER")
        return path
