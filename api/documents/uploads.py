"""Files on their way in: stored as they come and named by their hash; the worker alone looks inside."""

import asyncio
import base64
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Pools, Tx
from api.db.privacy import Vault
from api.documents import store
from api.documents.access import may_read
from api.documents.blobs import Stored
from api.documents.contract import Finding, ForeignSignature, Profile, Received, Upload
from api.documents.rows import UploadRow
from api.errors import Invalid, NotFound
from api.jobs import enqueue
from api.kernel import Actor
from signing.contract import LintReport, SignatureVerdict

CHECK: Final = "documents.check"
FILE_NAME: Final = "upload.file_name"
REPORT: Final = "upload.report"
PARKED: Final = "parked"
_LONGEST_NAME: Final = 255
_POLL_S: Final = 0.1


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a check; the names in others' signatures are personal data and sealed."""

    problems: tuple[Finding, ...] = ()
    pages: int = 0
    pdf_version: str = ""
    pdfa: str | None = None
    repaired: bool = False
    foreign: int = 0
    foreign_sealed: str = ""


async def receive(
    tx: Tx,
    vault: Vault,
    actor: Actor | None,
    stored: Stored,
    *,
    profile: Profile,
    file_name: str | None,
    dossier_id: UUID | None,
    at: datetime,
) -> Received:
    """Note a stored file as an upload and order its check; without `actor` it is a citizen's, of a dossier.

    Raises:
        Invalid: a citizen's file to be signed, or one without a dossier.
        NotFound: no such dossier, or none that this actor may know of.
    """
    if actor is None and (profile != "handed_in" or dossier_id is None):
        raise Invalid(
            "Công dân chỉ nộp tệp vào hồ sơ của mình.",
            "Citizens hand files in to their dossier.",
            code="upload-profile",
        )
    if dossier_id is not None and actor is not None:
        await _dossier_of(tx, actor, dossier_id)
    await store.insert_blob(tx, stored)
    sealed = vault.seal(FILE_NAME, file_name[:_LONGEST_NAME]) if file_name else None
    account = actor.account_id if actor else None
    upload_id = await store.insert_upload(tx, stored.sha256, profile, sealed, dossier_id, account, at)
    await enqueue(tx, CHECK, str(upload_id), {"upload": str(upload_id)}, priority=10 if actor else 0)
    await audit.append(
        tx,
        actor,
        process="api",
        action="document.upload",
        subject_kind="upload",
        subject_id=upload_id,
        detail={"sha256": stored.sha256.hex(), "size": stored.size, "profile": profile, "dossier": dossier_id},
        at=at,
    )
    return Received(id=upload_id, sha256=stored.sha256.hex())


async def _dossier_of(tx: Tx, actor: Actor, dossier_id: UUID) -> None:
    found = await store.dossier_agencies(tx, dossier_id)
    if found is None or not may_read(actor, found.agencies):
        raise NotFound("Không có hồ sơ này.", "There is no such dossier.", code="no-dossier")


async def look(pools: Pools, vault: Vault, actor: Actor, upload_id: UUID) -> Upload:
    """Return where an upload stands.

    Raises:
        NotFound: no such upload, or none that this actor may know of.
    """
    async with pools.reading() as connection:
        row = await store.upload_view(connection, upload_id)
    if row is None or not _may_see(row, actor):
        raise NotFound("Không có tệp tải lên này.", "There is no such upload.", code="no-upload")
    return describe(row, vault)


async def look_as_citizen(pools: Pools, vault: Vault, dossier_id: UUID, upload_id: UUID) -> Upload:
    """Return where an upload of this very dossier stands; the caller has checked the citizen's secret.

    Raises:
        NotFound: no such upload in this dossier.
    """
    async with pools.reading() as connection:
        row = await store.upload_view(connection, upload_id)
    if row is None or row.dossier_id != dossier_id:
        raise NotFound("Không có tệp tải lên này.", "There is no such upload.", code="no-upload")
    return describe(row, vault)


async def wait_checked(pools: Pools, upload_id: UUID, budget_s: float = 2.0) -> bool:
    """Tell whether the check ends within the budget; no connection is held while waiting."""
    deadline = asyncio.get_running_loop().time() + budget_s
    while True:
        async with pools.reading() as connection:
            row = await store.upload_view(connection, upload_id)
        if row is not None and row.state != "checking":
            return True
        if asyncio.get_running_loop().time() + _POLL_S > deadline:
            return False
        await asyncio.sleep(_POLL_S)


def _may_see(row: UploadRow, actor: Actor) -> bool:
    agencies = row.agencies or ((row.uploader_agency_id,) if row.uploader_agency_id else ())
    return row.account_id == actor.account_id or may_read(actor, agencies)


def describe(row: UploadRow, vault: Vault) -> Upload:
    """Turn the row into the answer, names unsealed."""
    report = msgspec.convert(row.report or {}, Report)
    foreign: tuple[ForeignSignature, ...] = ()
    if report.foreign_sealed:
        text = vault.open(REPORT, base64.b64decode(report.foreign_sealed))
        foreign = msgspec.json.decode(text, type=tuple[ForeignSignature, ...])
    described: dict[str, Any] = {
        "id": row.id,
        "profile": row.profile,
        "state": row.state,
        "sha256": row.sha256.hex(),
        "size": row.size,
        "dossier_id": row.dossier_id,
        "accepted_sha256": row.accepted_sha256.hex() if row.accepted_sha256 else None,
        "file_name": vault.open(FILE_NAME, row.file_name_sealed) if row.file_name_sealed else None,
        "pages": report.pages or None,
        "repaired": report.repaired,
        "problems": report.problems,
        "foreign_signatures": foreign,
        "created_at": row.created_at,
        "checked_at": row.checked_at,
    }
    return Upload(**described)


def report_of(lint: LintReport, vault: Vault) -> Report:
    """Keep what the check found, with the names of foreign signers sealed."""
    foreign = tuple(_foreign(verdict) for verdict in lint.foreign_signatures)
    sealed = base64.b64encode(vault.seal(REPORT, msgspec.json.encode(foreign).decode())).decode() if foreign else ""
    return Report(
        problems=tuple(Finding(**msgspec.structs.asdict(problem)) for problem in lint.problems),
        pages=lint.pages,
        pdf_version=lint.pdf_version,
        pdfa=lint.pdfa,
        repaired=lint.repaired,
        foreign=len(foreign),
        foreign_sealed=sealed,
    )


def _foreign(verdict: SignatureVerdict) -> ForeignSignature:
    return ForeignSignature(
        signer=verdict.signer_name,
        organisation=verdict.organisation,
        signed_at=verdict.signed_at,
        valid=verdict.valid and verdict.intact,
        trusted=verdict.trusted,
        summary_vi=verdict.summary_vi,
        summary_en=verdict.summary_en,
    )


def parked_report() -> Report:
    """Say of a file that ended the checking process again and again that it was put aside."""
    finding = Finding(
        code=PARKED,
        vi="Tệp làm dừng chương trình kiểm tra nhiều lần; đã tạm giữ để người vận hành xem.",
        en="The file stopped the checking process again and again; it was put aside for an operator.",
        remedy_vi="Xuất lại tệp PDF từ phần mềm soạn thảo hoặc quét lại bản giấy, rồi tải lên lần nữa.",
        remedy_en="Export the PDF anew from the word processor, or scan the paper again, and upload that.",
    )
    return Report(problems=(finding,))


def id_in(answer: bytes) -> UUID:
    """Return the id in an answer that was just made or kept from before."""
    return msgspec.json.decode(answer, type=Received).id
