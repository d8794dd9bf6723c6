"""The preprocessing defects P1 to P7 of the reference workflow, each shown absent from the whole way raw -> rows."""

import json
from collections import Counter, defaultdict

import pytest

from recsys2021_rows import Prepared, random_rows, raw_frame
from tandem.features.layout import shuffled_texts
from tandem.features.recsys2021_tables import item_features, user_features
from tandem.features.spec import FeatureSpec

# What decides the number of partitions behind a shuffle.
PLANNING = ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")


@pytest.fixture(scope="module")
def raw(spark):
    return (
        raw_frame(spark, *random_rows(300, seed=1)).localCheckpoint(),
        raw_frame(spark, *random_rows(80, seed=2, users=25, tweets=40)).localCheckpoint(),
    )


@pytest.fixture(scope="module")
def prepared(raw):
    return Prepared(*raw)


def test_p1_the_value_kept_of_a_list_is_the_most_frequent_one(spark):
    tags = ["#zebra\t#ant", "#zebra", "#zebra\t#bee", "#bee\t#ant", "#ant\t#zebra"]
    frame = raw_frame(spark, *({"hashtags": tag} for tag in tags))
    train = Prepared(frame, raw_frame(spark, {"hashtags": "#ant\t#new\t#zebra"}))
    # zebra 4, ant 3, bee 2: an order by value, or of first sight, would choose the ant.
    chosen = Counter(row["hashtags"] for row in train.cleaned.collect())
    assert chosen == {"#zebra": 4, "#ant": 1}
    assert train.ids("hashtags") == {"#zebra": 1, "#ant": 2}
    assert [row.hashtags for row in train.test.collect()] == [1]


def test_p1_holds_for_many_random_lists(raw, prepared):
    rows = raw[0].collect()
    counts = Counter(tag for row in rows for tag in row["hashtags"].split("\t") if tag)
    best = [min(row["hashtags"].split("\t"), key=lambda tag: (-counts[tag], tag)) for row in rows if row["hashtags"]]
    assert Counter(row["hashtags"] for row in prepared.cleaned.collect() if row["hashtags"]) == Counter(best)
    ids = prepared.ids("hashtags")
    assert sorted(ids.values()) == list(range(1, len(ids) + 1))
    assert sorted(ids, key=ids.__getitem__) == sorted(set(best), key=lambda tag: (-counts[tag], tag))


def test_p2_test_rows_with_unseen_values_are_kept_without_nulls(raw, spark):
    strange = {
        "language": "XX",
        "enaging_user_id": "new",
        "tweet_id": "new",
        "engaged_with_user_id": "new",
        "hashtags": "#new\t#newer",
        "tweet_type": "Sideways",
        "present_media": "Hologram",
        "enaging_user_is_verified": None,
        "enaging_user_follower_count": None,
    }
    done = Prepared(raw[0], raw_frame(spark, strange))
    (row,) = done.test.collect()
    assert None not in row
    ids = ("language", "user", "tweet", "author", "hashtags", "tweet_type", "present_media", "user_is_verified")
    assert [row[name] for name in ids] == [0] * len(ids)
    assert row["present_media_x_language"] == 0
    assert (row["user_followers_bin"], row["user_followers"]) == (0, 0.0)


def test_p3_crosses_keep_their_parts_apart(spark):
    languages = [f"L{n:02d}" for n in range(30)]
    media = ["", "Photo", "Video", "GIF", "Photo\tPhoto", "Photo\tVideo", "Video\tGIF", "GIF\tGIF"]
    rows = [{"language": one, "present_media": other} for one in languages for other in media]
    crosses = [{"columns": ["present_media", "language"], "buckets": 100_000_000}]
    done = Prepared(raw_frame(spark, *rows), raw_frame(spark, {}), crosses=crosses)
    pairs = {(row.present_media, row.language): row.present_media_x_language for row in done.train.collect()}
    # Written without a separator (1, 12) and (11, 2) would be one text, and 25 of these 240 pairs share theirs.
    assert len({f"{one}{other}" for one, other in pairs}) < len(pairs)
    assert len(set(pairs.values())) == len(pairs) == 240


@pytest.mark.parametrize("partitions", [1, 7])
def test_p4_p5_ids_and_rows_are_the_same_under_any_partitioning(spark, raw, prepared, partitions):
    def content(done):
        parts = {name: shuffled_texts(getattr(done, name), 1, ("user_id", "tweet_id")) for name in ("train", "test")}
        return {name: frame.rdd.glom().collect() for name, frame in parts.items()}

    before = {name: spark.conf.get(name) for name in PLANNING}
    try:
        spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
        spark.conf.set("spark.sql.adaptive.enabled", str(partitions == 1).lower())
        moved = [frame.repartition(partitions + 2).sortWithinPartitions("tweet_id") for frame in raw]
        again = Prepared(*moved)
        assert again.spec == prepared.spec
        assert content(again) == content(prepared)
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def test_p4_no_rows_are_put_together_by_their_number(prepared):
    for frame in (prepared.train, prepared.test):
        plan = frame._jdf.queryExecution().analyzed().toString()
        assert "monotonically" not in plan
        assert "Python" not in plan


def test_p5_ids_follow_the_frequency(raw, prepared):
    rows = raw[0].collect()
    for name, column in (("user", "enaging_user_id"), ("tweet", "tweet_id"), ("author", "engaged_with_user_id")):
        counts = Counter(row[column] for row in rows)
        expected = sorted(counts, key=lambda value: (-counts[value], value))
        assert prepared.ids(name) == {value: number for number, value in enumerate(expected, 1)}


def test_p6_each_user_and_tweet_has_one_row_of_features_the_newest(prepared):
    rows = prepared.train.unionByName(prepared.test)
    tables = {
        "user_id": user_features(rows, prepared.spec),
        "tweet_id": item_features(prepared.train, prepared.test, prepared.spec),
    }
    for key, table in tables.items():
        names = [name for name in table.columns if name != "popularity"]
        of_key = defaultdict(list)
        for row in rows.collect():
            of_key[row[key]].append((row.tweet_timestamp, tuple(row[name] for name in names)))
        found = {row[key]: tuple(row[name] for name in names) for row in table.collect()}
        assert table.count() == len(found) == len(of_key)
        for value, versions in of_key.items():
            latest = max(time for time, _ in versions)
            assert found[value] == min(version for time, version in versions if time == latest)


def test_p6_popularity_counts_training_positives(prepared):
    positives = Counter(row.tweet_id for row in prepared.train.collect() if row.label)
    items = item_features(prepared.train, prepared.test, prepared.spec).collect()
    assert {row.tweet_id: row.popularity for row in items} == {row.tweet_id: positives[row.tweet_id] for row in items}


def test_p7_what_was_fitted_is_a_document_and_no_pickle(prepared):
    text = json.dumps(prepared.spec.to_json())
    assert FeatureSpec.from_json(json.loads(text)) == prepared.spec
    assert prepared.spec.sizes["present_media"] == 14
    assert prepared.spec.sizes["user"] == 21
