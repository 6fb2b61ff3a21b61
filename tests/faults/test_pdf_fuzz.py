"""Broken PDFs without end: only a report, a verdict or a kind of our own error comes out, within time and memory.

Whatever is done to a signed file, what still verifies shows the pages that were signed. `make fuzz-pdf` runs it for ten
minutes; MOTCUA_PDF_FUZZ_S sets the seconds, MOTCUA_PDF_FUZZ_SEED repeats a run, whose seed is printed.
"""

import contextlib
import hashlib
import os
import random
import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

import signing
from signing.contract import Trust
from signing.errors import SigningError
from signing.pdf import pages
from signing.pdf.bounded import BoundedPool, Bounds
from signing.trust.anchors import load_trust

SECONDS = float(os.environ.get("MOTCUA_PDF_FUZZ_S", "20"))
SEED = int(os.environ.get("MOTCUA_PDF_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
VECTORS = Path(__file__).parents[1] / "vectors" / "signed"
TOLD = msgspec.json.decode((VECTORS / "verdicts.json").read_bytes())
AT = datetime.fromisoformat(TOLD["at"])
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LARGEST = 300_000
MEMORY = 768 << 20
"""Address space of a worker; its libraries alone take half of it."""
TOKEN = re.compile(rb"\d+|/[A-Za-z]+|<<|>>|obj|endobj|stream|endstream|xref|trailer|startxref|R\b")
ODD = [
    b"0", b"-1", b"2147483648", b"99999999999", b"4 0 R", b"null", b"<<", b">>", b"[", b"]", b"(", b"<", b"%", b"true",
    b"stream\n", b"endobj\n", b"/Type /Sig", b"/ByteRange [0 1 2 3]", b"/Kids [1 0 R]", b"/Length 999999999",
    b"/Filter [/FlateDecode /FlateDecode]", b"\x00", b"\xff\xfe", b"%%EOF\n", b"startxref\n0\n%%EOF\n",
]  # fmt: skip


class Seen(msgspec.Struct):
    """What became of one file: what it shows, and what it showed when the last person signed, where that is good."""

    ok: bool
    signed: bytes
    pages: list[bytes]
    signed_pages: list[bytes]


def look(path: str, out: str, trust: Trust, at: datetime) -> Seen:
    """Do everything that is done to strangers' files; runs in the worker."""
    verdict = signing.verify(path, trust, at=at)
    for profile in ("handed_in", "to_sign"):
        signing.lint(path, profile, at=at, trust=trust)
    with contextlib.suppress(SigningError):
        signing.repair(path, out, at=at)
    Path(out).unlink(missing_ok=True)
    if not verdict.ok:
        return Seen(False, b"", [], [])
    shown = pages._by_qpdf(path, pages._decoded)
    person = [one for one in verdict.signatures if one.kind != "timestamp"][-1]
    for part, digest in signed_parts(Path(path).read_bytes()):
        if hashlib.sha256(part).digest() == person.revision_sha256:
            Path(out).write_bytes(part)
            return Seen(True, digest, shown, pages._by_qpdf(out, pages._decoded))
    raise AssertionError("a good signature without a signed part")


def signed_parts(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the file as it was when each signature was made, and the SHA-256 of what that signed.

    The container is not among it: certificates that it brings along and nobody needs may be altered.
    """
    found: list[tuple[bytes, bytes]] = []
    for one in re.finditer(rb"/ByteRange\s*\[\s*0\s+(\d+)\s+(\d+)\s+(\d+)", data):
        first, second, rest = (int(number) for number in one.groups())
        signed = hashlib.sha256(data[:first] + data[second : second + rest]).digest()
        found.append((data[: second + rest], signed))
    return found


def broken(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return the file with one to four things done to it."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + int(draw.expovariate(1 / 400)) + 1)
        kind = draw.randrange(9)
        if kind == 0:
            data = data[:start] + data[end:]
        elif kind == 1 and data:
            place = min(start, len(data) - 1)
            data = data[:place] + bytes((data[place] ^ 1 << draw.randrange(8),)) + data[place + 1 :]
        elif kind == 2:
            data = data[:start] + draw.choice(ODD) + data[start:]
        elif kind == 3:
            data += draw.choice(ODD) * draw.choice((1, 1, 3))
        elif kind == 4:
            there = draw.randrange(len(data) + 1)
            data = data[:start] + data[end:there] + data[start:end] + data[max(there, end) :]
        elif kind == 5:
            data = data[:end] + data[start:end] + data[end:]
        elif kind == 6 and (tokens := list(TOKEN.finditer(data))):
            one = draw.choice(tokens)
            data = data[: one.start()] + draw.choice([*ODD, draw.choice(tokens)[0]]) + data[one.end() :]
        elif kind == 7:
            other = draw.choice(others)
            place = draw.randrange(len(other))
            data = data[:start] + other[place : place + end - start] + data[end:]
        else:
            data += revision(draw, data)
    return data


def revision(draw: random.Random, data: bytes) -> bytes:
    """Return an incremental update as an attacker writes it: one object anew, with a table of its own or without."""
    numbers = re.findall(rb"(\d+) 0 obj", data)
    previous = re.findall(rb"startxref\s+(\d+)", data)
    if not numbers or not previous:
        return draw.choice(ODD)
    number = int(draw.choice(numbers)) % 10**9
    bodies = (
        b"<< /Length 5 >>\nstream\nBT ET\nendstream", b"<< /Type /Page /MediaBox [0 0 9 9] >>", b"null",
        b"<< /Type /Catalog /Pages %s 0 R >>" % draw.choice(numbers), draw.choice(ODD),
    )  # fmt: skip
    body = b"%d 0 obj\n%s\nendobj\n" % (number, draw.choice(bodies))
    if draw.random() < 0.2:
        return body
    table = b"xref\n0 1\n0000000000 65535 f \n%d 1\n%010d 00000 n \n" % (number, len(data))
    root = re.findall(rb"/Root (\d+) 0 R", data) or [b"1"]
    trailer = b"trailer\n<< /Size %d /Root %s 0 R /Prev %s >>\n" % (number + 1000, root[-1], previous[-1])
    return body + table + trailer + b"startxref\n%d\n%%%%EOF\n" % (len(data) + len(body))


def keep(source: Path, number: int) -> Path:
    """Put a file that was not handled well where it outlives the test."""
    kept = Path(tempfile.gettempdir()) / f"motcua-pdf-fuzz-{SEED}-{number}.pdf"
    kept.write_bytes(source.read_bytes())
    return kept


@pytest.mark.timeout(SECONDS + 240)
async def test_no_broken_file_gets_past_time_memory_or_the_signed_page(tmp_path):
    sys.stdout.write(f"MOTCUA_PDF_FUZZ_SEED={SEED}\n")
    draw, trust = random.Random(SEED), load_trust(VECTORS / "root.pem")
    signed = sorted(VECTORS.glob("*.pdf"))
    real = sorted(path for path in DATA.glob("**/*.pdf") if path.stat().st_size < LARGEST)
    others = [path.read_bytes() for path in (*signed, *real)]
    source, out = tmp_path / "file.pdf", tmp_path / "out.pdf"
    known: set[bytes] = set()
    rightful: list[list[bytes]] = []  # a timestamp puts an empty widget on the page
    tried = passed = 0
    async with BoundedPool(1, bounds=Bounds(memory_bytes=MEMORY, cpu_s_per_task=20)) as pool:
        for path in signed:
            known |= {digest for _, digest in signed_parts(path.read_bytes())}
            seen = await pool.run(look, str(path), str(out), trust, AT, timeout_s=60)
            assert seen.ok == TOLD["files"][path.stem]["ok"]
            rightful += [seen.pages] if seen.ok else []
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            path = draw.choice(signed if not real or draw.random() < 0.7 else real)
            source.write_bytes(broken(draw, path.read_bytes(), others))
            try:
                seen = await pool.run(look, str(source), str(out), trust, AT, timeout_s=20)
            except SigningError as error:
                raise AssertionError(f"{path.name}, kept as {keep(source, tried)}: {error}") from error
            tried += 1
            if seen.ok:
                passed += 1
                if seen.pages not in (seen.signed_pages, *rightful) or seen.signed not in known:
                    kept = keep(source, tried)
                    raise AssertionError(f"{path.name} verifies and shows other pages than signed: {kept}")
        assert pool.lost == 0
    sys.stdout.write(f"{tried} tệp / files, {passed} vẫn hợp lệ / still valid, {SECONDS:g} s\n")
    assert tried > SECONDS
