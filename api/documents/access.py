"""Who may see and who may draft: by the agencies that take part in the dossier. Pure."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from api.errors import Forbidden, Refused
from api.kernel import Actor
from api.registry.authority import PROVINCE_WIDE

DRAFTABLE: Final = frozenset({"draft"})
"""States of a result in which its documents may get a new draft."""


def may_read(actor: Actor, agencies: Sequence[UUID]) -> bool:
    """Tell whether the actor's agency takes part, or the actor looks after the whole province."""
    return actor.agency_id in agencies or bool(actor.roles & {str(role) for role in PROVINCE_WIDE})


def require_drafter(actor: Actor, step_agency_id: UUID) -> None:
    """Let only the agency that does the present step draft.

    Raises:
        Forbidden: the step is another agency's.
    """
    if actor.agency_id != step_agency_id:
        raise Forbidden(
            "Hồ sơ đang do cơ quan khác giải quyết.",
            "Another agency is doing the present step of this dossier.",
            code="not-your-step",
        )


def require_draftable(result_state: str, *, in_chain: bool) -> None:
    """Refuse a new draft of what is in signing, signed or issued.

    Raises:
        Refused: with what is allowed instead.
    """
    if in_chain or result_state == "in_signing":
        raise Refused(
            "Văn bản đang trình ký nên không thay bản dự thảo được.",
            "The document is in signing; its draft cannot be replaced.",
            allowed=("dossier.take_back_signature", "signature.send_back"),
            code="in-signing",
        )
    if result_state not in DRAFTABLE:
        raise Refused(
            "Kết quả đã ký hoặc đã phát hành; chỉ có thể thay thế bằng kết quả mới.",
            "The result is signed or issued; it can only be replaced by a new one.",
            allowed=("dossier.replace_result", "dossier.recall_result"),
            code="result-closed",
        )
