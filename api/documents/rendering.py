"""The job that makes a draft: from a template in the process pool, or of an accepted upload."""

from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

import signing
from api.documents import store
from api.documents.blobs import Stored
from api.documents.contract import Finding
from api.documents.drafts import DATA, ChosenPlaces
from api.documents.rows import DraftToMake
from api.documents.typesetting import Sheet, render
from api.documents.workshop import Workshop
from api.jobs import JobContext
from api.kernel import new_id
from api.registry.procedures import LAYOUT_OF
from signing.contract import FieldPlan
from signing.errors import NotSignable, SigningError

RENDER_LIMIT_S: Final = 30.0
_TIMES: Final = 3
_log: Final = structlog.get_logger("documents")


class _Unmakeable(Exception):
    """A draft that no repetition can make."""

    def __init__(self, code: str, vi: str, en: str) -> None:
        super().__init__(en)
        self.finding = Finding(code=code, vi=vi, en=en)


class Drafter:
    """Handler of `documents.render` and `documents.place`."""

    def __init__(self, workshop: Workshop) -> None:
        """Work with the worker's tools."""
        self._shop = workshop

    async def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Make one draft; what cannot be made ends the order with a reason."""
        draft_id = UUID(payload["draft"])
        async with self._shop.pools.reading() as connection:
            order = await store.draft_to_make(connection, draft_id)
        if order is None or order.state != "queued":
            return
        try:
            stored, places = await self._make(order)
            await self._record(order, stored, places)
        except _Unmakeable as error:
            await self._fail(order, error.finding)
        except SigningError as error:
            if context.failures + 1 < _TIMES and not isinstance(error, NotSignable):
                raise
            await self._fail(order, Finding(code=error.code, vi=error.vi, en=error.en))

    async def _make(self, order: DraftToMake) -> tuple[Stored, FieldPlan | None]:
        if order.template is None:
            if order.upload_sha256 is None or order.upload_state != "accepted":
                raise _Unmakeable("upload-not-accepted", "Tệp chưa được chấp nhận.", "The upload is not accepted.")
            stored = Stored(sha256=order.upload_sha256, size=await self._shop.blobs.size(order.upload_sha256))
            return stored, await self._places(order, str(await self._shop.blobs.local_path(stored.sha256)))
        sheet = msgspec.json.decode(self._shop.vault.open(DATA, order.data_sealed or b""), type=Sheet)
        with self._shop.blobs.scratch() as directory:
            target = directory / "draft.pdf"
            made = await self._shop.processes.run(
                render, order.template, sheet, self._shop.clock(), str(target), timeout_s=RENDER_LIMIT_S
            )
            if made.fault:
                # Typst's words may quote the data; the code and the template are enough to find it.
                _log.error("draft_not_set", draft=str(order.id), template=order.template)
                raise _Unmakeable("not-printable", *words_of(made.fault))
            return await self._shop.blobs.put_file(target), made.places

    async def _places(self, order: DraftToMake, source: str) -> FieldPlan | None:
        """Return the places of an upload where its officer chose some: these, and the usual ones for the others."""
        run = self._shop.processes.run
        if LAYOUT_OF[order.act] == "copy":
            await run(signing.check_scan, source, timeout_s=RENDER_LIMIT_S)
        if order.data_sealed is None:
            return None
        chosen = msgspec.json.decode(self._shop.vault.open(DATA, order.data_sealed), type=ChosenPlaces)
        found = await run(signing.find_places, source, chosen.wanted, timeout_s=RENDER_LIMIT_S)
        return await run(signing.default_plan, source, chosen.fields, chosen.layout, found, timeout_s=RENDER_LIMIT_S)

    async def _record(self, order: DraftToMake, stored: Stored, places: FieldPlan | None) -> None:
        at = self._shop.clock()
        async with self._shop.pools.transaction() as tx:
            document = await store.lock_for_draft(tx, order.document_id)
            if document is None or document.in_chain or document.result_state != "draft":
                raise _Unmakeable(
                    "in-signing",
                    "Văn bản đã được trình ký trong lúc soạn.",
                    "The document was submitted for signature meanwhile.",
                )
            if document.head_sha256 != order.base_sha256:
                raise _Unmakeable(
                    "draft-moved",
                    "Đã có bản dự thảo khác trong lúc soạn.",
                    "Another draft was made meanwhile.",
                )
            await store.insert_blob(tx, stored)
            revision_id = new_id(at)
            origin = "uploaded" if order.template is None else "rendered"
            plain = None if places is None else msgspec.to_builtins(places)
            await store.insert_draft_revision(tx, revision_id, order, stored.sha256, origin, plain, at)
            await store.move_head(tx, order.document_id, revision_id, stored.sha256, order.base_sha256)
            await store.settle_draft(tx, order.id, "done", revision_id, None, at)

    async def _fail(self, order: DraftToMake, why: Finding) -> None:
        async with self._shop.pools.transaction() as tx:
            await store.settle_draft(tx, order.id, "failed", None, msgspec.to_builtins(why), self._shop.clock())


def words_of(fault: str) -> tuple[str, str]:
    """Say why a template was not set, without Typst's own words, which may quote the data."""
    if "could not be displayed with font" in fault:
        return (
            "Văn bản có ký tự mà phông chữ không in được; hãy bỏ ký tự đó.",
            "The text holds a character that the fonts cannot print; take it out.",
        )
    return "Không dựng được văn bản từ mẫu; đã báo người vận hành.", "The template could not be set; operators know."
