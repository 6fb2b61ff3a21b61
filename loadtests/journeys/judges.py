"""Who judges a result: this product's own verification, poppler's pdfsig, and openssl on each signature alone."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import signing
from signing.contract import Trust

_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")


class BadResultError(Exception):
    """A judge does not accept a result; the text says which and why."""


def judge(path: Path, root: Path, trust: Trust, signatures: int) -> None:
    """Have every judge look at a file that must bear so many good signatures, and no more.

    Raises:
        BadResultError: one of them found otherwise.
    """
    verdict = signing.verify(str(path), trust, at=datetime.now(UTC))
    if not verdict.ok or len(verdict.signatures) != signatures:
        raise BadResultError(f"own verification: {len(verdict.signatures)} signatures, {verdict.problems}")
    told = subprocess.run(["pdfsig", "-nocert", str(path)], capture_output=True, text=True, check=False, timeout=60)
    if told.stdout.count("Signature is Valid.") != signatures:
        raise BadResultError(f"pdfsig: {told.stdout}{told.stderr}")
    for number, (container, content) in enumerate(_split(path.read_bytes())):
        _ask_openssl(path.with_suffix(f".{number}"), container, content, root)


def _split(data: bytes) -> list[tuple[bytes, bytes]]:
    """Cut out each CMS and the bytes that it signs, with nothing but the standard library."""
    parts: list[tuple[bytes, bytes]] = []
    for found in _RANGE.finditer(data):
        start, first, second, rest = map(int, found.groups())
        blob = bytes.fromhex(data[start + first + 1 : second - 1].decode())
        width = blob[1] & 0x7F
        size = 2 + width + int.from_bytes(blob[2 : 2 + width], "big")
        parts.append((blob[:size], data[start : start + first] + data[second : second + rest]))
    return parts


def _ask_openssl(place: Path, container: bytes, content: bytes, root: Path) -> None:
    cms, signed = place.with_suffix(".der"), place.with_suffix(".bin")
    cms.write_bytes(container)
    signed.write_bytes(content)
    words = [
        "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", str(cms), "-content", str(signed),
        "-CAfile", str(root), "-purpose", "any", "-out", "/dev/null",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode or "CAdES Verification successful" not in done.stderr:
        raise BadResultError(f"openssl: {done.stderr}")
