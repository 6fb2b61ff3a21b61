"""Results and their documents: what a dossier ends in, before anybody has signed it."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Pools, Tx
from api.documents import store
from api.documents.access import may_read, require_draftable, require_drafter
from api.documents.contract import (
    Document,
    DocumentMade,
    NewDocument,
    NewResult,
    ResultMade,
    Results,
    Revision,
)
from api.errors import Invalid, NotFound
from api.kernel import Actor, new_id
from api.registry.procedures import ACTS_OF, MAIN_ACT, CopyForm, FormOfResult

KIND_OF: Final = {
    "main_document": "main",
    "separate_annex": "annex",
    "copy": "copy",
    "digitised_paper": "digitised",
    "counter_form": "counter_form",
}
_COPY_FORM: Final[dict[str, CopyForm]] = {"d": "certified_copy"}
REFUSAL_KIND: Final = "TB-TC"
REFUSAL_TITLE: Final = "Thông báo từ chối giải quyết hồ sơ"
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0, 1, I and O, which people mistake when they type a code from paper."""


Drafted = Callable[[Tx, Actor, UUID, UUID, datetime], Awaitable[None]]
"""Tells the dossier, which this slice does not know, of a result that is being drafted."""


def new_verify_code() -> str:
    """Return a code of 12 letters and digits (60 bits) that nobody can guess or count through."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return "-".join((letters[:4], letters[4:8], letters[8:]))


def canonical_code(text: str) -> str:
    """Return a code as it is stored, however somebody typed it."""
    letters = "".join(char for char in text.upper() if char.isalnum())[:12]
    return "-".join((letters[:4], letters[4:8], letters[8:]))


async def create_result(
    tx: Tx, actor: Actor, dossier_id: UUID, new: NewResult, at: datetime, *, drafted: Drafted
) -> ResultMade:
    """Make a draft result of a dossier, in the form that its procedure version states; a refusal is always form (a).

    Raises:
        NotFound: no such dossier, or none that this actor may know of.
        Forbidden: the present step is another agency's.
    """
    dossier = await store.dossier_for_result(tx, dossier_id)
    if dossier is None:
        raise no_dossier()
    require_drafter(actor, dossier.step_agency_id)
    stated = dossier.definition.result
    form = "a" if new.refusal else dossier.form_of_result
    kind = new.kind_code or (REFUSAL_KIND if new.refusal else stated.kind_code)
    title = new.title or (REFUSAL_TITLE if new.refusal else stated.title)
    result_id, code = new_id(at), new_verify_code()
    ordinal = await store.insert_result(tx, result_id, dossier_id, form, kind, title, code, at, refusal=new.refusal)
    await _audit(
        tx, actor, "result.draft", "result", result_id, {"dossier": dossier_id, "kind": kind, "form": form}, at
    )
    await drafted(tx, actor, dossier_id, result_id, at)
    return ResultMade(id=result_id, dossier_id=dossier_id, ordinal=ordinal, form=form, verify_code=code)


async def add_document(tx: Tx, actor: Actor, result_id: UUID, new: NewDocument, at: datetime) -> DocumentMade:
    """Add a document to a draft result.

    Raises:
        NotFound: no such result.
        Forbidden: the present step is another agency's.
        Refused: the result is in signing, signed or issued.
        Invalid: a document that a result of this form does not hold; an annex without its main document in it; a form
            of copying for what is no copy.
    """
    result = await store.result_context(tx, result_id)
    if result is None:
        raise NotFound("Không có kết quả này.", "There is no such result.", code="no-result")
    require_drafter(actor, result.step_agency_id)
    require_draftable(result.state, in_chain=False)
    act = new.act or MAIN_ACT.get(result.form)
    if act is None or act not in ACTS_OF[result.form]:
        raise _no_such_act(result.form, act)
    if (act == "separate_annex") != (new.main_document_id is not None):
        raise _annex_without_main()
    if new.main_document_id is not None:
        main = await store.document_context(tx, new.main_document_id)
        if main is None or main.result_id != result_id or main.act != "main_document":
            raise _annex_without_main()
    if new.copy_form is not None and act != "copy":
        raise Invalid("Chỉ bản sao mới có hình thức sao.", "Only a copy has a form of copying.", code="not-a-copy")
    copy_form = new.copy_form or _COPY_FORM.get(result.form, "true_copy") if act == "copy" else None
    document_id = new_id(at)
    title = new.title or result.title
    ordinal = await store.insert_document(
        tx, document_id, result, KIND_OF[act], act, title, new.main_document_id, copy_form, at
    )
    await _audit(tx, actor, "document.add", "document", document_id, {"result": result_id, "act": act}, at)
    return DocumentMade(id=document_id, result_id=result_id, ordinal=ordinal)


async def list_results(pools: Pools, actor: Actor, dossier_id: UUID) -> Results:
    """List the results of a dossier.

    Raises:
        NotFound: no such dossier, or none that this actor may know of.
    """
    async with pools.reading() as connection:
        dossier = await store.dossier_agencies(connection, dossier_id)
        if dossier is None or not may_read(actor, dossier.agencies):
            raise no_dossier()
        return Results(items=tuple(await store.results_of_dossier(connection, dossier_id)))


async def show_document(pools: Pools, actor: Actor, document_id: UUID) -> Document:
    """Return a document with its revisions.

    Raises:
        NotFound: no such document, or none that this actor may know of.
    """
    async with pools.reading() as connection:
        row = await store.document_context(connection, document_id)
        if row is None or not may_read(actor, row.agencies):
            raise no_document()
        revisions = await store.revisions_of_document(connection, document_id)
    shown = tuple(
        msgspec.convert(
            {**msgspec.structs.asdict(each), "sha256": each.sha256.hex(), "head": bool(each.head)}, Revision
        )
        for each in revisions
    )
    given: dict[str, Any] = {name: getattr(row, name) for name in _SHOWN}
    return Document(**given, revisions=shown)


_SHOWN: Final = ("id", "result_id", "dossier_id", "act", "title", "ordinal", "version", "main_document_id", "copy_form")


def no_dossier() -> NotFound:
    """Say that there is no such dossier, whether or not there is one elsewhere."""
    return NotFound("Không có hồ sơ này.", "There is no such dossier.", code="no-dossier")


def no_document() -> NotFound:
    """Say that there is no such document, whether or not there is one elsewhere."""
    return NotFound("Không có văn bản này.", "There is no such document.", code="no-document")


def _no_such_act(form: FormOfResult, act: str | None) -> Invalid:
    held = sorted(ACTS_OF[form])
    if not held:
        return Invalid(
            "Kết quả này do hệ thống của bộ, ngành cấp: không soạn văn bản, chỉ ghi nhận khi hệ thống đó đã cấp.",
            "A ministry's system issues this result: no document is drafted here; record it once it is issued there.",
            code="act-of-form",
            acts=held,
        )
    return Invalid(
        f"Kết quả hình thức ({form}) không có văn bản loại {act!r}, chỉ có: {', '.join(held)}.",
        f"A result of form ({form}) holds no {act!r}, only: {', '.join(held)}.",
        code="act-of-form",
        acts=held,
    )


def _annex_without_main() -> Invalid:
    return Invalid(
        "Phụ lục tách rời phải gắn với văn bản chính của cùng kết quả; văn bản khác thì không.",
        "A separate annex names its main document in the same result, and nothing else does.",
        code="annex-without-main",
    )


async def _audit(
    tx: Tx, actor: Actor, action: str, kind: str, subject_id: UUID, detail: dict[str, Any], at: datetime
) -> None:
    await audit.append(
        tx, actor, process="api", action=action, subject_kind=kind, subject_id=subject_id, detail=detail, at=at
    )
