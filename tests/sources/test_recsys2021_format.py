import re

import pytest

from tandem.sources.recsys2021_format import LINE_PATTERN, NAMES, RAW_COLUMNS, SEPARATOR, problem

VALUES = {
    "text": "101\t1942\t102",
    "count": "12",
    "time": "1612396800",
    "engagement": "",
    "flag": "false",
    "flag text": "true",
}


def line(**changes: str) -> str:
    return SEPARATOR.join(changes.get(column.name, VALUES[column.kind]) for column in RAW_COLUMNS)


def test_the_published_order() -> None:
    assert len(NAMES) == 24
    assert NAMES[:3] == ("text_tokens", "hashtags", "tweet_id")
    assert NAMES[8:10] == ("tweet_timestamp", "engaged_with_user_id")
    assert NAMES[14] == "enaging_user_id"
    assert NAMES[-4:] == ("reply_timestamp", "retweet_timestamp", "retweet_with_comment_timestamp", "like_timestamp")


def test_valid_lines() -> None:
    for text in (line(), line(like_timestamp="1612396801"), line(hashtags="", language=""), line() + "\r"):
        assert problem(text) is None
        assert re.search(LINE_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (line().rsplit(SEPARATOR, 1)[0], r"expected 24 columns separated by \x01, found 23"),
        (line() + SEPARATOR, r"expected 24 columns separated by \x01, found 25"),
        (line().replace(SEPARATOR, "\t"), r"expected 24 columns separated by \x01, found 1"),
        (
            line(enaging_user_follower_count="many"),
            "column enaging_user_follower_count: expected a whole number from 0, found 'many'",
        ),
        (line(engaged_with_user_following_count="-1"), "column engaged_with_user_following_count: expected a whole nu"),
        (line(tweet_timestamp=""), "column tweet_timestamp: expected whole seconds since 1970, found ''"),
        (line(like_timestamp="1.6e9"), "column like_timestamp: expected whole seconds since 1970, or nothing, found"),
        (line(enaging_user_is_verified="perhaps"), "column enaging_user_is_verified: expected true or false, found 'p"),
    ],
)
def test_what_is_wrong_is_named_and_the_pattern_agrees(text: str, what: str) -> None:
    assert str(problem(text)).startswith(what)
    assert not re.search(LINE_PATTERN, text)
