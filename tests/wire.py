"""A PostgreSQL wire that counts: a socket in front of the server, and how often each connection was answered."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from tests.conftest import Database

_NAME = re.compile(rb"application_name\x00([^\x00]+)\x00")


class Wire:
    """Round trips by the connection's application name: each ends with a ReadyForQuery, whatever was sent."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.trips: Counter[str] = Counter()

    async def _serve(self, server: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(server))
        first = await reader.read(4096)
        named = _NAME.search(first)
        up_writer.write(first)
        name = named[1].decode() if named else "?"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, up_writer))
                group.create_task(self._count(name, up_reader, writer))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            up_writer.close()

    async def _count(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                self.trips[name] += head[:1] == b"Z"
                writer.write(head + body)
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def wired(db: Database, role: str, room: Path) -> AsyncIterator[Wire]:
    """Lend a DSN whose connections pass through the wire; `room` must have a short path, as sockets do."""
    dsn = db.dsn(role)
    sockets = re.search(r"host=([^&]+)", dsn)
    assert sockets is not None
    server = db.cluster._sockets / ".s.PGSQL.5432"
    wire = Wire(dsn.replace(sockets[1], quote(str(room))))
    listener = await asyncio.start_unix_server(
        lambda reader, writer: wire._serve(server, reader, writer), str(room / ".s.PGSQL.5432")
    )
    try:
        yield wire
    finally:
        listener.close()
