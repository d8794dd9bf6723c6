"""Each operation of the features library against pandas, NumPy or scikit-learn on the same rows."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F  # noqa: N812
from sklearn.preprocessing import MinMaxScaler, MultiLabelBinarizer, OneHotEncoder, StandardScaler

from tandem.errors import UserError
from tandem.features.aggregates import difference_lag, fit_group_statistics
from tandem.features.applying import apply
from tandem.features.draws import seeded_text_hash
from tandem.features.hashing import cross_hash, hash_encode
from tandem.features.histories import add_histories, mask, pad
from tandem.features.indicators import multi_hot, one_hot, one_hot_columns
from tandem.features.lists import count_values, keep_most_frequent, list_length, split_list
from tandem.features.numbers import (
    bucketize,
    clip,
    fill,
    fit_medians,
    fit_min_max,
    fit_z_scores,
    log_plus_one,
)
from tandem.features.reindexing import fit_popularity_index
from tandem.features.target_encoding import encode_out_of_fold, fit_target_encoding
from tandem.features.vocabularies import encode_ids, fit_vocabularies

SCHEMA = "row int, user string, item int, time int, price double, stars int, label int, tags string"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """200 rows of 12 users; some prices, stars and tags are missing, a few prices are negative."""
    draw = np.random.default_rng(3)
    rows = []
    for row in range(200):
        tags = [f"#{int(draw.zipf(1.7)) % 15}" for _ in range(draw.integers(0, 4))]
        rows.append(
            (
                row,
                f"u{draw.integers(12)}",
                int(draw.zipf(1.5)) % 30,
                int(draw.permutation(1000)[0]),
                None if draw.random() < 0.1 else float(draw.normal(50, 40)),
                None if draw.random() < 0.1 else int(draw.integers(1, 6)),
                int(draw.random() < 0.3),
                ";".join(tags) if tags else None,
            )
        )
    return pd.DataFrame(rows, columns=[part.split()[0] for part in SCHEMA.split(", ")])


@pytest.fixture(scope="module")
def frame(spark, table):
    rows = table.astype(object).where(table.notna(), None).values.tolist()
    rows = [[int(v) if n in ("stars",) and v is not None else v for n, v in zip(table, r, strict=True)] for r in rows]
    return spark.createDataFrame(rows, SCHEMA).repartition(3).localCheckpoint()


@pytest.fixture(scope="module")
def later(spark):
    """Rows that training did not see, with missing and extreme values."""
    rows = [
        (1, "u1", 3, 5, 1e9, None, 1, "#1;#99"),
        (2, "new", 77, 6, None, 3, 0, None),
        (3, None, 1, 7, -1e9, 9, 1, ""),
    ]
    return spark.createDataFrame(rows, SCHEMA)


def column(frame, name):
    """A column's values in the order of the rows."""
    return [row[name] for row in frame.select("row", name).orderBy("row").collect()]


def test_fill_clip_and_log(table, frame):
    filled = fill(frame, {"price": 7.5, "stars": 0, "tags": ""})
    for name, value in (("price", 7.5), ("stars", 0), ("tags", "")):
        assert column(filled, name) == table[name].fillna(value).tolist()
    assert dict(filled.dtypes) == dict(frame.dtypes)
    priced = filled.select(
        "row", clip(F.col("price"), 0.0, 60.0).alias("clipped"), log_plus_one(F.col("price")).alias("log")
    )
    prices = table.price.fillna(7.5)
    assert column(priced, "clipped") == prices.clip(0, 60).tolist()
    np.testing.assert_allclose(column(priced, "log"), np.log1p(prices.clip(lower=0)), rtol=1e-12)


def test_fill_takes_nan_for_missing_and_clip_keeps_null(spark):
    rows = spark.createDataFrame([(1, float("nan")), (2, None), (3, 4.0)], "row int, price double")
    assert column(fill(rows, {"price": 1}), "price") == [1.0, 1.0, 4.0]
    assert column(rows.select("row", clip(F.col("price"), 0.0, 1.0).alias("price")), "price")[1:] == [None, 1.0]


def test_medians(table, frame, later):
    fitted = fit_medians(frame, ["price", "stars"])
    medians = {feature.name: feature.value for feature in fitted}
    assert medians == pytest.approx(table[["price", "stars"]].median().to_dict())
    assert column(apply(later, fitted), "price") == [1e9, float(np.float32(medians["price"])), -1e9]
    assert column(apply(frame, fitted), "stars") == table.stars.fillna(table.stars.median()).tolist()


def test_min_max(table, frame, later):
    fitted = fit_min_max(frame, ["price", "stars"])
    known = table.dropna(subset=["price", "stars"])
    scaler = MinMaxScaler(clip=True).fit(table[["price", "stars"]])
    scaled = apply(frame.dropna(subset=["price", "stars"]), fitted)
    expected = scaler.transform(known[["price", "stars"]])
    found = np.column_stack([column(scaled, "price"), column(scaled, "stars")])
    np.testing.assert_allclose(found, expected, atol=1e-7)
    mean = scaler.transform(table[["price", "stars"]].mean().to_frame().T)[0, 0]
    assert column(apply(later, fitted), "price") == pytest.approx([1.0, mean, 0.0], abs=1e-7)


def test_min_max_of_a_constant_is_zero(spark):
    rows = spark.createDataFrame([(1, 5.0), (2, 5.0)], "row int, price double")
    assert column(apply(rows, fit_min_max(rows, ["price"])), "price") == [0.0, 0.0]


def test_z_scores(table, frame):
    fitted = fit_z_scores(frame, ["price", "label"])
    known = table.dropna(subset=["price"])
    expected = StandardScaler().fit(table[["price", "label"]]).transform(known[["price", "label"]])
    scaled = apply(frame.dropna(subset=["price"]), fitted)
    np.testing.assert_allclose(np.column_stack([column(scaled, "price"), column(scaled, "label")]), expected, atol=1e-6)
    constant = frame.withColumn("price", F.lit(3.0))
    assert set(column(apply(constant, fit_z_scores(constant, ["price"])), "price")) == {0.0}


@pytest.fixture
def with_nan(spark):
    return spark.createDataFrame([(1, 2.0), (2, float("nan")), (3, None), (4, 6.0)], "row int, price double")


@pytest.mark.parametrize(("fit", "lowest", "middle"), [(fit_min_max, 0.0, 0.5), (fit_z_scores, -1.0, 0.0)])
def test_nan_is_missing_to_what_is_fitted_as_null_is(with_nan, fit, lowest, middle):
    """Spark's largest of values with NaN is NaN, their mean too, and NaN clipped to 1 is 1."""
    fitted = fit(with_nan, ["price"])
    assert fitted == fit(with_nan.where("row in (1, 4)"), ["price"])
    assert column(apply(with_nan, fitted), "price") == [lowest, middle, middle, 1.0]
    nothing = fit(with_nan.where("row = 2"), ["price"])
    assert column(apply(with_nan, nothing), "price")[1:3] == [0.0, 0.0]


@pytest.mark.parametrize("fit", [fit_medians, fit_min_max, fit_z_scores])
def test_infinite_values_are_named(spark, fit):
    rows = spark.createDataFrame([(1, float("inf"))], "row int, price double")
    with pytest.raises(UserError, match="column price has infinite values, on which nothing can be fitted"):
        fit(rows, ["price"])


def test_nan_has_no_bucket_and_no_limit(with_nan):
    found = with_nan.select(
        "row", bucketize(F.col("price"), [1.0, 5.0]).alias("bucket"), clip(F.col("price"), 0.0, 4.0).alias("clipped")
    )
    assert column(found, "bucket") == [2, None, None, 3]
    assert column(found, "clipped") == [2.0, None, None, 4.0]


def test_buckets(table, frame):
    edges = [0.0, 20.0, 50.0, 90.0]
    known = table.dropna(subset=["price"])
    buckets = frame.dropna(subset=["price"]).select("row", bucketize(F.col("price"), edges).alias("bucket"))
    assert column(buckets, "bucket") == (np.digitize(known.price, edges) + 1).tolist()
    at_edges = frame.limit(1).select("row", bucketize(F.lit(20.0), edges).alias("bucket"))
    assert column(at_edges, "bucket") == [3]


def test_one_hot_and_multi_hot(table, frame):
    expected = OneHotEncoder(categories=[list(range(30))], sparse_output=False).fit_transform(table[["item"]])
    vectors = frame.select("row", one_hot(F.col("item"), 30).alias("vector"))
    np.testing.assert_array_equal(column(vectors, "vector"), expected)
    columns = one_hot_columns(frame.select("row", "item"), "item", 30)
    np.testing.assert_array_equal(
        np.column_stack([column(columns, f"item_{number}") for number in range(30)]), expected
    )
    bags = [
        [int(tag[1:]) for tag in (tags or "").split(";") if tag]
        for tags in table.tags.astype(object).where(table.tags.notna(), None)
    ]
    ids = F.transform(split_list(F.col("tags"), ";"), lambda tag: F.substring(tag, 2, 9).cast("int"))
    many = frame.select("row", multi_hot(ids, 15).alias("vector"))
    np.testing.assert_array_equal(
        column(many, "vector"), MultiLabelBinarizer(classes=list(range(15))).fit_transform(bags)
    )


@pytest.mark.parametrize(("sampled", "per_part"), [(8192, 1 << 18), (8, 5), (1000, 1)])
def test_vocabularies(monkeypatch, table, frame, later, sampled, per_part):
    monkeypatch.setattr("tandem.features.vocabularies._SAMPLED", sampled)
    monkeypatch.setattr("tandem.features.vocabularies._VALUES_PER_PART", per_part)
    named = frame.select("row", "user", F.col("item").cast("string").alias("item"))
    vocabulary, facts = fit_vocabularies(
        named, ["user", "item"], min_count={"item": 3}, model_min_count={"m": {"user": 17}}
    )
    for name, least in (("user", 1), ("item", 3)):
        counts = table[name].astype(str).value_counts()
        kept = sorted((value for value in counts.index if counts[value] >= least), key=lambda v: (-counts[v], v))
        found = vocabulary.where(F.col("name") == name).orderBy("id").collect()
        assert [(row["value"], row["id"], row["count"]) for row in found] == [
            (value, number, counts[value]) for number, value in enumerate(kept, 1)
        ]
        assert facts[name].size == len(kept) + 1
    assert facts["user"].kept == {"m": 1 + int((table.user.value_counts() >= 17).sum())}
    assert (vocabulary.rdd.getNumPartitions() > 1) == (per_part < 100)
    tables = {name: vocabulary.where(F.col("name") == name) for name in facts}
    sizes = {name: fact.size for name, fact in facts.items()}
    unseen = encode_ids(later.select("row", "user", F.col("item").cast("string").alias("item")), tables, sizes)
    assert column(unseen, "user")[1:] == [0, 0]
    assert column(unseen, "item")[1] == 0


@pytest.mark.parametrize("broadcast_rows", [1_000_000, 1])
def test_columns_that_hold_no_texts_are_encoded_by_their_text(monkeypatch, frame, broadcast_rows):
    """All of them were unknown: fitted as texts, and looked up as numbers."""
    monkeypatch.setattr("tandem.features.vocabularies.BROADCAST_ROWS", broadcast_rows)
    raw = frame.select("row", "item", F.col("price").alias("cost"), (F.col("label") == 1).alias("liked"))
    names = ["item", "cost", "liked"]
    vocabulary, facts = fit_vocabularies(raw, names)
    tables = {name: vocabulary.where(F.col("name") == name) for name in names}
    sizes = {name: fact.size for name, fact in facts.items()}
    found = encode_ids(raw, tables, sizes)
    texts = encode_ids(raw.withColumns({name: F.col(name).cast("string") for name in names}), tables, sizes)
    for name in names:
        assert column(found, name) == column(texts, name)
        assert max(column(found, name)) == sizes[name] - 1


def test_large_vocabularies_are_encoded_as_small_ones_are(monkeypatch, frame):
    named = frame.select("row", "user", "tags", F.col("item").cast("string").alias("item"))
    vocabulary, facts = fit_vocabularies(named, ["user", "item", "tags"])
    tables = {name: vocabulary.where(F.col("name") == name) for name in facts}
    sizes = {name: fact.size for name, fact in facts.items()}
    broadcast = encode_ids(named, tables, sizes).orderBy("row").collect()
    monkeypatch.setattr("tandem.features.vocabularies.BROADCAST_ROWS", 13)
    assert encode_ids(named, tables, sizes).orderBy("row").collect() == broadcast
    assert encode_ids(named, tables, sizes).columns == named.columns


@pytest.mark.parametrize("least", [1, 2, 12])
def test_the_most_frequent_of_a_list(table, frame, least):
    lists = [(tags or "").split(";") if isinstance(tags, str) else [] for tags in table.tags]
    counts = Counter(tag for tags in lists for tag in tags)
    best = []
    for tags in lists:
        among = [tag for tag in tags if counts[tag] >= least]
        best.append(min(among, key=lambda tag: (-counts[tag], tag)) if among else None)
    kept = keep_most_frequent(frame, ["tags"], min_count={"tags": least}, separator=";")
    assert column(kept, "tags") == best
    assert column(kept, "tags_count") == [counts[tag] if tag else None for tag in best]
    assert kept.columns == [*frame.columns, "tags_count"]
    lengths = frame.select("row", list_length(F.col("tags"), ";").alias("length"))
    assert column(lengths, "length") == [len(tags) for tags in lists]
    found = count_values(frame, ["tags"], min_count=least, separator=";").collect()
    assert sorted(row["occurrences"] for row in found) == sorted(n for n in counts.values() if n >= least)


@pytest.mark.parametrize("separator", ["\t", "|", ".", "||", "\\", "a", " ", "é"])
def test_separators_are_texts_and_empty_values_are_none(spark, separator):
    """A separator was a regular expression: "|" split every character; and "x|" lost x for the empty value."""
    lists = [["x", ""], ["", "y", "", "x"], ["", ""], ["z"], [""], ["y", "y"]]
    rows = spark.createDataFrame([(n, separator.join(one)) for n, one in enumerate(lists)], "row int, tags string")
    split = rows.select(
        "row",
        split_list(F.col("tags"), separator).alias("values"),
        list_length(F.col("tags"), separator).alias("length"),
    )
    values = [[value for value in one if value] for one in lists]
    assert column(split, "values") == values
    assert column(split, "length") == [len(one) for one in values]
    kept = keep_most_frequent(rows, ["tags"], min_count={}, separator=separator)
    assert column(kept, "tags") == ["x", "y", None, "z", None, "y"]
    assert column(kept, "tags_count") == [2, 3, None, 1, None, 3]
    assert sorted(row.occurrences for row in count_values(rows, ["tags"], separator=separator).collect()) == [1, 2, 3]


def test_a_list_of_nothing_but_separators_has_no_value_where_nothing_recurs(spark):
    rows = spark.createDataFrame([(1, "b;"), (2, ";;")], "row int, tags string")
    kept = keep_most_frequent(rows, ["tags"], min_count={}, separator=";")
    assert (column(kept, "tags"), column(kept, "tags_count")) == (["b", None], [1, None])


def test_lists_in_which_nothing_recurs(spark):
    rows = spark.createDataFrame([(1, "b;a"), (2, "c"), (3, None), (4, "")], "row int, tags string")
    kept = keep_most_frequent(rows, ["tags"], min_count={}, separator=";")
    assert column(kept, "tags") == ["a", "c", None, None]
    assert column(kept, "tags_count") == [1, 1, None, None]
    assert column(keep_most_frequent(rows, ["tags"], min_count={"tags": 2}, separator=";"), "tags") == [None] * 4


def test_hashes_are_within_their_buckets_and_spread_evenly(spark):
    rows = spark.range(5000).select(F.col("id").cast("string").alias("text"))
    found = Counter(row[0] for row in rows.select(hash_encode(F.col("text"), 10)).collect())
    assert set(found) == set(range(1, 11))
    # 500 each, a standard deviation of 21.
    assert all(400 < count < 600 for count in found.values())
    empty = spark.createDataFrame([(None,), ("",)], "text string").select(hash_encode(F.col("text"), 10)).collect()
    assert [row[0] for row in empty] == [0, 0]


def test_crosses_tell_their_parts_and_their_order_apart(spark):
    pairs = [("1", "12"), ("11", "2"), ("2", "11"), ("112", None), (None, "112")]
    rows = spark.createDataFrame(pairs, "a string, b string")
    found = [row[0] for row in rows.select(cross_hash([F.col("a"), F.col("b")], 1_000_000)).collect()]
    assert len(set(found)) == len(pairs)
    assert all(1 <= number <= 1_000_000 for number in found)


@pytest.mark.parametrize("path", [None, "rates.parquet"])
def test_target_encoding(table, frame, later, path):
    feature, sums = fit_target_encoding(frame, "user", "label", "rate", smooth=4.0, path=path)
    groups = table.groupby("user").label
    mean = table.label.mean()
    expected = (groups.sum() + mean * 4.0) / (groups.count() + 4.0)
    tables = {"rate": sums}
    assert column(apply(frame, [feature], tables), "rate") == pytest.approx(table.user.map(expected).tolist())
    assert column(apply(later, [feature], tables), "rate") == pytest.approx([expected["u1"], mean, mean])
    assert (feature.values is None) == (path is not None)


def test_out_of_fold_encoding_sees_the_other_folds_alone(table, frame):
    encoded = encode_out_of_fold(frame, "user", "label", "rate", keys=["row"], folds=3, smooth=2.0, seed=5)
    folds = frame.select(
        "row", F.pmod(seeded_text_hash(5, "target encoding user", F.col("row")), F.lit(3)).alias("fold")
    )
    fold = pd.Series(column(folds, "fold"))
    assert set(fold) == {0, 1, 2}
    expected = []
    for row in range(len(table)):
        others = table[fold != fold[row]]
        own = others[others.user == table.user[row]].label
        expected.append((own.sum() + others.label.mean() * 2.0) / (len(own) + 2.0))
    assert column(encoded, "rate") == pytest.approx(expected)
    assert encoded.columns == [*frame.columns, "rate"]
    other_seed = encode_out_of_fold(frame, "user", "label", "rate", keys=["row"], folds=3, smooth=2.0, seed=6)
    assert column(other_seed, "rate") != column(encoded, "rate")


def test_out_of_fold_encoding_of_null_is_the_mean_of_the_other_folds(table, frame):
    """It was null, where the fitted encoding gives the mean."""
    some = frame.withColumn("user", F.when(F.col("row") % 4 > 0, F.col("user")))
    encoded = encode_out_of_fold(some, "user", "label", "rate", keys=["row"], folds=3, smooth=2.0, seed=5)
    folds = frame.select(
        "row", F.pmod(seeded_text_hash(5, "target encoding user", F.col("row")), F.lit(3)).alias("fold")
    )
    fold = pd.Series(column(folds, "fold"))
    rates = column(encoded, "rate")
    assert len(rates) == len(table)
    assert [rates[row] for row in range(0, len(table), 4)] == pytest.approx(
        [table[fold != fold[row]].label.mean() for row in range(0, len(table), 4)]
    )
    assert None not in rates


def test_histories_padding_and_masks(table, frame):
    found = add_histories(frame, ["item"], user="user", time="time", ties=["row"], max_length=5)
    expected = []
    for row in table.itertuples():
        own = table[table.user == row.user].sort_values(["time", "row"])
        earlier = own[(own.time < row.time) | ((own.time == row.time) & (own.row < row.row))]
        expected.append(earlier.item.tolist()[-5:])
    assert column(found, "item_history") == expected
    padded = found.select(
        "row", pad(F.col("item_history"), 3).alias("padded"), mask(F.col("item_history"), 3).alias("mask")
    )
    assert column(padded, "padded") == [items[-3:] + [0] * (3 - len(items[-3:])) for items in expected]
    assert column(padded, "mask") == [[1] * min(len(items), 3) + [0] * (3 - min(len(items), 3)) for items in expected]
    long_enough = add_histories(frame, ["item"], time="time", ties=["row"], max_length=5, min_length=2)
    assert long_enough.count() == sum(len(items) >= 2 for items in expected)


def test_padding_of_nothing(spark):
    rows = spark.createDataFrame([(1, None), (2, [])], "row int, items array<int>")
    padded = rows.select("row", pad(F.col("items"), 2, -1).alias("padded"), mask(F.col("items"), 2).alias("mask"))
    assert column(padded, "padded") == [[-1, -1], [-1, -1]]
    assert column(padded, "mask") == [[0, 0], [0, 0]]


@pytest.mark.parametrize("folder", [None, "statistics"])
def test_group_statistics(table, frame, later, folder):
    asked = {"price": ["count", "mean", "max"], "label": ["sum"]}
    features, tables = fit_group_statistics(frame, ["user"], asked, folder=folder)
    assert [feature.path for feature in features] == [folder and f"{folder}/{name}.parquet" for name in tables]
    joined = apply(frame, features, tables)
    groups = table.groupby("user")
    for name, expected in {
        "price_count": groups.price.count(),
        "price_mean": groups.price.mean(),
        "price_max": groups.price.max(),
        "label_sum": groups.label.sum(),
    }.items():
        assert column(joined, name) == pytest.approx(table.user.map(expected).tolist())
    unseen = apply(later, features, tables)
    assert column(unseen, "label_sum")[1:] == [0.0, 0.0]
    assert column(unseen, "price_mean")[1:] == pytest.approx([table.price.mean()] * 2)


def test_lag_differences(table, frame):
    found = difference_lag(frame, ["item"], order=["time", "row"], within=["user"], lag=2)
    expected = table.sort_values(["time", "row"]).groupby("user")["item"].diff(2).sort_index()
    assert column(found, "item_diff_2") == [None if np.isnan(value) else value for value in expected]


@pytest.mark.parametrize("path", [None, "items.parquet"])
def test_reindexing_by_popularity(table, frame, later, path):
    index, vocabulary = fit_popularity_index(frame, "item", min_count=4, path=path)
    counts = table["item"].value_counts()
    kept = sorted((value for value in counts.index if counts[value] >= 4), key=lambda v: (-counts[v], str(v)))
    expected = {value: number for number, value in enumerate(kept, 1)}
    assert index.size == len(kept) + 1
    tables = {"item": vocabulary}
    assert column(apply(frame, [index], tables), "item") == [expected.get(value, 0) for value in table["item"]]
    assert column(apply(later, [index], tables), "item")[1] == 0
