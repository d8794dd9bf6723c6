"""What a user gets wrong ends in one line that says what, where and what to do; earlier outputs stay as they were."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from projects import PUBLISHED, Finished, Project

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def attempts(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project in which runs are tried that must change nothing."""
    return finished.copy(tmp_path_factory.mktemp("attempts") / "project")


@pytest.fixture
def raw(finished: Project, tmp_path: Path) -> Path:
    """A folder with ml-100k in its published form: what the finished project generated."""
    (generated,) = finished.path("data/01_raw/movielens").iterdir()
    return Path(shutil.copytree(generated, tmp_path / "ml"))


def refused(project: Project, *parameters: str, options: tuple[str, ...] = ()) -> str:
    """The error's line of a run that must fail and leave everything as it was."""
    before = project.content("data")
    arguments = ("--params", ",".join(parameters)) if parameters else ()
    line = project.run(*arguments, *options).error
    assert project.content("data") == before
    return line


def on(path: Path) -> tuple[str, str]:
    return "movielens=ml-100k", f"movielens_path={path}"


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        ("nfc.epochs=3", "nfc: there is no such parameter; did you mean ncf?"),
        ("ncf.epoch=3", "ncf.epoch: there is no such parameter; did you mean epochs?"),
        ("ncf.model.gmf_dimm=3", "ncf.model.gmf_dimm: there is no such parameter; did you mean gmf_dim?"),
        (
            "interactions_cleaning.orphan=drop",
            "interactions_cleaning.orphan: there is no such parameter; did you mean ",
        ),
        ("ncf.epochs=three", "ncf.epochs: expected a whole number, found 'three'"),
        ("ncf.epochs=0", "ncf.epochs: expected at least 1, found 0"),
        ("ncf.learning_rate=fast", "ncf.learning_rate: expected a number, found 'fast'"),
        ("ncf.learning_rate=inf", "ncf.learning_rate: expected a finite number, found 'inf'"),
        ("ncf.embedding_l2=inf", "ncf.embedding_l2: expected a finite number, found 'inf'"),
        ("wnd.learning_rate=nan", "wnd.learning_rate: expected a finite number, found 'nan'"),
        ("ncf.model.hidden_units=[0]", "ncf.model.hidden_units.0: expected at least 1, found 0"),
        ("wnd.model.hidden_units=[-4]", "wnd.model: hidden_units must all be at least 1"),
        ("two_tower.model.hidden_units=[0]", "two_tower.model.hidden_units.0: expected at least 1, found 0"),
        ("ncf.split=halves", "ncf.split: expected 'random', 'leave_one_out', 'temporal' or 'given', found 'halves'"),
        ("ncf=5", "ncf: expected a block of parameters, found 5"),
        ("seed=abc", "seed: expected a whole number, found 'abc'"),
        ("seed=-1", "seed: expected at least 0, found -1"),
        ("seed=4294967296", "seed: expected less than 2147483648, found 4294967296"),
        ("distributed.num_ranks=0", "distributed.num_ranks: expected 'auto' or at least 1, found 0"),
        ("movielens=ml-10m", "movielens: expected 'synthetic', 'ml-100k' or 'ml-1m', found 'ml-10m'"),
    ],
)
def test_a_wrong_parameter_is_named(attempts: Project, parameter: str, line: str) -> None:
    assert refused(attempts, parameter).startswith(line)


def test_a_wrong_name_at_the_top_of_a_file_is_named(project: Project) -> None:
    file = project.path("conf/test/parameters_mine.yml")
    file.write_text("nfc:\n  epochs: 3\n")
    line = f"{file}: nfc: there is no such parameter; did you mean ncf?; a new one must stand in conf/base too"
    assert refused(project) == line
    file.write_text("_epochs: 3\nmine: 3\n")
    assert refused(project).startswith(f"{file}: mine: there is no such parameter; known are ")
    project.path("conf/base/parameters_mine.yml").write_text("mine: 1\n")
    assert project.run("--dry-run").code == 0, "a parameter of one's own, and a file's own helper"
    assert refused(project, "mime=3") == "mime: there is no such parameter; did you mean mine?"


def test_all_wrong_parameters_are_named_at_once(attempts: Project) -> None:
    line = refused(attempts, "ncf.epochs=0", "ncf.top=3", "distributed.bind=perhaps")
    assert [part.split(":")[0] for part in line.split("; ") if ":" in part] == [
        "distributed.bind",
        "ncf.top",
        "ncf.epochs",
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--pipelines", "infer"), "--pipelines: there is no pipeline infer; did you mean inference?"),
        (("--tags", "nfc"), "--tags: no node has the tag nfc; did you mean ncf?"),
        (("--env", "tset"), r".*conf/tset; the environments \(--env\) in conf are base, .*local, reference, test"),
        (("--nodes", "nothing"), r"Pipeline does not contain nodes named \['nothing'\]"),
        (("--conf-source", "elsewhere"), ".*elsewhere.*"),
    ],
)
def test_a_wrong_option_is_named(attempts: Project, options: tuple[str, ...], line: str) -> None:
    assert re.match(line, refused(attempts, options=options))


def test_unreadable_configuration_is_named_with_its_row(project: Project) -> None:
    project.path("conf/test/parameters.yml").write_text("ncf:\n  epochs: [3\n")
    line = project.run().error
    assert line.startswith("the configuration cannot be read")
    assert "conf/test/parameters.yml" in line
    assert re.search("row [0-9]", line)


def test_a_java_that_does_not_start_is_named(project: Project) -> None:
    project.path("conf/test/spark.yml").write_text("spark.driver.extraJavaOptions: -agentlib:nothing\n")
    command = [sys.executable, "-m", "tandem", "run", "--env", "test", "--tags", "ncf"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert Finished(done.returncode, done.stdout, done.stderr).error.startswith("Spark's Java ended as it started")
    assert "agent library nothing" in done.stdout + done.stderr


def test_a_missing_folder_is_named(attempts: Project, tmp_path: Path) -> None:
    line = refused(attempts, *on(tmp_path / "nowhere"))
    assert line.startswith(f"no MovieLens data: {tmp_path}/nowhere does not exist; expected a folder with u.data")


def _cut(file: Path) -> None:
    file.write_text(file.read_text()[: len(file.read_text()) // 2 - 3])


def _cut_inside_the_last_number(file: Path) -> None:
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(rows[:700])[:-4])


def _in_row_42(old: str, new: str) -> Change:
    def change(file: Path) -> None:
        rows = file.read_text(encoding="latin-1").splitlines(keepends=True)
        assert re.search(old, rows[41])
        rows[41] = re.sub(old, new, rows[41], count=1)
        file.write_text("".join(rows), encoding="latin-1")

    return change


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("u.data", Path.unlink, "{} is missing; ml-100k needs it beside u.user, u.item"),
        ("u.data", _cut, "{} is truncated: its last row ends within"),
        ("u.data", _cut_inside_the_last_number, "{} is truncated: its last row ends within"),
        ("u.data", lambda file: file.write_text(""), "{} is empty; copy it again from the published ml-100k.zip"),
        ("u.data", lambda file: file.write_text("\n\n"), "{} has no rows; copy it again"),
        (
            "u.data",
            lambda file: file.write_text(file.read_text().replace("\t", ",")),
            r"{}, row 1: expected 4 fields separated by '\t', found 1 (1500 such rows)",
        ),
        ("u.data", _in_row_42("\t", " "), r"{}, row 42: expected 4 fields separated by '\t', found 3; mend or"),
        ("u.data", _in_row_42("\t[1-5]\t", "\tsix\t"), "{}, row 42: column rating: expected a number from 0.5 to 5, f"),
        ("u.data", _in_row_42("^", "x"), "{}, row 42: column user_id: expected a whole number from 0, found 'x"),
        ("u.user", _in_row_42("[|][MF][|]", "|X|"), "{}, row 42: column gender: expected F or M, found 'X'"),
        ("u.user", _in_row_42("^42", "41"), "{}, row 42: column user_id: 41 stands in row 41 already; remove one"),
        ("u.item", _in_row_42("[|]", ";"), "{}, row 42: expected 24 fields separated by '|', found 23"),
    ],
)
def test_a_broken_file_is_named_with_row_and_column(
    attempts: Project, raw: Path, name: str, change: Change, line: str
) -> None:
    change(raw / name)
    assert refused(attempts, *on(raw)).startswith(line.format(raw / name))


def _zip(folder: Path) -> Path:
    archive = folder.parent / "ml-100k.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(folder.iterdir()):
            zipped.write(file, f"ml-100k/{file.name}")
    return archive


def test_a_zip_whose_content_does_not_fit_its_checksums_is_named(attempts: Project, raw: Path) -> None:
    archive = _zip(raw)
    content = bytearray(archive.read_bytes())
    content[archive.read_bytes().index(b"u.data") + 40] ^= 0xFF
    archive.write_bytes(content)
    assert re.match(rf"{archive} is not an intact zip \(.*\); download it again", refused(attempts, *on(archive)))


def test_a_zip_other_than_its_published_checksum_is_named(attempts: Project, raw: Path) -> None:
    archive = _zip(raw)
    Path(f"{archive}.md5").write_text(f"MD5 ({archive.name}) = {'0' * 32}\n")
    found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    line = refused(attempts, *on(archive))
    assert line.startswith(f"ml-100k.zip has the wrong checksum: expected md5 {'0' * 32}, found {found}")


def test_more_ranks_than_rows_are_refused_before_any_starts(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    before = project.content(*PUBLISHED)
    line = project.run("--params", "distributed.num_ranks=100000", "--from-nodes", "train_ncf").error
    assert re.match(r"distributed.num_ranks: 100000 ranks for [0-9]+ users of the search; use at most [0-9]+", line)
    assert project.content(*PUBLISHED) == before


@pytest.mark.parametrize(
    ("place", "nodes", "found"),
    [
        (
            "data/02_intermediate",
            "clean_interactions",
            "data/02_intermediate/interactions/",
        ),  # its three tables at once
        ("data/06_models", "train_ncf", "data/06_models/"),
        ("data/07_model_output/ncf", "rank_ncf_items", "data/07_model_output/ncf/"),
        ("data/08_reporting/ncf/comparison.json", "report_ncf", "data/08_reporting/ncf/comparison.json"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    finished: Project, tmp_path: Path, place: str, nodes: str, found: str
) -> None:
    """A file where a folder must be (or the other way round) keeps root out as well; permissions would not."""
    project = finished.copy(tmp_path / "project")
    blocked = project.path(place)
    if blocked.is_dir():
        shutil.rmtree(blocked)
        blocked.write_text("in the way")
    else:
        blocked.unlink()
        (blocked / "in the way").mkdir(parents=True)
    line = project.run("--nodes", nodes).error
    assert line.startswith(f"cannot write {project.folder}/{found}")
    assert line.endswith("make the place writable or choose another one")
    assert not list(project.path("data").rglob(".*.new-*"))


def test_a_broken_model_is_named_by_inference(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    weights = project.path("data/06_models/ncf/model.safetensors")
    before = project.content("data/07_model_output", "data/08_reporting")
    weights.unlink()
    line = project.run("--pipelines", "inference").error
    assert line == f"{weights} does not exist; make it first: kedro run --pipelines ncf_training"
    assert project.content("data/07_model_output", "data/08_reporting") == before


def test_inference_before_training_says_what_to_run_first(project: Project, spark: SparkSession) -> None:
    line = project.run("--pipelines", "inference").error
    assert re.match(r".*/data/0.* does not exist; make it first: ", line)
