"""One contract for both document stores: a directory, and S3 on a real SeaweedFS with fsync on."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from api.backup.documents import Copied, copy
from api.backup.store import Document
from api.documents.blobs import BlobMissing, BlobStore, FileStore, S3Store, StoreUnavailable
from api.errors import Broken, Invalid, TooLarge
from api.kernel import Sha256
from tests.contract.seaweed import seaweed

MB = 1 << 20


@pytest.fixture(scope="module")
def s3_place():
    with seaweed() as place:
        yield place


@pytest_asyncio.fixture(params=["files", "s3"])
async def store(request, tmp_path: Path) -> AsyncIterator[BlobStore]:
    if request.param == "files":
        made: BlobStore = FileStore(tmp_path / "blobs")
    else:
        made = S3Store(request.getfixturevalue("s3_place"), tmp_path / "cache")
    yield made
    await made.close()


async def chunks(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(store: BlobStore, sha256: Sha256, start: int, end: int) -> bytes:
    return b"".join([chunk async for chunk in store.open_range(sha256, start, end)])


def name(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).digest())


async def test_what_goes_in_comes_out(store):
    content = os.urandom(3 * MB + 17)
    stored = await store.put_stream(chunks(content), limit=4 * MB)
    assert (stored.sha256, stored.size) == (name(content), len(content))
    assert await store.exists(stored.sha256)
    assert await store.size(stored.sha256) == len(content)
    assert (await store.local_path(stored.sha256)).read_bytes() == content
    assert await read(store, stored.sha256, 0, len(content)) == content
    assert await read(store, stored.sha256, MB - 3, MB + 5) == content[MB - 3 : MB + 5]
    assert await read(store, stored.sha256, len(content) - 1, len(content)) == content[-1:]
    assert await read(store, stored.sha256, 5, 5) == b""


async def test_large_file_goes_up_in_parts(store, tmp_path):
    content = os.urandom(20 * MB)
    source = tmp_path / "large.pdf"
    source.write_bytes(content)
    stored = await store.put_file(source)
    assert stored.sha256 == name(content)
    assert source.read_bytes() == content, "the caller's file is left alone"
    assert await read(store, stored.sha256, 19 * MB, 19 * MB + 100) == content[19 * MB : 19 * MB + 100]


async def test_same_content_at_once_is_one_file(store):
    content = os.urandom(100_000)
    answers = await asyncio.gather(*(store.put_stream(chunks(content), limit=MB) for _ in range(12)))
    assert {answer.sha256 for answer in answers} == {name(content)}
    found = [item async for item in store.iter_all() if item.sha256 == name(content)]
    assert [item.size for item in found] == [len(content)]
    assert abs(datetime.now(UTC) - found[0].stored_at) < timedelta(minutes=2)


async def test_too_much_or_nothing_is_refused_and_leaves_nothing(store):
    before = [item.sha256 async for item in store.iter_all()]
    with pytest.raises(TooLarge):
        await store.put_stream(chunks(os.urandom(2 * MB)), limit=2 * MB - 1)
    with pytest.raises(Invalid):
        await store.put_stream(chunks(b""), limit=MB)
    assert sorted([item.sha256 async for item in store.iter_all()]) == sorted(before)


async def test_broken_stream_leaves_nothing(store):
    content = os.urandom(MB)

    async def torn() -> AsyncIterator[bytes]:
        yield content
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_stream(torn(), limit=4 * MB)
    assert not await store.exists(name(content))


async def test_missing_file_is_named(store):
    unknown = name(os.urandom(16))
    assert not await store.exists(unknown)
    with pytest.raises(BlobMissing, match=unknown.hex()):
        await store.local_path(unknown)
    with pytest.raises(BlobMissing):
        await store.size(unknown)
    with pytest.raises(BlobMissing):
        await read(store, unknown, 0, 10)
    await store.delete(unknown)


async def test_deleted_file_is_gone_and_may_come_again(store):
    content = os.urandom(1000)
    stored = await store.put_stream(chunks(content), limit=MB)
    await store.delete(stored.sha256)
    assert not await store.exists(stored.sha256)
    assert await store.put_stream(chunks(content), limit=MB) == stored
    assert await store.exists(stored.sha256)


async def test_scratch_file_becomes_a_blob(store):
    content = os.urandom(5000)
    with store.scratch() as directory:
        (directory / "out.pdf").write_bytes(content)
        stored = await store.put_file(directory / "out.pdf")
    assert not directory.exists()
    assert await read(store, stored.sha256, 0, stored.size) == content


async def test_directory_store_syncs_file_and_directory_before_it_answers(tmp_path, monkeypatch):
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = FileStore(tmp_path)
    stored = await store.put_stream(chunks(b"content"), limit=MB)
    hexname = stored.sha256.hex()
    assert synced[0].startswith("in-")
    assert synced[-1] == hexname[2:4]
    assert hexname[:2] in synced, "the new sub-directory's own entry is durable too"
    assert (tmp_path / hexname[:2] / hexname[2:4] / hexname).stat().st_mode & 0o222 == 0
    await store.close()


async def test_directory_store_tells_a_damaged_file(tmp_path):
    store = FileStore(tmp_path)
    stored = await store.put_stream(chunks(b"content"), limit=MB)
    path = await store.local_path(stored.sha256)
    path.chmod(0o640)
    path.write_bytes(b"cont")
    with pytest.raises(Broken, match="damaged"):
        await store.put_stream(chunks(b"content"), limit=MB)
    with pytest.raises(Broken, match="damaged"):
        await read(store, stored.sha256, 0, stored.size)
    await store.close()


async def test_full_disk_is_said_so_and_nothing_half_written_stays(tmp_path, monkeypatch):
    store = FileStore(tmp_path)

    def full(descriptor: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("api.documents.blobs.spool.os.write", full)
    with pytest.raises(StoreUnavailable) as refusal:
        await store.put_stream(chunks(b"content"), limit=MB)
    assert refusal.value.retry_after_s > 0
    assert list((tmp_path / "incoming").iterdir()) == []
    await store.close()


async def test_sweeping_incoming_leaves_the_young_alone(tmp_path):
    store = FileStore(tmp_path)
    old, young = tmp_path / "incoming" / "in-old", tmp_path / "incoming" / "in-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert await store.sweep_incoming(3600, datetime.now(UTC)) == 1
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["in-young"]
    await store.close()


async def test_s3_cache_forgets_the_oldest_and_fetches_again(s3_place, tmp_path, monkeypatch):
    monkeypatch.setattr("api.documents.blobs.s3._KEEP_LOCAL_S", 0.0)
    store = S3Store(s3_place, tmp_path / "cache", cache_bytes=250_000)
    contents = [os.urandom(100_000) for _ in range(4)]
    for content in contents:
        stored = await store.put_stream(chunks(content), limit=MB)
        await store.local_path(stored.sha256)
    lying = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != "lock"]
    assert len(lying) == 2
    assert (await store.local_path(name(contents[0]))).read_bytes() == contents[0]
    await store.close()
    assert list((tmp_path / "cache").iterdir()) == []


async def test_s3_without_a_service_is_unavailable_not_missing(tmp_path, s3_place):
    nobody = msgspec.structs.replace(s3_place, endpoint="http://127.0.0.1:9")
    store = S3Store(nobody, tmp_path / "cache")
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(store.exists(name(b"x")), 40)
    await store.close()


def test_cache_of_a_killed_process_is_cleared_away(s3_place, tmp_path):
    left = Path(tempfile.mkdtemp(dir=tmp_path, prefix="cache-"))
    (left / "lock").touch()
    (left / "file").write_bytes(b"left behind")
    living = S3Store(s3_place, tmp_path)
    another = S3Store(s3_place, tmp_path)
    assert not left.exists()
    assert len(list(tmp_path.glob("cache-*"))) == 2, "a living neighbour keeps its own"
    for store in (living, another):
        asyncio.run(store.close())
    shutil.rmtree(tmp_path)


async def test_a_backup_of_any_store_is_copied_there_and_back(store, tmp_path):
    """Into the directory of a backup and from it into an empty store; what is not whole on the way is named."""
    contents = [os.urandom(size) for size in (1, 70_000, 3 * MB)]
    whole = [Document(sha256=name(content), size=len(content)) for content in contents]
    for content in contents:
        await store.put_stream(chunks(content), limit=4 * MB)
    never = Document(sha256=name(b"never stored"), size=12)
    kept, back = FileStore(tmp_path / "backup"), FileStore(tmp_path / "back")
    done = Copied()
    await copy([*whole, never], store, kept, done)
    assert (done.files, done.missing) == (3, [never.sha256])
    path = await kept.local_path(whole[1].sha256)
    path.chmod(0o640)
    path.write_bytes(contents[1][:-1] + b"!")
    again = Copied()
    await copy(whole, kept, back, again)
    assert (again.files, again.missing) == (2, [whole[1].sha256])
    await copy(whole, kept, store, nothing := Copied())
    assert (nothing.files, nothing.missing) == (0, [])
    assert await read(back, whole[2].sha256, 0, 3 * MB) == contents[2]
    await kept.close()
    await back.close()
