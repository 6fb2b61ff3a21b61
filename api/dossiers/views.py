"""What officials see of a dossier: decrypted for those who take part, and every such view logged."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Tx
from api.db.privacy import Vault
from api.dossiers import holding, lifecycle, store
from api.dossiers.codes import looks_like_code
from api.dossiers.contract import DeliveryRow, Dossier, Journal, Line, LineRow, Party, PartyRow
from api.dossiers.forms import Form, Ground, fill
from api.dossiers.projection import Projection
from api.dossiers.recording import NOTE_PURPOSE, Recorder, no_dossier
from api.dossiers.rows import ViewRow
from api.dossiers.words import ACTION_VI, NATIONAL, STATUS_VI, Action
from api.errors import Broken
from api.kernel import Actor
from api.registry import authority

LINES: Final = 100
"""Journal lines on one page."""
ALL_LINES: Final = 10_000
"""More lines than any dossier has."""


class Views:
    """Reads for officials, bound to the same registry and vault as the use cases."""

    def __init__(self, recorder: Recorder) -> None:
        """Read with this recorder's registry and vault."""
        if recorder.vault is None:
            raise Broken("Tiến trình này không giữ khóa.", "This process holds no vault.", code="no-vault")
        self._recorder = recorder
        self._vault: Vault = recorder.vault

    async def show(self, tx: Tx, actor: Actor, code: str, *, at: datetime) -> Dossier:
        """Show a dossier to an official whose agency takes part in it, and log that it was seen.

        Raises:
            NotFound: there is none, or none that the actor may know of.
        """
        row = await store.dossier_view(tx, code) if looks_like_code(code) else None
        if row is None:
            raise no_dossier()
        require_reader(actor, row, [task.agency_id for task in row.tasks])
        await audit.log_view(tx, actor, "dossier", row.id, "dossier.read", at)
        registry = self._recorder.registry
        version = await registry.procedure_version(row.procedure_version_id)
        plan = await self._recorder.plan(row)
        competent = row.competent_agency_id
        return _page(
            row,
            procedure_name=version.name,
            competent_name=await registry.agency_name(competent, at) if competent else None,
            parties=tuple(self.party(party) for party in row.parties),
            allowed=lifecycle.offered(row, plan),
        )

    async def journal(self, tx: Tx, actor: Actor, code: str, after: int, *, at: datetime) -> Journal:
        """Read the journal with its free words, and log that it was seen."""
        dossier = await self.readable(tx, actor, code)
        await audit.log_view(tx, actor, "dossier", dossier.id, "dossier.journal", at)
        rows = await store.journal_lines(tx, dossier.id, after, LINES + 1)
        accounts = [row.actor_account_id for row in rows if row.actor_account_id is not None]
        names = await store.officials(tx, accounts)
        lines = tuple(self._line(row, names) for row in rows[:LINES])
        return Journal(lines=lines, next=lines[-1].seq if len(rows) > LINES else None)

    async def deliveries(self, tx: Tx, actor: Actor, code: str) -> list[DeliveryRow]:
        """List the hand-overs of a dossier's results with their proofs."""
        dossier = await self.readable(tx, actor, code)
        return await store.deliveries(tx, dossier.id)

    async def form(self, tx: Tx, actor: Actor, code: str, form: Form, website: str, *, at: datetime) -> dict[str, Any]:
        """Fill one of the national forms 01 to 06, and log that personal data were seen for it.

        Raises:
            NotFound: no dossier that the actor may know of. Refused: what the form tells of has not happened.
        """
        row = await store.dossier_view(tx, code) if looks_like_code(code) else None
        if row is None:
            raise no_dossier()
        require_reader(actor, row, [task.agency_id for task in row.tasks])
        await audit.log_view(tx, actor, "dossier", row.id, f"dossier.form.{form}", at)
        registry = self._recorder.registry
        lines = await store.journal_lines(tx, row.id, 0, ALL_LINES)
        accounts = {line.actor_account_id for line in lines} | {task.assignee_account_id for task in row.tasks}
        names = await store.officials(tx, [actor.account_id, *(key for key in accounts if key is not None)])
        places = {row.receipt_agency_id, row.step_agency_id, row.competent_agency_id or row.step_agency_id}
        named = {place: await registry.agency_name(place, at) for place in places | {t.agency_id for t in row.tasks}}
        version = await registry.procedure_version(row.procedure_version_id)
        ground = Ground(
            dossier=row,
            parties=tuple(self.party(party) for party in row.parties),
            lines=tuple(self._line(line, names) for line in lines),
            procedure=version.name,
            term=version.definition.total,
            part_names={part.code: part.name for part in version.definition.parts},
            names=names | named,
            officer=names.get(actor.account_id, ""),
            website=website,
        )
        return fill(form, ground)

    async def readable(self, tx: Tx, actor: Actor, code: str) -> Projection:
        """Return a dossier that the actor may read.

        Raises:
            NotFound: there is none, or none that the actor may know of.
        """
        dossier = await store.dossier_by_code(tx, code) if looks_like_code(code) else None
        if dossier is None:
            raise no_dossier()
        require_reader(actor, dossier, [task.agency_id for task in await store.open_tasks(tx, dossier.id)])
        return dossier

    def party(self, row: PartyRow) -> Party:
        """Open what is sealed of a party."""
        contact: dict[str, str] = {}
        if row.contact_sealed is not None:
            contact = msgspec.json.decode(self._vault.open("person.contact", row.contact_sealed), type=dict[str, str])
        number = row.id_number_sealed
        return Party(
            role=row.role,
            person_id=row.person_id,
            representation_basis=row.representation_basis,
            name=self._vault.open("person.name", row.name_sealed),
            id_number=self._vault.open("person.id_number", number) if number is not None else None,
            phone=contact.get("phone"),
            email=contact.get("email"),
            address=contact.get("address"),
        )

    def words(self, sealed: bytes | None) -> dict[str, str]:
        """Open the free words of a journal line."""
        if sealed is None:
            return {}
        return msgspec.json.decode(self._vault.open(NOTE_PURPOSE, sealed), type=dict[str, str])

    def _line(self, row: LineRow, names: dict[UUID, str]) -> Line:
        return Line(
            seq=row.seq,
            action=row.action,
            action_vi=ACTION_VI[row.action],
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
            source=row.source,
            actor_account_id=row.actor_account_id,
            actor_name=names.get(row.actor_account_id) if row.actor_account_id else None,
            agency_name=row.agency_name,
            data=row.data,
            words=self.words(row.text_sealed),
        )


def require_reader(actor: Actor, dossier: Projection, others: list[UUID]) -> None:
    """Let only agencies that take part read: help, receipt, competent, step, one it is handed to, one that is asked.

    Raises:
        NotFound: the actor's agency takes no part; that the dossier exists is no business of it.
    """
    places = {
        dossier.help_agency_id,
        dossier.receipt_agency_id,
        dossier.competent_agency_id,
        dossier.step_agency_id,
        dossier.transfer_agency_id,
        *others,
    }
    if not any(authority.may(actor, "dossier.read", place) for place in places if place is not None):
        raise no_dossier()


def _page(
    row: ViewRow, *, procedure_name: str, competent_name: str | None, parties: tuple[Party, ...],
    allowed: tuple[Action, ...],
) -> Dossier:  # fmt: skip
    return Dossier(
        id=row.id, code=row.code, version=row.seq, procedure_code=row.procedure_code, procedure_name=procedure_name,
        status=row.status, status_vi=STATUS_VI[row.status], national_status=NATIONAL[row.status], finance=row.finance,
        delivery=row.delivery, sync=row.sync, step=row.step, step_agency_id=row.step_agency_id,
        receipt_agency_id=row.receipt_agency_id, competent_agency_id=row.competent_agency_id,
        competent_agency_name=competent_name, transfer_agency_id=row.transfer_agency_id, channel=row.channel,
        outcome=row.outcome, results=row.results, submitted_at=row.submitted_at, received_at=row.received_at,
        due_original_at=row.due_original_at, due_at=row.due_at, step_due_at=row.step_due_at, paused_at=row.paused_at,
        finished_at=row.finished_at, urgent=row.urgent, parties=parties, parts=row.parts, fees=row.fees,
        tasks=row.tasks, pauses=row.pauses, held=holding.told(row.held), allowed=allowed,
    )  # fmt: skip
