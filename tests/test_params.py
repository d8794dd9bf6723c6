"""What ``--params`` makes of a text, and that nothing of it is lost."""

from typing import Any

import pytest

from projects import Project
from tandem.cli.params import parse_params
from tandem.errors import UserError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("ncf.epochs=5, seed=7,", {"ncf": {"epochs": 5}, "seed": 7}),
        ("a=null,b=true,c=1e-3", {"a": None, "b": True, "c": 0.001}),
        ("ncf.recommend_users=[1,2],seed=7", {"ncf": {"recommend_users": [1, 2]}, "seed": 7}),
        ('a=["0-1,4", "2-3"]', {"a": ["0-1,4", "2-3"]}),
        ("hosts=[node1:2, node2:2]", {"hosts": ["node1:2", "node2:2"]}),
        ("a={x: 1, y: [2, 3]}", {"a": {"x": 1, "y": [2, 3]}}),
        ('a="/data/a,b"', {"a": "/data/a,b"}),
        ("spark.master=local[*],a=/it's/my #1", {"spark": {"master": "local[*]"}, "a": "/it's/my #1"}),
        ("a=/data/a: b,b=@x", {"a": "/data/a: b", "b": "@x"}),
    ],
)
def test_values_are_what_was_written(text: str, values: dict[str, Any]) -> None:
    assert parse_params(text) == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a=1,b", "--params: expected NAME=VALUE, found 'b'; a value with a comma is quoted"),
        ("=1", "--params: expected NAME=VALUE, found '=1'"),
        ("movielens_path=", r"--params: movielens_path has no value \(an empty variable of the shell\?\); write null"),
        ("a=[1,2", r"--params: a=\[1,2 does not end; close the bracket"),
        ("a='b", "--params: a='b does not end; close the quotation"),
        ("a=[1]]", r"--params: a=\[1\]\] cannot be read: "),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}") as raised:
        parse_params(text)
    assert "\n" not in str(raised.value)


def test_a_single_value_where_a_list_belongs_is_told_how_to_write_it(project: Project) -> None:
    line = project.run("--params", "ncf.recommend_users=1,ncf.model.hidden_units=32").error
    assert "ncf.recommend_users: expected 'all' or a list, found 1; write [1]" in line
    assert "ncf.model.hidden_units: expected a list, found 32; write [32]" in line


def test_lists_reach_a_run(project: Project) -> None:
    parameters = "ncf.recommend_users=[1,2],ncf.model.hidden_units=[32,16],ncf.baselines.models=[ease]"
    done = project.run("--dry-run", "--params", parameters)
    assert done.code == 0, done.err


def test_an_option_that_is_given_twice_is_refused(project: Project) -> None:
    line = project.run("--params", "seed=1", "--params", "ncf.epochs=2").error
    assert line == "--params is given 2 times; join them in one, by commas"
    assert project.run("--tags", "ncf", "--tags", "wnd").error.startswith("--tags is given 2 times")
