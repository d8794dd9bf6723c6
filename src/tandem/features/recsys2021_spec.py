"""The feature spec of RecSys 2021 rows: what is fixed, and what is fitted on cleaned training rows."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError, did_you_mean
from tandem.features.spec import (
    AnyFeature,
    BucketFeature,
    CrossFeature,
    FeatureSpec,
    RankedVocabularyFeature,
    ScaledFeature,
    Table,
    VocabularyFeature,
)
from tandem.features.vocabularies import VocabularyFacts, fit_vocabularies
from tandem.parameters.recsys2021 import CrossParameters, RecSys2021FeatureParameters

TWO_TOWER = "two_tower"

VOCABULARIES: dict[str, tuple[Table, str]] = {
    "user": ("user", "user_id"),
    "author": ("item", "author_id"),
    "tweet": ("item", "tweet_id"),
    "hashtags": ("item", "hashtags"),
    "links": ("item", "links"),
    "domains": ("item", "domains"),
    "language": ("item", "language"),
}
"""Encoded column -> whose it is, and the cleaned column that it encodes."""

_KINDS = ("GIF", "Photo", "Video")
MEDIA = ("", *(name for first in _KINDS for name in (first, *(f"{first}_{second}" for second in _KINDS))))
TWEET_TYPES = ("Quote", "Retweet", "TopLevel")
_FLAGS: dict[str, Table] = {"user_is_verified": "user", "author_is_verified": "item", "follows": "pair"}
_COUNTS: dict[str, Table] = {
    "user_followers": "user",
    "user_following": "user",
    "author_followers": "item",
    "author_following": "item",
}
_RATIOS: dict[str, Table] = {"user_ratio": "user", "author_ratio": "item"}
_LENGTHS = ("num_hashtags", "num_links", "num_domains")


def fit_spec(train: DataFrame, parameters: RecSys2021FeatureParameters) -> tuple[FeatureSpec, DataFrame]:
    """The spec of cleaned training rows, and their vocabularies: a frame ``name, value, id, count``.

    Raises:
        UserError: there are no training rows, or a cross names a column that there is not.
    """
    num_rows, ranges = _ranges(train, [*_LENGTHS, *_COUNTS, *_RATIOS])
    if num_rows == 0:
        raise UserError("recsys2021: train/ holds no rows; nothing can be fitted: give it at least one")
    named = train.select(
        *(F.col(column).alias(name) for name, (_, column) in VOCABULARIES.items()),
        *(name for name in train.columns if name.endswith("_count")),
    )
    vocabularies, facts = fit_vocabularies(
        named,
        tuple(VOCABULARIES),
        min_count=parameters.min_count.model_dump(),
        model_min_count={TWO_TOWER: parameters.two_tower_min_count.model_dump()},
    )
    limits = parameters.min_count.model_dump()
    features: list[AnyFeature] = [_vocabulary(name, facts[name], limits[name]) for name in VOCABULARIES]
    features += [*_fixed(), *_bucketed(parameters.count_edges), *_scaled(ranges)]
    crosses = [_cross(cross, features) for cross in parameters.crosses]
    spec = FeatureSpec(
        num_users=facts["user"].size - 1,
        num_items=facts["tweet"].size - 1,
        num_training_rows=num_rows,
        features=(*features, *crosses),
    )
    return spec, vocabularies


def empty_vocabularies(spec: FeatureSpec, model: str | None = None) -> list[str]:
    """The vocabularies that hold nothing but the unknown id (for a model: within its limits)."""
    sizes = spec.sizes if model is None else spec.sizes_of(model)
    return [name for name in VOCABULARIES if sizes[name] == 1]


def vocabulary_path(name: str) -> str:
    """Where a vocabulary lies, below the folder of the feature tables."""
    return f"vocabularies/{name}.parquet"


def _ranges(train: DataFrame, columns: Sequence[str]) -> tuple[int, dict[str, tuple[float, float]]]:
    """The number of rows, and the smallest and largest of each column (0 and 0 where it is always null)."""
    (row,) = train.agg(
        F.count("*").alias("rows"),
        *(F.min(name).alias(f"min_{name}") for name in columns),
        *(F.max(name).alias(f"max_{name}") for name in columns),
    ).collect()
    return row["rows"], {name: (row[f"min_{name}"] or 0.0, row[f"max_{name}"] or 0.0) for name in columns}


def _vocabulary(name: str, facts: VocabularyFacts, min_count: int) -> RankedVocabularyFeature:
    table, column = VOCABULARIES[name]
    return RankedVocabularyFeature(
        name=name,
        table=table,
        column=column,
        size=facts.size,
        path=vocabulary_path(name),
        digest=facts.digest,
        min_count=min_count,
        kept=dict(facts.kept),
    )


def _fixed() -> list[AnyFeature]:
    flags = ("false", "true")
    texts = {"present_media": MEDIA, "tweet_type": TWEET_TYPES}
    return [
        *(_inline(name, "item", values) for name, values in texts.items()),
        *(_inline(name, table, flags) for name, table in _FLAGS.items()),
    ]


def _inline(name: str, table: Table, values: tuple[str, ...]) -> VocabularyFeature:
    return VocabularyFeature(name=name, table=table, column=name, size=len(values) + 1, values=values)


def _bucketed(edges: tuple[float, ...]) -> list[AnyFeature]:
    return [BucketFeature(name=f"{name}_bin", table=table, column=name, edges=edges) for name, table in _COUNTS.items()]


def _scaled(ranges: Mapping[str, tuple[float, float]]) -> list[AnyFeature]:
    logged: dict[str, Table] = {**_COUNTS, **_RATIOS}
    tables: dict[str, Table] = {**dict.fromkeys(_LENGTHS, "item"), **logged}
    return [
        ScaledFeature(name=name, table=table, column=name, min=ranges[name][0], max=ranges[name][1], log=name in logged)
        for name, table in tables.items()
    ]


def _cross(cross: CrossParameters, features: Sequence[AnyFeature]) -> CrossFeature:
    tables = {feature.name: feature.table for feature in features if not isinstance(feature, ScaledFeature)}
    for name in cross.columns:
        if name not in tables:
            raise UserError(
                f"recsys2021_features.crosses: there is no encoded column {name}; {did_you_mean(name, tables)}"
            )
    among = {tables[name] for name in cross.columns}
    table: Table = among.pop() if len(among) == 1 else "pair"
    return CrossFeature(name=cross.name, table=table, columns=cross.columns, buckets=cross.buckets)
