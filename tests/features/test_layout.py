from itertools import pairwise

import pytest

from tandem.features.layout import shuffled, shuffled_texts


def make_rows(spark, partitions):
    rows = [(user, item, user * item) for user in range(40) for item in range(25)]
    return spark.createDataFrame(rows, "user_id long, item_id long, product int").repartition(partitions)


def files(frame):
    return [[tuple(row) for row in part] for part in frame.rdd.glom().collect()]


def test_order_and_files_do_not_depend_on_partitions(spark):
    expected = files(shuffled(make_rows(spark, 1), seed=1, num_files=3))
    assert len(expected) == 3
    assert files(shuffled(make_rows(spark, 7), seed=1, num_files=3)) == expected
    assert sum(map(len, expected)) == 1000


def test_the_files_are_of_like_size(spark):
    assert all(200 < len(part) < 300 for part in files(shuffled(make_rows(spark, 2), seed=1)))


def test_the_order_is_a_shuffle(spark):
    (rows,) = files(shuffled(make_rows(spark, 2), seed=1, num_files=1))
    users = [row[0] for row in rows]
    # Of neighbours in a random order about one in 40 is of the same user.
    assert sum(a == b for a, b in pairwise(users)) < 60
    assert rows != files(shuffled(make_rows(spark, 2), seed=2, num_files=1))[0]


def test_each_partition_becomes_one_file_in_its_order(spark, tmp_path):
    frame = shuffled(make_rows(spark, 5), seed=1, num_files=4)
    frame.write.parquet(str(tmp_path / "rows"))
    written = sorted((tmp_path / "rows").glob("part-*.parquet"))
    assert len(written) == 4
    pq = pytest.importorskip("pyarrow.parquet")
    assert [[tuple(r.values()) for r in pq.read_table(path).to_pylist()] for path in written] == files(frame)


def make_texts(spark, partitions):
    """Every pair twice, with different numbers."""
    rows = [(f"u{user}", f"t{item}", number) for user in range(20) for item in range(10) for number in (1, 2)]
    return spark.createDataFrame(rows, "user_id string, tweet_id string, number int").repartition(partitions)


def test_rows_with_text_keys_are_shuffled_alike_and_equal_keys_are_ordered(spark):
    keys = ("user_id", "tweet_id")
    expected = files(shuffled_texts(make_texts(spark, 1), 1, keys, num_files=3))
    assert [len(part) > 50 for part in expected] == [True] * 3
    assert files(shuffled_texts(make_texts(spark, 5), 1, keys, num_files=3)) == expected
    assert files(shuffled_texts(make_texts(spark, 5), 2, keys, num_files=3)) != expected
    for part in expected:
        assert [row[2] for row in part] == [1, 2] * (len(part) // 2)
