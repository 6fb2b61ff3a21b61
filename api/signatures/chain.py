"""The chain of requests for one document, made from its procedure version: pure rules, no IO."""

from collections.abc import Sequence
from typing import Final

import msgspec

from api.errors import Invalid
from api.kernel import PersonId, PostId
from api.registry.procedures import ChainEntry

_FIELD_STEMS: Final = {"initials": "Initials", "coordinator": "Coordinator", "signatory": "Signatory"}

PERSONS_SIGN_NOT: Final = frozenset({"copy", "digitised_paper"})
"""Acts whose file holds no leader's signature: a recorded decision of whoever may certify it precedes the seal."""

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
    digitised papers carry the seal alone (Decree 30/2020, Appendix I).

    Raises:
        Invalid: the procedure version asks for no seal, or for one before the persons' signatures.
    """
    kept = [e for e in entries if e.role == "seal" or act not in PERSONS_SIGN_NOT | {"separate_annex"}]
    ordered = sorted(kept, key=lambda e: (e.group, e.role == "seal"))
    if not ordered or ordered[-1].role != "seal" or sum(e.role == "seal" for e in ordered) != 1:
        raise Invalid(
            "Thủ tục chưa quy định đúng thứ tự ký: phải có một chữ ký số của cơ quan, đứng cuối cùng.",
            "The procedure's chain must end with exactly one seal.",
            code="chain-without-seal",
        )
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


def must_precede(act: str, role: str) -> str:
    """Name what must be there before a request of this role on this act may be asked (for a refusal's sentence)."""
    if role != "seal":
        return "chữ ký của nhóm trước"
    if act == MAIN_DOCUMENT:
        return "chữ ký hợp lệ của tất cả người có thẩm quyền"
    if act == "separate_annex":
        return "văn bản chính đã ký"
    return "quyết định chứng thực của người có thẩm quyền"
