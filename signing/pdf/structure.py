"""Checks of a signed file's bytes that need no trust: tails, gaps, counts; each line answers a known attack.

The names in brackets are those of the research on PDF signatures (ISA incremental saving, SWA signature wrapping,
USF universal forgery). Real files of other makers were used to keep the checks from refusing honest ones.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signing.contract import Problem
from signing.pdf.embedded import Found

_COMMENT: Final = rb"(?:%(?!%EOF)(?![^\r\n]*(?:\bobj\b|endobj|stream|startxref))[^\r\n]{0,120}[\r\n]\s*)*"
"""A comment line such as iText's %iText-Core-9.2.0 before startxref."""
_TAIL: Final = re.compile(
    rb"\s*(?:endobj|<<(?:(?!startxref|%%EOF|\bobj\b|endobj|stream).)*>>)\s*"
    + _COMMENT
    + rb"startxref\s+(\d+)\s+%%EOF[\s\x00]*\Z",
    re.DOTALL,
)
_SHELL_DEPTH: Final = 5
"""How deep the shell of a CMS goes before certificates and attributes begin, which have signatures of their own."""
_BYTE_RANGE: Final = b"/ByteRange"
_STREAM: Final = re.compile(rb"\s*\d+\s+\d+\s+obj\b(?:(?!endobj|stream)[\x00-\xff])*?stream\r?\n")
_LENGTH: Final = re.compile(rb"/Length\s+(\d{1,12})(?!\s+\d+\s+R)(?=[\s/>])")
_ENDSTREAM: Final = re.compile(rb"\s*endstream\b")
_OPENS: Final = re.compile(rb"\s*\[")
_LARGE: Final = 1 << 16
"""From how many bytes on a stream is passed over."""


def problems_of(data: bytes, reader: PdfFileReader, found: Found) -> list[Problem]:
    """Return what is wrong with the file as a whole."""
    problems: list[Problem] = []
    if reader.xrefs.hybrid_xrefs_present:
        problems.append(
            Problem(code="hybrid-xref", vi="Bảng tham chiếu lai", en="The file has hybrid cross-references")
        )
    if len(found.fields) != len(found.signatures):
        problems.append(
            Problem(
                code="unknown-signature",
                vi="Có chữ ký thuộc loại không kiểm tra được",
                en="A signature field holds a kind of signature that cannot be judged",
            )
        )
    values = [_reference(field) for field in found.fields]
    if len(set(values)) != len(values):
        problems.append(
            Problem(code="shared-signature", vi="Một chữ ký dùng cho nhiều trường", en="Fields share one signature")
        )
    if _count_byte_ranges(data, reader, found.ranges) != found.ranges:
        problems.append(
            Problem(
                code="stray-byte-range",
                vi="Tệp chứa dữ liệu chữ ký không thuộc trường ký nào",
                en="The file holds signature data that belongs to no field",
            )
        )
    if not _covered(data, found.signatures) and not clean_tail(data, reader):
        problems.append(
            Problem(
                code="dirty-tail",
                vi="Có dữ liệu lạ sau phần kết thúc của tệp",
                en="Something stands after the end of the file that its cross-references do not name",
            )
        )
    return problems


def _reference(field: Any) -> tuple[int, int]:
    value = field.raw_get("/V")
    return (value.idnum, value.generation) if hasattr(value, "idnum") else (-1, id(field))


def _count_byte_ranges(data: bytes, reader: PdfFileReader, expected: int) -> int:
    """Count byte ranges outside streams: an attachment may be a signed file itself, and text may speak of them."""
    places = _places(reader) if len(data) > _LARGE else []
    found: list[int] = []
    for start, end in _without_large_streams(data, places):
        stop = end
        while (at := data.rfind(_BYTE_RANGE, start, stop)) >= 0:  # backwards half as fast again as forwards
            if _OPENS.match(data, at + len(_BYTE_RANGE)):
                found.append(at)
            stop = at
    return len(found) if len(found) == expected else len(found) - _within_streams(data, _places(reader), found)


def _places(reader: Any) -> list[int]:
    """Return where the objects stand that the cross-references of any revision name."""
    sections = range(reader.xrefs.total_revisions)
    tables = (reader.xrefs.get_xref_data(section).standard_xrefs for section in sections)
    return sorted({place for table in tables for _, place in table.values()})


def _without_large_streams(data: bytes, places: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file between its large streams, which are most of it: pictures, fonts, attachments."""
    at = 0
    for place, after in pairwise([*places, len(data)]):
        if after - place > _LARGE:
            begins, ends = _stream(data, place, after)
            if at < begins < ends <= after:
                yield at, begins
                at = ends
    yield at, len(data)


def _within_streams(data: bytes, places: list[int], hits: list[int]) -> int:
    """Count the hits in the middle of streams that the cross-references name, in the form in which they are stored."""
    inside = 0
    for hit in hits:
        position = bisect_right(places, hit)
        if position:
            inside += hit < _stream(data, places[position - 1], hit)[1]
    return inside


def _stream(data: bytes, place: int, before: int) -> tuple[int, int]:
    """Return where the stream of the object at a place begins and by its own /Length ends, or nothing of it (0, 0)."""
    head = _STREAM.match(data, place, before)
    if head is None:
        return 0, 0
    length = _LENGTH.search(data, place, head.end())
    end = head.end() + int(length[1]) if length else 0
    return (head.end(), end) if _ENDSTREAM.match(data, end) else (0, 0)


def _covered(data: bytes, signatures: list[EmbeddedPdfSignature]) -> bool:
    """Say whether a signature covers every byte of the file, so that no tail can hide anything."""
    return any(ends_at(signature) == len(data) and exact_gap(data, signature) for signature in signatures)


def clean_tail(data: bytes, reader: PdfFileReader) -> bool:
    """Say whether only trailer, startxref and %%EOF follow the newest cross-references [ISA]."""
    newest = reader.xrefs.get_xref_container_info(reader.xrefs.total_revisions - 1)
    match = _TAIL.match(data[newest.end_location :])
    return bool(match) and int(match[1]) == reader.last_startxref


def ends_at(signature: EmbeddedPdfSignature) -> int:
    """Return where the signature's byte range ends."""
    try:
        return sum(int(part) for part in _range(signature)[2:4])
    except (TypeError, ValueError, IndexError):
        return -1


def exact_gap(data: bytes, signature: EmbeddedPdfSignature) -> bool:
    """Say whether the byte range leaves out exactly /Contents: one hexadecimal CMS and zeros [USF, SWA]."""
    try:
        start, first, second, rest = (int(part) for part in _range(signature))
    except (TypeError, ValueError):
        return False
    if start != 0 or not 0 < first < second or rest <= 0 or second + rest > len(data):
        return False
    content: bytes = signature.pkcs7_content
    size = element_size(content) if content[:1] == b"\x30" else None
    if size is None or size > len(content) or content[size:].strip(b"\x00"):
        return False
    digits = content.hex().encode()
    return data[first:second] in {b"<" + digits + b">", b"<" + digits.upper() + b">"}


def element_size(data: bytes, at: int = 0, depth: int = 0) -> int | None:
    """Return the size of the BER element at an offset, or None; Acrobat writes indefinite lengths."""
    if len(data) < at + 2 or depth > 64 or data[at] & 0x1F == 0x1F:
        return None
    first = data[at + 1]
    if first < 0x80:
        return 2 + first
    if first > 0x80:
        width = first & 0x7F
        return 2 + width + int.from_bytes(data[at + 2 : at + 2 + width], "big")
    inside = at + 2
    while data[inside : inside + 2] != b"\x00\x00":
        size = element_size(data, inside, depth + 1)
        if size is None:
            return None
        inside += size
    return inside + 2 - at


def well_formed(data: bytes, start: int, end: int, depth: int = 0) -> bool:
    """Say whether BER elements exactly fill a span, and those of definite length are filled by their parts."""
    at = start
    while at < end:
        size = element_size(data, at, depth)
        if size is None or at + size > end or data[at] in {0x00, 0x10, 0x11, 0x24, 0x25, 0x26}:
            return False
        if data[at] & 0x20 and data[at + 1] != 0x80:
            head = 2 if data[at + 1] < 0x80 else 2 + (data[at + 1] & 0x7F)
            if depth < _SHELL_DEPTH and not well_formed(data, at + head, at + size, depth + 1):
                return False
        at += size
    return at == end


def strict_cms(signature: EmbeddedPdfSignature) -> bool:
    """Say whether the CMS is as RFC 5652 demands, so that no bit of its unsigned shell is arbitrary."""
    signed: Any = signature.signed_data
    info: Any = signature.signer_info
    by_issuer = info["sid"].name == "issuer_and_serial_number"
    stamp = signature.sig_object_type == "/DocTimeStamp"
    versions = {"v1", "v3", "v4"} if stamp or not by_issuer else {"v1"}
    algorithms = [algorithm.dump() for algorithm in signed["digest_algorithms"]]
    content = signature.pkcs7_content
    return (
        info["version"].native == ("v1" if by_issuer else "v3")
        and signed["version"].native in versions
        and info["digest_algorithm"].dump() in algorithms
        and all(_plain_digest(algorithm) for algorithm in signed["digest_algorithms"])
        and (not by_issuer or info["sid"].chosen["issuer"].dump() == signature.signer_cert.issuer.dump())
        and (content[1] == 0x80 or well_formed(content, 0, element_size(content) or 0))
    )


def _plain_digest(algorithm: Any) -> bool:
    name = algorithm["algorithm"].dump()
    return algorithm.contents in {name, name + b"\x05\x00"}


def _range(signature: EmbeddedPdfSignature) -> list[Any]:
    raw: Any = signature.byte_range
    return list(raw)
