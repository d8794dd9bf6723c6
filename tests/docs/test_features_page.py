"""Every example of docs/features.md does what the page shows."""

import doctest
import re

from projects import ROOT

PAGE = ROOT / "docs" / "features.md"


def test_every_example_of_the_page_shows_what_it_does(spark):
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 14
    names = {"spark": spark}
    parser, report = doctest.DocTestParser(), []
    for number, block in enumerate(blocks):
        test = parser.get_doctest(block, names, f"block {number}", str(PAGE), 0)
        assert test.examples
        doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
        names = test.globs
    assert not report, "".join(report)


def test_every_module_that_the_page_names_exists():
    for module in re.findall(r"`tandem\.features\.(\w+)`", PAGE.read_text()):
        room = ROOT / "src" / "tandem" / "features"
        assert (room / f"{module}.py").is_file() or (room / module / "__init__.py").is_file()
