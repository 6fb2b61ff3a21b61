"""The job that looks inside an upload: lint, rewriting of a draft, verification of others' signatures."""

from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.db.pools import Tx
from api.documents import store, uploads
from api.documents.blobs import Stored
from api.documents.rows import UploadRow
from api.documents.workshop import Workshop
from api.jobs import JobContext, Park
from signing.contract import LintReport, Problem
from signing.errors import Crashed, TimedOut, UnreadableFile

CHECK_LIMIT_S: Final = 60.0
REPAIR_LIMIT_S: Final = 120.0
_TIMES: Final = 3
"""How often a file may end or exhaust its process before it is put aside."""


class Checker:
    """Handler of `documents.check`."""

    def __init__(self, workshop: Workshop) -> None:
        """Work with the worker's tools."""
        self._shop = workshop

    async def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Check one upload and settle its state; a file that ends its process three times is parked.

        Raises:
            Park: the file ended or exhausted the process for the third time.
        """
        upload_id = UUID(payload["upload"])
        async with self._shop.pools.reading() as connection:
            row = await store.upload_view(connection, upload_id)
        if row is None or (row.state != "checking" and not _was_parked(row)):
            return
        try:
            report, accepted = await self._check(row)
        except (Crashed, TimedOut) as error:
            if context.failures + 1 < _TIMES:
                raise
            await self.put_aside(upload_id)
            raise Park(f"the file ended its process {_TIMES} times ({error.code})") from None
        await self._settle(row, report, accepted)

    async def put_aside(self, upload_id: UUID) -> None:
        """Tell the uploader that the file lies with an operator."""
        async with self._shop.pools.transaction() as tx:
            await self.put_aside_in(tx, upload_id)

    async def put_aside_in(self, tx: Tx, upload_id: UUID) -> None:
        """Do so in the transaction that parks the job."""
        report = _plain(uploads.parked_report())
        await store.settle_upload(tx, upload_id, "refused", None, report, self._shop.clock())

    async def _check(self, row: UploadRow) -> tuple[LintReport, Stored | None]:
        """Return the report and, where the file may enter, what is to be used: itself, or its one clean rewriting."""
        original = Stored(sha256=row.sha256, size=row.size)
        source = str(await self._shop.blobs.local_path(row.sha256))
        report = await self._lint(source, row.profile)
        if row.profile == "to_sign" and report.repairable and not report.foreign_signatures:
            rewritten = await self._repair(source)
            if rewritten is not None:
                return rewritten
        return report, original if report.accepted else None

    async def _lint(self, source: str, profile: str) -> LintReport:
        try:
            return await self._shop.processes.run(
                signing.lint,
                source,
                profile,
                self._shop.limits,
                at=self._shop.clock(),
                trust=self._shop.trust,
                timeout_s=CHECK_LIMIT_S,
            )
        except UnreadableFile as error:
            return LintReport(accepted=False, problems=error.problems or (_unreadable(error),))

    async def _repair(self, source: str) -> tuple[LintReport, Stored] | None:
        with self._shop.blobs.scratch() as directory:
            target = directory / "clean.pdf"
            try:
                report = await self._shop.processes.run(
                    signing.repair,
                    source,
                    str(target),
                    self._shop.limits,
                    at=self._shop.clock(),
                    timeout_s=REPAIR_LIMIT_S,
                )
            except UnreadableFile:
                return None
            if not report.accepted:
                return None
            return report, await self._shop.blobs.put_file(target)

    async def _settle(self, row: UploadRow, report: LintReport, accepted: Stored | None) -> None:
        kept = uploads.report_of(report, self._shop.vault)
        state = "accepted" if accepted else "refused"
        async with self._shop.pools.transaction() as tx:
            if accepted is not None:
                await store.insert_blob(tx, accepted)
            name = accepted.sha256 if accepted else None
            await store.settle_upload(tx, row.id, state, name, _plain(kept), self._shop.clock())


def _was_parked(row: UploadRow) -> bool:
    problems: list[dict[str, Any]] = (row.report or {}).get("problems", [])
    return row.state == "refused" and any(problem.get("code") == uploads.PARKED for problem in problems)


def _plain(report: uploads.Report) -> dict[str, Any]:
    return msgspec.to_builtins(report)


def _unreadable(error: UnreadableFile) -> Problem:
    return Problem(
        code=error.code,
        vi=error.vi,
        en=error.en,
        remedy_vi="Mở tệp bằng phần mềm đọc PDF, in ra PDF mới rồi tải lên lại.",
        remedy_en="Open the file in a PDF reader, print it to a new PDF and upload that.",
    )
