"""Who may do what: the one table of roles and actions, and the one rule of who may sign in which capacity.

Pure. A right is role x agency x action: the role comes with a post, the post belongs to an agency, and a right holds
there alone, except for the few roles that look after the whole province. The right to sign is no role's: it rests on a
dated row (`mandate`), which is checked when a signature is asked for, again before a hash leaves, and when the value
is recorded.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from api.errors import Forbidden
from api.kernel import Actor, AgencyId, PersonId, PostId


class Role(StrEnum):
    """What a post gives its holder at its agency."""

    COUNTER = "counter"  # công chức tiếp nhận và trả kết quả
    APPRAISER = "appraiser"  # công chức thụ lý
    DIVISION_HEAD = "division_head"  # trưởng phòng, ký nháy
    SIGNATORY = "signatory"  # người có thẩm quyền ký
    CLERK = "clerk"  # văn thư
    HEAD_OF_CENTRE = "head_of_centre"  # Giám đốc Trung tâm Phục vụ hành chính công
    DISPATCHER = "dispatcher"  # người phân luồng hồ sơ chưa rõ thẩm quyền
    ADMINISTRATOR = "administrator"  # quản trị tài khoản của cơ quan
    REGISTRAR = "registrar"  # quản trị danh mục của tỉnh


_READ: Final = frozenset({"dossier.read", "dossier.list", "document.read", "task.read", "procedure.read"})
_TASKS: Final = frozenset({"dossier.claim", "dossier.release", "dossier.hand_over", "dossier.answer_opinion"})
_RECEIVING: Final = frozenset({"dossier.confirm_hand_over", "dossier.decline_hand_over"})
_WAITING: Final = frozenset({"dossier.ask_supplement", "dossier.answer_supplement", "dossier.ask_duty"})
_OVERDUE: Final = frozenset({"dossier.explain_overdue", "dossier.apologise"})
_DRAFTING: Final = frozenset(
    {
        "dossier.appraise",
        "dossier.ask_opinion",
        "dossier.withdraw_opinion",
        "dossier.refuse_request",
        "dossier.send_back",
        "dossier.submit_for_signature",
        "dossier.draft_result",
        "dossier.drop_result",
        "document.upload",
        "result.draft",
        "signature.submit",
        "signature.initial",
        "signature.sign",
        "signature.take_back",
    }
)

PERMITTED: Final[dict[Role, frozenset[str]]] = {
    Role.COUNTER: _READ
    | _TASKS
    | _WAITING
    | {
        "dossier.submit",
        "dossier.import",
        "dossier.receive",
        "dossier.refuse_intake",
        "dossier.fulfil_duty",
        "dossier.charge",
        "dossier.pay",
        "dossier.exempt",
        "dossier.refund",
        "dossier.withdraw",
        "dossier.deliver",
        "dossier.fail_delivery",
        "dossier.block_handover",
        "dossier.submit_for_signature",
        "dossier.draft_result",
        "dossier.drop_result",
        "result.draft",
        "document.upload",
        "signature.submit",
    },
    Role.APPRAISER: _READ
    | _TASKS
    | _RECEIVING
    | _WAITING
    | _DRAFTING
    | _OVERDUE
    | {"dossier.fulfil_duty", "dossier.stop", "dossier.record_outside_result", "dossier.take_back_signature"},
    Role.DIVISION_HEAD: _READ
    | _TASKS
    | _RECEIVING
    | _WAITING
    | _DRAFTING
    | _OVERDUE
    | {
        "dossier.assign",
        "dossier.rebase",
        "dossier.stop",
        "dossier.take_back_signature",
        "signature.send_back",
        "signature.reassign",
    },
    Role.SIGNATORY: _READ
    | _TASKS
    | _OVERDUE
    | {
        "dossier.assign",
        "dossier.rebase",
        "dossier.stop",
        "dossier.refuse_request",
        "dossier.send_back",
        "dossier.take_back_signature",
        "dossier.pass_signature",
        "dossier.block_handover",
        "dossier.unblock_handover",
        "dossier.replace_result",
        "dossier.recall_result",
        "signature.initial",
        "signature.sign",
        "signature.take_back",
        "signature.decline",
        "signature.send_back",
        "signature.pass_on",
        "signature.reassign",
        "result.correct",
        "result.annul",
    },
    Role.CLERK: _READ
    | _TASKS
    | {
        "dossier.issue",
        "dossier.send_back",
        "dossier.block_handover",
        "dossier.unblock_handover",
        "dossier.replace_result",
        "document.upload",
        "signature.seal",
        "signature.send_back",
        "number.read",
        "number.enter_foreign",
        "number.void",
        "result.correct",
    },
    Role.HEAD_OF_CENTRE: _READ
    | _OVERDUE
    | {"dossier.assign", "dossier.block_handover", "dossier.unblock_handover", "report.read", "number.read"},
    Role.DISPATCHER: _READ | {"dossier.dispatch", "dossier.claim", "dossier.release"},
    Role.ADMINISTRATOR: frozenset(
        {"account.read", "account.propose", "account.block", "factor.propose", "factor.confirm", "mandate.propose"}
    ),
    Role.REGISTRAR: frozenset(
        {
            "procedure.read",
            "procedure.publish",
            "competence.publish",
            "calendar.publish",
            "rule.publish",
            "agency.publish",
            "report.read",
        }
    ),
}
"""The only place where a role is given an action; `dossier.x` is the action x of `api.dossiers.words`."""

PROVINCE_WIDE: Final = frozenset({Role.REGISTRAR, Role.DISPATCHER})
"""Roles whose rights do not end at the agency of their post."""

ACTIONS: Final = frozenset[str]().union(*PERMITTED.values())


def may(actor: Actor, action: str, agency_id: UUID | None = None) -> bool:
    """Tell whether the actor's roles permit `action` at this agency; without an agency, at the actor's own."""
    at_home = agency_id is None or agency_id == actor.agency_id
    return any(
        action in permitted and (at_home or role in PROVINCE_WIDE)
        for role, permitted in PERMITTED.items()
        if role in actor.roles
    )


def require(actor: Actor, action: str, agency_id: UUID | None = None) -> None:
    """Let the actor pass or refuse.

    Raises:
        Forbidden: no role of the actor's post permits the action at that agency.
        AssertionError: the action stands in no row of the table, which is our own fault.
    """
    assert action in ACTIONS, f"no role is given {action!r}"  # noqa: S101
    if not may(actor, action, agency_id):
        raise Forbidden(
            "Chức danh đang dùng không có quyền thực hiện việc này tại cơ quan này.",
            "The post in use has no right to this act at this agency.",
            action=action,
        )


class Capacity(StrEnum):
    """In what capacity a signatory signs, as printed before the title (Decree 30/2020, Appendix I)."""

    PLAIN = "plain"
    KT = "KT."  # ký thay: a deputy for the head
    TL = "TL."  # thừa lệnh: by order of the head
    TUQ = "TUQ."  # thừa ủy quyền: by written mandate, limited in time and content
    TM = "TM."  # thay mặt: on behalf of a collective
    Q = "Q."  # quyền: acting head


class Basis(StrEnum):
    """On what the right to sign rests."""

    STANDING = "standing"  # the head's own
    ASSIGNMENT = "assignment"  # phân công lĩnh vực
    BY_ORDER = "by_order"  # quy chế làm việc
    MANDATE = "mandate"  # văn bản ủy quyền


BASIS_OF: Final[dict[Capacity, Basis]] = {
    Capacity.PLAIN: Basis.STANDING,
    Capacity.TM: Basis.STANDING,
    Capacity.Q: Basis.STANDING,
    Capacity.KT: Basis.ASSIGNMENT,
    Capacity.TL: Basis.BY_ORDER,
    Capacity.TUQ: Basis.MANDATE,
}


class Mandate(msgspec.Struct, frozen=True, kw_only=True):
    """One right to sign: whose, in which post and capacity, for which acts and procedures, from when to when.

    `procedure_codes` of None means every procedure; `valid_to` is the first instant at which it no longer holds.
    """

    id: UUID
    kind: Basis
    capacity: Capacity
    person_id: PersonId
    post_id: PostId
    agency_id: AgencyId
    acts: tuple[str, ...]
    procedure_codes: tuple[str, ...] | None
    title_lines: tuple[str, ...]
    legal_basis: str
    valid_from: datetime
    valid_to: datetime | None
    revoked_at: datetime | None

    def holds(self, at: datetime) -> bool:
        """Tell whether it is in force at this instant."""
        ends = [end for end in (self.valid_to, self.revoked_at) if end is not None]
        return self.valid_from <= at and all(at < end for end in ends)

    def covers(self, act: str, procedure_code: str) -> bool:
        """Tell whether it reaches to this act of this procedure."""
        return act in self.acts and (self.procedure_codes is None or procedure_code in self.procedure_codes)


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """What one person in one post at one agency may sign at one instant, strongest basis first."""

    person_id: PersonId
    post_id: PostId
    agency_id: AgencyId
    at: datetime
    mandates: tuple[Mandate, ...]

    def basis_for(self, act: str, procedure_code: str) -> Mandate | None:
        """Return the row on which this signature would rest, or None."""
        return next((row for row in self.mandates if row.covers(act, procedure_code)), None)

    def require(self, act: str, procedure_code: str) -> Mandate:
        """Return the row on which this signature rests.

        Raises:
            Forbidden: nothing in force reaches to this act of this procedure.
        """
        row = self.basis_for(act, procedure_code)
        if row is None:
            raise Forbidden(
                "Người ký không có thẩm quyền ký văn bản này tại thời điểm này.",
                "The signatory has no authority to sign this at this time.",
                code="no-authority",
                act=act,
                procedure_code=procedure_code,
            )
        return row


_STRENGTH: Final = tuple(Basis)


def authority(
    mandates: Iterable[Mandate], *, person_id: PersonId, post_id: PostId, agency_id: AgencyId, at: datetime
) -> Authority:
    """Return what the post may sign at this instant out of all rows known of the person."""
    rows = [
        row
        for row in mandates
        if row.person_id == person_id and row.post_id == post_id and row.agency_id == agency_id and row.holds(at)
    ]
    rows.sort(key=lambda row: (_STRENGTH.index(row.kind), row.valid_from, row.id))
    return Authority(person_id=person_id, post_id=post_id, agency_id=agency_id, at=at, mandates=tuple(rows))


def faults(row: Mandate) -> tuple[str, ...]:
    """Return, in Vietnamese, what makes a row of authority unlawful; empty if nothing does."""
    found: list[str] = []
    if BASIS_OF[row.capacity] is not row.kind:
        found.append(f"hình thức ký {row.capacity} không đi với căn cứ {row.kind}")
    if row.kind is Basis.MANDATE and row.valid_to is None:
        found.append("ủy quyền phải có thời hạn")
    if row.kind is Basis.MANDATE and not row.procedure_codes:
        found.append("ủy quyền phải nêu rõ nội dung")
    if not row.acts:
        found.append("chưa nêu được ký loại văn bản nào")
    if not row.title_lines:
        found.append("chưa có dòng chức vụ in trên văn bản")
    return tuple(found)


def title_lines(capacity: Capacity, *, own_title: str, head_title: str, body: str | None = None) -> tuple[str, ...]:
    """Return the lines printed above a signature, in capitals (Decree 30/2020, Appendix I, part II, point 7).

    `head_title` is the title of the head in whose place or by whose order one signs; `body` the collective signed for.
    """
    own, head = own_title.upper(), head_title.upper()
    lines: dict[Capacity, Sequence[str]] = {
        Capacity.PLAIN: (own,),
        Capacity.Q: (f"Q. {head}",),
        Capacity.TM: (f"TM. {(body or '').upper()}", own),
        Capacity.KT: (f"KT. {head}", own),
        Capacity.TL: (f"TL. {head}", own),
        Capacity.TUQ: (f"TUQ. {head}", own),
    }
    return tuple(lines[capacity])
