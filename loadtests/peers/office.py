"""What peer and floor know of the office they serve: the rows a submission and a step write, by table and column.

The product works these out from the procedure's version, the calendar and the rules of law. Here they are constants
read off one dossier that the product has written, so that the peers do less of it, never more.
"""

import secrets
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from api.db.privacy import Vault
from api.dossiers import access
from api.http.auth.tokens import TokenKeys
from api.kernel import VIETNAM, new_id
from api.settings import Settings, read

OFFERED: Final = (
    "confirm_hand_over", "decline_hand_over", "claim", "release", "assign", "draft_result", "record_outside_result",
    "withdraw", "stop", "explain_overdue", "apologise", "pay", "exempt",
)  # fmt: skip
"""What may be done after a hand-over; a constant here, worked out by rules in the product."""
STATUS_VI: Final = {
    "received": "Đã tiếp nhận", "appraising": "Đang thẩm định", "awaiting_signature": "Chờ ký",
    "delivered": "Đã trả kết quả",
}  # fmt: skip
NATIONAL: Final = {"received": 2, "appraising": 4, "awaiting_signature": 4, "delivered": 10}

_PATTERN: Final = "SELECT * FROM dossier WHERE code NOT LIKE '%-250701-%' ORDER BY id LIMIT 1"
_AGENCY: Final = "SELECT name, code FROM agency WHERE id = $1"

Rows = list[tuple[str, dict[str, Any]]]
"""Tables and what is inserted in each, in an order that every constraint allows."""


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as the session says."""

    account_id: UUID
    person_id: UUID
    post_id: UUID
    agency_id: UUID
    roles: list[str]


class Office:
    """One dossier as the pattern of every other, with the names that go beside it."""

    def __init__(self, model: dict[str, Any], agency: str, agency_code: str, settings: Settings) -> None:
        self._model, self._agency, self._agency_code = model, agency, agency_code
        self._vault = Vault(settings.data_keys, settings.data_key)
        self.tokens = TokenKeys(settings.session_keys)
        self._answer_in: timedelta = model["due_at"] - model["submitted_at"]

    @classmethod
    async def open(cls) -> "Office":
        """Read the pattern from the database that this process is told of."""
        settings = read("api")
        connection = await asyncpg.connect(settings.database_url)
        try:
            await connection.set_type_codec("jsonb", encoder=str, decoder=msgspec.json.decode, schema="pg_catalog")
            model = await connection.fetchrow(_PATTERN)
            agency = await connection.fetchrow(_AGENCY, model["receipt_agency_id"])
        finally:
            await connection.close()
        return cls(dict(model), agency["name"], agency["code"], settings)

    def submission(self, order: Any, caller: Caller, at: datetime) -> tuple[dict[str, Any], str, Rows]:
        """Return dossier, secret and every row of a submission but counter, answer and the dossier's own code."""
        seal, mark = self._vault.seal, self._vault.fingerprint
        person, filer, due = new_id(at), order.filer, at + self._answer_in
        dossier = self._model | {
            "id": new_id(at), "submitted_at": at, "received_at": at, "due_at": due, "due_original_at": due,
            "step_due_at": due, "step_due_original_at": due, "territory_code": order.territory_code,
        }  # fmt: skip
        secret = access.secret_of(self._vault, dossier["id"])
        contact = msgspec.json.encode({"phone": filer.phone}).decode()
        key = {"dossier_id": dossier["id"]}
        rows: Rows = [
            ("person", {"id": person, "kind": "citizen", "created_at": at}),
            ("person_private", {
                "person_id": person, "key_id": self._vault.current, "name_sealed": seal("person.name", filer.name),
                "name_fingerprint": mark("person.name", filer.name),
                "id_number_sealed": seal("person.id_number", filer.id_number),
                "id_number_fingerprint": mark("person.id_number", filer.id_number),
                "contact_sealed": seal("person.contact", contact),
                "phone_fingerprint": mark("person.phone", filer.phone),
            }),
            ("dossier", dossier),
            ("dossier_party", key | {"id": new_id(at), "role": "filer", "ordinal": 1, "person_id": person}),
            *(("dossier_part", key | {
                "id": new_id(at), "part_code": part.part_code, "name": part.name, "originals": part.originals,
                "certified_copies": 0, "plain_copies": 0, "origin": "paper",
            }) for part in order.parts),
            ("dossier_fee", key | {
                "id": new_id(at), "code": "LPHT", "name": "Lệ phí hộ tịch", "amount_vnd": 15000, "state": "due",
            }),
            ("dossier_access", key | {"secret_sha256": access.digest(secret), "given_at": at}),
            ("task", self._task(dossier, "work", "counter", dossier["receipt_agency_id"], due, at, None)),
            ("dossier_deadline", key | {"seq": 2, "due_at": due, "reason": "receive"}),
            ("journal", self._line(dossier, 1, "submit", {}, caller, at)),
            ("journal", self._line(dossier, 2, "receive", {}, caller, at)),
            audit(caller, "dossier.submit", dossier["id"], {"procedure_code": order.procedure_code}, at),
        ]  # fmt: skip
        return dossier, secret, rows

    def code(self, number: int, day: date) -> str:
        """Return the code of the day's next dossier."""
        return f"{self._agency_code}-{day:%y%m%d}-{number:04}"

    def hand_over(self, dossier: Any, agency_id: UUID, caller: Caller, at: datetime) -> tuple[UUID, Rows]:
        """Return the task that a hand-over opens, and every row it writes besides the dossier's."""
        due = at + timedelta(hours=2)
        task = self._task(dossier, "hand_over", "appraiser", agency_id, due, at, caller)
        seq = dossier["seq"] + 1
        data = {"agency_id": agency_id}
        line = self._line(dossier, seq, "hand_over", data, caller, at)
        return task["id"], [
            ("journal", line),
            ("task", task),
            audit(caller, "dossier.hand_over", dossier["id"], {"seq": seq, "status": dossier["status"]}, at),
        ]

    @staticmethod
    def _task(
        dossier: Any, kind: str, role: str, agency_id: UUID, due: datetime, at: datetime, asker: Caller | None
    ) -> dict[str, Any]:
        return {
            "id": new_id(at), "dossier_id": dossier["id"], "kind": kind, "step": dossier["step"],
            "agency_id": agency_id, "role": role, "state": "open", "due_original_at": due,
            "due_at": due, "started_at": at, "version": 1,
            "asked_by_account_id": asker.account_id if asker else None,
            "asked_by_agency_id": asker.agency_id if asker else None,
        }  # fmt: skip

    def _line(
        self, dossier: Any, seq: int, action: str, data: dict[str, Any], caller: Caller, at: datetime
    ) -> dict[str, Any]:
        return {
            "dossier_id": dossier["id"], "seq": seq, "action": action, "occurred_at": at, "recorded_at": at,
            "source": "counter", "actor_account_id": caller.account_id, "actor_post_id": caller.post_id,
            "actor_agency_id": caller.agency_id, "agency_name": self._agency, "data": data,
            "effect": {"seq": seq} | data,
        }  # fmt: skip


def audit(
    caller: Caller, action: str, subject: UUID, detail: dict[str, Any], at: datetime
) -> tuple[str, dict[str, Any]]:
    """Return one audit row with its canonical bytes and their digest."""
    row = {
        "at": at, "actor_account_id": caller.account_id, "actor_post_id": caller.post_id,
        "actor_agency_id": caller.agency_id, "process": "api", "action": action, "subject_kind": "dossier",
        "subject_id": subject, "detail": detail, "trace_id": secrets.token_hex(16),
    }  # fmt: skip
    canonical = msgspec.json.encode(row, order="deterministic")
    return "audit", row | {"canonical": canonical, "digest": sha256(canonical).digest()}


def answered(
    caller: Caller, route: str, key: str, body: bytes, status: int, answer: Any, at: datetime
) -> dict[str, Any]:
    """Return the row that keeps an answer for its idempotency key."""
    return {
        "actor": str(caller.account_id), "route": route, "key": key, "body_sha256": sha256(body).digest(),
        "status": status, "answer": answer, "created_at": at,
    }  # fmt: skip


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def today(at: datetime) -> date:
    """Return the day in Vietnam."""
    return at.astimezone(VIETNAM).date()
