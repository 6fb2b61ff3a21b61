"""A second reading of our own output, which shares no code with what wrote it nor with the first verifier.

`signing.pdf.verify` judges any file and costs a hundred times the signature. What this service writes has one form:
a laid file, and behind it one revision per signature, each byte of which belongs to an object that the signature
needs. This module knows that form by heart and nothing else. It answers with a whole good verdict or not at all
(`None`), so it can only be too strict; whoever asks it then lets the first verifier judge.

What it holds to be true of a good file, beginning at its end:

- each revision is named whole by its own table: no byte between its objects, no object without a row;
- a revision rewrites one empty signature field, with the seal also Number and IssuedDate, and nothing else; each of
  them keeps all its entries but value and appearance, and every new object hangs on them;
- a signature's byte range leaves out its own /Contents and nothing else, up to the end of its revision;
- its lock lets the fields of later revisions change, and no other kind of revision follows;
- the CMS has the shape of RFC 5652 to the byte, its value fits the certificate in it, and the trust in that
  certificate was found by the first verifier before, for the same anchors, within the times of the whole path.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from mmap import mmap
from typing import Any, Final

import msgspec

from signing.contract import Der, Sha256, SignatureVerdict, Trust, Verdict
from signing.pdf import container, indications, wording
from signing.pdf.increments import Dictionary, Revision, demand, highest, must, occurrences, plain, revisions

Anchored = Callable[[Der, bytes, Trust, datetime], bool | None]
"""Says whether a certificate in a set of others leads to a demo anchor (True), a real one (False), or is not known."""

_WORD: Final = re.compile(rb"(\d{1,10}) 0 R")
_LIST: Final = re.compile(rb"\[ ((?:\d{1,10} 0 R )*)\]")
_ANY_REFERENCE: Final = re.compile(rb"(\d+)\s+(\d+)\s+R(?![A-Za-z])")
_LITERAL: Final = re.compile(rb"\(((?:[^()\\\r\n]|\\[0-7]{3})*)\)")
_FIELD_KEYS: Final = frozenset(b"/FT /T /TU /Type /Subtype /F /Ff /Rect /DA /P /Lock /AP /V".split())
_DRAWN_KEYS: Final = frozenset(
    b"<< >>"
    b" /Type /Subtype /Width /Height /ColorSpace /BitsPerComponent /SMask /Filter /Length /Length1 /FormType /BBox"
    b" /Matrix /Resources /Font /XObject /F /I /BaseFont /Encoding /DescendantFonts /ToUnicode /CIDSystemInfo"
    b" /Registry /Ordering /Supplement /FontDescriptor /CIDToGIDMap /DW /W /FontName /Flags /FontBBox /ItalicAngle"
    b" /Ascent /Descent /CapHeight /StemV /FontFile2".split()
)
_SIGNATURE: Final = re.compile(
    rb"<<\n/Contents <([0-9A-F]+)>\n/ByteRange \[0 (\d+) (\d+) (\d+)\] +\n/Type /Sig\n/Filter /Adobe\.PPKLite\n"
    rb"/SubFilter /ETSI\.CAdES\.detached\n/M \(D\\072(\d{14})\\053(\d\d)\\047(\d\d)\\047\)\n"
    rb"(?:/Location \((?:[^()\\\n]|\\[0-7]{3})*\)\n)?(?:/Reason \((?:[^()\\\n]|\\[0-7]{3})*\)\n)?"
    rb"/Reference \[ <<\n/Type /SigRef\n/TransformMethod /FieldMDP\n/Data (\d+) 0 R\n/TransformParams <<\n"
    rb"/Action /(All|Exclude)\n(?:/Fields \[ ((?:\([A-Za-z0-9]+\) )*)\]\n)?/Type /TransformParams\n/V /1\.2\n/P 2\n"
    rb">>\n>> \]\n>>\Z"
)


class _Field(msgspec.Struct):
    """One field as laid."""

    number: int
    held: Dictionary
    changed: bool = False


class _Signed(msgspec.Struct):
    """One signature as it stands in the file; offsets from the file's start."""

    field: str
    content: bytes
    first: int
    second: int
    end: int
    said_at: datetime
    locks: Callable[[str], bool]


def judge(
    data: bytes | mmap,
    trust: Trust,
    at: datetime,
    anchored: Anchored,
    *,
    base: tuple[int, Sha256] | None = None,
    digest: Any = None,
) -> Verdict | None:
    """Return the good verdict on a file of our own making, or None where anything at all is different.

    `base` are size and SHA-256 of the file before its last revision, which are then demanded on the way. `digest` is a
    fresh SHA-256 object that has read the whole file once the verdict is good.
    """
    try:
        return _judge(data, trust, at, anchored, base, digest or hashlib.sha256())
    except Exception:  # noqa: BLE001  whatever it stumbles over is for the first verifier to judge
        return None


def _judge(
    data: bytes | mmap, trust: Trust, at: datetime, anchored: Anchored, base: tuple[int, Sha256] | None, digest: Any
) -> Verdict:
    laid, signed_ones = revisions(data)
    demand(occurrences(data, b"/ByteRange") == len(signed_ones) > 0)
    fields = _fields(laid)
    fills: dict[str, str] = {}
    signed: list[_Signed] = []
    size = int(laid.trailer[b"/Size"])
    demand(highest(data, laid) < size)
    for revision in signed_ones:
        one, filled, size = _read(data, revision, fields, size, laid.trailer)
        names = {one.field, *filled}
        demand(not any(earlier.locks(name) for earlier in signed for name in names))
        fills |= filled
        signed.append(one)
    verdicts: list[SignatureVerdict] = []
    for one, digests in zip(signed, _digests(data, signed, base, digest), strict=True):
        verdicts.append(_verdict(one, digests, one.end == len(data), trust, at, anchored))
    return Verdict(
        untouched=True,
        signatures=tuple(verdicts),
        problems=(),
        demo=any(one.demo for one in verdicts),
        ok=True,
        indication="TOTAL-PASSED",
        fills={name: fills[name] for name in fields if name in fills},
    )


def _number(value: Any) -> int:
    return int(must(_WORD.fullmatch(value))[1])


def _fields(laid: Revision) -> dict[str, _Field]:
    """Return all form fields, none of them with a value."""
    catalog = plain(laid.bodies[_number(laid.trailer[b"/Root"])])
    demand(b"/Perms" not in catalog and b"/DSS" not in catalog)
    form = plain(laid.bodies[_number(catalog[b"/AcroForm"])])
    demand(form.keys() == {b"/Fields", b"/SigFlags"} and form[b"/SigFlags"] == b"3")
    found: dict[str, _Field] = {}
    for word in _WORD.findall(must(_LIST.fullmatch(form[b"/Fields"]))[1]):
        held = plain(laid.bodies[int(word)])
        name = _literal(held[b"/T"])
        demand(held.keys() <= _FIELD_KEYS - {b"/V"} and held[b"/FT"] in {b"/Sig", b"/Tx"} and name not in found)
        found[name] = _Field(int(word), held)
    return found


def _literal(value: bytes) -> str:
    """Return the text of a literal string as PDF writes it: UTF-16 with its mark, or letters of Latin-1."""
    inside = must(_LITERAL.fullmatch(value))[1]
    raw = re.sub(rb"\\([0-7]{3})", lambda octal: bytes((int(octal[1], 8) & 0xFF,)), inside)
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be")
    demand(all(0x20 <= letter < 0x7F or letter > 0xA0 for letter in raw))
    return raw.decode("latin-1")


def _read(
    data: bytes | mmap, revision: Revision, fields: dict[str, _Field], size: int, first: Dictionary
) -> tuple[_Signed, dict[str, str], int]:
    """Read one signed revision: its signature, what it fills in, and the number after its last object."""
    demand(all(revision.trailer.get(key) == first.get(key) for key in (b"/Root", b"/Info")))
    demand(revision.trailer[b"/ID"].split()[1] == first[b"/ID"].split()[1])
    new = {number for number in revision.bodies if number >= size}
    by_number = {field.number: name for name, field in fields.items()}
    rewritten = {by_number[number] for number in revision.bodies if number not in new}
    values: dict[str, bytes] = {}
    hanging: set[int] = set()
    for name in rewritten:
        value, drawn = _rewritten(fields[name], plain(revision.bodies[fields[name].number]))
        values[name] = value
        hanging |= drawn
    signing = [name for name in rewritten if fields[name].held[b"/FT"] == b"/Sig"]
    demand(len(signing) == 1)
    place = _number(values.pop(signing[0]))
    demand(set(values) <= ({"Number", "IssuedDate"} if signing[0] == "Seal" else set()) and all(values.values()))
    demand(place in new and place not in hanging)
    _hang(revision, hanging, new - {place}, size)
    one = _signature(data, revision, signing[0], place, _number(first[b"/Root"]))
    after = int(revision.trailer[b"/Size"])
    demand(max(new) < after)
    return one, {name: _literal(value) for name, value in values.items()}, after


def _rewritten(field: _Field, held: Dictionary) -> tuple[bytes, set[int]]:
    """Return the value that a field was given, and the appearance; all else of it must stand as it stood."""
    demand(not field.changed and b"/V" in held)
    field.changed = True
    apart = {b"/V", b"/AP"}
    demand({k: v for k, v in held.items() if k not in apart} == {k: v for k, v in field.held.items() if k != b"/AP"})
    if held.get(b"/AP") == field.held.get(b"/AP"):
        return held[b"/V"], set()
    demand(held[b"/AP"].keys() == {b"/N"})
    return held[b"/V"], {_number(held[b"/AP"][b"/N"])}


def _hang(revision: Revision, hanging: set[int], new: set[int], size: int) -> None:
    """Demand that all new objects hang on the appearances, and are nothing but pictures, letters and streams."""
    seen: set[int] = set()
    while hanging:
        number = hanging.pop()
        if number in seen:
            continue
        demand(number in new)
        seen.add(number)
        head = _drawn(revision.bodies[number])
        words = _ANY_REFERENCE.findall(head)
        demand(all(generation == b"0" and int(word) >= size for word, generation in words))
        hanging |= {int(word) for word, _ in words}
    demand(seen == new)


def _drawn(body: bytes) -> bytes:
    """Return the dictionary of an object that is drawn; a stream must be exactly as long as it says."""
    head, stream, rest = body.partition(b"\nstream\n")
    lines = head.split(b"\n")
    demand(lines[0] == b"<<" and lines[-1] == b">>" and {line.partition(b" ")[0] for line in lines} <= _DRAWN_KEYS)
    demand(head.count(b"<<") == head.count(b">>") == 1 + sum(line.endswith(b" <<") for line in lines))
    lengths = [line[8:] for line in lines if line.startswith(b"/Length ")]
    if stream:
        demand(len(lengths) == 1 and rest.endswith(b"\nendstream"))
        demand(len(rest) == int(lengths[0]) + len(b"\nendstream"))
    else:
        demand(not lengths)
    return head


def _signature(data: bytes | mmap, revision: Revision, field: str, place: int, root: int) -> _Signed:
    body = revision.bodies[place]
    found = must(_SIGNATURE.match(body))
    start = data.find(body, revision.start, revision.end)
    demand(start >= 0)
    first, second, rest = (int(found[part]) for part in (2, 3, 4))
    demand(first == start + found.start(1) - 1 and second == start + found.end(1) + 1)
    demand(second + rest == revision.end and data[first : first + 1] == b"<" and data[second - 1 : second] == b">")
    demand(int(found[8]) == root and (found[9] == b"Exclude") == (found[10] is not None))
    free = frozenset((found[10] or b"").decode().replace("(", " ").replace(")", " ").split())
    zone = timezone(timedelta(hours=int(found[6]), minutes=int(found[7])))
    digits = found[5].decode()
    parts = (digits[:4], *(digits[at : at + 2] for at in range(4, 14, 2)))
    year, month, day, hour, minute, second_of = map(int, parts)
    return _Signed(
        field=field,
        content=bytes.fromhex(found[1].decode()),
        first=first,
        second=second,
        end=revision.end,
        said_at=datetime(year, month, day, hour, minute, second_of, tzinfo=zone),
        locks=lambda name: name not in free,
    )


def _digests(
    data: bytes | mmap, signed: list[_Signed], base: tuple[int, Sha256] | None, whole: Any
) -> list[tuple[Sha256, Sha256]]:
    """Return, per signature, the SHA-256 of what it signs and of its whole revision; the file is read once."""
    at = 0
    found: list[tuple[Sha256, Sha256]] = []
    with memoryview(data) as view:
        for one in signed:
            if base is not None and one is signed[-1]:
                demand(at <= base[0] <= one.first)
                whole.update(view[at : base[0]])
                demand(whole.copy().digest() == base[1])
                at = base[0]
            whole.update(view[at : one.first])
            document = whole.copy()
            document.update(view[one.second : one.end])
            whole.update(view[one.first : one.end])
            at = one.end
            found.append((Sha256(document.digest()), Sha256(whole.copy().digest())))
    return found


def _verdict(
    one: _Signed, digests: tuple[Sha256, Sha256], last: bool, trust: Trust, at: datetime, anchored: Anchored
) -> SignatureVerdict:
    held = container.read(one.content)
    container.check(held, digests[0])
    demo = anchored(held.certificate, held.certificates, trust, at)
    demand(demo is not None)
    facts = indications.Facts(
        covers="whole_file" if last else "revision",
        well_formed=True,
        intact=True,
        valid=True,
        trusted=not demo,
        demo=bool(demo),
        permitted_changes=True,
        revision_sha256=digests[1],
        problems=(wording.DEMO,) if demo else (),
    )
    told = wording.Told(
        field=one.field,
        stamp=False,
        bearer=wording.bearer(held.certificate),
        pss=held.mechanism == "rsa_pss",
        digest="sha256",
        signed_at=one.said_at,
        subfilter="ETSI.CAdES.detached",
    )
    return wording.say(told, facts)
