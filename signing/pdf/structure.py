"""Checks of a signed file's bytes that need no trust: tails, gaps, counts; each line answers a known attack.

The names in brackets are those of the research on PDF signatures (ISA incremental saving, SWA signature wrapping,
USF universal forgery). Real files of other makers were used to keep the checks from refusing honest ones.
"""

import re
from typing import Any, Final

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signing.contract import Problem

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
_OPENS: Final = re.compile(rb"\s*\[")


def problems_of(data: bytes, reader: PdfFileReader, signatures: list[EmbeddedPdfSignature]) -> list[Problem]:
    """Return what is wrong with the file as a whole."""
    found: list[Problem] = []
    if reader.xrefs.hybrid_xrefs_present:
        found.append(Problem(code="hybrid-xref", vi="Bảng tham chiếu lai", en="The file has hybrid cross-references"))
    filled = list(enumerate_sig_fields(reader, filled_status=True))
    if len(filled) != len(signatures):
        found.append(
            Problem(
                code="unknown-signature",
                vi="Có chữ ký thuộc loại không kiểm tra được",
                en="A signature field holds a kind of signature that cannot be judged",
            )
        )
    values = [_reference(field.get_object()) for _, _, field in filled]
    if len(set(values)) != len(values):
        found.append(
            Problem(code="shared-signature", vi="Một chữ ký dùng cho nhiều trường", en="Fields share one signature")
        )
    if _count_byte_ranges(data, reader) != len(signatures):
        found.append(
            Problem(
                code="stray-byte-range",
                vi="Tệp chứa dữ liệu chữ ký không thuộc trường ký nào",
                en="The file holds signature data that belongs to no field",
            )
        )
    if not _covered(data, signatures) and not clean_tail(data, reader):
        found.append(
            Problem(
                code="dirty-tail",
                vi="Có dữ liệu lạ sau phần kết thúc của tệp",
                en="Something stands after the end of the file that its cross-references do not name",
            )
        )
    return found


def _reference(field: Any) -> tuple[int, int]:
    value = field.raw_get("/V")
    return (value.idnum, value.generation) if hasattr(value, "idnum") else (-1, id(field))


def _count_byte_ranges(data: bytes, reader: PdfFileReader) -> int:
    """Count byte ranges outside attachments, which may be signed files themselves."""
    found: list[int] = []
    at = data.find(_BYTE_RANGE)
    while at >= 0:
        if _OPENS.match(data, at + len(_BYTE_RANGE)):
            found.append(at)
        at = data.find(_BYTE_RANGE, at + 1)
    attached = _attachments(data, reader) if found else []
    return sum(1 for hit in found if not any(start <= hit < end for start, end in attached))


def _attachments(data: bytes, reader: Any) -> list[tuple[int, int]]:
    try:
        root: Any = reader.root
        names: Any = root["/Names"]["/EmbeddedFiles"]["/Names"]
    except (KeyError, TypeError, AttributeError):
        return []
    spans: list[tuple[int, int]] = []
    for entry in list(names)[1::2]:
        try:
            content = entry.get_object()["/EF"]["/F"].encoded_data
        except (KeyError, TypeError, AttributeError):
            continue
        start = data.find(content) if content else -1
        if start >= 0:
            spans.append((start, start + len(content)))
    return spans


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
