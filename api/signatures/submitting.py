"""Submit a document for signature (trình ký): name who signs, open the chain, have the places laid."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.audit import append
from api.db.pools import Tx
from api.dossiers import facts as f
from api.dossiers.service import Dossiers
from api.dossiers.words import Action
from api.errors import Conflict, Invalid, NotFound, Refused
from api.jobs.queue import enqueue
from api.kernel import Actor
from api.registry import authority
from api.registry.procedures import Definition, chain_of
from api.signatures import chain, store
from api.signatures.contract import SubmitForSignature, Submitted
from api.signatures.rows import Candidate, DocumentToSubmit, NewRequest

LAY: Final = "signatures.lay"
DEMO_MARK: Final = "CHỈ ĐỂ THỬ"


async def submit(
    dossiers: Dossiers, tx: Tx, actor: Actor, document_id: UUID, order: SubmitForSignature, *, at: datetime
) -> Submitted:
    """Open the chain of one document; its requests appear in the lists once the places are laid.

    Raises:
        NotFound: there is no such document.
        Forbidden: the actor's post has no right to submit at the agency of the step.
        Refused: the result or its dossier is not at the step that submits.
        Conflict: a chain is open for the document already.
        Invalid: nobody named or found may fill a place.
    """
    await store.lock_dossier_of_document(tx, document_id)
    document = await store.lock_document(tx, document_id)
    if document is None:
        raise NotFound("Không tìm thấy văn bản.", "There is no such document.", code="document-not-found")
    authority.require(actor, "signature.submit", document.step_agency_id)
    _demand_draft(document)
    if await store.open_chain_of_document(tx, document.id) is not None:
        raise Conflict("Văn bản đang được trình ký.", "The document is submitted already.", code="chain-open")
    entries = chain_of(msgspec.convert(document.definition, Definition).chain, document.act)
    wanted = chain.wanted(entries, document.act)
    people = await _people(tx, document, wanted, order.signers, at)
    demo = any(who.certificate_class == "demo" for who in people.values())
    lane = "counter" if document.urgent else order.lane
    mark = DEMO_MARK if demo else None
    chain_id = await store.insert_chain(tx, document, mark, lane, actor.account_id, at)
    request_ids = [
        await store.insert_request(
            tx,
            NewRequest(
                chain_id=chain_id,
                document=document,
                group=place.group,
                ordinal=place.ordinal,
                role=place.role,
                pdf_signature=place.pdf_signature,
                field=place.field,
                who=people[place.ordinal],
                lane=lane,
                at=at,
            ),
        )
        for place in wanted
    ]
    await _step(dossiers, tx, actor, document, at)
    await append(
        tx,
        actor,
        process="api",
        action="signature.submit",
        subject_kind="document",
        subject_id=document.id,
        detail={"chain_id": str(chain_id), "requests": [str(request_id) for request_id in request_ids]},
        at=at,
    )
    await enqueue(tx, LAY, str(chain_id), {"chain": str(chain_id)}, priority=1 if lane == "counter" else 0)
    return Submitted(chain_id=chain_id, document_id=document.id, request_ids=request_ids)


async def _step(dossiers: Dossiers, tx: Tx, actor: Actor, document: DocumentToSubmit, at: datetime) -> None:
    """Move result and dossier on; a result's second document, submitted after its first, moves neither."""
    if not await store.result_in_signing(tx, document.result_id):
        return
    results = await store.results_to_sign(tx, document.dossier_id)
    facts = f.SubmitForSignature(result_ids=tuple(results))
    await dossiers.record(tx, document.dossier_id, Action.SUBMIT_FOR_SIGNATURE, facts, at=at, actor=actor)


def _demand_draft(document: DocumentToSubmit) -> None:
    if document.head_revision_id is None:
        raise Refused(
            "Văn bản chưa có dự thảo; hãy soạn từ mẫu hoặc tải tệp lên.",
            "The document has no draft yet.",
            allowed=("render", "attach"),
            code="no-draft",
        )
    # An annex is sealed after its main document, so it may still be submitted once that one is signed.
    late = {"signed"} if document.act == "separate_annex" else set[str]()
    if document.result_state not in {"draft", "in_signing"} | late:
        raise Refused(
            "Kết quả không ở bước trình ký.",
            "The result is not at the step that submits for signature.",
            allowed=(),
            code="result-not-draft",
            result_state=document.result_state,
        )


async def _people(
    tx: Tx,
    document: DocumentToSubmit,
    wanted: Sequence[chain.Wanted],
    named: Sequence[chain.Signer],
    at: datetime,
) -> Mapping[int, Candidate]:
    """Return who fills each place: the one named, if he may, else the usual one."""
    chosen = {signer.ordinal: signer for signer in named}
    people: dict[int, Candidate] = {}
    for place in wanted:
        candidates = await _candidates(tx, document, place, at)
        signer = chosen.pop(place.ordinal, None)
        if signer is not None:
            candidates = [c for c in candidates if (c.person_id, c.post_id) == (signer.person_id, signer.post_id)]
        usable = [c for c in candidates if not place.pdf_signature or c.certificate_id is not None]
        if not usable:
            raise Invalid(
                f"Không ai đủ điều kiện ký ở vị trí {place.ordinal} ({place.role}): thiếu thẩm quyền hoặc chứng thư.",
                f"Nobody qualifies for signature {place.ordinal} ({place.role}): no authority or no valid certificate.",
                code="nobody-may-sign",
                ordinal=place.ordinal,
                role=place.role,
            )
        people[place.ordinal] = usable[0]
    if chosen:
        raise Invalid(
            "Có người ký được nêu cho vị trí không có trong quy trình.",
            "A signer is named for a place that the procedure does not have.",
            code="no-such-place",
            ordinals=sorted(chosen),
        )
    return people


async def _candidates(tx: Tx, document: DocumentToSubmit, place: chain.Wanted, at: datetime) -> list[Candidate]:
    if place.role == "seal":
        seal = await store.seal_certificate(tx, document.agency_id, at)
        return [] if seal is None else [seal]
    if place.role == "signatory":
        return await store.signatory_candidates(tx, document.agency_id, document.act, document.procedure_code, at)
    return await store.role_candidates(tx, document.agency_id, place.by, at)
