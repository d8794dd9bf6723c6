from itertools import pairwise

import pytest

from tandem.features.layout import shuffled


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
