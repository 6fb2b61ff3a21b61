"""Copying documents from store to store, each read whole and held against its name."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from api.backup import store
from api.backup.store import Connection, Document
from api.documents.blobs import BlobMissing, BlobStore
from api.errors import Broken
from api.kernel import Sha256

AT_ONCE: Final = 4


class Copied(msgspec.Struct, kw_only=True):
    """What a pass did: how many files and bytes it brought, and which digests the source did not have whole."""

    files: int = 0
    bytes: int = 0
    missing: list[Sha256] = []


async def copy(wanted: Sequence[Document], source: BlobStore, target: BlobStore, done: Copied) -> None:
    """Bring what the target lacks; a file that is not what its name says is taken for missing."""
    for start in range(0, len(wanted), AT_ONCE):
        await asyncio.gather(*(_bring(each, source, target, done) for each in wanted[start : start + AT_ONCE]))


async def copy_all(connection: Connection, source: BlobStore, target: BlobStore, done: Copied) -> None:
    """Bring the documents of every row; those whose row went away meanwhile are not missed."""
    async for page in store.documents(connection):
        await copy(page, source, target, done)
    await forget_removed(connection, done)


async def forget_removed(connection: Connection, done: Copied) -> None:
    """Take from `missing` what the sweeper removed with its row while we copied."""
    done.missing = [sha256 for sha256 in done.missing if await store.document_exists(connection, sha256)]


async def _bring(wanted: Document, source: BlobStore, target: BlobStore, done: Copied) -> None:
    if await target.exists(wanted.sha256):
        return
    try:
        stored = await target.put_stream(source.open_range(wanted.sha256, 0, wanted.size), limit=wanted.size)
    except (BlobMissing, Broken):
        done.missing.append(wanted.sha256)
        return
    if stored.sha256 != wanted.sha256:  # what came lies there under its own name, where nobody will ask for it
        done.missing.append(wanted.sha256)
        return
    done.files += 1
    done.bytes += stored.size
