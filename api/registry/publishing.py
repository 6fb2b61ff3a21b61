"""Publishing a version of a procedure: data in, a row out; no deploy, and no running dossier is touched.

A dossier names the version it began with, so the version before is only told on which day it ends for new dossiers.
"""

from datetime import datetime

from api import audit
from api.db.pools import Tx
from api.errors import Conflict, Invalid
from api.kernel import Actor, sort_key, vn_day
from api.registry import procedures, store
from api.registry.authority import require
from api.registry.contract import Published, PublishVersion


async def publish_version(tx: Tx, actor: Actor, code: str, draft: PublishVersion, *, at: datetime) -> Published:
    """Publish the next version of a procedure, or the first of a new one.

    The caller invalidates its `Registry` after the commit; other processes hear of it from the database.

    Raises:
        Forbidden: no role of the actor publishes procedures.
        Invalid: the version could not be worked (each fault is named), or a new procedure lacks its names.
        Conflict: a later version is already published.
    """
    require(actor, "procedure.publish")
    _refuse_faults(draft, at)
    await store.lock_procedure(tx, code)
    known = await store.procedure_versions(tx, code)
    latest = known[0] if known else None
    if latest is None:
        await _insert_procedure(tx, code, draft)
    elif draft.valid_from <= latest.valid_from:
        raise Conflict(
            f"Phiên bản {latest.version} đã công bố có hiệu lực từ {latest.valid_from:%d/%m/%Y}.",
            f"Version {latest.version} is published from {latest.valid_from} on; a new one must begin later.",
            code="version-order",
        )
    version = latest.version + 1 if latest else 1
    if latest and (latest.valid_to is None or latest.valid_to > draft.valid_from):
        await store.end_version(tx, latest.id, draft.valid_from)
    row = (
        code, version, draft.definition, draft.form_of_result, draft.owning_system, draft.legal_basis,
        draft.valid_from, at,
    )  # fmt: skip
    version_id = await store.insert_version(tx, row)
    await _insert_competence(tx, code, draft)
    await audit.append(
        tx,
        actor,
        process="api",
        action="procedure.publish",
        subject_kind="procedure_version",
        subject_id=version_id,
        detail={"code": code, "version": version, "valid_from": draft.valid_from.isoformat()},
        at=at,
    )
    return Published(id=version_id, code=code, version=version, valid_from=draft.valid_from)


def _refuse_faults(draft: PublishVersion, at: datetime) -> None:
    faults = procedures.faults(draft.definition, draft.form_of_result, draft.owning_system)
    if draft.valid_from < vn_day(at):
        faults.append("ngày có hiệu lực không được ở quá khứ")
    if not draft.legal_basis.strip():
        faults.append("phải nêu căn cứ pháp lý")
    if faults:
        raise Invalid(
            "Phiên bản thủ tục không công bố được: " + "; ".join(faults) + ".",
            "The version cannot be published: its steps, terms or chain of signatures do not hold together.",
            code="version-faults",
            faults=faults,
        )


async def _insert_procedure(tx: Tx, code: str, draft: PublishVersion) -> None:
    if not (draft.name and draft.field_code and draft.field_name):
        raise Invalid(
            f"Thủ tục {code} chưa có trong danh mục: cần tên, mã và tên lĩnh vực.",
            f"Procedure {code} is new: name, field_code and field_name are needed.",
            code="procedure-unnamed",
        )
    await store.insert_procedure(
        tx,
        code=code,
        name=draft.name,
        sort_key=sort_key(draft.name),
        field_code=draft.field_code,
        field_name=draft.field_name,
        code_checked=draft.code_checked,
    )


async def _insert_competence(tx: Tx, code: str, draft: PublishVersion) -> None:
    if draft.every_commune:
        await store.insert_competence_of_communes(tx, code, draft.legal_basis, draft.valid_from)
    for row in draft.competence:
        await store.insert_competence(tx, code, row.territory_code, row.agency_id, draft.legal_basis, draft.valid_from)
