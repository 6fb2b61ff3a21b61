"""`motcua audit verify | export`: the audit as evidence, in plain words; only public keys are needed.

The database is reached with the worker's role, which may read the audit and change nothing of it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from api.audit import evidence, outside
from api.audit.chain import Ring
from api.audit.evidence import Progress, Report
from api.audit.revocations import NAME as LOG
from api.db.pools import open_pools
from api.embedded import demo_settings
from api.errors import Invalid

Write = Callable[[str], object]
_TELL_EVERY_S: Final = 2.0


def verify(
    *, checkpoint: Path | None, bundle: Path | None, keys: Sequence[str], as_json: bool, write: Write, tell: Write
) -> int:
    """Verify the database against a checkpoint file, or a bundle; 0 where all is as it was sealed, 1 where not.

    Raises:
        Invalid: neither file is given, one cannot be read, or there is no database to ask.
    """
    if checkpoint is None and bundle is None:
        raise Invalid("Cần --checkpoint TỆP hoặc --bundle TỆP.", "--checkpoint FILE or --bundle FILE is needed.")
    ring = Ring(_trusted(keys))
    lines, torn = outside.read(checkpoint) if checkpoint else ([], 0)
    log = checkpoint.with_name(LOG) if checkpoint else None
    revocations = outside.read_statements(log)[0] if log and log.is_file() else None
    progress = _teller(tell)
    if bundle is not None:
        report = evidence.verify_bundle(bundle, lines, ring, progress)
    else:

        async def judged() -> Report:
            pools = await open_pools(dsn(), read_size=1, write_size=1)
            try:
                return await evidence.verify_database(pools, lines, torn, revocations, ring, progress)
            finally:
                await pools.close()

        report = asyncio.run(judged())
    write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if as_json else _words(report))
    return 0 if report.ok else 1


def export(path: Path, since: str | None, *, write: Write, tell: Write) -> int:
    """Write a bundle.

    Raises:
        Invalid: the instant is not readable, nothing is sealed yet, or the file exists.
    """

    async def written() -> int:
        pools = await open_pools(dsn(), read_size=1, write_size=1)
        try:
            return await evidence.export_bundle(pools, path, _instant(since), _teller(tell))
        finally:
            await pools.close()

    rows = asyncio.run(written())
    write(f"» Đã ghi {rows} dòng vào {path}  /  Wrote {rows} rows to {path}\n")
    return 0


def dsn(environment: Mapping[str, str] = os.environ) -> str:
    """Return how to reach the database as the worker, or as the owner; else the demo's own, where it has been made.

    Raises:
        Invalid: there is none.
    """
    made = demo_settings.layout(environment).settings / "worker.env"
    told = environment.get("DATABASE_URL_WORKER") or environment.get("DATABASE_URL")
    if not told and made.exists():
        told = demo_settings.read_environment(made).get("DATABASE_URL_WORKER")
    if not told:
        raise Invalid(
            "Chưa biết cơ sở dữ liệu nào: DATABASE_URL_WORKER chưa có.",
            "Which database? DATABASE_URL_WORKER is missing.",
            next_step=("Dùng: motcua --env TỆP audit …", "Use: motcua --env FILE audit …"),
        )
    return told


def _trusted(keys: Sequence[str]) -> dict[str, str]:
    pairs = [key.partition(":") for key in keys]
    if any(not key_id or not colon for key_id, colon, _ in pairs):
        raise Invalid("Khóa công khai viết là ID:HEX.", "A public key is written ID:HEX.", code="audit-key")
    return {key_id: text for key_id, _, text in pairs}


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"Không hiểu thời điểm {text!r}.", f"Not an instant: {text!r}; e.g. 2026-11-24T08:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _teller(tell: Write) -> Progress:
    """Return a progress that says every two seconds how far it is."""
    began = last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _TELL_EVERY_S:
            return
        last = now
        left = (total - done) * (now - began) / done
        tell(f"» {done:,}/{total:,} dòng, còn khoảng {left:.0f} giây  /  rows, about {left:.0f} s to go\n")

    return progress


def _words(report: Report) -> str:
    lines: list[str] = []
    for finding in report.findings:
        lines += [f"✗ {finding.vi}", f"  {finding.en}", *(f"    → {step}" for step in finding.next_step)]
    if report.more:
        lines.append(f"✗ và {report.more} điều nữa  /  and {report.more} more")
    for vi, en in report.notes:
        lines += [f"• {vi}", f"  {en}"]
    if not report.keys_given:
        shown = " ".join(f"{key_id}:{public}" for key_id, public in report.keys.items())
        lines += [
            f"• Khóa công khai lấy từ chính tệp; hãy so với bản đã lưu, hoặc đưa --key: {shown}",
            "  The public keys are the file's own; compare them with your record, or give them with --key.",
        ]
    if report.unsealed:
        lines += [
            f"• {report.unsealed} dòng chưa được niêm phong, lâu nhất {report.unsealed_oldest_s:.0f} giây",
            f"  {report.unsealed} rows are not sealed yet, the oldest for {report.unsealed_oldest_s:.0f} s",
        ]
    last = report.last_checkpoint
    until = f"{last.number} ({last.at:%Y-%m-%d %H:%M:%S} UTC)" if last else "–"
    if report.ok:
        lines.append(f"✓ {report.rows} dòng còn nguyên vẹn, đến điểm kiểm tra {until}")
        lines.append(f"  {report.rows} rows are as they were sealed, up to checkpoint {until}")
    else:
        lines.append(
            f"\nNhật ký KHÔNG còn nguyên vẹn. / The audit is NOT as it was sealed. ({report.rows} dòng / rows)"
        )
    return "\n".join(lines) + "\n"
