"""Following a running server: its WAL as it is written, each new document, and the moment that both have reached.

The server keeps WAL for us in a replication slot while we are away. A commit record may carry a time shortly before
its rows can be seen, so what a pass has read vouches for the moment of the pass before it, never for its own.
"""

import asyncio
import os
import signal
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from api.backup import documents, programs, store
from api.backup.faults import BackupError, program_failed
from api.backup.place import Place
from api.backup.store import Connection
from api.backup.taking import take
from api.documents.blobs import BlobStore, FileStore
from api.embedded.postgres import Progress
from api.errors import Busy
from api.kernel import Sha256

EVERY_S: Final = 10.0
LOOKED_BACK: Final = timedelta(hours=1)
"""A row carries the time at which its transaction began, and none of ours is open for so long."""


async def follow(place: Place, dsn: str, blobs: BlobStore, say: Progress, every_s: float = EVERY_S) -> None:
    """Receive until cancelled; where there is no base yet, take the first one.

    Raises:
        BackupError: another follower is at work, the server is away, or it no longer has the WAL that comes next.
    """
    lock = place.lock("follow")
    try:
        async with store.connected(dsn) as connection:
            facts = await store.server_facts(connection)
            place.lay(facts.system_id, facts.timeline)
            receiver = await _receive(place, dsn)
            try:
                await _until_receiving(place, receiver)
                say("Đang nhận nhật ký ghi trước (WAL) liên tục.", "Receiving the write-ahead log.")
                if not place.names():
                    await take(place, dsn, blobs, keep=0, say=say)
                await _keep_up(place, connection, blobs, receiver, say, every_s)
            finally:
                await _end(receiver)
    finally:
        os.close(lock)


async def _receive(place: Place, dsn: str) -> asyncio.subprocess.Process:
    slot = f"--slot={store.SLOT}"
    await programs.run("pg_receivewal", ["--create-slot", "--if-not-exists", slot, "--no-password"], dsn=dsn)
    return await programs.start(
        "pg_receivewal",
        ["--directory", place.wal, slot, "--synchronous", "--no-loop", "--no-password"],
        dsn,
    )


async def _until_receiving(place: Place, receiver: asyncio.subprocess.Process) -> None:
    """Wait for the first file: a base taken earlier would have a hole behind it."""
    while not place.segments():
        await _require_alive(receiver)
        await asyncio.sleep(0.05)


async def _keep_up(
    place: Place,
    connection: Connection,
    blobs: BlobStore,
    receiver: asyncio.subprocess.Process,
    say: Progress,
    every_s: float,
) -> None:
    kept = FileStore(place.documents)
    told: frozenset[Sha256] = frozenset()
    try:
        at, lsn = await store.mark(connection)
        await documents.copy_all(connection, blobs, kept, documents.Copied())
        while True:
            await _require_alive(receiver, within_s=every_s)
            now, now_lsn = await store.mark(connection)
            try:
                lost = await _bring_new(connection, blobs, kept, at)
            except Busy as error:  # the store is away: WAL goes on, and nothing newer is vouched for
                say(error.vi, error.en)
                continue
            if lost - told:
                say(f"Kho tài liệu thiếu {len(lost)} tệp.", f"The document store lacks {len(lost)} files.")
            told = lost
            if await store.received(connection, lsn):
                place.note_followed(at)
                at, lsn = now, now_lsn
    finally:
        await kept.close()


async def _bring_new(connection: Connection, blobs: BlobStore, kept: FileStore, since: datetime) -> frozenset[Sha256]:
    """Bring the documents of newer rows; return those that the live store itself has lost."""
    done = documents.Copied()
    await documents.copy(await store.documents_since(connection, since - LOOKED_BACK), blobs, kept, done)
    await documents.forget_removed(connection, done)
    return frozenset(done.missing)


async def _require_alive(receiver: asyncio.subprocess.Process, *, within_s: float = 0.0) -> None:
    """Wait so long at most, and raise what the receiver said if it has ended."""
    with suppress(TimeoutError):
        await asyncio.wait_for(receiver.wait(), max(within_s, 0.01))
    if receiver.returncode is None:
        return
    said = (await receiver.stderr.read()).decode("utf-8", "replace") if receiver.stderr else ""
    words = programs.last_words(said)
    if "already been removed" in said or "not in this server's history" in said:
        raise BackupError(
            f"Nhật ký không còn nối tiếp được với phần đã có: {words}",
            f"The write-ahead log no longer continues what is here: {words}",
            code="backup-wal-gap",
            next_step=(
                "Bắt đầu một thư mục sao lưu mới, giữ thư mục cũ cho các thời điểm cũ.",
                "Begin a new backup directory; keep this one for the moments it holds.",
            ),
        )
    raise program_failed("pg_receivewal", words)


async def _end(receiver: asyncio.subprocess.Process) -> None:
    """Let the receiver flush what it has and go."""
    with suppress(ProcessLookupError):
        receiver.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(receiver.wait(), 10)
    except TimeoutError:
        receiver.kill()
        await receiver.wait()
