"""PostgreSQL's own programs as children: no secret among their arguments, and they die with us."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from api.backup.faults import program_failed
from api.embedded.binaries import find_bindir
from api.embedded.postgres import die_with_parent

_IN_THE_ENVIRONMENT: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
_PERCENT: Final = re.compile(r"\((\d+)%\)")
_KEPT: Final = 4000


def for_libpq(dsn: str, program: str) -> dict[str, str]:
    """Turn asyncpg's DSN into the variables that libpq reads; arguments can be read by everybody on a machine."""
    parts = urlsplit(dsn)
    said = {
        "host": parts.hostname or "",
        "port": str(parts.port or ""),
        "user": unquote(parts.username or ""),
        **dict(parse_qsl(parts.query)),
    }
    environment = {variable: said[name] for name, variable in _IN_THE_ENVIRONMENT.items() if said.get(name)}
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
    environment["PGDATABASE"] = parts.path.lstrip("/") or said.get("dbname", "") or "postgres"
    environment["PGAPPNAME"] = f"motcua {program}"
    return environment


async def start(program: str, words: Sequence[str | Path], dsn: str | None) -> asyncio.subprocess.Process:
    """Start a program; its errors come by a pipe, in English."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C"}
    return await asyncio.create_subprocess_exec(
        find_bindir() / program,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, **(for_libpq(dsn, program) if dsn else {})},
        preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
    )


async def run(
    program: str, words: Sequence[str | Path], *, dsn: str | None = None, tell: Callable[[int], None] | None = None
) -> None:
    """Run a program to its end; `tell` is given the percentage that it reports.

    Raises:
        BackupError: it failed; the text holds its last words.
    """
    process = await start(program, words, dsn)
    try:
        said = await _listen(process, tell)
        code = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if code != 0:
        raise program_failed(program, last_words(said))


def last_words(said: str) -> str:
    """Return the lines of an error output that say why it ended."""
    lines = [line.strip() for line in re.split(r"[\r\n]", said) if line.strip() and not _PERCENT.search(line)]
    errors = [line for line in lines if "error:" in line or "FATAL" in line]
    return " ".join((errors or lines)[-3:])


async def _listen(process: asyncio.subprocess.Process, tell: Callable[[int], None] | None) -> str:
    said = ""
    if process.stderr is None:
        return said
    while piece := await process.stderr.read(4096):
        text = piece.decode("utf-8", "replace")
        said = (said + text)[-_KEPT:]
        if tell is not None and (found := _PERCENT.findall(text)):
            tell(int(found[-1]))
    return said
