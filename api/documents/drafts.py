"""Ordering a draft: everything that will be printed is settled here and sealed; the worker prints it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Pools, Tx
from api.db.privacy import Vault
from api.documents import store
from api.documents.access import may_read, require_draftable, require_drafter
from api.documents.contract import Draft, NewDraft, Ordered, Place, SignatoryChoice
from api.documents.letterhead import head_of, shown_address
from api.documents.results import no_document
from api.documents.rows import DocumentContext
from api.documents.templates.bodies import check_body
from api.documents.typesetting import ISSUED_DATE, NUMBER, Sheet, Signer, Verify
from api.errors import Invalid, NotFound, Refused
from api.jobs import enqueue
from api.kernel import Actor, AgencyId
from api.registry.contract import Signatory
from api.registry.procedures import LAYOUT_OF, NUMBERED, ChainEntry, chain_of
from api.registry.service import Registry
from signing.contract import Layout, Placing

MAKE: Final = "documents.render"
PLACE: Final = "documents.place"
"""An uploaded draft with chosen places: a job of its own, so that a worker that knows none leaves it alone."""
DATA: Final = "draft.data"
_PERSONS_SIGN_NOT: Final = frozenset({"copy", "digitised_paper", "separate_annex"})
_STEMS: Final = {"initials": "Initials", "coordinator": "Coordinator", "signatory": "Signatory"}
_STRENGTH: Final = ("standing", "assignment", "by_order", "mandate")


async def order(
    tx: Tx,
    vault: Vault,
    registry: Registry,
    actor: Actor,
    document_id: UUID,
    asked: NewDraft,
    *,
    public_url: str,
    at: datetime,
) -> Ordered:
    """Order a draft; what is printed is checked and settled now, the worker prints it or takes the upload over.

    Raises:
        NotFound: no such document or upload.
        Forbidden: the present step is another agency's.
        Refused: the document is in signing, signed or issued; nobody may sign it; the upload is not accepted.
        Invalid: neither or both of template and upload, an unknown template, or data that does not fit it.
    """
    document = await store.document_context(tx, document_id)
    if document is None:
        raise no_document()
    require_drafter(actor, document.step_agency_id)
    require_draftable(document.result_state, in_chain=document.in_chain)
    if asked.upload_id is not None and asked.template is None and asked.data is None:
        await _require_accepted(tx, actor, asked.upload_id)
        chosen = _chosen_places(vault, document, asked.places)
        return await _order(tx, actor, document, None, chosen, asked.upload_id, asked.reason or "Dự thảo tải lên", at)
    if asked.upload_id is not None or asked.template is None or asked.places:
        raise Invalid(
            "Dự thảo được soạn từ mẫu (template, data) hoặc từ tệp tải lên (upload_id, places), chỉ một trong hai.",
            "A draft comes from a template (template, data) or an upload (upload_id, places), one of the two.",
            code="draft-source",
        )
    body = check_body(asked.template, asked.data or {})
    sheet = await _sheet(registry, document, msgspec.to_builtins(body), asked.signatory, public_url, at)
    sealed = vault.seal(DATA, msgspec.json.encode(sheet).decode())
    return await _order(tx, actor, document, asked.template, sealed, None, asked.reason or "Soạn từ mẫu", at)


class ChosenPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where an officer wants what on an uploaded draft, and all that its chain will sign there."""

    wanted: tuple[Placing, ...]
    fields: tuple[str, ...]
    layout: Layout


def _chosen_places(vault: Vault, document: DocumentContext, places: Sequence[Place]) -> bytes | None:
    """Seal the chosen places for the worker, since anchor texts may name people; None where none is chosen.

    Raises:
        Invalid: a place that this document's chain does not fill.
    """
    if not places:
        return None
    fields = field_names(chain_of(document.definition.chain, document.act), document.act)
    known = {*fields, NUMBER, ISSUED_DATE}
    if unknown := sorted({place.field for place in places} - known):
        raise Invalid(
            f"Văn bản này không có chỗ {', '.join(unknown)}; chỉ có: {', '.join(sorted(known))}.",
            f"This document has no place {', '.join(unknown)}, only: {', '.join(sorted(known))}.",
            code="no-such-place",
            fields=sorted(known),
        )
    wanted = tuple(Placing(**msgspec.structs.asdict(place)) for place in places)
    chosen = ChosenPlaces(wanted=wanted, fields=fields, layout=LAYOUT_OF[document.act])
    return vault.seal(DATA, msgspec.json.encode(chosen).decode())


async def _require_accepted(tx: Tx, actor: Actor, upload_id: UUID) -> None:
    upload = await store.upload_view(tx, upload_id)
    of_dossier = upload is not None and upload.dossier_id is not None and may_read(actor, upload.agencies)
    if upload is None or not (of_dossier or upload.account_id == actor.account_id):
        raise NotFound("Không có tệp tải lên này.", "There is no such upload.", code="no-upload")
    if upload.profile != "to_sign" or upload.state != "accepted":
        raise Refused(
            "Tệp chưa được chấp nhận để ký (hồ sơ kiểm tra to_sign).",
            "The file has not been accepted for signing (profile to_sign).",
            allowed=("document.upload",),
            code="upload-not-accepted",
            state=upload.state,
            profile=upload.profile,
        )


async def show_draft(pools: Pools, actor: Actor, draft_id: UUID) -> Draft:
    """Return where an order for a draft stands.

    Raises:
        NotFound: no such order, or none that this actor may know of.
    """
    async with pools.reading() as connection:
        draft = await store.draft_view(connection, draft_id)
        document = None if draft is None else await store.document_context(connection, draft.document_id)
    if draft is None or document is None or not may_read(actor, document.agencies):
        raise NotFound("Không có lệnh soạn này.", "There is no such order.", code="no-draft")
    return draft


async def _order(
    tx: Tx,
    actor: Actor,
    document: DocumentContext,
    template: str | None,
    sealed: bytes | None,
    upload_id: UUID | None,
    reason: str,
    at: datetime,
) -> Ordered:
    draft_id = await store.insert_draft_order(tx, document, template, sealed, upload_id, reason, actor.account_id, at)
    key, ids = str(draft_id), {"draft": str(draft_id)}
    if template is None and sealed is not None:
        await enqueue(tx, PLACE, key, ids, priority=10)
    else:
        await enqueue(tx, MAKE, key, ids, priority=10)
    await audit.append(
        tx,
        actor,
        process="api",
        action="document.draft",
        subject_kind="document",
        subject_id=document.id,
        detail={"draft": draft_id, "template": template, "upload": upload_id},
        at=at,
    )
    return Ordered(id=draft_id, document_id=document.id)


async def _sheet(
    registry: Registry,
    document: DocumentContext,
    body: dict[str, Any],
    choice: SignatoryChoice | None,
    public_url: str,
    at: datetime,
) -> Sheet:
    chain = chain_of(document.definition.chain, document.act)
    entries, names = signing_entries(chain, document.act), field_names(chain, document.act)
    agency_id = AgencyId(document.issuing_agency_id)
    count = sum(entry.role == "signatory" for entry in entries)
    signatories = await registry.signatories(agency_id, document.act, document.procedure_code, at) if count else []
    sealed = any(entry.role == "seal" for entry in entries)
    numbered = sealed and document.act in NUMBERED
    code = document.verify_code
    return Sheet(
        head=await head_of(registry, agency_id, at),
        body=body,
        signers=choose_signers(signatories, choice, count),
        initials=tuple(name for name in names if name.startswith(("Initials", "Coordinator"))),
        seal=sealed,
        layout=LAYOUT_OF[document.act],
        number_spot=numbered,
        date_spot=numbered,
        recipients=("Như trên", "Lưu: VT"),
        verify=Verify(code=code, url=f"{public_url}/verify/{code}", shown=shown_address(f"{public_url}/verify")),
    )


def signing_entries(chain: Sequence[ChainEntry], act: str) -> list[ChainEntry]:
    """Return the signatures that leave a field in the PDF of this act, in their order."""
    kept = [entry for entry in chain if entry.pdf_signature and (entry.role == "seal" or act not in _PERSONS_SIGN_NOT)]
    return sorted(kept, key=lambda entry: (entry.group, entry.role == "seal"))


def field_names(chain: Sequence[ChainEntry], act: str) -> tuple[str, ...]:
    """Return the names of the signature fields of this act's PDF, in their order: the n-th of a role bears its n."""
    persons = [] if act in _PERSONS_SIGN_NOT else [entry for entry in chain if entry.role != "seal"]
    counts: dict[str, int] = {}
    names: list[str] = []
    for entry in sorted(persons, key=lambda each: each.group):
        counts[entry.role] = counts.get(entry.role, 0) + 1
        if entry.pdf_signature:
            names.append(f"{_STEMS[entry.role]}{counts[entry.role]}")
    return (*names, *("Seal" for entry in chain if entry.role == "seal"))


def choose_signers(signatories: Sequence[Signatory], choice: SignatoryChoice | None, count: int) -> tuple[Signer, ...]:
    """Return whose title and name are printed: the chosen one first, then by the strength of their right.

    Raises:
        Invalid: the chosen person has no right to sign this.
        Refused: fewer people may sign than the procedure asks for.
    """
    ranked = sorted(signatories, key=lambda each: (_STRENGTH.index(each.kind), each.valid_from, each.id))
    people = list({each.person_id: each for each in reversed(ranked)}.values())[::-1]
    if choice is not None:
        wanted = [e for e in ranked if (e.person_id, e.post_id) == (choice.person_id, choice.post_id)]
        if not wanted:
            raise Invalid(
                "Người được chọn không có thẩm quyền ký văn bản này.",
                "The chosen person has no right to sign this document.",
                code="not-competent",
            )
        people = [wanted[0], *(each for each in people if each.person_id != choice.person_id)]
    if len(people) < count:
        raise Refused(
            "Cơ quan chưa có đủ người có thẩm quyền ký văn bản này.",
            "Too few people at this agency may sign this document.",
            allowed=("mandate.propose",),
            code="no-signatory",
        )
    return tuple(
        Signer(field=f"Signatory{n}", title_lines=each.title_lines, name=each.display_name)
        for n, each in enumerate(people[:count], 1)
    )
