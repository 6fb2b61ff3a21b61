"""The chain of requests for one document, made from its procedure version: pure rules, no IO."""

from collections.abc import Sequence
from typing import Final

import msgspec

from api.errors import Invalid
from api.kernel import PersonId, PostId
from api.registry.authority import Role
from api.registry.procedures import ChainEntry

_FIELD_STEMS: Final = {"initials": "Initials", "coordinator": "Coordinator", "signatory": "Signatory"}

CERTIFIED: Final = frozenset({"copy", "digitised_paper"})
"""Acts whose file holds no leader's signature: the decision of whoever may certify it precedes the seal, as an approval
bound to the hash, with a second factor and judged by the signer like any signature."""

MAIN_DOCUMENT: Final = "main_document"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One signature of a chain before anybody is named: its place in the order and its field in the PDF."""

    ordinal: int
    group: int
    role: str
    by: str
    field: str
    pdf_signature: bool


class Signer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the submitting officer names for one place in the chain."""

    ordinal: int
    person_id: PersonId
    post_id: PostId


def wanted(entries: Sequence[ChainEntry], act: str) -> tuple[Wanted, ...]:
    """Return the signatures a document needs, in order, with the names of their fields.

    A separate annex is signed by the organisation alone, with or after its signed main document; copies and
    digitised papers carry the seal alone, after a decision to certify them (Decree 30/2020, Appendix I).

    Raises:
        Invalid: the procedure version asks for no seal, or for one before the persons' signatures.
    """
    seals = [e for e in entries if e.role == "seal"]
    before = [] if act == "separate_annex" else [e for e in entries if e.role != "seal"]
    if act in CERTIFIED:
        before = _decisions(before)
    last = max((e.group for e in before), default=0)
    if len(seals) != 1 or (act not in CERTIFIED and seals[0].group < last):
        raise Invalid(
            "Thủ tục chưa quy định đúng thứ tự ký: phải có một chữ ký số của cơ quan, đứng cuối cùng.",
            "The procedure's chain must end with exactly one seal.",
            code="chain-without-seal",
        )
    seal = msgspec.structs.replace(seals[0], group=max(seals[0].group, last + 1))
    ordered = [*sorted(before, key=lambda e: e.group), seal]
    counts: dict[str, int] = {}
    chain: list[Wanted] = []
    for ordinal, entry in enumerate(ordered, 1):
        field = "Seal"
        if entry.role != "seal":
            counts[entry.role] = counts.get(entry.role, 0) + 1
            field = f"{_FIELD_STEMS[entry.role]}{counts[entry.role]}"
        chain.append(
            Wanted(
                ordinal=ordinal,
                group=entry.group,
                role=entry.role,
                by=str(entry.by),
                field=field,
                pdf_signature=entry.pdf_signature,
            )
        )
    return tuple(chain)


def _decisions(entries: Sequence[ChainEntry]) -> list[ChainEntry]:
    """Return who certifies: the signatories a version names, or one where it names none; never in the file."""
    named = [e for e in entries if e.role == "signatory"]
    if not named:
        return [ChainEntry(group=1, role="signatory", by=Role.SIGNATORY, pdf_signature=False)]
    return [msgspec.structs.replace(e, pdf_signature=False) for e in named]


def must_precede(act: str, role: str) -> str:
    """Name what must be there before a request of this role on this act may be asked (for a refusal's sentence)."""
    if role != "seal":
        return "chữ ký của nhóm trước"
    if act == MAIN_DOCUMENT:
        return "chữ ký hợp lệ của tất cả người có thẩm quyền"
    if act == "separate_annex":
        return "văn bản chính đã ký"
    return "quyết định chứng thực của người có thẩm quyền"
