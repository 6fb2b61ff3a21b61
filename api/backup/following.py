"""Following a running server: its WAL as it is written, each new document, and the moment that both have reached.

The server keeps WAL for us in a replication slot while we are away. A commit record may carry a time shortly before
its rows can be seen, so what a pass has read vouches for the moment of the pass before it, never for its own.
"""

import asyncio
import os
import signal
from contextlib import suppress
from datetime import timedelta
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
_LAST_WORDS_S: Final = 10.0
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
            receiver, kept = await _receive(place, dsn), FileStore(place.documents)
            try:
                await _until_receiving(place, receiver)
                say("Đang nhận nhật ký ghi trước (WAL) liên tục.", "Receiving the write-ahead log.")
                if not place.names():
                    await take(place, dsn, blobs, keep=0, say=say)
                await _keep_up(_Follower(place, connection, blobs, kept, say), receiver, every_s)
            finally:
                await kept.close()
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


class _Follower:
    """Passes over what is new; each vouches for the moment at which the one before it began."""

    def __init__(self, place: Place, connection: Connection, blobs: BlobStore, kept: FileStore, say: Progress) -> None:
        self._place, self._connection, self._blobs, self._kept, self._say = place, connection, blobs, kept, say
        self._lost: frozenset[Sha256] = frozenset()

    async def begin(self) -> None:
        """Bring everything that there is."""
        self._at, self._lsn = await store.mark(self._connection)
        await documents.copy_all(self._connection, self._blobs, self._kept, documents.Copied())

    async def look(self) -> None:
        """Bring what is new; a store that is away is told, and nothing newer is vouched for meanwhile."""
        now, lsn = await store.mark(self._connection)
        done = documents.Copied()
        try:
            newer = await store.documents_since(self._connection, self._at - LOOKED_BACK)
            await documents.copy(newer, self._blobs, self._kept, done)
        except Busy as error:
            self._say(error.vi, error.en)
            return
        await documents.forget_removed(self._connection, done)
        self._tell_of(frozenset(done.missing))
        if await store.received(self._connection, self._lsn):
            self._place.note_followed(self._at)
            self._at, self._lsn = now, lsn

    async def end(self) -> None:
        """Vouch for the moment of an orderly stop: two passes, the WAL having a little time to come."""
        until = asyncio.get_running_loop().time() + _LAST_WORDS_S
        stopped_at = await store.now(self._connection)
        while (self._place.followed() or self._at) < stopped_at and asyncio.get_running_loop().time() < until:
            await self.look()
            await asyncio.sleep(0.1)

    def _tell_of(self, lost: frozenset[Sha256]) -> None:
        if lost - self._lost:
            self._say(f"Kho tài liệu thiếu {len(lost)} tệp.", f"The document store lacks {len(lost)} files.")
        self._lost = lost


async def _keep_up(follower: _Follower, receiver: asyncio.subprocess.Process, every_s: float) -> None:
    await follower.begin()
    try:
        while True:
            await _require_alive(receiver, within_s=every_s)
            await follower.look()
    except asyncio.CancelledError:
        await follower.end()
        raise


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
