"""The form of an audit row, and how it is written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from api.audit import store
from api.db.pools import Tx
from api.errors import Broken
from api.kernel import Actor

PERSONAL: Final = frozenset(
    {
        "full_name", "display_name", "phone", "email", "address", "contact", "id_number", "birth_date",
        "password", "secret", "token", "totp", "otp", "pin", "file_name",
    }
)  # fmt: skip
"""Keys that announce personal data or a secret; a detail that bears one is our bug and is refused."""


Columns = tuple[Any, ...]
"""An audit row as `append_audit` takes it: the fields of `Entry`, the canonical bytes, their SHA-256."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one audit row says: the columns from which its canonical bytes are made."""

    at: datetime
    actor_account_id: UUID | None
    actor_post_id: UUID | None
    actor_agency_id: UUID | None
    process: str
    action: str
    subject_kind: str
    subject_id: UUID | None
    detail: dict[str, Any]
    source: str | None
    trace_id: str | None


def canonical_bytes(entry: Entry) -> bytes:
    """Return the deterministic JSON of an entry: keys sorted, UTC instant in microseconds, no blanks.

    A row read back from the database gives the same bytes, which is how an altered row is found.
    """
    fields = msgspec.to_builtins(entry, builtin_types=(datetime,))
    fields["at"] = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    fields["source"] = _address(entry.source) if entry.source else None
    return msgspec.json.encode(fields, order="deterministic")


def columns(
    actor: Actor | None,
    *,
    process: str,
    action: str,
    subject_kind: str,
    subject_id: UUID | None,
    detail: Mapping[str, Any],
    at: datetime,
    source: str | None = None,
    trace_id: str | None = None,
) -> Columns:
    """Return one row in the order of `append_audit`, for a statement that writes it together with the act itself.

    `source` (an address) and `trace_id` default to what the process bound to its log context for this piece of work.

    Raises:
        Broken: the detail bears a key that announces personal data.
    """
    _refuse_personal(detail)
    bound = structlog.contextvars.get_contextvars()
    entry = Entry(
        at=at,
        actor_account_id=actor.account_id if actor else None,
        actor_post_id=actor.post_id if actor else None,
        actor_agency_id=actor.agency_id if actor else None,
        process=process,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        detail=msgspec.to_builtins(dict(detail)),
        source=source or bound.get("source"),
        trace_id=trace_id or bound.get("trace_id"),
    )
    canonical = canonical_bytes(entry)
    return (*msgspec.structs.astuple(entry), canonical, sha256(canonical).digest())


async def append(
    tx: Tx,
    actor: Actor | None,
    *,
    process: str,
    action: str,
    subject_kind: str,
    subject_id: UUID | None,
    detail: Mapping[str, Any],
    at: datetime,
    source: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Write one row in the caller's transaction (see `columns`).

    Raises:
        Broken: the detail bears a key that announces personal data.
    """
    row = columns(
        actor, process=process, action=action, subject_kind=subject_kind, subject_id=subject_id, detail=detail, at=at,
        source=source, trace_id=trace_id,
    )  # fmt: skip
    await store.append_audit(tx, row)


async def log_view(tx: Tx, actor: Actor, subject_kind: str, subject_id: UUID, purpose: str, at: datetime) -> None:
    """Record that an official saw personal data of a subject, and for which purpose."""
    await store.append_view(tx, actor, subject_kind, subject_id, purpose, at)


@lru_cache(4096)
def _address(text: str) -> str:
    return str(ip_address(text))


def _refuse_personal(detail: Mapping[str, Any]) -> None:
    for key, value in detail.items():
        if key in PERSONAL:
            raise Broken(
                "Nhật ký kiểm toán không được chứa dữ liệu cá nhân.",
                f"An audit detail must not hold {key!r}.",
                code="audit-personal-data",
            )
        if isinstance(value, Mapping):
            _refuse_personal(value)
