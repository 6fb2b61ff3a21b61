"""What a person's browser brings back from a key holder's page, kept before it is answered (OAuth 2.0, RFC 6749).

Nothing is judged here but whose page it was and whether it still waits: the signer alone changes a code for anything.
A page belongs to the session that asked: nobody can have another confirm in their browser what they asked in theirs.
"""

import html
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from api import audit
from api.db import queries
from api.db.pools import Tx, as_struct
from api.errors import Conflict, Forbidden, MotcuaError, NotFound
from api.jobs.queue import enqueue
from api.kernel import Actor
from api.signatures.contract import PageTaken

_q: Final = queries.load("api.signatures", "paging.sql")
PAGED: Final = "signatures.page"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a page is, and whether it still waits."""

    holder: str
    transaction_id: str
    batch_id: UUID
    state: str
    expires_at: datetime
    account_id: UUID
    session_id: UUID | None
    answered: bool
    replaced: bool


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What an address says that a page sent a browser to: a code, or an error, with the state it was given."""

    state: str
    code: str = ""
    error: str = ""
    issuer: str = ""


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"page_place": Place}
"""Which Struct each reading statement fills; a test compares their columns."""


async def take(tx: Tx, actor: Actor, holder: str, brought: Brought, *, at: datetime) -> PageTaken:
    """Keep what came back from a page, and the job that goes on with it; what came of it stands in the ticket.

    Raises:
        NotFound: no page was opened for this account with such a state.
        Forbidden: another session of the account asked.
        Conflict: it came to another holder's address, came before, came too late, or nobody waits for it any more.
    """
    place = as_struct(await tx.fetchrow(_q.page_place, brought.state), Place)
    fault = fault_of(place, actor, holder, at)
    if fault is not None or place is None:
        raise fault or _unknown()
    kept = await tx.fetchval(
        _q.insert_page_answer, brought.state, brought.code, brought.error, brought.issuer, actor.account_id
    )
    if kept is None:
        raise _answered()
    await enqueue(tx, PAGED, f"{place.batch_id}:{place.transaction_id}", {"state": brought.state})
    await audit.append(
        tx,
        actor,
        process="api",
        action="signature.page-answered",
        subject_kind="signature_batch",
        subject_id=place.batch_id,
        detail={"transaction": place.transaction_id, "error": brought.error},
        at=at,
    )
    if brought.code and not brought.error:
        vi, en = "Đã nhận xác nhận; đang ký.", "The authorisation was taken; it is being signed."
    else:
        vi, en = "Trang ký số không xác nhận; văn bản trở lại danh sách.", "Nothing was authorised; the documents wait."
    return PageTaken(ticket=place.batch_id, vi=f"{vi} Xem mã lượt ký.", en=f"{en} See the ticket.")


def fault_of(place: Place | None, actor: Actor, holder: str, at: datetime) -> MotcuaError | None:
    """Return why what came back is not taken, or None. Pure."""
    if place is None or place.account_id != actor.account_id:
        return _unknown()
    checks: tuple[tuple[bool, Callable[[], MotcuaError]], ...] = (
        (place.holder != holder, _mixed_up),
        (place.session_id != actor.session_id, _another_session),
        (place.answered, _answered),
        (at >= place.expires_at, _too_late),
        (place.replaced or place.state == "ended", _over),
    )
    return next((fault() for failed, fault in checks if failed), None)


def _mixed_up() -> Conflict:
    return Conflict(
        "Câu trả lời đến từ trang của nơi giữ khóa khác; không nhận.",
        "The answer came from another key holder's page and was not taken.",
        code="page-mixed-up",
    )


def _another_session() -> Forbidden:
    return Forbidden(
        "Lượt ký này được yêu cầu ở phiên làm việc khác; hãy xác nhận ở đúng phiên đó.",
        "Another session asked for these signatures; authorise them there.",
        code="page-of-another-session",
        next_step=("Mở mã lượt ký ở phiên đã ký, hoặc ký lại tại đây.", "Go there, or sign again here."),
    )


def _too_late() -> Conflict:
    return Conflict(
        "Đã quá thời hạn xác nhận; văn bản trở lại danh sách chờ ký.",
        "It was authorised too late; the documents wait to be signed again.",
        code="page-too-late",
        next_step=("Mở lại danh sách chờ ký rồi ký lại.", "Open the list to sign, then sign again."),
    )


def _over() -> Conflict:
    return Conflict(
        "Trang này không còn hiệu lực; xem mã lượt ký.",
        "This page counts no more; see the ticket.",
        code="page-over",
    )


def _unknown() -> NotFound:
    return NotFound(
        "Không có lượt ký nào của bạn chờ trang này.",
        "None of your tickets waits for this page.",
        code="page-unknown",
    )


def _answered() -> Conflict:
    return Conflict(
        "Câu trả lời của trang này đã được nhận một lần; xem mã lượt ký.",
        "What this page answered has been taken once; see the ticket.",
        code="page-answered",
    )


def stepping_stone(holder: str, brought: Brought) -> tuple[str, str]:
    """Return the address at which a browser hands in what it brought, and a page of ours that sends it there.

    A session's cookie is not sent along from another site's page, so the provider cannot lead there by itself.
    """
    given = {"state": brought.state, "code": brought.code, "error": brought.error, "iss": brought.issuer}
    said = urlencode({name: text for name, text in given.items() if text})
    address = f"/holders/{quote(holder, safe='')}/page/taken?{said}"
    link = html.escape(address, quote=True)
    page = (
        '<!doctype html><html lang="vi"><meta charset="utf-8"><title>Một cửa</title>'
        f'<p><a href="{link}">Tiếp tục / Continue</a></p></html>'
    )
    return address, page
