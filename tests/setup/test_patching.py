"""Patches apply exactly or not at all."""

from pathlib import Path

import pytest
from patching import PatchError, apply_patch

PATCH = """Why it is needed.

--- a/src/x.txt
+++ b/src/x.txt
@@ -1,3 +1,4 @@
 one
-two
+TWO
+and a half

@@ -5,2 +6,1 @@
 five
-six
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.txt").write_text("one\ntwo\n\nfour\nfive\nsix\nseven\n")
    (tmp_path / "p.patch").write_text(PATCH)
    return tmp_path


def test_a_patch_changes_what_it_says(source: Path) -> None:
    assert apply_patch(source / "p.patch", source) == [source / "src" / "x.txt"]
    assert (source / "src" / "x.txt").read_text() == "one\nTWO\nand a half\n\nfour\nfive\nseven\n"


def test_a_patch_that_does_not_fit_changes_nothing_and_says_where(source: Path) -> None:
    (source / "src" / "x.txt").write_text(other := "one\n2\n\nfour\nfive\nsix\n")
    with pytest.raises(PatchError, match=r"p\.patch: src/x\.txt, line 2: expected 'two'"):
        apply_patch(source / "p.patch", source)
    assert (source / "src" / "x.txt").read_text() == other


def test_a_patch_of_a_file_that_is_not_there_is_an_error(source: Path) -> None:
    (source / "src" / "x.txt").unlink()
    with pytest.raises(PatchError, match=r"p\.patch: no file src/x\.txt"):
        apply_patch(source / "p.patch", source)
