"""What a user is told before long scoring begins."""

from typing import Any

import pytest

from tandem.parameters import NCFParameters
from tandem.pipelines.inference.scoring import asked_for


@pytest.mark.parametrize(
    ("wanted", "users"), [("all", "all users (6,040 known ones)"), ((7, 9, 7), "2 chosen users")], ids=["all", "chosen"]
)
def test_the_log_says_for_how_many_users_items_are_ranked(wanted: Any, users: str) -> None:
    told = asked_for(NCFParameters(recommend_users=wanted), 6_040, 3_706)
    assert told == f"ranks 3,706 items for {users}, and for those who test"
