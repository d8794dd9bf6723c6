"""``docs/faults.md`` is what faults look like, but for the seconds."""

from pathlib import Path

import pytest
from faults import PAGE, all_rows, hosts_in, page, without_seconds
from two_hosts import why_not


@pytest.mark.slow
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_the_page_is_what_faults_look_like(tmp_path: Path) -> None:
    with hosts_in(tmp_path) as hosts:
        rows = list(all_rows(tmp_path, hosts))
    assert without_seconds(page(rows)) == without_seconds(PAGE.read_text())
