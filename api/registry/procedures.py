"""A procedure as data: what one published version states, and the check that refuses a version nobody could finish.

Pure. A new procedure, or a new version of one, is a row and needs no deploy; a running dossier keeps the version it
began with, so nothing here is ever changed in place.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from api.registry.authority import Role
from api.registry.calendar import Term

Act = Literal["main_document", "separate_annex", "copy", "digitised_paper", "counter_form"]
SignatureRole = Literal["initials", "coordinator", "signatory", "seal"]
Layout = Literal["document", "annex", "copy"]
Certification = Literal["none", "forms", "final"]
PaidLevel = Literal["B-T", "B-LT", "B-LTA"]
"""A level of PAdES above B-B, which is paid after the seal."""
CopyForm = Literal["true_copy", "copy_of_copy", "extract", "certified_copy"]
"""sao y, sao lục, trích sao (Decree 30/2020, Art. 25); chứng thực bản sao (Decree 23/2015)."""
Channel = Literal["counter", "online", "post"]
FormOfResult = Literal["a", "b", "c", "d"]
"""a electronic original; b paper original, then its scan sealed; c a ministry's system; d copy with its book."""


Code = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Count = Annotated[int, Meta(ge=0, le=1000)]
Vnd = Annotated[int, Meta(ge=0, le=10**12)]


class StepKind(StrEnum):
    """The five steps on site ("5 tại chỗ"), and coordination between them."""

    RECEIVE = "receive"  # tiếp nhận
    APPRAISE = "appraise"  # thẩm định
    COORDINATE = "coordinate"  # lấy ý kiến phối hợp
    APPROVE = "approve"  # phê duyệt, ký
    ISSUE = "issue"  # cấp số, ký số của cơ quan, phát hành
    DELIVER = "deliver"  # trả kết quả


class _Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Data of a version: unknown fields are refused, so that a misspelt rule cannot pass as absent."""


class Step(_Data, frozen=True, kw_only=True):
    """One step: who does it in how long, and which steps may follow; none follows a terminal one."""

    code: Code
    kind: StepKind
    name: Text
    role: Role | None
    duration: Term
    next: Annotated[tuple[Code, ...], Meta(max_length=20)] = ()


class Part(_Data, frozen=True, kw_only=True):
    """One part to hand in (thành phần hồ sơ) with the numbers of papers of each sort."""

    code: Code
    name: Text
    required: bool = True
    originals: Count = 0
    certified_copies: Count = 0
    plain_copies: Count = 0
    shown_only: bool = False
    condition: Text | None = None
    reusable: bool = False


class Fee(_Data, frozen=True, kw_only=True):
    """A fee (phí) or charge (lệ phí) in đồng, with who is exempt."""

    code: Code
    name: Text
    amount_vnd: Vnd
    per: Text = "hồ sơ"
    online_amount_vnd: Vnd | None = None
    exempt: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()
    legal_basis: Annotated[str, Meta(max_length=1000)] = ""


class ChainEntry(_Data, frozen=True, kw_only=True):
    """One signature wanted on the result: groups in turn, members of a group in any order.

    Initials (ký nháy) are approvals bound to the revision's hash unless `pdf_signature` is set.
    """

    group: Annotated[int, Meta(ge=1, le=20)]
    role: SignatureRole
    by: Role
    pdf_signature: bool = True


class HeldUntil(_Data, frozen=True, kw_only=True):
    """A sealed result is not released before its signatures have this level, as a provision demands.

    `within_hours` is when the level is owed, counted from the seal; an outage of the authority lengthens the wait.
    """

    level: PaidLevel
    legal_basis: Annotated[str, Meta(min_length=3, max_length=1000)]
    within_hours: Annotated[float, Meta(gt=0, le=720)] = 24.0


class ResultKind(_Data, frozen=True, kw_only=True):
    """What the procedure ends in: title, act, template, and the number series or book it draws from.

    `certification` is what the first signature in the file certifies (ISO 32000-2, 12.8.2.2 DocMDP): nothing beyond
    what it locks; that only forms may be filled and signatures added; or that after the last one nothing may change.
    """

    kind_code: Code
    title: Text
    act: Act = "main_document"
    template: Code | None = None
    book: Annotated[str, Meta(max_length=64)] = ""
    citizen_proofread: bool = False
    certification: Certification = "none"
    held_until: HeldUntil | None = None


class Definition(_Data, frozen=True, kw_only=True):
    """Everything one version of a procedure states (Decree 118/2025, Circular 03/2025/TT-VPCP)."""

    steps: Annotated[tuple[Step, ...], Meta(max_length=40)]
    total: Term
    parts: Annotated[tuple[Part, ...], Meta(max_length=60)]
    channels_in: Annotated[tuple[Channel, ...], Meta(max_length=3)]
    channels_out: Annotated[tuple[Channel, ...], Meta(max_length=3)]
    level: Literal["full", "partial"]
    result: ResultKind
    chain: Annotated[tuple[ChainEntry, ...], Meta(max_length=20)] = ()
    fees: Annotated[tuple[Fee, ...], Meta(max_length=40)] = ()
    form_version: Code = "1"
    fee_version: Code = "1"
    appointment: bool = False
    all_subjects_present: bool = False
    same_day: bool = False
    subjects: Annotated[int, Meta(ge=1, le=10)] = 1
    authority: Literal["commune", "province"] = "commune"
    to_check: Annotated[tuple[Code, ...], Meta(max_length=20)] = ()

    def first(self) -> Step:
        """Return the step a dossier begins in."""
        return self.steps[0]

    def step(self, code: str) -> Step:
        """Return the step of this code.

        Raises:
            KeyError: the version has no such step.
        """
        for step in self.steps:
            if step.code == code:
                return step
        raise KeyError(code)

    def of_kind(self, kind: StepKind) -> Step | None:
        """Return the first step of this kind, or None."""
        return next((step for step in self.steps if step.kind is kind), None)


_SIGNED_AND_SEALED: Final = (
    ChainEntry(group=1, role="signatory", by=Role.SIGNATORY),
    ChainEntry(group=2, role="seal", by=Role.CLERK),
)


def chain_of(chain: tuple[ChainEntry, ...], act: str) -> tuple[ChainEntry, ...]:
    """Return who signs a document of this act.

    A person signs every main document, also by a version whose own result none signs in the file (a scan, a copy, a
    ministry's): its refusal is a notice of this province, under its own signature and seal.
    """
    if act != "main_document" or any(entry.role == "signatory" and entry.pdf_signature for entry in chain):
        return chain
    return _SIGNED_AND_SEALED


ACTS_OF: Final[dict[FormOfResult, frozenset[Act]]] = {
    "a": frozenset({"main_document", "separate_annex", "copy", "digitised_paper", "counter_form"}),
    "b": frozenset({"digitised_paper"}),
    "c": frozenset(),
    "d": frozenset({"copy"}),
}
"""What a result of each form may hold; a ministry's is made there, and only recorded and delivered here."""
MAIN_ACT: Final[dict[FormOfResult, Act]] = {"a": "main_document", "b": "digitised_paper", "d": "copy"}
"""What a result of each form is in the first place."""

LAYOUT_OF: Final[dict[str, Layout]] = {
    "main_document": "document",
    "counter_form": "document",
    "separate_annex": "annex",
    "copy": "copy",
    "digitised_paper": "copy",
}
"""How a file of each act shows who signs it (Decree 30/2020, Appendix I)."""
NUMBERED: Final = frozenset({"main_document", "copy", "digitised_paper"})
"""Acts that take a number of their own; a separate annex refers to its main document's."""

_ORDER: Final = ("initials", "coordinator", "signatory", "seal")


def faults(definition: Definition, form: FormOfResult, owning_system: Literal["province", "ministry"]) -> list[str]:
    """Return, in Vietnamese, why this version could not be worked; empty if it can be published."""
    found = [*_step_faults(definition), *_term_faults(definition), *_chain_faults(definition, form)]
    found += _offer_faults(definition)
    if (form == "c") != (owning_system == "ministry"):
        found.append("kết quả hình thức (c) phải do hệ thống của bộ, ngành nắm trạng thái, và ngược lại")
    return found


def _step_faults(definition: Definition) -> Iterator[str]:
    steps = definition.steps
    if not steps:
        yield "chưa có bước nào"
        return
    codes = [step.code for step in steps]
    yield from (f"bước {code!r} bị trùng mã" for code in _twice(codes))
    for step in steps:
        if step.role is None:
            yield f"bước {step.code!r} chưa có vai trò thực hiện"
        yield from (f"bước {step.code!r} chuyển đến bước không tồn tại {c!r}" for c in step.next if c not in codes)
    if steps[0].kind is not StepKind.RECEIVE:
        yield "bước đầu tiên phải là bước tiếp nhận"
    yield from _way_faults(definition)


def _way_faults(definition: Definition) -> Iterator[str]:
    codes = {step.code for step in definition.steps}
    forward = {step.code: set(step.next) for step in definition.steps}
    backward = {code: {source for source, targets in forward.items() if code in targets} for code in codes}
    terminal = {step.code for step in definition.steps if not step.next}
    yield from (
        f"không có đường nào đến bước {c!r}" for c in sorted(codes - _reached({definition.first().code}, forward))
    )
    if not terminal:
        yield "không có bước kết thúc"
    yield from (f"từ bước {c!r} không đi đến được bước kết thúc" for c in sorted(codes - _reached(terminal, backward)))
    for step in definition.steps:
        if not step.next and step.kind is not StepKind.DELIVER:
            yield f"bước kết thúc {step.code!r} phải là bước trả kết quả"


def _twice(codes: list[str]) -> list[str]:
    return sorted({code for code in codes if codes.count(code) > 1})


def _reached(start: set[str], edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        code = waiting.pop()
        if code not in seen:
            seen.add(code)
            waiting.extend(edges.get(code, ()))
    return seen


def _term_faults(definition: Definition) -> Iterator[str]:
    if definition.same_day != (definition.total.amount == 0) or definition.total.amount < 0:
        yield "tổng thời gian giải quyết phải lớn hơn 0, trừ thủ tục trả kết quả trong ngày thì bằng 0"
    if any(step.duration.amount < 0 for step in definition.steps):
        yield "thời gian của một bước không được âm"
        return
    longest = _longest_minutes(definition)
    promised = definition.total.minutes()
    if longest is not None and longest > promised:
        hours = f"{longest / 60:g} giờ, tổng {promised / 60:g} giờ"
        yield f"các bước cộng lại dài hơn tổng thời gian giải quyết ({hours})"


def _longest_minutes(definition: Definition) -> int | None:
    """Return the working minutes of the longest way forward, or None where codes do not resolve.

    A way that leads back to a step listed earlier is a send-back, which the law's term does not lengthen.
    """
    order = {step.code: place for place, step in enumerate(definition.steps)}
    if any(after not in order for step in definition.steps for after in step.next):
        return None
    longest: dict[str, int] = {}
    for step in reversed(definition.steps):
        onward = [longest[after] for after in step.next if order[after] > order[step.code]]
        longest[step.code] = step.duration.minutes() + max(onward, default=0)
    return max(longest.values(), default=None)


def _chain_faults(definition: Definition, form: FormOfResult) -> Iterator[str]:
    chain = definition.chain
    if form == "c":
        if chain:
            yield "kết quả của hệ thống bộ, ngành không có chuỗi ký tại đây"
        return
    seals = [entry for entry in chain if entry.role == "seal"]
    signatories = [entry for entry in chain if entry.role == "signatory"]
    if len(seals) != 1:
        yield "chuỗi ký phải có đúng một chữ ký số của cơ quan"
    elif any(entry.group >= seals[0].group for entry in chain if entry is not seals[0]):
        yield "chữ ký số của cơ quan phải ở nhóm cuối cùng, một mình"
    by_rank = sorted(chain, key=lambda entry: _ORDER.index(entry.role))
    if [entry.group for entry in by_rank] != sorted(entry.group for entry in by_rank):
        yield "thứ tự nhóm ký phải là: ký nháy, phối hợp, người có thẩm quyền, cơ quan"
    if form == "a" and not any(entry.pdf_signature for entry in signatories):
        yield "bản điện tử gốc phải có chữ ký số của người có thẩm quyền"
    if form in {"b", "d"} and any(entry.pdf_signature for entry in signatories):
        yield "bản số hóa và bản sao không mang chữ ký số của người có thẩm quyền trong tệp"
    if definition.result.act != MAIN_ACT[form]:
        yield f"kết quả hình thức ({form}) phải là loại {MAIN_ACT[form]!r}"


def _offer_faults(definition: Definition) -> Iterator[str]:
    if not definition.channels_in or not definition.channels_out:
        yield "phải có ít nhất một cách nộp và một cách nhận kết quả"
    for label, codes in (
        ("thành phần", [part.code for part in definition.parts]),
        ("phí, lệ phí", [fee.code for fee in definition.fees]),
    ):
        yield from (f"{label} {code!r} bị trùng mã" for code in _twice(codes))
    if any(fee.amount_vnd < 0 for fee in definition.fees):
        yield "mức phí, lệ phí không được âm"
    if definition.level == "full" and "online" not in definition.channels_in:
        yield "dịch vụ toàn trình phải nộp được trực tuyến"
