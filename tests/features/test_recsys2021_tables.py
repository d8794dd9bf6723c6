import pytest

from recsys2021_rows import Prepared, random_rows, raw_frame
from tandem.errors import UserError
from tandem.features.recsys2021_quality import data_quality, summary
from tandem.features.recsys2021_rows import clean_rows, label_column
from tandem.features.recsys2021_tables import encode_rows, item_features, pair_rows, two_tower_rows, user_features


@pytest.fixture(scope="module")
def prepared(spark):
    limits = {"hashtags": 10, "user": 14}
    train, test = raw_frame(spark, *random_rows(200, seed=4)), raw_frame(spark, *random_rows(50, seed=5, users=30))
    return Prepared(train, test, two_tower_min_count=limits)


def only(frame):
    (row,) = frame.collect()
    return row


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, set()),
        ({"like_timestamp": 5}, {"any", "like"}),
        ({"retweet_with_comment_timestamp": 5}, {"any", "quote"}),
        ({"reply_timestamp": 5, "retweet_timestamp": 7}, {"any", "reply", "retweet"}),
        ({"like_timestamp": 0}, set()),
    ],
)
def test_labels(spark, times, expected):
    names = ("any", "reply", "retweet", "quote", "like")
    row = only(raw_frame(spark, times).select(*(label_column(name).alias(name) for name in names)))
    assert {name for name in names if row[name]} == expected


def test_cleaned_rows_have_plain_names_and_no_missing_ids(spark):
    given = {
        "tweet_id": None,
        "present_media": "Video\tPhoto\tGIF",
        "hashtags": "#a\t#b",
        "present_links": None,
        "enaging_user_following_count": 6,
        "enaging_user_follower_count": 2,
        "engagee_follows_engager": "true",
        "like_timestamp": 1_700_000_000,
    }
    row = only(clean_rows(raw_frame(spark, given), "any"))
    assert (row.user_id, row.tweet_id, row.author_id) == ("U1", "", "A1")
    assert (row.present_media, row.num_hashtags, row.num_links, row.follows) == ("Video_Photo", 2, 0, True)
    assert row.user_ratio == pytest.approx(2.0)
    assert (row.tweet_timestamp, row.latest_timestamp) == (1_600_000_000, 1_700_000_000)


def test_fixed_vocabularies_and_buckets(prepared, spark):
    media = ["", "GIF", "GIF\tGIF", "Video\tVideo\tPhoto", "Photo\tVideo", "Cartoon"]
    counts = [0, 1, 99, 100, 10_000_000, None]
    rows = [
        {"tweet_id": str(n), "present_media": one, "enaging_user_follower_count": count, "tweet_type": "Retweet"}
        for n, (one, count) in enumerate(zip(media, counts, strict=True))
    ]
    frames = {name: prepared.vocabulary.where(f"name = '{name}'") for name in ("user", "author", "tweet", "hashtags")}
    frames |= {name: prepared.vocabulary.where(f"name = '{name}'") for name in ("links", "domains", "language")}
    encoded = encode_rows(clean_rows(raw_frame(spark, *rows), "any"), prepared.spec, frames)
    found = sorted(encoded.collect(), key=lambda row: row.tweet_id)
    assert [row.present_media for row in found] == [1, 2, 3, 13, 9, 0]
    assert [row.user_followers_bin for row in found] == [1, 2, 2, 3, 8, 0]
    assert {row.tweet_type for row in found} == {2}
    assert found[4].user_followers == 1.0


def test_two_tower_rows_cut_off_rare_ids_and_leave_crosses_out(prepared):
    rows, cut = prepared.train.collect(), two_tower_rows(prepared.train, prepared.spec).collect()
    size = prepared.spec.sizes_of("two_tower")["hashtags"]
    assert 1 < size < prepared.spec.sizes["hashtags"]
    assert [row.hashtags for row in cut] == [row.hashtags if row.hashtags < size else 0 for row in rows]
    assert [row.tweet for row in cut] == [row.tweet for row in rows]
    assert "present_media_x_language" not in cut[0].asDict()
    counts = {row["id"]: row["count"] for row in prepared.vocabulary.where("name = 'user'").collect()}
    assert {row.user for row in cut} - {0} == {number for number, count in counts.items() if count >= 14}


def test_rows_without_an_id_make_no_user_and_no_item_and_still_train(spark):
    """All tweets without an id were one item, the most popular of all, and were recommended as ''."""
    nameless = [{"tweet_id": None, "like_timestamp": 5}, {"tweet_id": "", "like_timestamp": 5}]
    nameless += [{"enaging_user_id": None, "like_timestamp": 5}]
    train, test = raw_frame(spark, {"like_timestamp": 5}, *nameless), raw_frame(spark, {}, *nameless)
    done = Prepared(train, test)
    assert (done.train.count(), done.test.count()) == (4, 4)
    users = user_features(done.train.unionByName(done.test), done.spec)
    items = item_features(done.train, done.test, done.spec)
    assert [row.user_id for row in users.collect()] == ["U1"]
    assert [(row.tweet_id, row.popularity) for row in items.collect()] == [("T1", 2)]


def test_pairs_get_the_features_of_their_user_and_tweet(prepared, spark):
    rows = prepared.train.unionByName(prepared.test)
    users, items = user_features(rows, prepared.spec), item_features(prepared.train, prepared.test, prepared.spec)
    pairs = spark.createDataFrame(
        [("U1", "T2", 7), ("U1", "T9999", 8), ("nobody", "T2", 9)], "user_id string, tweet_id string, rank int"
    )
    known, cold_item, cold_user = pair_rows(pairs, users, items, prepared.spec).orderBy("rank").collect()
    user, item = only(users.where("user_id = 'U1'")), only(items.where("tweet_id = 'T2'"))
    for name in known.asDict():
        source = user if name in user else item
        if name in source and name not in ("popularity",):
            assert known[name] == source[name], name
    assert known.follows == 0
    assert None not in (*known, *cold_item, *cold_user)
    assert (cold_item.user, cold_item.tweet, cold_item.author_id) == (user.user, 0, "")
    assert (cold_user.user, cold_user.tweet, cold_user.user_followers) == (0, item.tweet, 0.0)
    assert set(prepared.train.columns) - set(known.asDict()) == {"tweet_timestamp", "label"}


def test_crosses_of_pairs_are_those_of_rows(prepared):
    rows = prepared.train.unionByName(prepared.test)
    users, items = user_features(rows, prepared.spec), item_features(prepared.train, prepared.test, prepared.spec)
    crosses = {(r.present_media, r.language): r.present_media_x_language for r in rows.collect()}
    for row in pair_rows(rows.select("user_id", "tweet_id"), users, items, prepared.spec).collect():
        assert row.present_media_x_language == crosses.get(
            (row.present_media, row.language), row.present_media_x_language
        )
        assert (row.present_media_x_language == 0) == (row.present_media == row.language == 0)


def test_no_training_rows_are_one_line(spark):
    nothing = raw_frame(spark).limit(0)
    with pytest.raises(UserError, match="train/ holds no rows"):
        Prepared(nothing, nothing)


def test_labels_that_are_all_equal_are_no_error(spark):
    done = Prepared(raw_frame(spark, {}, {}), raw_frame(spark, {}))
    assert {row.label for row in done.train.collect()} == {0}


def test_the_account_counts_what_it_says(spark):
    train = raw_frame(
        spark, {"like_timestamp": 5}, {"like_timestamp": 5}, {"tweet_id": None}, {"tweet_timestamp": 9_999_999_999}
    )
    test = raw_frame(spark, {"enaging_user_id": "new"}, {})
    done = Prepared(train, test)
    quality = data_quality(done.cleaned, clean_rows(test, "any"), done.test, now=1_700_000_000)
    assert quality["train"] == {
        "rows": 4,
        "label_rate": 0.5,
        "duplicate_rows": 2,
        "future_timestamps": 1,
        "empty_ids": 1,
    }
    assert quality["test"]["unknown"]["user"] == 0.5
    assert quality["test"]["unknown"]["hashtags"] == 1.0
    assert quality["test"]["unknown"]["language"] == 0.0
    text = summary(quality)
    assert "4 training rows and 2 test rows; 50.0% of training positive" in text
    assert "2 rows of a pair seen before" in text
