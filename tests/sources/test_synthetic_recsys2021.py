import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tandem.errors import UserError
from tandem.sources import synthetic_recsys2021
from tandem.sources.recsys2021 import SCHEMA, read_recsys2021
from tandem.sources.recsys2021_format import ENGAGEMENTS, NAMES, SEPARATOR, problem
from tandem.sources.recsys2021_manifest import Manifest, read_manifest
from tandem.sources.synthetic_recsys2021 import write_synthetic_recsys2021
from tandem.sources.synthetic_recsys2021_planted import Planted
from tandem.sources.synthetic_recsys2021_unique import Unique
from tandem.sources.synthetic_recsys2021_world import Sizes

ROWS = 20_000


def half(folder: Path, name: str) -> pd.DataFrame:
    return pq.read_table(folder / name).to_pandas()


def engaged(rows: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return rows[list(ENGAGEMENTS)].notna().any(axis=1).to_numpy()


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recsys2021") / "planted"
    write_synthetic_recsys2021(spark, out, rows=ROWS, seed=5)
    return out


@pytest.fixture(scope="module")
def train(folder: Path) -> pd.DataFrame:
    return half(folder, "train")


@pytest.fixture(scope="module")
def test_rows(folder: Path) -> pd.DataFrame:
    return half(folder, "test")


def test_the_files_and_what_is_told_of_them(folder: Path, train: pd.DataFrame, test_rows: pd.DataFrame) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["planted.json", "test", "train"]
    names = [f"part-0000{number}.parquet" for number in range(4)]
    assert sorted(path.name for path in (folder / "train").iterdir()) == names
    assert sorted(path.name for path in (folder / "test").iterdir()) == names
    made = read_manifest(folder)
    assert made is not None
    assert (made.kind, made.rows, made.seed) == ("planted", ROWS, 5)
    assert (made.train_rows, made.test_rows) == (len(train), len(test_rows))
    assert len(train) + len(test_rows) == ROWS
    assert len(test_rows) / ROWS == pytest.approx(0.2, abs=0.01)
    assert made.base_rate == pytest.approx(engaged(test_rows).mean(), abs=1e-9)
    assert 0.3 < made.base_rate < 0.45


def test_rows_are_read_back_as_they_were_made(spark: SparkSession, folder: Path, test_rows: pd.DataFrame) -> None:
    raw = read_recsys2021(spark, folder)
    assert raw.train.schema == raw.test.schema == SCHEMA
    assert list(test_rows.columns) == list(NAMES)
    made = read_manifest(folder)
    assert made is not None
    assert raw.best_auc == made.best_auc
    assert raw.test.count() == len(test_rows)


def test_raw_text_holds_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    def made(raw: bool) -> pd.DataFrame:
        out = tmp_path / f"raw {raw}"
        write_synthetic_recsys2021(spark, out, rows=300, seed=5, raw=raw)
        return read_recsys2021(spark, out).train.na.fill("").toPandas()

    pd.testing.assert_frame_equal(made(raw=True), made(raw=False))
    (file,) = (tmp_path / "raw True" / "train").iterdir()
    assert file.name == "part-00000"
    lines = file.read_text().splitlines()
    assert [problem(line) for line in lines if problem(line)] == []
    assert {len(line.split(SEPARATOR)) for line in lines} == {24}


@pytest.mark.parametrize("kind", ["planted", "unique"])
def test_neither_partitions_nor_repetition_change_a_row(spark: SparkSession, kind: str) -> None:
    def made(seed: int, partitions: int) -> pd.DataFrame:
        source = Unique if kind == "unique" else Planted
        rows = source(spark, 300, seed, partitions).rows()
        return rows.toPandas().sort_values("_row", ignore_index=True)

    pd.testing.assert_frame_equal(made(1, 1), made(1, 5))
    assert (made(1, 1)["tweet_id"] != made(2, 1)["tweet_id"]).all()


def test_values_have_the_published_forms(train: pd.DataFrame) -> None:
    for name in ("tweet_id", "language", "enaging_user_id", "engaged_with_user_id"):
        assert train[name].str.fullmatch("[0-9A-Z]{32}").all()
    for name in ("hashtags", "present_links", "present_domains"):
        assert train[name].str.fullmatch(r"([0-9A-Z]{32}(\t[0-9A-Z]{32})*)?").all()
        assert (train[name] == "").any()
    assert train["text_tokens"].str.fullmatch(r"101(\t[0-9]+)+\t102").all()
    assert train["present_media"].str.fullmatch(r"((Photo|Video|GIF)(\t(Photo|Video|GIF))*)?").all()
    assert set(train["tweet_type"]) == {"Retweet", "Quote", "TopLevel"}
    assert set(train["engagee_follows_engager"]) == {"true", "false"}
    assert train["tweet_timestamp"].between(1_612_396_800, 1_612_396_800 + 21 * 86_400).all()
    for name in ENGAGEMENTS:
        times = train[name].dropna()
        assert len(times) > 100
        assert (times > train.loc[times.index, "tweet_timestamp"]).all()


def test_everything_recurs_with_a_long_tail(train: pd.DataFrame) -> None:
    sizes = Sizes.of(ROWS)
    for name, count in (
        ("enaging_user_id", sizes.users),
        ("engaged_with_user_id", sizes.authors),
        ("tweet_id", sizes.tweets),
    ):
        found = train[name].value_counts()
        assert 0.9 * count < len(found) <= count
        assert found.iloc[0] > 3 * found.median()
    tags = train["hashtags"].str.split("\t").explode().value_counts().drop("")
    assert tags.iloc[0] > 5 * tags.median()
    pairs = train[["enaging_user_id", "tweet_id"]].drop_duplicates()
    assert len(pairs) > 0.7 * len(train)


def test_a_tweet_keeps_its_features_and_people_grow_slowly(train: pd.DataFrame) -> None:
    tweets = train.groupby("tweet_id")
    for name in ("engaged_with_user_id", "hashtags", "language", "present_media", "tweet_timestamp", "text_tokens"):
        assert (tweets[name].nunique() == 1).all()
    users = train.groupby("enaging_user_id")
    assert (users["enaging_user_is_verified"].nunique() == 1).all()
    followers = users["enaging_user_follower_count"].agg(["min", "max", "nunique"])
    assert (followers["nunique"] > 1).any()
    assert (followers["max"] <= 1.1 * followers["min"] + 2).all()
    alike = train.sort_values("tweet_timestamp").groupby("enaging_user_id")["enaging_user_follower_count"]
    assert alike.apply(lambda counts: counts.is_monotonic_increasing).all()


def test_the_first_tag_of_a_tweet_is_the_most_frequent(train: pd.DataFrame) -> None:
    """So a model that keeps one tag keeps the one that counts."""
    lists = train["hashtags"].str.split("\t")
    frequency = lists.explode().value_counts()
    several = lists[lists.str.len() > 1]
    assert len(several) > 1_000
    assert all(frequency[tags[0]] >= frequency[tag] for tags in several for tag in tags[1:])


def test_the_signal_is_planted_in_people_and_tweets_more_than_in_side_features(
    folder: Path, train: pd.DataFrame, test_rows: pd.DataFrame
) -> None:
    made = read_manifest(folder)
    assert made is not None
    assert 0.75 < made.best_auc < 0.85
    side = roc_auc_score(engaged(test_rows), _by_side_features(train, test_rows))
    assert 0.51 < side < 0.5 + (made.best_auc - 0.5) / 2
    people = roc_auc_score(engaged(test_rows), _by_rates(train, test_rows, "enaging_user_id", "engaged_with_user_id"))
    assert people > 0.5 + 0.5 * (made.best_auc - 0.5)


def test_users_meet_tweets_of_their_topics(train: pd.DataFrame, test_rows: pd.DataFrame) -> None:
    """The author of a test row is one the user has met before far more often than among shuffled users."""
    met = set(zip(train["enaging_user_id"], train["engaged_with_user_id"], strict=True))
    users, authors = test_rows["enaging_user_id"].to_numpy(), test_rows["engaged_with_user_id"].to_numpy()
    shuffled = np.random.default_rng(0).permutation(users)
    shares = [np.mean([pair in met for pair in zip(who, authors, strict=True)]) for who in (users, shuffled)]
    assert shares[0] > 2 * shares[1]


def test_noise_has_the_rows_and_no_signal(spark: SparkSession, train: pd.DataFrame, tmp_path: Path) -> None:
    made = write_synthetic_recsys2021(spark, tmp_path / "noise", rows=ROWS, seed=5, kind="noise")
    noisy, tested = half(tmp_path / "noise", "train"), half(tmp_path / "noise", "test")
    features = [name for name in NAMES if name not in ENGAGEMENTS]
    pd.testing.assert_frame_equal(noisy[features], train[features])
    assert made.best_auc == 0.5
    # The planted rate depends a little on who is there; that of noise does not.
    assert engaged(noisy).mean() == pytest.approx(engaged(train).mean(), abs=0.05)
    rates = _by_rates(noisy, tested, "enaging_user_id", "engaged_with_user_id")
    assert roc_auc_score(engaged(tested), rates) == pytest.approx(0.5, abs=0.03)  # its standard error is 0.009


def test_unique_rows_share_nothing(spark: SparkSession, tmp_path: Path) -> None:
    made = write_synthetic_recsys2021(spark, tmp_path / "unique", rows=2_000, seed=5, kind="unique")
    rows = pd.concat([half(tmp_path / "unique", name) for name in ("train", "test")])
    for name in ("tweet_id", "enaging_user_id", "engaged_with_user_id"):
        assert rows[name].is_unique
    for name, most in (("hashtags", 50), ("present_links", 10), ("present_domains", 10)):
        values = rows[name].str.split("\t").explode()
        assert values[values != ""].is_unique
        lengths = np.where(rows[name] == "", 0, rows[name].str.count("\t") + 1)
        assert (lengths.min(), lengths.max()) == (0, most)
        assert lengths.mean() == pytest.approx(most / 2, rel=0.05)
    for name in ENGAGEMENTS:
        assert rows[name].notna().mean() == pytest.approx(0.5, abs=0.05)
    assert rows["language"].nunique() == 65
    assert made.best_auc == 0.5
    assert made.base_rate == pytest.approx(15 / 16, abs=0.04)


def test_impossible_requests_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows must be at least 100, not 99"):
        write_synthetic_recsys2021(spark, tmp_path / "out", rows=99)
    with pytest.raises(UserError, match=r"plant is not known; choose one of planted, noise, unique"):
        write_synthetic_recsys2021(spark, tmp_path / "out", rows=100, kind="plant")  # type: ignore[arg-type]
    real = tmp_path / "real"
    (real / "train").mkdir(parents=True)
    with pytest.raises(UserError, match=r"real holds files that were not generated"):
        write_synthetic_recsys2021(spark, real, rows=100)
    assert [path.name for path in real.iterdir()] == ["train"]


def test_what_was_generated_is_replaced_as_a_whole(spark: SparkSession, tmp_path: Path) -> None:
    write_synthetic_recsys2021(spark, tmp_path / "out", rows=100, seed=1)
    write_synthetic_recsys2021(spark, tmp_path / "out", rows=200, seed=1)
    assert len(half(tmp_path / "out", "train")) + len(half(tmp_path / "out", "test")) == 200
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("raw", [False, True])
def test_rows_that_are_lost_replace_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bool
) -> None:
    out = tmp_path / "out [1]: {2}"
    write_synthetic_recsys2021(spark, out, rows=100, seed=1, raw=raw)
    write = synthetic_recsys2021._write

    def losing(rows: DataFrame, folder: Path, *, raw: bool) -> None:
        write(rows, folder, raw=raw)
        next((folder / "test").iterdir()).unlink()

    monkeypatch.setattr(synthetic_recsys2021, "_write", losing)
    before = sorted(path.stat().st_ino for path in out.rglob("*"))
    with pytest.raises(UserError, match=r"stays as it was: 200 rows were generated, and 1\d\d are in the new files"):
        write_synthetic_recsys2021(spark, out, rows=200, seed=1, raw=raw)
    assert sorted(path.stat().st_ino for path in out.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_manifest_of_another_version_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    made = Manifest("planted", 100, 1, -1, 80, 20, 0.4, 0.8)
    (tmp_path / "planted.json").write_text(json.dumps(vars(made)))
    assert read_manifest(tmp_path) is None
    (tmp_path / "planted.json").write_text("{")
    assert read_manifest(tmp_path) is None


def _by_side_features(train: pd.DataFrame, test_rows: pd.DataFrame) -> "np.ndarray":
    """Scores of a logistic regression on everything but ids."""
    categories = ["present_media", "tweet_type", "language", "engagee_follows_engager"]
    flags = ["engaged_with_user_is_verified", "enaging_user_is_verified"]
    counts = [name for name in NAMES if name.endswith("_count")]

    def features(rows: pd.DataFrame) -> pd.DataFrame:
        numbers = np.log1p(rows[counts].astype(float)) / 5
        lists = {name: rows[name].str.count("\t") + (rows[name] != "") for name in ("hashtags", "present_links")}
        return pd.get_dummies(rows[categories]).join(rows[flags]).join(numbers).assign(**lists).astype(float)

    known, asked = features(train), features(test_rows)
    asked = asked.reindex(columns=known.columns, fill_value=0.0)
    model = LogisticRegression(max_iter=2000).fit(known, engaged(train))
    return model.predict_proba(asked)[:, 1]


def _by_rates(train: pd.DataFrame, test_rows: pd.DataFrame, *names: str) -> "np.ndarray":
    """Scores from the engagement rates of the values in the training rows, shrunk, as log odds."""
    outcome, score = pd.Series(engaged(train), index=train.index), np.zeros(len(test_rows))
    for name in names:
        groups = outcome.groupby(train[name])
        rates = (groups.sum() + 5 * outcome.mean()) / (groups.count() + 5)
        score += np.log(rates / (1 - rates)).reindex(test_rows[name]).fillna(0.0).to_numpy()
    return score
