"""Bind a certificate that two persons agreed to: its facts come from the certificate itself and from the key holder.

The holder is asked and the certificate read before any transaction begins, since both may take a while.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

import signing
from api.audit import append
from api.db.pools import Tx
from api.errors import Conflict, Invalid, MotcuaError
from api.kernel import sort_key
from api.people import changes
from api.people.changes import BindCertificate, Binding
from api.people.engine import store
from api.signatures.engine import passkeys
from api.signatures.engine.context import Engine
from signing.contract import CertificateClass, CertificateFacts, HeldCertificate
from signing.errors import Crashed, HolderMisconfigured, HolderUnavailable, SigningError, TimedOut

_PATIENCE_S: Final = 20.0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that its holder lists for this owner, and that may sign."""

    held: HeldCertificate
    facts: CertificateFacts
    klass: CertificateClass
    image_png: bytes | None


class Unreachable(Exception):
    """Whether the certificate may be bound cannot be told now."""


LookedAt = Looked | MotcuaError | Unreachable | None
"""What looking came to: fit, unfit, not to be told now, or nothing to look at."""


async def look(engine: Engine, answer_id: UUID, at: datetime) -> LookedAt:
    """Ask the holder for the certificate that an answer is about, and read it; nothing is locked meanwhile."""
    async with engine.pools.reading() as tx:
        sealed = await store.binding_of(tx, answer_id, changes.BINDINGS)
    if sealed is None:
        return None
    try:
        change = changes.from_bytes(engine.personal.open(changes.SEALED, sealed))
        return await _examined(engine, change, at) if isinstance(change, Binding) else None
    except msgspec.ValidationError:
        return None
    except (MotcuaError, Unreachable) as told:
        return told


async def _examined(engine: Engine, change: Binding, at: datetime) -> Looked:
    if change.holder not in engine.holders:
        raise Invalid("Không có nơi giữ khóa này.", "There is no such key holder.", code="holder-unknown")
    holder = engine.holders[change.holder]
    wanted = passkeys.unpadded(change.certificate)
    image = passkeys.unpadded(change.image_png) if change.image_png else None
    try:
        listed = await holder.list_certificates(change.owner)
        held = next((one for one in listed if one.certificate == wanted), None)
        if held is None:
            raise Invalid(
                "Nơi giữ khóa không có chứng thư này cho chủ ấy.",
                "The key holder does not list this certificate for that owner.",
                code="certificate-not-held",
            )
        work = engine.workshop.run(signing.examine, held, engine.trust, image, at=at, timeout_s=_PATIENCE_S)
        facts = await work
    except (HolderUnavailable, HolderMisconfigured, TimedOut, Crashed) as error:
        raise Unreachable(error.code) from error
    except SigningError as error:
        raise Invalid(f"{error.vi}.", f"{error.en}.", code=error.code) from error
    klass = holder.capabilities.certificate_class
    if facts.demo != (klass == "demo"):
        raise Invalid(
            "Chứng thư không thuộc loại mà nơi giữ khóa cung cấp.",
            "The certificate is not of the class that its holder serves.",
            code="certificate-class",
        )
    return Looked(held=held, facts=facts, klass=klass, image_png=image)


async def bind(
    engine: Engine,
    tx: Tx,
    proposal_id: UUID,
    change: Binding,
    person_id: UUID | None,
    looked: LookedAt,
    at: datetime,
) -> UUID:
    """Write the binding.

    Raises:
        Invalid: the certificate is unfit, its holder does not list it, or it names somebody else.
        Conflict: it was bound before.
    """
    if isinstance(looked, MotcuaError):
        raise looked
    if not isinstance(looked, Looked):
        raise Conflict("Chưa xem được chứng thư.", "The certificate has not been looked at.", code="not-looked-at")
    named = await _named(tx, change, person_id, looked.facts)
    agency_id = None if isinstance(change, BindCertificate) else change.agency_id
    owner = engine.personal.seal("holder-owner", change.owner)
    certificate_id = await store.insert_certificate(
        tx, (person_id, agency_id, named), looked.held, looked.facts,
        klass=looked.klass, holder=change.holder, owner_sealed=owner, image_png=looked.image_png, at=at,
    )  # fmt: skip
    if certificate_id is None:
        raise Conflict(
            "Chứng thư này đã được gắn, hoặc đã bị gỡ và không dùng lại được.",
            "This certificate is bound already, or was unbound and never comes back.",
            code="certificate-known",
        )
    await _note(tx, "certificate.bound", certificate_id, proposal_id, looked.facts.serial, at)
    return certificate_id


async def unbind(
    tx: Tx, proposal_id: UUID, certificate_id: UUID, person_id: UUID | None, agency_id: UUID | None, at: datetime
) -> bool:
    """End a binding of this person or organisation; tell whether there was one."""
    serial = await store.unbind_certificate(tx, certificate_id, person_id, agency_id, at)
    if serial is not None:
        await _note(tx, "certificate.unbound", certificate_id, proposal_id, serial, at)
    return serial is not None


async def _named(tx: Tx, change: Binding, person_id: UUID | None, facts: CertificateFacts) -> UUID | None:
    """Return the agency that the subject names; whom it is bound to, the subject must name."""
    organisations = await store.agencies_named(tx, _key(facts.organisation))
    if isinstance(change, BindCertificate):
        name = await store.official_name(tx, person_id) if person_id else ""
        if not name or _key(name) != _key(facts.common_name):
            raise _another()
        return next(iter(organisations), None)
    possible = (*await store.agencies_named(tx, _key(facts.common_name)), *organisations)
    own = await store.agency_and_predecessors(tx, change.agency_id)
    named = next((agency for agency in possible if agency in own), None)
    if named is None:
        raise _another()
    return named


def _another() -> Invalid:
    return Invalid(
        "Chứng thư ghi tên người hoặc cơ quan khác.", "The certificate names somebody else.", code="certificate-name"
    )


def _key(name: str) -> str:
    """Return what two writings of one name share, however they are composed, cased and spaced; every mark counts."""
    return sort_key(" ".join(name.split()))


async def _note(tx: Tx, action: str, certificate_id: UUID, proposal_id: UUID, serial: str, at: datetime) -> None:
    await append(
        tx,
        None,
        process="signer",
        action=action,
        subject_kind="certificate",
        subject_id=certificate_id,
        detail={"proposal_id": proposal_id, "serial": serial},
        at=at,
    )
