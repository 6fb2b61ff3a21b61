"""How a dossier begins: handed in at a counter or online, or taken over from another system.

Everything is written before the code is taken: the counter row is what submissions of one agency share, so it is locked
last and for two statements only.
"""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from api import audit
from api.db.pools import Tx
from api.db.privacy import Vault
from api.dossiers import access, lifecycle, store, tasks
from api.dossiers import facts as f
from api.dossiers.codes import CodeForm, code_form
from api.dossiers.contract import Filed, ForeignCode, Imported, NewDossier, OnlineDossier, PersonIn
from api.dossiers.deadlines import Plan
from api.dossiers.lifecycle import Entry
from api.dossiers.projection import Projection
from api.dossiers.recording import Recorder, take_parts
from api.dossiers.rows import FeeOwed, Filing
from api.dossiers.words import STEP_OF, Action, Delivery, Finance, Status, Sync
from api.errors import Broken, Invalid, NotFound
from api.kernel import Actor, AgencyId, new_id, vn_day
from api.registry import authority
from api.registry.contract import ProcedureVersion
from api.registry.procedures import StepKind

_DELIVERED: Final = {Status.DONE: Delivery.WAITING, Status.DELIVERED: Delivery.DELIVERED}
_IMPORT: Literal[Action.IMPORT] = Action.IMPORT


class _HandedIn(msgspec.Struct, frozen=True, kw_only=True):
    people: tuple[tuple[Any, ...], ...]
    """Sealed, by the columns of `file_dossier`."""
    parts: tuple[f.PartIn, ...] = ()
    fees: tuple[FeeOwed, ...] = ()
    foreign: ForeignCode | None


class Intake:
    """Submissions of one process; a thin companion of the use cases in `service`."""

    def __init__(self, recorder: Recorder) -> None:
        """Write through this recorder; it must hold a vault, since people are named here."""
        if recorder.vault is None:
            raise Broken("Tiến trình này không giữ khóa.", "This process holds no vault.", code="no-vault")
        self._recorder = recorder
        self._vault: Vault = recorder.vault

    async def submit(self, tx: Tx, actor: Actor, new: NewDossier, *, at: datetime) -> Filed:
        """Hand a dossier in at the actor's counter and, unless told otherwise, receive it at once (Form 01).

        Raises:
            Forbidden: the actor's post receives nothing. NotFound: no such procedure in force.
            Invalid: a channel, part, file or number of subjects the procedure does not offer.
        """
        authority.require(actor, "dossier.submit", actor.agency_id)
        if new.occurred_at is not None:
            await self._recorder.require_recent(new.occurred_at, at)
        when = new.occurred_at or at
        first, plan, version = await self._first(new, new.channel, actor.agency_id, when, at)
        first = msgspec.structs.replace(
            first,
            help_agency_id=new.help_agency_id,
            urgent=new.urgent,
            finance=_finance(version, exempt=new.fees_exempt),
        )
        if new.help_agency_id is not None:
            await self._recorder.registry.agency(new.help_agency_id)
        owners = (("owner", 1, new.owner, None),) if new.owner else ()
        handed = _HandedIn(
            people=self._people(new.filer, new.subjects, new.representation_basis, owners, at),
            parts=new.parts,
            fees=_fees(version, new.channel, exempt=new.fees_exempt),
            foreign=new.foreign_code,
        )
        way = "counter" if new.occurred_at is None else "contingency"
        return await self._write(tx, first, plan, actor, way, handed, receive=new.receive, at=when, recorded_at=at)

    async def submit_online(
        self, tx: Tx, new: OnlineDossier, way: Literal["online", "portal"], *, at: datetime
    ) -> Filed:
        """Hand a dossier in without an official: an officer of the receiving agency answers within the rule's hours.

        Raises:
            NotFound: no such agency or procedure. Invalid: not offered online.
        """
        found = await self._recorder.registry.agencies_by_code(new.receipt_agency_code, at)
        if len(found) != 1:
            raise NotFound("Không có cơ quan tiếp nhận này.", "No such receiving agency.", code="no-agency")
        first, plan, version = await self._first(new, "online", found[0].id, at, at)
        first = msgspec.structs.replace(first, finance=_finance(version, exempt=False))
        handed = _HandedIn(
            people=self._people(new.filer, new.subjects, new.representation_basis, (), at),
            parts=new.parts,
            fees=_fees(version, "online", exempt=False),
            foreign=new.foreign_code,
        )
        return await self._write(tx, first, plan, None, way, handed, receive=False, at=at, recorded_at=at)

    async def take_over(self, tx: Tx, actor: Actor, old: Imported, *, at: datetime) -> Filed:
        """Open a dossier with one `imported` line: source, foreign code, state and history as received."""
        authority.require(actor, "dossier.import", actor.agency_id)
        if old.submitted_at > at or (old.finished_at or at) > at or (old.received_at or at) > at:
            raise Invalid("Thời điểm ở tương lai.", "A past event lies in the future.", code="occurred-at")
        first, plan, _ = await self._first(old, "counter", actor.agency_id, old.submitted_at, at)
        kind = STEP_OF.get(old.status, StepKind.RECEIVE)
        paused = old.status in {Status.SUPPLEMENT_ASKED, Status.DUTY_ASKED}
        early = {Status.SUBMITTED, Status.SUPPLEMENT_AT_INTAKE, Status.INTAKE_REFUSED, Status.WITHDRAWN}
        received = old.received_at or (None if old.status in early else old.submitted_at)
        first = msgspec.structs.replace(
            first,
            status=old.status,
            step=plan.first_step(kind),
            received_at=received,
            due_original_at=old.due_at,
            due_at=old.due_at,
            paused_at=at if paused else None,
            finished_at=old.finished_at,
            delivery=_DELIVERED.get(old.status, Delivery.NONE),
        )
        handed = _HandedIn(people=self._people(old.filer, old.subjects, None, (), at), foreign=old.foreign_code)
        data = {"issuer": old.foreign_code.issuer, "history": msgspec.to_builtins(old.history)}
        return await self._write(
            tx, first, plan, actor, "import", handed, receive=False, at=old.submitted_at, recorded_at=at, data=data
        )  # fmt: skip

    async def _first(
        self,
        new: NewDossier | OnlineDossier | Imported,
        channel: Literal["counter", "online", "post"],
        receipt: AgencyId,
        when: datetime,
        at: datetime,
    ) -> tuple[Projection, Plan, ProcedureVersion]:
        registry = self._recorder.registry
        version = await registry.current_version(new.procedure_code, when)
        if channel not in version.definition.channels_in and not isinstance(new, Imported):
            raise Invalid(
                "Thủ tục này không nhận qua hình thức nộp đã chọn.",
                "The procedure is not offered through this channel.",
                code="channel-not-offered",
                offered=list(version.definition.channels_in),
            )
        if len(new.subjects) < version.definition.subjects and version.definition.subjects > 1:
            raise Invalid(
                f"Thủ tục này cần khai đủ {version.definition.subjects} người.",
                f"This procedure concerns {version.definition.subjects} people; name all of them.",
                code="subjects-missing",
            )
        if new.territory_code is not None and not await registry.knows_territory(new.territory_code):
            raise Invalid("Không có địa bàn với mã này.", "No territory has this code.", code="unknown-territory")
        calendar_version = await registry.current_calendar_version()
        plan = await self._recorder.plan_for(version.id, calendar_version, when)
        competent = await registry.competent_agency(version.id, new.territory_code, when)
        due = plan.answer_due(when)
        first = Projection(
            id=new_id(at), code="", seq=1, procedure_code=version.code, procedure_version_id=version.id,
            calendar_version=calendar_version, form_version=version.definition.form_version,
            fee_version=version.definition.fee_version, channel=channel, help_agency_id=None,
            receipt_agency_id=receipt, competent_agency_id=competent, step_agency_id=receipt,
            owning_system=version.owning_system, territory_code=new.territory_code, status=Status.SUBMITTED,
            finance=Finance.NONE, sync=Sync.PENDING, step=plan.first_step(StepKind.RECEIVE), submitted_at=when,
            step_due_original_at=due, step_due_at=due,
        )  # fmt: skip
        return first, plan, version

    def _people(
        self,
        filer: PersonIn,
        subjects: tuple[PersonIn, ...],
        basis: str | None,
        others: tuple[tuple[str, int, PersonIn, str | None], ...],
        at: datetime,
    ) -> tuple[tuple[Any, ...], ...]:
        named = [("filer", 1, filer, basis), *others]
        named += [("subject", number, person, None) for number, person in enumerate(subjects, 1)]
        return tuple((new_id(at), person.kind, role, no, why, *self._sealed(person)) for role, no, person, why in named)

    def _sealed(self, person: PersonIn) -> tuple[Any, ...]:
        vault = self._vault
        contact = {"phone": person.phone, "email": person.email, "address": person.address}
        known = {key: value for key, value in contact.items() if value is not None}
        return (
            vault.current,
            vault.seal("person.name", person.name),
            vault.fingerprint("person.name", person.name),
            vault.seal("person.id_number", person.id_number) if person.id_number else None,
            vault.fingerprint("person.id_number", person.id_number) if person.id_number else None,
            vault.seal("person.contact", msgspec.json.encode(known).decode()) if known else None,
            vault.fingerprint("person.phone", person.phone) if person.phone else None,
        )

    async def _write(
        self,
        tx: Tx,
        first: Projection,
        plan: Plan,
        actor: Actor | None,
        way: str,
        handed: _HandedIn,
        *,
        receive: bool,
        at: datetime,
        recorded_at: datetime,
        data: dict[str, Any] | None = None,
    ) -> Filed:
        received = None
        last = first
        if receive:
            received = lifecycle.step(first, Action.RECEIVE, f.Noted(), at=at, plan=plan)
            last = lifecycle.apply(first, received)
        await take_parts(tx, first.id, handed.parts, plan, actor.account_id if actor else None)
        if handed.foreign is not None:
            await store.insert_foreign_code(tx, handed.foreign.issuer, handed.foreign.code, first.id)
        filing = Filing(
            people=handed.people,
            secret_sha256=access.digest(access.secret_of(self._vault, first.id)),
            parts=tuple(msgspec.structs.asdict(part) for part in handed.parts),
            fees=handed.fees,
            due_reason="receive" if receive else "import",
            begun=tasks.after_opening(last, plan, at),
            audited=audit.columns(
                actor,
                process=self._recorder.process,
                action="dossier.import" if way == "import" else "dossier.submit",
                subject_kind="dossier",
                subject_id=first.id,
                detail={"procedure_code": first.procedure_code, "received": receive, "source": way},
                at=recorded_at,
            ),
        )
        await store.file_dossier(tx, last, filing, recorded_at)
        lines = [line for line in (_opening(first, way, data or {}, at), received) if line]
        source = await self._recorder.source(actor, way, at)
        number = await self._code_form(first, at)
        code = await store.open_dossier(tx, last, lines, source, recorded_at, number=number)
        return Filed(id=last.id, code=code, status=last.status, version=last.seq, due_at=last.due_at)

    async def _code_form(self, first: Projection, at: datetime) -> CodeForm:
        registry = self._recorder.registry
        agency = await registry.agency(first.receipt_agency_id)
        return code_form(await registry.rule("dossier.code_pattern", at), agency.code, vn_day(at))


def _opening(first: Projection, way: str, data: dict[str, Any], at: datetime) -> Entry:
    return lifecycle.opening(first, _IMPORT if way == "import" else Action.SUBMIT, data, at)


def _fees(version: ProcedureVersion, channel: str, *, exempt: bool) -> tuple[FeeOwed, ...]:
    online = channel == "online"
    amounts = [
        (fee, fee.online_amount_vnd if online and fee.online_amount_vnd is not None else fee.amount_vnd)
        for fee in version.definition.fees
    ]
    state = "exempt" if exempt else "due"
    return tuple(FeeOwed(code=fee.code, name=fee.name, amount_vnd=amount, state=state) for fee, amount in amounts)


def _finance(version: ProcedureVersion, *, exempt: bool) -> Finance:
    if not any(fee.amount_vnd for fee in version.definition.fees):
        return Finance.NONE
    return Finance.EXEMPT if exempt else Finance.DUE
