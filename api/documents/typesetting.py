"""From a template and its data to a PDF/A-2b with the places of number, date and signatures; for the process pool.

Typst runs without the system's fonts and without the network, so the same order gives the same bytes on every machine.
A letter that the fonts lack is an error (PDF/A), and so is a font family that is not there.
"""

import hashlib
import io
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import segno

from signing.contract import CORNERS, Field, FieldKind, FieldPlan, Layout

if TYPE_CHECKING:
    import typst

PAGE_HEIGHT: Final = 841.89
FAMILY: Final = "Liberation Serif"
_FACES: Final = {("normal", 400), ("normal", 700), ("italic", 400), ("italic", 700)}
_INITIALS_LEFT: Final = 85.0
_INITIALS_STEP: Final = 62.0
_INITIALS_SIZE: Final = (56.0, 24.0)
_INITIALS_FOOT: Final = 24.0
NUMBER: Final = "Number"
ISSUED_DATE: Final = "IssuedDate"
SEAL: Final = "Seal"


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs at which field: the printed title lines and the name, without academic title."""

    field: str
    title_lines: tuple[str, ...]
    name: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The left head: the superior agency's lines (none for a people's committee), the agency's own, the place."""

    parent: tuple[str, ...] = ()
    agency: tuple[str, ...]
    place: str


class Verify(msgspec.Struct, frozen=True, kw_only=True):
    """How a reader checks the document: the code, the address in the QR, and the address as printed."""

    code: str
    url: str
    shown: str


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a template prints. `body` is the template's own data, checked by its Struct before."""

    head: Head
    body: dict[str, Any]
    signers: tuple[Signer, ...] = ()
    initials: tuple[str, ...] = ()
    seal: bool = False
    layout: Layout = "document"
    number: str = ""
    date: str = ""
    number_spot: bool = False
    date_spot: bool = False
    recipients: tuple[str, ...] = ()
    verify: Verify | None = None
    code: str = ""
    """The dossier code as QR at the head of a national form."""


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A rendered file, or why there is none. `order` is the order of signing of the places' signatures."""

    sha256: bytes = b""
    size: int = 0
    places: FieldPlan | None = None
    fault: str = ""


class FontsMissing(RuntimeError):
    """The package's own fonts are not all there."""


def check_fonts() -> None:
    """Refuse to start without every face: Typst would silently fall back to another family.

    Raises:
        FontsMissing: naming what is missing.
    """
    found = {(font.style, font.weight) for font in _fonts().fonts() if font.family == FAMILY}
    if lacking := _FACES - found:
        raise FontsMissing(f"{FAMILY}: {sorted(lacking)}")


def render(template: str, sheet: Sheet, at: datetime, target: str) -> Rendered:
    """Write the document to `target` and return its hash and places; a fault of the data comes back as text."""
    import typst  # noqa: PLC0415 - 7 MB, which only the processes hold that set type

    inputs = {"data": msgspec.json.encode(_with_qr(sheet)).decode()}
    root = _templates()
    source = root / f"{template}.typ"
    if not source.is_file():
        return Rendered(fault=f"unknown template {template}")
    try:
        compiler = typst.Compiler(str(source), root=str(root), font_paths=_fonts(), sys_inputs=inputs)
        # As UNIX seconds in UTC: an offset in the document date is one of the things PDF/A validators disagree about.
        pdf = compiler.compile(format="pdf", pdf_standards=["a-2b"], timestamp=int(at.timestamp()))
        spots = msgspec.json.decode(compiler.query("<spot>", field="value"), type=list[_Spot])
    except typst.TypstError as error:
        return Rendered(fault=f"{error}"[:500])
    content = cast("bytes", pdf)
    Path(target).write_bytes(content)
    return Rendered(sha256=hashlib.sha256(content).digest(), size=len(content), places=_plan(spots, sheet))


def qr_svg(text: str) -> str:
    """Return a QR code as SVG: level M, so that a black-and-white print with a fold in it still reads."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, nl=False)
    return out.getvalue().decode()


class _Spot(msgspec.Struct, frozen=True):
    name: str
    kind: FieldKind
    label: str
    page: int
    x: float
    y: float
    width: float
    height: float

    def field(self) -> Field:
        top = PAGE_HEIGHT - self.y
        box = (self.x, top - self.height, self.x + self.width, top)
        x0, y0, x1, y1 = (round(edge, 2) for edge in box)
        return Field(name=self.name, kind=self.kind, page=self.page - 1, box=(x0, y0, x1, y1), label=self.label)


def _plan(spots: list[_Spot], sheet: Sheet) -> FieldPlan | None:
    """Order the places as they will be signed: initials, signatories, seal."""
    found = {spot.name: spot.field() for spot in spots}
    for place, name in enumerate(sheet.initials):
        left, foot = _INITIALS_LEFT + place * _INITIALS_STEP, _INITIALS_FOOT
        box = (left, foot, left + _INITIALS_SIZE[0], foot + _INITIALS_SIZE[1])
        found[name] = Field(name=name, kind="signature", page=-1, box=box, label="Ký nháy")
    if sheet.seal and sheet.layout != "document":
        found[SEAL] = Field(
            name=SEAL, kind="signature", page=0, box=CORNERS[sheet.layout], label="Chữ ký số của cơ quan"
        )
    order = [*sheet.initials, *(signer.field for signer in sheet.signers), *([SEAL] if sheet.seal else [])]
    signatures = tuple(found[name] for name in order if name in found)
    if not signatures:
        return None
    return FieldPlan(number=found.get(NUMBER), issued_date=found.get(ISSUED_DATE), signatures=signatures)


def _with_qr(sheet: Sheet) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(sheet)
    if sheet.verify is not None:
        plain["verify"]["qr"] = qr_svg(sheet.verify.url)
    if sheet.code:
        plain["code_qr"] = qr_svg(sheet.code)
    return plain


@cache
def _fonts() -> "typst.Fonts":
    import typst  # noqa: PLC0415 - as above

    directory = Path(str(files("signing.pdf.fonts")))
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[directory])


@cache
def _templates() -> Path:
    return Path(str(files("api.documents.templates")))
