"""After a run: every PDF signed in it is opened and judged, by several processes, without holding them all in memory.

Nothing here looks at what the product says of a file: the file is read, its SHA-256 is compared with its name, and the
verifier tells whether each signature in it is whole, and that there are as many as there should be.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

import signing
from signing.contract import Trust

_CHUNK: Final = 16
_AHEAD: Final = 4
_SIGNED: Final = """
    SELECT revision.sha256, revision.request_id, revision.document_id, revision.origin,
           (SELECT count(*) FROM revision before WHERE before.document_id = revision.document_id
             AND before.ordinal <= revision.ordinal AND before.origin IN ('signed', 'sealed')) AS signatures
      FROM revision WHERE origin IN ('signed', 'sealed') AND created_at >= $1 ORDER BY revision.id
"""


class Checked(msgspec.Struct, kw_only=True):
    """What became of the files of a run."""

    opened: int = 0
    lost: list[str] = []
    """Recorded, and the file is not there; or told to somebody as recorded, and it is not."""
    doubled: list[str] = []
    """Two revisions for one request."""
    invalid: list[str] = []
    """A file that is not what its name says, or whose signatures do not hold."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.invalid)


Row = tuple[str, str, int]
"""SHA-256 in hexadecimal, path, and how many signatures there must be."""
Judging = Future[list[tuple[str, str]]]


def judge_files(rows: list[Row], anchors: str, at: datetime) -> list[tuple[str, str]]:
    """Open some files; return what is wrong, as (kind, which). Runs in a process of its own."""
    trust = signing.load_trust(None, Path(anchors))
    return [found for row in rows if (found := _judge(row, trust, at)) is not None]


def _judge(row: Row, trust: Trust, at: datetime) -> tuple[str, str] | None:
    name, path, wanted = row
    try:
        content = Path(path).read_bytes()
    except OSError:
        return "lost", name
    if sha256(content).hexdigest() != name:
        return "invalid", f"{name}: not what its name says"
    told = signing.verify(path, trust, at=at)
    if len(told.signatures) != wanted or not all(one.intact for one in told.signatures):
        return "invalid", f"{name}: {len(told.signatures)} signatures of {wanted}, or one that does not hold"
    return None


async def verify_all(
    owner: asyncpg.Connection, since: datetime, path_of: Callable[[bytes], Path], anchors: Path, told: dict[str, str],
    at: datetime, *, processes: int = 2,
) -> Checked:  # fmt: skip
    """Open every file signed since then; `told` is request and SHA-256 as the generators were told them."""
    checked, requests = Checked(), Counter[str]()
    stands: dict[str, str] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way: list[Judging] = []
        chunk: list[Row] = []
        async with owner.transaction():
            async for row in owner.cursor(_SIGNED, since):
                name, request = row["sha256"].hex(), str(row["request_id"])
                requests[request] += 1
                stands[request] = name
                chunk.append((name, str(path_of(row["sha256"])), row["signatures"]))
                if len(chunk) == _CHUNK:
                    under_way.append(pool.submit(judge_files, chunk, str(anchors), at))
                    chunk = []
                if len(under_way) >= processes * _AHEAD:
                    await _take(under_way, checked)
        if chunk:
            under_way.append(pool.submit(judge_files, chunk, str(anchors), at))
        while under_way:
            await _take(under_way, checked)
    checked.opened = sum(requests.values())
    checked.doubled += [request for request, count in requests.items() if count > 1]
    checked.lost += sorted(
        f"{request}: told as recorded" for request, name in told.items() if stands.get(request) != name
    )
    return checked


async def _take(under_way: list[Judging], checked: Checked) -> None:
    """Wait for the oldest of those under way."""
    for kind, what in await asyncio.wrap_future(under_way.pop(0)):
        getattr(checked, kind).append(what)
