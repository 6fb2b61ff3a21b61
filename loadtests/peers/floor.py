"""The plain floor: the product's own statements by bare asyncpg behind a bare ASGI function, under the same server.

It authenticates by the same session statement, decodes bodies with msgspec and writes the same rows, each table by one
statement. It checks no right and no rule, knows no repeat, logs nothing, counts nothing, and would be nobody's product.
"""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops

from api.db.pools import prepare_connection
from api.db.queries import load
from api.dossiers.contract import NewDossier
from api.settings import read
from api.telemetry.process import spare_the_collector
from loadtests.peers.office import NATIONAL, OFFERED, STATUS_VI, Caller, Office, answered, now, today

_public, _auth, _signatures, _dossiers = (
    load(f"api.{name}") for name in ("public", "http.auth", "signatures", "dossiers")
)
_pool: asyncpg.Pool
_office: Office
_order = msgspec.json.Decoder(NewDossier)

_COUNT = (
    "INSERT INTO dossier_counter (agency_id, day, n) VALUES ($1, $2, 1)"
    " ON CONFLICT (agency_id, day) DO UPDATE SET n = dossier_counter.n + 1 RETURNING n"
)


class _HandOver(msgspec.Struct):
    agency_id: UUID


class _Step(msgspec.Struct):
    facts: _HandOver


_step_body = msgspec.json.Decoder(_Step)


class _Connection(asyncpg.Connection):
    """A connection that a pool takes back as it is."""

    def get_reset_query(self) -> str:
        return ""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer the four requests."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path, status = scope["path"], 200
    if scope["method"] == "POST":
        body = (await receive())["body"]
        status = 201 if path == "/dossiers" else 200
        answer = await (_submit(scope, body) if path == "/dossiers" else _hand_over(scope, path.split("/")[2], body))
    elif path.startswith("/track/"):
        answer = await _track(path[7:])
    elif path == "/signature-requests":
        answer = await _waiting(scope)
    else:
        answer = {}
    content = msgspec.json.encode(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _live(receive: Any, send: Any) -> None:
    global _pool, _office  # noqa: PLW0603 - a bare function has nowhere else to keep them
    await receive()
    settings = read("api")
    size = settings.pool_read
    _pool = await asyncpg.create_pool(
        settings.database_url, min_size=size, max_size=size, init=prepare_connection, connection_class=_Connection
    )
    _office = await Office.open()
    spare_the_collector()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _track(code: str) -> Any:
    async with _pool.acquire() as connection:
        row = dict(await connection.fetchrow(_public.track, [code]))
    del row["procedure_code"], row["seq"]
    return row | {"status_vi": STATUS_VI[row["status"]], "national_status": NATIONAL[row["status"]]}


async def _caller(connection: Any, scope: Any, at: datetime) -> Caller:
    token = next(value for name, value in scope["headers"] if name == b"authorization")[7:]
    row = await connection.fetchrow(_auth.find_sessions, [_office.tokens.digest(token.decode())], at, today(at))
    assert row["entitled"]
    return Caller(row["account_id"], row["person_id"], row["post_id"], row["agency_id"], row["roles"])


async def _waiting(scope: Any) -> Any:
    async with _pool.acquire() as connection:
        caller = await _caller(connection, scope, now())
        rows = await connection.fetch(_signatures.to_sign_page, caller.person_id, *_START, 51)
    return {"items": [dict(row) for row in rows[:50]], "next": None}


async def _submit(scope: Any, body: bytes) -> Any:
    at = now()
    async with _pool.acquire() as connection, connection.transaction():
        caller = await _caller(connection, scope, at)
        dossier, secret, rows = _office.submission(_order.decode(body), caller, at)
        await _insert(connection, (row for row in rows if row[0] != "dossier"))
        # Last, as in the product: who holds the counter keeps every submission of the agency waiting until the commit.
        number = await connection.fetchval(_COUNT, caller.agency_id, today(at))
        dossier["code"] = _office.code(number, today(at))
        await _insert(connection, [("dossier", dossier)])
        names = ("id", "code", "status", "due_at")
        answer = {name: dossier[name] for name in names} | {"version": dossier["seq"]}
        await _keep(connection, scope, caller, "POST /dossiers", body, 201, answer, at)
    return answer | {"secret": secret}


async def _hand_over(scope: Any, code: str, body: bytes) -> Any:
    at = now()
    async with _pool.acquire() as connection, connection.transaction():
        caller = await _caller(connection, scope, at)
        dossier = await connection.fetchrow(_LOCK, code)
        await connection.fetch(_dossiers.open_tasks, dossier["id"])
        agency_id = _step_body.decode(body).facts.agency_id
        task_id, rows = _office.hand_over(dossier, agency_id, caller, at)
        await connection.execute(_MOVE, dossier["id"], dossier["seq"], agency_id)
        await _insert(connection, rows)
        names = ("id", "code", "status", "step", "due_at", "step_due_at")
        answer = {name: dossier[name] for name in names} | {
            "version": dossier["seq"] + 1, "status_vi": STATUS_VI[dossier["status"]], "allowed": OFFERED,
            "task_id": task_id,
        }  # fmt: skip
        await _keep(connection, scope, caller, "POST /dossiers/{code}/steps/{action}", body, 200, answer, at)
    return answer


async def _insert(connection: Any, rows: Any) -> None:
    for table, row in rows:
        await connection.execute(_statement(table, tuple(row)), *row.values())


async def _keep(
    connection: Any, scope: Any, caller: Caller, route: str, body: bytes, status: int, answer: Any, at: datetime
) -> None:
    key = next(value for name, value in scope["headers"] if name == b"idempotency-key").decode()
    text = msgspec.json.encode(answer).decode()
    await _insert(connection, [("idempotency", answered(caller, route, key, body, status, text, at))])


@cache
def _statement(table: str, columns: tuple[str, ...]) -> str:
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"


_START = ("", datetime.min.replace(tzinfo=now().tzinfo), UUID(int=0))
_LOCK = "SELECT id, code, seq, status, step, due_at, step_due_at FROM dossier WHERE code = $1 FOR NO KEY UPDATE"
_MOVE = "UPDATE dossier SET seq = seq + 1, transfer_agency_id = $3 WHERE id = $1 AND seq = $2"


def main() -> None:
    """Serve like the product: one worker, HTTP/1.1, uvloop."""
    listen = read("api").listen
    Granian(
        "loadtests.peers.floor:app", address=listen.host, port=listen.port, interface=Interfaces.ASGI,
        http=HTTPModes.http1, loop=Loops.uvloop, websockets=False, workers=1, backlog=16384, backpressure=16384,
    ).serve()  # fmt: skip


if __name__ == "__main__":
    main()
