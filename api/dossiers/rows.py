"""Rows as the statements of dossiers read and write them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from api import audit
from api.dossiers.contract import FeeRow, PartRow, PartyRow, Pause, Task
from api.dossiers.holding import Held
from api.dossiers.projection import Projection
from api.kernel import Actor


class ViewRow(Projection, frozen=True, kw_only=True):
    """A dossier with everything that hangs on it."""

    parties: tuple[PartyRow, ...]
    parts: tuple[PartRow, ...]
    fees: tuple[FeeRow, ...]
    tasks: tuple[Task, ...]
    pauses: tuple[Pause, ...]
    held: tuple[Held, ...]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has taken a piece of work."""

    task_id: UUID
    account_id: UUID


class LockedRow(Projection, frozen=True, kw_only=True):
    """A dossier for one step, with who has taken its work."""

    seen: int
    holders: tuple[Holder, ...]


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """Work that begins."""

    id: UUID
    kind: str
    step: str
    agency_id: UUID
    unit: str | None
    role: str
    due_at: datetime
    asked_by_account_id: UUID | None = None
    asked_by_agency_id: UUID | None = None
    question_seq: int | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a step does to the work on the lists: all open work of some kinds ends, other begins."""

    ended: tuple[str, ...] = ()
    as_what: str = "done"
    begun: tuple[NewTask, ...] = ()
    asked: UUID | None = None
    """The task that the step itself asked for: a hand-over to be confirmed, an opinion."""


class FeeOwed(msgspec.Struct, frozen=True, kw_only=True):
    """An amount owed, by the code of its fee."""

    code: str
    name: str
    amount_vnd: int
    state: str


class Filing(msgspec.Struct, frozen=True, kw_only=True):
    """What hangs on a new dossier from its first moment."""

    people: tuple[tuple[Any, ...], ...]
    secret_sha256: bytes
    parts: tuple[dict[str, Any], ...]
    """By the columns of `dossier_part`."""
    fees: tuple[FeeOwed, ...]
    due_reason: str
    begun: tuple[NewTask, ...]
    audited: audit.Columns


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """From where a line came: who, in which post, at an agency of which name, by which way."""

    actor: Actor | None
    agency_name: str | None
    way: str

    def columns(self) -> tuple[Any, ...]:
        """Return what a line says of it: way, account, post, agency, and the agency's name."""
        who = self.actor
        ids = (who.account_id, who.post_id, who.agency_id) if who else (None, None, None)
        return (self.way, *ids, self.agency_name)
