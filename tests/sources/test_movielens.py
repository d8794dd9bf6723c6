import gzip
import json
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from refusals import refuse
from tandem.errors import UserError
from tandem.sources.movielens import movielens_schema, read_movielens
from tandem.sources.movielens_files import locate_movielens
from tandem.sources.movielens_formats import TableFormat
from tandem.sources.schema import InteractionTables, LogSchema

FLAGS = "|".join("0" * 19)


def _write(folder: Path, **changed: str) -> Path:
    """Three tiny, valid files of ml-100k; ``data``, ``user`` and ``item`` replace one of them."""
    content = {
        "data": "1\t10\t5\t881250949\n1\t11\t3.5\t881250950\n2\t10\t1\t881250951\n",
        "user": "1|24|M|technician|00501\n2||F|other|T8H1N\n",
        "item": (
            f"10|Fête (1995)|01-Jan-1994||http://x|0|1|{FLAGS[4:]}\n"
            f"11|No date (1996)||||1|{FLAGS[2:]}\n"
            f"12|unknown||||{FLAGS}\n"
        ),
    } | changed
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / f"u.{name}").write_bytes(text.encode("latin-1"))
    return folder


def _rows(raw: InteractionTables) -> tuple[list[tuple], list[tuple], list[tuple]]:
    interactions = raw.interactions.select("user_id", "item_id", "weight", "timestamp")
    users = raw.users.select("user_id", "gender", "age", "occupation", "zip_code")
    items = raw.items.select("item_id", "title", "genres")
    return tuple(  # type: ignore[return-value]
        sorted(tuple(row) for row in table.collect()) for table in (interactions, users, items)
    )


def test_ml_100k_is_read_with_its_types(spark: SparkSession, tmp_path: Path) -> None:
    raw = read_movielens(spark, _write(tmp_path / "a [b] c"), "ml-100k")
    ratings, users, items = _rows(raw)
    assert ratings == [(1, 10, 5.0, 881250949), (1, 11, 3.5, 881250950), (2, 10, 1.0, 881250951)]
    assert users == [(1, "M", 24, "technician", "00501"), (2, "F", None, "other", "T8H1N")]
    assert items == [
        (10, "Fête (1995)", ["Action"]),
        (11, "No date (1996)", []),
        (12, "unknown", []),
    ]


def test_tables_are_those_of_the_schema(spark: SparkSession, tmp_path: Path) -> None:
    raw = read_movielens(spark, _write(tmp_path), "ml-100k", min_zip_code_users=3)
    assert raw.interactions.dtypes == [
        *(("user_id", "bigint"), ("item_id", "bigint"), ("weight", "double"), ("timestamp", "bigint")),
        *(("label", "int"), ("split", "string")),
    ]
    assert dict(raw.users.dtypes) == {
        **{"user_id": "bigint", "key": "string", "age": "double"},
        **dict.fromkeys(("gender", "occupation", "zip_code"), "string"),
    }
    assert raw.items.dtypes == [
        *(("item_id", "bigint"), ("key", "string"), ("title", "string"), ("genres", "array<string>")),
    ]
    assert raw.schema == movielens_schema(3)
    assert (raw.schema.user_ids, raw.schema.user_attributes[2].min_count) == ("whole", 3)
    assert LogSchema.from_json(json.loads(json.dumps(raw.schema.to_json()))) == raw.schema


def test_ml_1m_is_read_with_its_types(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\r\n1::661::3::978302109\r\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::99::02460-1234\n")
    (tmp_path / "movies.dat").write_bytes("661::Été (1996)::Animation|Children's\n1193::No genre::\n".encode("latin-1"))
    ratings, users, items = _rows(read_movielens(spark, tmp_path, "ml-1m"))
    assert ratings == [(1, 661, 3.0, 978302109), (1, 1193, 5.0, 978300760)]
    assert users == [(1, "F", 1, "K-12 student", "48067"), (2, "M", 56, "99", "02460-1234")]
    assert items == [(661, "Été (1996)", ["Animation", "Children's"]), (1193, "No genre", [])]


def test_the_published_zip_is_read(spark: SparkSession, tmp_path: Path) -> None:
    folder = _write(tmp_path / "files")
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"ml-100k/{file.name}")
    assert len(_rows(read_movielens(spark, tmp_path / "ml-100k.zip", "ml-100k"))[0]) == 3


def test_genres_are_named_by_u_genre(spark: SparkSession, tmp_path: Path) -> None:
    folder = _write(tmp_path, item="10|A||||1|0|1\n11|B||||0|0|0\n")
    (folder / "u.genre").write_text("unknown|0\nNoir|1\nRoad|2\n\n")
    assert _rows(read_movielens(spark, folder, "ml-100k"))[2] == [(10, "A", ["Road"]), (11, "B", [])]
    (folder / "u.genre").write_text("unknown|0\nNoir\n")
    with pytest.raises(UserError, match=r"u.genre, row 2: expected name\|1, found 'Noir'"):
        read_movielens(spark, folder, "ml-100k")


GOOD = "1\t10\t5\t881250949\n"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("data", f"{GOOD}\n1,10,5,881250949\n", r"u.data, row 3: expected 4 fields separated by '\\t', found 1"),
        ("data", f"{GOOD}1\t10\t5\n1\t10\n", r"u.data, row 2: .*found 3 \(2 such rows\)"),
        ("data", f"{GOOD}1\tten\t5\t1\n", "u.data, row 2: column item_id: expected a whole number from 0, found 'ten'"),
        ("data", f"1.5\t10\t5\t1\n{GOOD}", "u.data, row 1: column user_id: .*found '1.5'"),
        ("data", f"{GOOD}1\t10\t5.5\t1\n", "row 2: column rating: expected a number from 0.5 to 5, found '5.5'"),
        ("data", f"{GOOD}1\t10\tNaN\t1\n", "row 2: column rating: .*found 'NaN'"),
        ("data", f"{GOOD}1\t10\t5\t881250949000\n", "row 2: column timestamp: expected whole seconds since 1970"),
        ("data", f"{GOOD}1\t10\t5\t-1\n", "row 2: column timestamp: .*found '-1'"),
        ("data", f"{GOOD}1\t10\t0.4\t1\n", "row 2: column rating: .*found '0.4'"),
        ("data", f"{GOOD}1\t10\t5\t8812", "u.data is truncated: its last row ends within '1\t10\t5\t8812'"),
        ("data", "\n\n", "u.data has no rows"),
        ("user", "1|old|M|other|1\n", "u.user, row 1: column age: expected whole years from 0 to 150, found 'old'"),
        ("user", "1|24|X|other|1\n", "u.user, row 1: column gender: expected F or M, found 'X'"),
        ("user", "1|24|M|a|1\n2|24|M|a|1\n1|24|M|a|1\n", "u.user, row 3: column user_id: 1 stands in row 1 already"),
        ("item", f"10|A||||{FLAGS[:-1]}2\n", "u.item, row 1: column genre Western: expected 0 or 1, found '2'"),
        ("item", f"10|A||||{FLAGS}\x85\n", "u.item, row 1: column genre Western: expected 0 or 1, found '0\\\\x85'"),
        ("user", "1|24|M|a|1\n\xa0\n", r"u.user, row 2: expected 5 fields separated by '\|', found 1"),
        ("item", f"10|A|B||||{FLAGS}\n", r"u.item, row 1: expected 24 fields separated by '\|', found 25"),
    ],
)
def test_a_malformed_line_is_named(spark: SparkSession, tmp_path: Path, file: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        read_movielens(spark, _write(tmp_path, **{file: text}), "ml-100k")
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["u.data", "u.user", "u.item"])
def test_a_file_that_may_not_be_read_is_not_said_to_be_written(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = _write(tmp_path)
    refuse(folder / name, monkeypatch)
    with pytest.raises(UserError, match=f"cannot read {folder / name}: Permission denied; give its user the right to"):
        read_movielens(spark, folder, "ml-100k")


def test_a_zip_that_may_not_be_read_is_not_said_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "ml-100k.zip"
    archive.write_bytes(b"PK")
    refuse(archive, monkeypatch)
    with pytest.raises(UserError, match=f"cannot read {archive}: Permission denied"):
        locate_movielens(archive, "ml-100k")


def test_java_and_python_agree_on_what_a_line_is(spark: SparkSession, tmp_path: Path) -> None:
    """To Java, U+0085 (in other code pages, an ellipsis) ends a line, and a tab is no blank."""
    folder = _write(tmp_path, data=f"{GOOD} \t\n\t\n", item=f"10|Wait\x85 (1995)||||{FLAGS}\n \n")
    ratings, _, items = _rows(read_movielens(spark, folder, "ml-100k"))
    assert ratings == [(1, 10, 5.0, 881250949)]
    assert items == [(10, "Wait\x85 (1995)", [])]


def test_malformed_rows_that_cannot_be_found_again_are_still_one_line(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableFormat, "problem", lambda self, line: None)
    with pytest.raises(UserError, match=r"u.data: 1 of its rows have not the form of the others; copy it again"):
        read_movielens(spark, _write(tmp_path, data=f"{GOOD}\n1\t10\n"), "ml-100k")


def test_fewer_ratings_than_promised_are_a_warning(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _write(tmp_path)
    (folder / "u.info").write_text("2 users\n3 items\n5 ratings\n")
    read_movielens(spark, folder, "ml-100k")
    assert "u.info promises 5 ratings, but only 3 were found beside it" in caplog.text


def test_checking_is_one_query(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Spark action costs tenths of a second, and a whole run has half a minute."""
    frame = type(spark.range(1))
    collect, collected = frame.collect, []
    monkeypatch.setattr(frame, "collect", lambda self: collected.append(self) or collect(self))
    read_movielens(spark, _write(tmp_path), "ml-100k")
    assert len(collected) == 1


def test_the_published_files_are_read_whole(spark: SparkSession, movielens_dir: Path) -> None:
    small = read_movielens(spark, movielens_dir, "ml-100k")
    assert [table.count() for table in (small.interactions, small.users, small.items)] == [100_000, 943, 1_682]
    items = {row["item_id"]: row for row in small.items.collect()}
    assert items[1]["genres"] == ["Animation", "Children's", "Comedy"]
    assert items[543]["title"] == "Misérables, Les (1995)"
    assert items[267]["genres"] == []
    large = read_movielens(spark, movielens_dir / "ml-1m", "ml-1m")
    assert [table.count() for table in (large.interactions, large.users, large.items)] == [1_000_209, 6_040, 3_883]
    assert large.users.where("user_id = 4").collect()[0]["zip_code"] == "02460"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"1\t10\t5\t881250949\n"), "is gzip by its first bytes, and its name does not say so; call it"),
        ("1\t10\t5\t881250949\n".encode("utf-8-sig"), "begins with the byte order mark of UTF-8; write it in UTF-8"),
        ("1\t10\t5\t881250949\n".encode("utf-16"), "begins with the byte order mark of UTF-16; write it in UTF-8"),
        (b"1\t10\t5\t881250949\n\0\0", "holds bytes of value 0 (UTF-16?); write it as text in UTF-8"),
    ],
    ids=["gzip", "byte order mark", "UTF-16", "zeros"],
)
def test_a_file_that_is_no_plain_text_is_named(spark: SparkSession, tmp_path: Path, content: bytes, what: str) -> None:
    file = _write(tmp_path / "ml") / "u.data"
    file.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_movielens(spark, file.parent, "ml-100k")
    assert str(raised.value).startswith(f"{file} {what}")
