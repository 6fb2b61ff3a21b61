"""`motcua backup` and `motcua restore`: what the command line asks, and the words it is answered with."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from api.audit.revocations import NAME as LOG
from api.backup.checking import check
from api.backup.faults import BackupError
from api.backup.following import follow
from api.backup.place import Place
from api.backup.restoring import Report, Wish, restore
from api.backup.taking import take
from api.documents.blobs import BlobStore, open_store
from api.embedded import demo_settings
from api.embedded.postgres import Progress
from api.errors import Invalid
from api.kernel import VIETNAM, system_clock
from api.settings import BadSettings, store_place

_SHOWN = 20


def backup(directory: str | None, *, keep: int, following: bool, checking: bool, say: Progress) -> int:
    """Take a base backup, follow the server, or check what is there; return the exit status.

    Raises:
        BackupError: it was refused or broke off.
        BadSettings: the database or the document store is not named.
    """
    environment = _environment()
    place = Place(_directory(directory, environment))
    if checking:
        return asyncio.run(check(place, say))
    dsn = environment.get("DATABASE_URL")
    if not dsn:
        raise BadSettings([("DATABASE_URL: chưa có", "DATABASE_URL: is missing")])
    return asyncio.run(_back_up(place, dsn, open_store(store_place(environment)), keep, following, say))


def bring_back(
    directory: str | None,
    *,
    to: str | None,
    into: str | None,
    base: str | None,
    margin: int,
    floors: Sequence[str],
    look_ahead: bool,
    revocations: str | None,
    say: Progress,
) -> int:
    """Restore into an empty place and tell what it is worth; 1 where something does not prove whole.

    Raises:
        BackupError: it was refused or broke off; nothing stands at the place.
        Invalid: the moment or a floor cannot be read.
    """
    environment = dict(os.environ)
    wish = Wish(
        into=Path(into).absolute() if into else demo_settings.layout().var,
        target=_moment(to) if to else None,
        base=base,
        number_margin=margin,
        number_floors=dict(_floor(each) for each in floors),
        look_ahead=look_ahead,
        revocations=_revocations(revocations, environment),
    )
    blobs = open_store(store_place(environment)) if environment.get("MOTCUA_S3_BUCKET") else None
    place = Place(_directory(directory, environment))
    report = asyncio.run(restore(place, wish, blobs, system_clock, say))
    tell(report, wish.into, say)
    return 0 if report.whole else 1


async def _back_up(place: Place, dsn: str, blobs: BlobStore, keep: int, following: bool, say: Progress) -> int:
    try:
        if not following:
            return 1 if (await take(place, dsn, blobs, keep=keep, say=say)).missing else 0
        task = asyncio.ensure_future(follow(place, dsn, blobs, say))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            say("Đã dừng.", "Stopped.")
        return 0
    finally:
        await blobs.close()


def tell(report: Report, into: Path, say: Progress) -> None:
    """Say what was restored, what was lost after the moment, and what people have to do about it."""
    counts, proof, lost = report.proof.counts, report.proof, report.lost
    at, last = (_local(each) if each else "–" for each in (report.target, report.last_line_at))
    say(f"Đã khôi phục về {at} ở {into}.", f"Restored to {at} in {into}.")
    say(
        f"{counts['dossiers']} hồ sơ, {counts['journal_lines']} dòng nhật ký, {counts['documents']} tài liệu;"
        f" dòng cuối lúc {last}.",
        f"{counts['dossiers']} dossiers, {counts['journal_lines']} journal lines, {counts['documents']} documents;"
        f" the last line is of {last}.",
    )
    for name in (*proof.dossiers_differing, *proof.documents_missing)[:_SHOWN]:
        say(f"KHÔNG KHỚP: {name}", f"NOT WHOLE: {name}")
    if proof.counters_behind or proof.audit_altered:
        say(
            f"KHÔNG KHỚP: {proof.counters_behind} dãy số, {proof.audit_altered} dòng kiểm toán",
            f"NOT WHOLE: {proof.counters_behind} series, {proof.audit_altered} audit rows",
        )
    if lost.known_until is None:
        say("Không biết sau thời điểm ấy đã có gì.", "What happened after that moment is not known.")
    else:
        say(
            f"Sau thời điểm ấy (biết đến {_local(lost.known_until)}) mất {len(lost.lines)} dòng nhật ký,"
            f" {len(lost.numbers)} số, {len(lost.key_uses)} lần dùng khóa.",
            f"After that moment (known until {_local(lost.known_until)}) {len(lost.lines)} journal lines,"
            f" {len(lost.numbers)} numbers and {len(lost.key_uses)} uses of keys are lost.",
        )
    _tell_carried(report, say)
    for given in lost.numbers[:_SHOWN]:
        say(f"  số {given.text}, văn bản {given.document_id}", f"number {given.text}, document {given.document_id}")
    for passed in report.passed:
        span = f"{passed.agency} {passed.pattern} ({passed.year}): {passed.first}–{passed.last}"
        say(f"  bỏ qua số {span}, sổ {passed.series_id}", f"numbers passed over {span}, series {passed.series_id}")
    for vi, en in _TO_DO:
        say(vi, en)


def _tell_carried(report: Report, say: Progress) -> None:
    """Say which rights stay taken, and whether anything may be missing among them."""
    say(
        f"Mang theo {len(report.carried)} quyền đã thu hồi sau thời điểm ấy: người bị thu hồi không có lại.",
        f"Carried over {len(report.carried)} revocations made after that moment: nobody has them back.",
    )
    for ended in report.carried[:_SHOWN]:
        vi, en = _ENDED[ended.what]
        at = _local(ended.ended_at)
        say(f"  {vi} {ended.id}, lúc {at}", f"{en} {ended.id}, at {at}")
    if (cut := report.revocations_cut) is not None:
        say(
            f"NHẬT KÝ THU HỒI BỊ CẮT ĐUÔI: còn {cut.has} dòng, điểm kiểm tra {cut.checkpoint} đã ký có ghi dòng"
            f" {cut.line}. Khôi phục lại vào nơi khác với bản sao đầy đủ; nếu không còn, rà soát tài khoản, quyền ký,"
            " chứng thư trước khi mở cho mọi người.",
            f"THE LOG OF REVOCATIONS WAS CUT OFF: {cut.has} lines are left, the signed checkpoint {cut.checkpoint}"
            f" names line {cut.line}. Restore again into another place with a whole copy of it; where there is none, go"
            " through accounts, rights to sign and certificates before you let anybody in.",
        )
    if report.lost.known_until is None and report.revocations_until is None:
        say(
            "KHÔNG BIẾT đã thu hồi gì sau thời điểm ấy: rà soát tài khoản, quyền ký, chứng thư trước khi mở cho mọi"
            " người.",
            "NOT KNOWN what was revoked after that moment: go through accounts, rights to sign and certificates before"
            " you let anybody in.",
        )


_ENDED: Final = {
    "factor": ("yếu tố xác thực", "second factor"),
    "passkey": ("khóa truy cập", "passkey"),
    "certificate": ("chứng thư", "certificate"),
    "mandate": ("quyền ký", "right to sign"),
    "post": ("giữ chức danh", "holding of a post"),
    "account": ("tài khoản", "account"),
    "lock": ("khóa tài khoản", "lock of an account"),
    "loss": ("báo mất yếu tố", "loss of factors"),
}
_TO_DO = (
    (
        "Việc cần làm: đối chiếu restore-report.json (văn bản đã ký, số đã cấp sau thời điểm ấy) với sổ và giấy tờ.",
        "To do: hold restore-report.json (signatures and numbers given after the moment) against registers and papers.",
    ),
    (
        "So nhật ký kiểm toán với checkpoints.jsonl cất ở ngoài, rồi chuyển tệp ấy sang chỗ khác và giữ lại.",
        "Verify the audit against the checkpoints.jsonl kept outside, then move that file aside and keep it.",
    ),
    (
        "Mọi phiên đã kết thúc; lượt ký chưa gửi phải ký lại; mã một lần đã dùng không dùng lại được.",
        "All sessions have ended; what was not yet sent must be signed again; spent one-time codes stay spent.",
    ),
    (
        "Khóa (MOTCUA_*_KEY…) không nằm trong bản sao lưu: dùng lại tệp cấu hình cũ. Sao lưu tiếp vào thư mục mới.",
        "Keys (MOTCUA_*_KEY…) are not in a backup; keep the old settings. From now on back up into a new directory.",
    ),
)


def _local(at: datetime) -> str:
    return at.astimezone(VIETNAM).isoformat(timespec="seconds")


def _environment() -> dict[str, str]:
    """Return the environment; where it names no database, the one that `up --demo` made its own settings for."""
    made = demo_settings.layout().settings / f"{demo_settings.OWNER}.env"
    if os.environ.get("DATABASE_URL") or not made.is_file():
        return dict(os.environ)
    return {**demo_settings.read_environment(made), **os.environ}


def _directory(said: str | None, environment: Mapping[str, str]) -> Path:
    directory = said or environment.get("MOTCUA_BACKUP_DIR")
    if not directory:
        raise BackupError(
            "Chưa nói sao lưu ở đâu.",
            "Where the backup lies was not said.",
            next_step=("Ghi thư mục sau lệnh hoặc đặt MOTCUA_BACKUP_DIR.", "Name it, or set MOTCUA_BACKUP_DIR."),
        )
    return Path(directory)


def _revocations(said: str | None, environment: Mapping[str, str]) -> Path | None:
    """Return the log that was named, or the one that lies where checkpoints go; one that was named must be there."""
    if said:
        return Path(said)
    directory = environment.get("MOTCUA_CHECKPOINT_DIR")
    path = Path(directory) / LOG if directory else None
    return path if path is not None and path.is_file() else None


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid(
            f"Không đọc được thời điểm “{text}”: cần ngày, giờ và múi giờ.",
            f"Cannot read the moment '{text}': date, time and zone are needed.",
            next_step=("Ví dụ: 2026-11-24T10:00:00+07:00", "For example: 2026-11-24T10:00:00+07:00"),
        )
    return at


def _floor(text: str) -> tuple[UUID, int]:
    series, _, number = text.partition("=")
    try:
        return UUID(series), int(number)
    except ValueError:
        raise Invalid(f"Không đọc được “{text}”: SỔ=SỐ", f"Cannot read '{text}': SERIES=NUMBER") from None
