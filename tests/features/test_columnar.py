"""The spec applied without Spark, held against Spark bit for bit on values that are likely to differ."""

import datetime
import json
import math
import string

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features import columnar
from tandem.features.applying import apply
from tandem.features.columnar import Encoder, RowEncoder
from tandem.features.columnar.log1p import log1p, log1p_of_one
from tandem.features.draws import seeded_hash, seeded_text_hash
from tandem.features.hashing import cross_hash, hash_encode
from tandem.features.spec import (
    SEPARATOR,
    BagFeature,
    BucketFeature,
    CrossFeature,
    FeatureSpec,
    FillFeature,
    GroupStatisticFeature,
    MinMaxFeature,
    MissingFeature,
    MultiHotFeature,
    OneHotFeature,
    RankedVocabularyFeature,
    ScaledFeature,
    SequenceFeature,
    TargetEncodingFeature,
    VocabularyFeature,
    ZScoreFeature,
)

ROWS = 1500
TAB = "\t"

TEXTS = (
    *(None, "", " ", "a", "A", "b", "ß", "é", "e\u0301", "日本語", "🦊", "a\0b", "NaN", "1", "1.0", "true", "null"),
    "x" * 100,
)
LONGS = (None, 0, 1, -1, 7, 10**7, 2**53 + 1, 2**63 - 1, -(2**63), 2**31)
DOUBLES = (
    *(None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e-320, 2.2250738585072014e-308),
    *(1.7976931348623157e308, 1e300, 1e23, 2e-3, 1e-3, 9.999999999999999e-4, 1e7, 9999999.999999998, 1 / 3, 100.0),
    *(0.41421356, 2.0**-29, 2.0**-54, 2.0**53, 2.0**53 - 1, 4.35, 2.0e-2, 1.1e-5, 123456789012345680.0),
)
DATES = (None, *(datetime.date(*day) for day in ((1, 1, 1), (1969, 12, 31), (2021, 2, 3), (9999, 12, 31))))
WORDS = (None, "", "a", "b", "b", "é", "zz", "unseen", "日本語")


def nasty(rows: int, seed: int) -> pa.Table:
    """Rows of every type: first the values that are likely to differ, then random ones, floats of random bits."""
    draw = np.random.default_rng(seed)
    bits = draw.integers(-(2**63), 2**63, rows, np.int64).view(np.float64)
    counts = np.floor(np.exp(draw.uniform(0, 40, rows)))
    doubles = np.where(np.arange(rows) % 2, bits, np.where(np.arange(rows) % 3, counts, draw.normal(0, 50, rows)))
    floats = draw.integers(-(2**31), 2**31, rows, np.int64).astype(np.int32).view(np.float32)
    near = [x if x is None or not math.isfinite(x) else float(np.float32(np.clip(x, -3e38, 3e38))) for x in DOUBLES]
    words = [[WORDS[i] for i in draw.integers(len(WORDS), size=draw.integers(0, 7))] for _ in range(rows)]
    numbers = [[LONGS[i] for i in draw.integers(len(LONGS), size=draw.integers(0, 5))] for _ in range(rows)]
    texts = [TEXTS[i] for i in draw.integers(len(TEXTS), size=rows)]
    texts[::2] = ["".join(draw.choice(list(string.printable), draw.integers(0, 40))) for _ in texts[::2]]

    def first(values, random, type_):
        return pa.array([*values, *values, *random][:rows], type_)

    def drawn(values, type_):
        return pa.array([values[n] for n in draw.integers(0, len(values), rows)], type_)

    return pa.table(
        {
            "row": pa.array(range(rows), pa.int32()),
            "text": first(TEXTS, texts, pa.string()),
            "long": first(LONGS, draw.integers(-(2**63), 2**63, rows, np.int64).tolist(), pa.int64()),
            "small": drawn((None, -3, -1, 0, 1, 2, 5), pa.int16()),
            "double": first(DOUBLES, doubles.tolist(), pa.float64()),
            "float": first(near, floats.tolist(), pa.float32()),
            "flag": drawn((None, True, False), pa.bool_()),
            "day": drawn(DATES, pa.date32()),
            "words": pa.array([None if k % 11 == 0 else some for k, some in enumerate(words)], pa.list_(pa.string())),
            "longs": pa.array([None if k % 7 == 0 else some for k, some in enumerate(numbers)], pa.list_(pa.int64())),
            "joined": pa.array(
                [None if k % 5 == 0 else TAB.join(word or "" for word in some) for k, some in enumerate(words)],
                pa.string(),
            ),
            "nothing": pa.array([None] * rows, pa.string()),
        }
    )


COLUMNS = ("text", "long", "small", "double", "float", "flag", "day")
NUMBERS = ("long", "small", "double", "float", "flag")
RANGES = ((0.0, 1e7), (-5.0, 5.0), (3.0, 3.0), (0.0, 0.0), (0.7, 123456.7))
OF = {"table": "pair"}


@pytest.fixture(scope="module")
def table():
    return nasty(ROWS, 1)


@pytest.fixture(scope="module")
def frame(spark, table):
    return spark.createDataFrame(table).repartition(3).localCheckpoint()


@pytest.fixture(scope="module")
def known(frame):
    """Of each column some of the texts that Spark makes of its values, those of the first rows: others are unseen."""
    texts = frame.where("row % 3 < 2 and row < 200").select("row", *(F.col(name).cast("string") for name in COLUMNS))
    found = texts.toArrow().sort_by("row")
    return {name: tuple(dict.fromkeys(found.column(name).drop_null().to_pylist()))[:25] for name in COLUMNS}


@pytest.fixture(scope="module")
def fitted(spark, known):
    """Features of all kinds, and the tables of those that need one."""
    near_rates = {name: np.random.default_rng(5).normal(size=len(known[name])) for name in COLUMNS}
    ids = {
        name: pa.table({"value": known[name], "id": np.arange(1, len(known[name]) + 1, dtype=np.int32)})
        for name in COLUMNS
    }
    words = pa.table({"value": ["zz", "b", "é"], "id": pa.array([1, 2, 3], pa.int32())})
    rates = pa.table({"value": known["text"], "number": near_rates["text"]})
    pairs = [f"{small}{SEPARATOR}{flag}" for small in known["small"][1:] for flag in known["flag"]]
    days = [f"{number}{SEPARATOR}{day}" for number in known["double"] for day in known["day"][::2]]
    many = pa.table({"value": days, "number": np.random.default_rng(6).normal(size=len(days))})
    tables = {"joined_far": words, "text_far_rate": rates, "double_day": many}
    tables |= {f"{name}_far": ids[name] for name in ("text", "small", "double")}
    features = [
        *(VocabularyFeature(name=f"{n}_id", column=n, size=len(v) + 1, values=v, **OF) for n, v in known.items()),
        *(_far(f"{name}_far", name, len(known[name])) for name in ("text", "small", "double")),
        _far("joined_far", "joined", 3),
        RankedVocabularyFeature(name="joined_near", column="joined", size=4, values=("zz", "b", "é"), **OF),
        RankedVocabularyFeature(name="day_near", column="day", size=3, values=("2021-02-03", "0001-01-01"), **OF),
        VocabularyFeature(name="empty_id", column="text", size=1, values=(), **OF),
        VocabularyFeature(name="blank_id", column="text", size=3, values=("", "a"), **OF),
        VocabularyFeature(name="nothing_id", column="nothing", size=2, values=("a",), **OF),
        BagFeature(name="words_bag", column="words", size=5, values=("zz", "é", "b", ""), **OF),
        BagFeature(name="longs_bag", column="longs", size=4, values=("-1", str(2**63 - 1), "7"), **OF),
        BagFeature(name="joined_bag", column="joined", size=4, values=("zz", "é", "b"), **OF),
        BagFeature(name="empty_bag", column="words", size=1, values=(), **OF),
        SequenceFeature(name="words_sequence", column="words", size=4, values=("zz", "é", "b"), length=3, **OF),
        SequenceFeature(name="joined_sequence", column="joined", size=4, values=("zz", "é", "b"), length=2, **OF),
        *(MissingFeature(name=f"{n}_missing", column=n, **OF) for n in (*NUMBERS, "text", "day", "words", "nothing")),
        *(feature for name in NUMBERS for feature in _numbers(name)),
        *(
            _rate(f"{n}_rate", n, values=known[n], numbers=tuple(near_rates[n]))
            for n in ("text", "double", "day", "flag")
        ),
        _rate("text_far_rate", "text", path="rates.parquet"),
        _statistic("small_flag", ("small", "flag"), values=pairs, numbers=tuple(np.arange(len(pairs)) / 3)),
        _statistic("double_day", ("double", "day"), path="statistics/double_day.parquet"),
        _statistic("no_group", ("small", "flag"), values=(), numbers=()),
        CrossFeature(name="cross", columns=("text_id", "small_id", "long_bin"), buckets=1000, **OF),
        CrossFeature(name="far_cross", columns=("text_far", "joined_far"), buckets=7, **OF),
        OneHotFeature(name="small_hot", of="small_id", size=6, **OF),
        OneHotFeature(name="cross_hot", of="far_cross", size=4, **OF),
        MultiHotFeature(name="words_hot", of="words_bag", size=5, **OF),
        MultiHotFeature(name="sequence_hot", of="words_sequence", size=2, **OF),
    ]
    return features, tables, {name: spark.createDataFrame(one) for name, one in tables.items()}


def _far(name, column, values):
    return RankedVocabularyFeature(name=name, column=column, size=values + 1, path=f"{name}.parquet", digest="ab", **OF)


def _rate(name, column, **place):
    return TargetEncodingFeature(name=name, column=column, mean=0.1, smooth=3.0, **place, **OF)


def _statistic(name, keys, **place):
    return GroupStatisticFeature(name=name, keys=keys, column="long", statistic="mean", default=-0.7, **place, **OF)


def _numbers(name):
    source = {"column": name, **OF}
    yield FillFeature(name=f"{name}_fill", value=0.1, **source)
    yield ZScoreFeature(name=f"{name}_z", mean=0.3, deviation=1e-3, **source)
    yield ZScoreFeature(name=f"{name}_z0", mean=0.3, deviation=0.0, **source)
    if name != "flag":
        yield BucketFeature(name=f"{name}_bin", edges=(-1.0, 0.0, 1.0, 1e3, 1e300), **source)
    for place, (low, high) in enumerate(RANGES if name == "double" else RANGES[:1]):
        yield MinMaxFeature(name=f"{name}_min_max_{place}", min=low, max=high, mean=(low + high) / 3, **source)
        yield ScaledFeature(name=f"{name}_scaled_{place}", min=low, max=high, **source)
        yield ScaledFeature(name=f"{name}_logged_{place}", min=low, max=high, log=True, **source)


LISTS = dict.fromkeys(("joined_far", "joined_near", "joined_bag", "joined_sequence"), TAB)


def by_spark(frame, features, tables, lists=None) -> pa.Table:
    names = [feature.name for feature in features]
    return apply(frame, features, tables, lists=lists).select("row", *names).toArrow().sort_by("row").select(names)


def bits(column) -> tuple:
    """A column's type, its nulls, and its values as integers."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(column.type):
        inner = column.flatten()
        return "list", column.value_lengths().to_pylist(), bits(inner)
    values = column.to_numpy(zero_copy_only=False)
    assert values.dtype in (np.int32, np.float32)
    return str(column.type), column.null_count, values.view(np.int32).tolist()


def assert_equal(found, expected):
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        one, other = bits(found.column(name)), bits(expected.column(name))
        assert one[:2] == other[:2], name
        assert one == other, (name, _differences(found.column(name).to_pylist(), expected.column(name).to_pylist()))


def _differences(found, expected):
    pairs = enumerate(zip(found, expected, strict=True))
    return [(row, a, b) for row, (a, b) in pairs if a != b or str(a) != str(b)][:5]


@pytest.fixture(scope="module")
def encoder(fitted):
    return Encoder.of(fitted[0], fitted[1], lists=LISTS)


@pytest.fixture(scope="module")
def both(table, frame, fitted, encoder):
    """The rows as they are encoded here, and by Spark."""
    return encoder.encode(table), by_spark(frame, fitted[0], fitted[2], LISTS)


KINDS = (
    *("vocabulary", "ranked_vocabulary", "bag", "sequence", "bucket", "cross", "scaled", "min_max", "fill", "z_score"),
    *("missing", "target_encoding", "group_statistic", "one_hot", "multi_hot"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_bits_that_spark_gives(both, fitted, kind):
    found, expected = both
    names = [feature.name for feature in fitted[0] if feature.kind == kind]
    assert names
    assert_equal(pa.Table.from_batches([found]).select(names), expected.select(names))


def test_every_kind_of_the_spec_is_held_against_spark(fitted):
    assert {feature.kind for feature in fitted[0]} == set(KINDS)


def test_the_values_are_not_all_alike(both):
    """Else equal columns would say little."""
    for name in (
        "double_id",
        "text_far",
        "day_rate",
        "small_bin",
        "cross",
        "double_logged_0",
        "words_bag",
        "double_day",
    ):
        assert len(set(map(str, both[0].column(name).to_pylist()))) > 3, name


def test_one_row_alone_is_encoded_as_among_many(table, encoder, both):
    for row in (*range(60), ROWS - 1):
        alone = encoder.encode({name: table.column(name).slice(row, 1) for name in table.column_names})
        assert_equal(alone, both[0].slice(row, 1))


def test_one_row_of_plain_values_is_encoded_as_in_columns(table, encoder, both):
    by_row = RowEncoder(encoder)
    for row, values in enumerate(table.slice(0, 400).to_pylist()):
        values["float"] = None if values["float"] is None else np.float32(values["float"])
        one = by_row.encode(values)
        assert tuple(one) == encoder.names
        alone = pa.record_batch({name: pa.array([one[name]], type_) for name, type_ in _types(both[0])})
        assert_equal(alone, both[0].slice(row, 1))


def _types(batch):
    return zip(batch.column_names, batch.schema.types, strict=True)


def test_a_document_is_applied_as_what_it_was_made_of(table, fitted, both):
    spec = FeatureSpec(num_users=1, num_items=1, num_training_rows=1, features=tuple(fitted[0]))
    read = FeatureSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert read == spec
    assert_equal(columnar.encode(read, table, fitted[1], lists=LISTS), both[0])


@pytest.mark.parametrize("rows", [10, ROWS])
def test_large_vocabularies_are_kept_by_their_hashes(monkeypatch, table, fitted, both, rows):
    monkeypatch.setattr("tandem.features.columnar.matching.HASHED_ABOVE", 0)
    wanted = ["text_id", "text_far", "small_far", "flag_id", "day_id", "long_id", "joined_far", "words_sequence"]
    found = Encoder.of(fitted[0], fitted[1], lists=LISTS, names=wanted).encode(table.slice(0, rows))
    assert_equal(found, both[0].select(wanted).slice(0, rows))


def test_no_rows_have_the_same_columns(table, encoder, both):
    none = encoder.encode(table.slice(0, 0))
    assert none.schema == both[0].schema
    assert none.num_rows == 0


def test_a_part_of_the_features_is_encoded_with_what_it_reads(table, fitted, both):
    found = Encoder.of(fitted[0], fitted[1], lists=LISTS, names=["cross", "small_id"]).encode(table)
    assert_equal(found, both[0].select(["cross", "small_id"]))


def test_other_forms_of_a_column_are_encoded_alike(table, fitted, both):
    """Dictionaries, large lists, lists of Python, NumPy's arrays, and lists where texts hold them."""
    names = ["text_id", "words_bag", "small_fill", "flag_id", "joined_far"]
    rows = table.slice(3, 500)
    columns = {
        "text": rows.column("text").combine_chunks().dictionary_encode(),
        "words": rows.column("words").cast(pa.large_list(pa.large_string())),
        "small": rows.column("small").cast(pa.float32()).to_numpy(),
        "flag": rows.column("flag").to_pylist(),
        "joined": columnar.split_list(rows.column("joined").combine_chunks()),
    }
    found = Encoder.of(fitted[0], fitted[1], lists=LISTS, names=names).encode(columns)
    assert_equal(found, both[0].select(names).slice(3, 500))


number = st.one_of(st.none(), st.floats(width=64), st.integers(-10, 10).map(float))
long = st.integers(-(2**63), 2**63 - 1)
bounds = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(sorted)
word = st.one_of(st.none(), st.text(alphabet=st.characters(codec="utf-8"), max_size=5), st.sampled_from(WORDS))


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(word, number, st.lists(word, max_size=5), long), min_size=1, max_size=40),
    known=st.lists(word.filter(lambda text: text is not None), max_size=5, unique=True).map(tuple),
    limits=bounds,
    edges=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5).map(sorted).map(tuple),
    buckets=st.integers(1, 2**31 - 1),
)
def test_any_rows_and_any_spec_are_encoded_as_spark_does(spark, rows, known, limits, edges, buckets):
    types = {"text": pa.string(), "number": pa.float64(), "words": pa.list_(pa.string()), "long": pa.int64()}
    columns = {name: pa.array(values, types[name]) for name, values in zip(types, zip(*rows, strict=True), strict=True)}
    table = pa.table({"row": pa.array(range(len(rows)), pa.int32()), **columns})
    of = {"table": "pair"}
    low, high = limits
    features = [
        VocabularyFeature(name="text_id", column="text", size=len(known) + 1, values=known, **of),
        VocabularyFeature(name="long_id", column="long", size=3, values=("0", "-1"), **of),
        BagFeature(name="bag", column="words", size=len(known) + 1, values=known, **of),
        SequenceFeature(name="sequence", column="words", size=len(known) + 1, values=known, length=2, **of),
        BucketFeature(name="bin", column="number", edges=edges, **of),
        ScaledFeature(name="scaled", column="number", min=low, max=high, **of),
        ScaledFeature(name="logged", column="number", min=low, max=high, log=True, **of),
        ScaledFeature(name="long_logged", column="long", min=0.0, max=abs(high), log=True, **of),
        MinMaxFeature(name="min_max", column="long", min=low, max=high, mean=(low + high) / 2, **of),
        ZScoreFeature(name="z", column="number", mean=low, deviation=abs(high), **of),
        CrossFeature(name="cross", columns=("text_id", "bin", "long_id"), buckets=buckets, **of),
    ]
    assert_equal(Encoder.of(features).encode(table), by_spark(spark.createDataFrame(table), features, {}))


def test_hashes_and_draws_are_those_of_spark(frame, table):
    ints = F.col("small").cast("int")
    found = frame.select(
        "row",
        hash_encode(F.col("text"), 1000).alias("hashed"),
        cross_hash([F.col("row"), F.col("row") % 7], 12345).alias("crossed"),
        seeded_hash(7, "purpose", F.col("long"), ints).alias("drawn"),
        seeded_text_hash(-7, "пример", F.col("text"), F.col("joined")).alias("text_drawn"),
    )
    expected = found.toArrow().sort_by("row")
    column = {name: table.column(name).combine_chunks() for name in table.column_names}
    row = column["row"].to_numpy()
    assert columnar.hash_encode(column["text"], 1000).tolist() == expected["hashed"].to_pylist()
    assert columnar.cross_hash([row, row % 7], 12345).tolist() == expected["crossed"].to_pylist()
    assert columnar.cross_hash([row[:3], row[:3] % 7], 12345).tolist() == expected["crossed"].to_pylist()[:3]
    assert columnar.seeded_hash(7, "purpose", column["long"], column["small"]).tolist() == expected["drawn"].to_pylist()
    texts = columnar.seeded_text_hash(-7, "пример", column["text"], column["joined"])
    assert texts.tolist() == expected["text_drawn"].to_pylist()


def test_logarithms_are_those_of_java_in_all_their_bits(spark):
    """Before any cast to float: NumPy's own differ in the last bit of a few in a hundred thousand."""
    draw = np.random.default_rng(2)
    edges = [0.0, -0.0, np.inf, np.nan, 5e-324, 1.7976931348623157e308, 2.0**53, 2.0**-29, 2.0**-54]
    spread = np.exp(draw.uniform(-45, 100, 30_000))
    numbers = np.concatenate([spread, np.arange(5_000.0), draw.uniform(0.3, 0.5, 5_000), edges])
    rows = pa.table({"row": pa.array(range(len(numbers)), pa.int32()), "x": numbers})
    expected = spark.createDataFrame(rows).select("row", F.log1p("x").alias("log")).toArrow().sort_by("row")
    np.testing.assert_array_equal(log1p(numbers).view(np.int64), expected["log"].to_numpy().view(np.int64))
    one_by_one = np.array([log1p_of_one(number) for number in numbers.tolist()])
    np.testing.assert_array_equal(one_by_one.view(np.int64), expected["log"].to_numpy().view(np.int64))


def plain_features():
    of = {"table": "user"}
    return [
        VocabularyFeature(name="city_id", column="city", size=2, values=("x",), **of),
        ScaledFeature(name="price_scaled", column="price", min=0.0, max=1.0, **of),
        BagFeature(name="tags", column="tags", size=2, values=("a",), **of),
    ]


def make(**columns):
    return Encoder.of(plain_features()).encode({"city": ["x"], "price": [0.5], "tags": [["a"]]} | columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"city": [datetime.datetime(2020, 1, 1)]},
            r"feature city_id: timestamp\[us\] is not looked up as a text",
        ),
        ({"city": [["x"]]}, "feature city_id: its column holds list<.*>, and should hold one value a row"),
        (
            {"price": ["0.5"]},
            "column price, which the feature price_scaled reads, holds string: convert",
        ),
        ({"price": [0.5, 1.0]}, "column price has 2 rows, column city 1: give as many of each"),
        ({"tags": ["a"]}, "feature tags: its column holds string, and should hold lists"),
    ],
)
def test_a_column_that_cannot_be_read_is_named_in_one_line(columns, message):
    with pytest.raises(UserError, match=message) as raised:
        make(**columns)
    assert "\n" not in str(raised.value)


def test_a_column_or_a_table_that_is_not_given_is_named():
    near = VocabularyFeature(name="city_id", table="user", column="city", size=2, values=("x",))
    with pytest.raises(UserError, match="there is no column city, which the feature city_id reads"):
        Encoder.of([near]).encode({"cty": ["x"]})
    far = RankedVocabularyFeature(name="user", table="user", column="user_id", size=2, path="user.parquet", digest="ab")
    with pytest.raises(UserError, match=r"feature user \(ranked_vocabulary\) lies in user.parquet: give its table"):
        Encoder.of([far])
    with pytest.raises(UserError, match="feature user: its table has no column id, only value"):
        Encoder.of([far], {"user": pa.table({"value": ["a"]})})
    cross = CrossFeature(name="cross", table="user", columns=("a", "b"), buckets=3)
    with pytest.raises(UserError, match=r"feature cross \(cross\) reads the encoded column a, which no other"):
        Encoder.of([cross])
    with pytest.raises(UserError, match="there is no feature nobody; name one of user"):
        Encoder.of([far], {"user": pa.table({"value": ["a"], "id": [1]})}, names=["nobody"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"city": datetime.datetime(2020, 1, 1)},
            "feature city_id: a value of its column cannot be read: datetime",
        ),
        ({"price": "0.5"}, "feature price_scaled: a value of its column cannot be read: it is a text, and should be a"),
        ({"tags": "a"}, "feature tags: a value of its column cannot be read: it is no list"),
    ],
)
def test_a_value_of_a_row_that_cannot_be_read_is_named_in_one_line(values, message):
    encoder = RowEncoder(Encoder.of(plain_features()))
    row = {"city": "x", "price": 0.5, "tags": ["a"]}
    assert encoder.encode(row) == {"city_id": 1, "price_scaled": 0.5, "tags": [1]}
    with pytest.raises(UserError, match=message):
        encoder.encode(row | values)
    with pytest.raises(UserError, match="there is no column price, which the feature price_scaled reads"):
        encoder.encode({"city": "x", "tags": []})
