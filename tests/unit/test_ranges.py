"""Which bytes a Range header asks for, by RFC 9110."""

import pytest

from api.documents.ranges import Unsatisfiable, matches, pick


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes= 5 - 9 ", (5, 10)),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=x-y", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_ranges(header, wanted):
    assert pick(header, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_ranges_outside_the_file(header):
    with pytest.raises(Unsatisfiable):
        pick(header, 100)


@pytest.mark.parametrize(
    ("header", "known"),
    [(None, False), ('"abc"', True), ('W/"abc"', True), ('"x", "abc"', True), ("*", True), ('"abcd"', False)],
)
def test_known_tags(header, known):
    assert matches(header, "abc") is known
