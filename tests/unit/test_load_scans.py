"""What the load hands in is what a scanner would have made."""

import random

import pytest

import signing
from loadtests.load.scans import scan
from signing.contract import LintLimits, Trust
from tests.paper import AT


@pytest.mark.parametrize("seed", range(6))
def test_a_scan_is_a_pdf_of_one_page_and_of_the_size_that_was_drawn(tmp_path, seed):
    path = tmp_path / "scan.pdf"
    content = scan(random.Random(seed), 4_000_000)
    path.write_bytes(content)
    report = signing.lint(str(path), "handed_in", LintLimits(), at=AT, trust=Trust())
    assert (report.accepted, report.problems, report.pages) == (True, (), 1)
    assert 38_000 < len(content) <= 4_000_000


def test_none_is_like_another():
    assert scan(random.Random(1), 50_000) != scan(random.Random(1), 50_000)
