"""Laying all fields of a document in one revision before its first signature.

What may still change after a signature is fixed here: a person's signature locks everything but the other signatures,
the number and the date; the seal locks all (ISO 32000-2 12.8.2.4 FieldMDP). Later a field can no longer be added.
"""

from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any, Final

from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NumberObject,
    Reference,
    pdf_name,
    pdf_string,
)
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
    SigFieldSpec,
    append_signature_field,
    ensure_sig_flags,
)
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1

from signing.contract import Field, FieldPlan, Laid
from signing.errors import NotSignable
from signing.pdf import appearance
from signing.pdf.files import read, write_durably
from signing.pdf.reading import (
    RevisionWriter,
    Sheet,
    look,
    open_for_revision,
    page_box,
    page_rotation,
    written,
)
from signing.pdf.typeface import Style

NUMBER: Final = "Number"
ISSUED_DATE: Final = "IssuedDate"
SEAL: Final = "Seal"
VIETNAM: Final = timezone(timedelta(hours=7))
"""What /M and stamps carry (ISO 8601; Decree 30/2020 Appendix I)."""
_PRINT_AND_LOCK: Final = 0b10000100
_READ_ONLY: Final = 1
TEXT_POINTS: Final = 13.0
"""The size of the document number in Decree 30/2020, Appendix I."""


def lay(source: str, target: str, plan: FieldPlan, mark: str | None) -> Laid:
    """Append one revision with all fields of the plan, and the mark on every page; write the whole to `target`."""
    _check_plan(plan)
    base = read(source)
    writer, stream = open_for_revision(base)
    if taken := set(_field_names(writer.root)) & {field.name for field in _fields(plan)}:
        raise NotSignable(
            f"Tệp đã có trường biểu mẫu trùng tên: {', '.join(sorted(taken))}",
            f"The file already has form fields of these names: {', '.join(sorted(taken))}",
        )
    pages = count_pages(writer)
    if mark:
        for index in range(pages):
            _mark_page(writer, index, mark)
    for field in (plan.number, plan.issued_date):
        if field is not None:
            _lay_text(writer, _on_real_page(field, pages))
    for field in plan.signatures:
        _lay_signature(writer, _on_real_page(field, pages), plan)
    form: Any = writer.root["/AcroForm"]
    form.pop("/NeedAppearances", None)
    writer.update_container(form)
    ensure_sig_flags(writer, lock_sig_flags=True)
    writer.ensure_output_version((1, 7))
    writer.register_extension(ESIC_EXTENSION_1)
    writer.write_in_place()
    sha256, size = write_durably(target, base, written(stream, len(base)))
    return Laid(sha256=sha256, size=size)


def _fields(plan: FieldPlan) -> tuple[Field, ...]:
    texts = tuple(field for field in (plan.number, plan.issued_date) if field is not None)
    return (*texts, *plan.signatures)


def _check_plan(plan: FieldPlan) -> None:
    names = [field.name for field in _fields(plan)]
    if len(set(names)) != len(names) or any(not name or "." in name for name in names):
        raise NotSignable("Tên trường ký bị trùng hoặc có dấu chấm", "Field names repeat or hold a dot")
    if SEAL in names[:-1] or not plan.signatures:
        raise NotSignable(
            "Con dấu phải là chữ ký cuối cùng", "The seal must be the last signature, after at least none"
        )
    if (plan.number and plan.number.name != NUMBER) or (plan.issued_date and plan.issued_date.name != ISSUED_DATE):
        raise NotSignable("Trường số và ngày phải tên Number, IssuedDate", "Fields must be named Number and IssuedDate")


def _field_names(root: Any) -> Iterator[str]:
    try:
        fields = root["/AcroForm"]["/Fields"]
    except KeyError:
        return
    for field in fields:
        name = look(field.get_object(), "/T") if hasattr(field, "get_object") else None
        if name is not None:
            yield str(name)


def pages_of(handler: Any) -> Iterator[tuple[Reference | None, Any]]:
    """Yield every page in order; an endless or over-deep page tree is an error, not a hang."""
    seen: set[Any] = set()

    def walk(node: Any, reference: Any, depth: int) -> Iterator[tuple[Reference | None, Any]]:
        if depth > 64 or (reference is not None and reference in seen):
            raise NotSignable("Cây trang của tệp bị lỗi", "The page tree is broken")
        seen.add(reference)
        if "/Kids" not in node:
            yield reference, node
            return
        for kid in node["/Kids"]:
            held = kid.reference if isinstance(kid, IndirectObject) else None
            yield from walk(kid.get_object(), held, depth + 1)

    top = handler.root.raw_get("/Pages")
    yield from walk(top.get_object(), getattr(top, "reference", None), 0)


def count_pages(handler: Any) -> int:
    """Count the pages by walking the tree; /Count may lie."""
    return sum(1 for _ in pages_of(handler))


def counts_are_true(node: Any) -> bool:
    """Say whether a page tree that `count_pages` found sound is as pyHanko wants it: true counts, no direct kids."""

    def leaves(held: Any) -> int | None:
        held = held.get_object()
        if "/Kids" not in held:
            return 1
        kids = held["/Kids"]
        kids = [kids.raw_get(place) for place in range(len(kids))]
        if not all(isinstance(kid, IndirectObject) for kid in kids):
            return None
        found = [leaves(kid) for kid in kids]
        counted = sum(one for one in found if one is not None)
        return counted if None not in found and look(held, "/Count") == counted else None

    return leaves(node) is not None


def _on_real_page(field: Field, pages: int) -> Field:
    page = field.page if field.page >= 0 else pages + field.page
    if not 0 <= page < pages:
        raise NotSignable(f"Tệp không có trang {field.page + 1}", f"The file has no page {field.page + 1}")
    return Field(name=field.name, kind=field.kind, page=page, box=field.box, label=field.label)


def _lay_signature(writer: RevisionWriter, field: Field, plan: FieldPlan) -> None:
    others = [other.name for other in _fields(plan) if other.name != field.name]
    if field.name == SEAL or not others:
        lock = FieldMDPSpec(FieldMDPAction.ALL)
    else:
        lock = FieldMDPSpec(FieldMDPAction.EXCLUDE, others)
    closes = plan.certification == "final" and field.name == plan.signatures[-1].name
    box: Any = field.box
    spec = SigFieldSpec(
        field.name,
        on_page=field.page,
        box=box,
        readable_field_name=field.label or None,
        field_mdp_spec=lock,
        doc_mdp_update_value=MDPPerm.NO_CHANGES if closes else MDPPerm.FILL_FORMS,
        empty_field_appearance=False,
    )
    append_signature_field(writer, spec)


def _page(writer: RevisionWriter, index: int) -> IndirectObject:
    found: Any = writer.find_page_for_modification(index)
    return found[0]


def _lay_text(writer: RevisionWriter, field: Field) -> None:
    page = _page(writer, field.page)
    sheet = Sheet(writer)
    size = (field.box[2] - field.box[0], field.box[3] - field.box[1])
    widget = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/Widget"),
            pdf_name("/FT"): pdf_name("/Tx"),
            pdf_name("/T"): pdf_string(field.name),
            pdf_name("/TU"): pdf_string(field.label or field.name),
            pdf_name("/F"): NumberObject(_PRINT_AND_LOCK),
            pdf_name("/Ff"): NumberObject(_READ_ONLY),
            pdf_name("/Rect"): ArrayObject(FloatObject(f"{edge:.3f}") for edge in field.box),
            pdf_name("/DA"): pdf_string("/Helv 0 Tf 0 g"),
            pdf_name("/P"): page,
            pdf_name("/AP"): _looks(sheet, appearance.form(sheet, size, b"")),
        }
    )
    reference = writer.add_object(widget)
    form: Any = look(writer.root, "/AcroForm")
    if form is None:
        form = DictionaryObject({pdf_name("/Fields"): ArrayObject()})
        writer.root["/AcroForm"] = writer.add_object(form)
        writer.update_root()
    if "/Fields" not in form:
        form[pdf_name("/Fields")] = ArrayObject()
    form["/Fields"].append(reference)
    writer.update_container(form["/Fields"])
    writer.update_container(form)
    writer.register_annotation(page, reference)


def _looks(sheet: Sheet, drawn: int) -> DictionaryObject:
    return DictionaryObject({pdf_name("/N"): sheet.reference(drawn)})


def _mark_page(writer: RevisionWriter, index: int, text: str) -> None:
    reference = _page(writer, index)
    page: Any = reference.get_object()
    x0, y0, x1, y1 = page_box(page)
    rotation = page_rotation(page)
    sheet = Sheet(writer)
    size = (y1 - y0, x1 - x0) if rotation % 180 else (x1 - x0, y1 - y0)
    annotation = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/Stamp"),
            pdf_name("/Contents"): pdf_string(text),
            pdf_name("/F"): NumberObject(_PRINT_AND_LOCK | 0b1000000),
            pdf_name("/Rect"): ArrayObject(FloatObject(f"{edge:.3f}") for edge in (x0, y0, x1, y1)),
            pdf_name("/P"): reference,
            pdf_name("/AP"): _looks(sheet, appearance.mark_form(sheet, size, text, rotation)),
        }
    )
    writer.register_annotation(reference, writer.add_object(annotation))


def style_of(name: str) -> Style:
    """Return how a filled value is printed: place and date in italics, the number upright (Decree 30/2020)."""
    return "Italic" if name == ISSUED_DATE else "Regular"


def fill_text(writer: RevisionWriter, name: str, value: str) -> None:
    """Give an empty text field its value, once; the appearance is ours, so every reader shows the same."""
    root: Any = writer.root
    for reference in root["/AcroForm"]["/Fields"]:
        widget = reference.get_object()
        if look(widget, "/T") != name:
            continue
        if look(widget, "/V"):
            raise NotSignable(f"Trường {name} đã có giá trị", f"Field {name} already has a value")
        x0, y0, x1, y1 = (float(edge) for edge in widget["/Rect"])
        rotation = page_rotation(widget["/P"])
        size = (y1 - y0, x1 - x0) if rotation % 180 else (x1 - x0, y1 - y0)
        sheet = Sheet(writer)
        drawn = appearance.text_form(sheet, size, value, points=TEXT_POINTS, style=style_of(name), rotation=rotation)
        widget[pdf_name("/V")] = pdf_string(value)
        widget[pdf_name("/AP")] = _looks(sheet, drawn)
        writer.update_container(widget)
        return
    raise NotSignable(f"Tệp không có trường {name}", f"The file has no field {name}")
