"""The peer: the same four endpoints in FastAPI with SQLAlchemy's async ORM, under uvicorn with uvloop and httptools.

Written as somebody who knows both would write it for speed: one session and one SELECT of columns per read, engines
made once, a read engine in autocommit so that reading costs no BEGIN and no ROLLBACK, statements built once so that the
compiled cache always hits, `expire_on_commit=False`, keys made in the client so that nothing is fetched back, rows of
one table inserted together by the unit of work, JSON by msgspec, answers encoded by pydantic's own serializer without
a second validation. No access log, no middleware. Authentication, fields, rows and durability equal the product's.
"""

import contextlib
from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Integer, and_, exists, func, insert, literal, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import DeclarativeBase

from api.settings import read
from api.telemetry.process import spare_the_collector
from loadtests.peers.office import NATIONAL, OFFERED, STATUS_VI, Caller, Office, answered, now, today


class Base(DeclarativeBase):
    pass


class Reflected(DeferredReflection):
    __abstract__ = True


TABLES = (
    "dossier", "procedure", "journal", "task", "audit", "person", "person_private", "dossier_party", "dossier_part",
    "dossier_fee", "dossier_access", "dossier_deadline", "dossier_counter", "idempotency", "session", "account", "post",
    "post_holding", "account_block", "signature_request", "document",
)  # fmt: skip
ENTITIES: dict[str, Any] = {
    name: type(name.title().replace("_", ""), (Reflected, Base), {"__tablename__": name}) for name in TABLES
}
settings = read("api")
office: Office
reading: async_sessionmaker[AsyncSession]
writing: async_sessionmaker[AsyncSession]
statements: dict[str, Any] = {}


def engine(size: int, **options: Any) -> AsyncEngine:
    """Return an engine over asyncpg with a pool of fixed size, whose statements stay prepared on each connection."""
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(settings.database_url), pool_size=size,
        max_overflow=0, json_serializer=lambda v: msgspec.json.encode(v).decode(),
        json_deserializer=msgspec.json.decode, **options,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    global office, reading, writing  # noqa: PLW0603 - made once, by the process that serves
    reads = engine(settings.pool_read, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
    writes = engine(settings.pool_write)
    async with writes.connect() as connection:
        await connection.run_sync(Reflected.prepare)
    reading = async_sessionmaker(reads, expire_on_commit=False, autoflush=False)
    writing = async_sessionmaker(writes, expire_on_commit=False, autoflush=False)
    office = await Office.open()
    statements.update(_statements())
    spare_the_collector()
    yield
    await reads.dispose()
    await writes.dispose()


app = FastAPI(lifespan=lifespan, openapi_url=None)


async def read_session() -> AsyncGenerator[AsyncSession]:
    async with reading() as session:
        yield session


async def write_session() -> AsyncGenerator[AsyncSession]:
    async with writing() as session:
        yield session


Reading = Annotated[AsyncSession, Depends(read_session)]
Writing = Annotated[AsyncSession, Depends(write_session)]


async def authenticate(session: AsyncSession, authorization: str) -> Caller:
    at = now()
    digest = office.tokens.digest(authorization.removeprefix("Bearer "))
    row = (await session.execute(statements["session"], {"digest": digest, "at": at, "day": today(at)})).one_or_none()
    if row is None or row.ended_at is not None or row.expires_at <= at or not row.entitled:
        raise HTTPException(401)
    return Caller(row.account_id, row.person_id, row.post_id, row.agency_id, row.roles)


async def reader(session: Reading, authorization: Annotated[str, Header()]) -> Caller:
    return await authenticate(session, authorization)


async def writer(session: Writing, authorization: Annotated[str, Header()]) -> Caller:
    return await authenticate(session, authorization)


class Tracked(BaseModel):
    code: str
    status: str
    status_vi: str
    national_status: int
    procedure_name: str
    received_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None


class Line(BaseModel):
    id: UUID
    document_id: UUID
    dossier_id: UUID
    dossier_code: str
    title: str
    role: str
    act: str
    capacity: str | None
    title_lines: list[str]
    lane: str
    due_at: datetime | None
    sha256: str
    holder: str | None
    procedure_code: str
    submitted_at: datetime


class Page(BaseModel):
    items: list[Line]
    next: str | None


class Filer(BaseModel):
    name: str
    id_number: str
    phone: str


class Part(BaseModel):
    part_code: str
    name: str
    originals: int


class Order(BaseModel):
    procedure_code: str
    territory_code: str
    filer: Filer
    parts: list[Part]


class Filed(BaseModel):
    id: UUID
    code: str
    status: str
    version: int
    due_at: datetime
    secret: str


class HandOver(BaseModel):
    agency_id: UUID


class Step(BaseModel):
    facts: HandOver


class Stepped(BaseModel):
    id: UUID
    code: str
    status: str
    status_vi: str
    step: str
    version: int
    due_at: datetime | None
    step_due_at: datetime | None
    allowed: tuple[str, ...]
    task_id: UUID | None


_ENCODERS = {kind: TypeAdapter(kind) for kind in (Tracked, Page, Filed, Stepped)}


def encoded(answer: BaseModel, status: int = 200) -> Response:
    """Answer with bytes that pydantic made, past `response_model`, which would validate the answer a second time."""
    content = _ENCODERS[type(answer)].dump_json(answer)
    return Response(content, status_code=status, media_type="application/json")


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {}


@app.get("/track/{code}")
async def track(code: str, session: Reading) -> Response:
    row = (await session.execute(statements["track"], {"code": code})).one_or_none()
    if row is None:
        raise HTTPException(404)
    told = {"status_vi": STATUS_VI[row.status], "national_status": NATIONAL[row.status]}
    return encoded(Tracked.model_construct(**row._mapping, **told))  # noqa: SLF001 - SQLAlchemy's public name


@app.get("/signature-requests")
async def waiting(
    session: Reading, caller: Annotated[Caller, Depends(reader)], limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Response:
    found = await session.execute(statements["waiting"], {"person": caller.person_id, "limit": limit + 1})
    items = [Line.model_construct(**row._mapping) for row in found.all()[:limit]]  # noqa: SLF001
    return encoded(Page.model_construct(items=items, next=None))


@app.post("/dossiers")
async def submit(
    order: Order, request: Request, session: Writing, caller: Annotated[Caller, Depends(writer)],
    idempotency_key: Annotated[str, Header()],
) -> Response:  # fmt: skip
    at = now()
    route, body = "POST /dossiers", await request.body()
    await refuse_repeat(session, caller, route, idempotency_key)
    dossier, secret, rows = office.submission(order, caller, at)
    await write(session, (row for row in rows if row[0] != "dossier"))
    counted = await session.scalar(statements["count"], {"agency": caller.agency_id, "day": today(at)})
    dossier["code"] = office.code(counted, today(at))
    filed = {name: dossier[name] for name in ("id", "code", "status", "due_at")} | {"version": dossier["seq"]}
    kept = answered(caller, route, idempotency_key, body, 201, filed, at)
    await write(session, [("dossier", dossier), ("idempotency", kept)])
    await session.commit()
    return encoded(Filed.model_construct(**filed, secret=secret), 201)


@app.post("/dossiers/{code}/steps/hand_over")
async def hand_over(
    code: str, step: Step, request: Request, session: Writing, caller: Annotated[Caller, Depends(writer)],
    idempotency_key: Annotated[str, Header()],
) -> Response:  # fmt: skip
    at = now()
    route, body = "POST /dossiers/{code}/steps/{action}", await request.body()
    await refuse_repeat(session, caller, route, idempotency_key)
    before = (await session.execute(statements["lock"], {"code": code})).one_or_none()
    if before is None:
        raise HTTPException(404)
    taken = (await session.execute(statements["tasks"], {"dossier": before.id})).all()
    if any(task.assignee_account_id not in {None, caller.account_id} for task in taken):
        raise HTTPException(409)
    dossier = dict(before._mapping)  # noqa: SLF001
    task_id, rows = office.hand_over(dossier, step.facts.agency_id, caller, at)
    moved = {"dossier": before.id, "seen": before.seq, "seq": before.seq + 1, "agency": step.facts.agency_id}
    await session.execute(statements["move"], moved, execution_options={"synchronize_session": False})
    names = ("id", "code", "status", "step", "due_at", "step_due_at")
    stepped = {name: dossier[name] for name in names} | {
        "version": before.seq + 1, "status_vi": STATUS_VI[before.status], "allowed": OFFERED, "task_id": task_id,
    }  # fmt: skip
    kept = answered(caller, route, idempotency_key, body, 200, stepped, at)
    await write(session, [*rows, ("idempotency", kept)])
    await session.commit()
    return encoded(Stepped.model_construct(**stepped))


async def refuse_repeat(session: AsyncSession, caller: Caller, route: str, key: str) -> None:
    """Look for the answer of the same intent; the primary key refuses the twin that both missed."""
    found = await session.scalar(statements["intent"], {"actor": str(caller.account_id), "route": route, "key": key})
    if found is not None:
        raise HTTPException(409)


async def write(session: AsyncSession, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Insert by the ORM's bulk form, table by table: it spares the unit of work its sorting and its identity map."""
    for table, group in groupby(rows, key=itemgetter(0)):
        await session.execute(statements[f"into {table}"], [row for _, row in group])


def _statements() -> dict[str, Any]:
    """Build every statement once, as the tables are known from now on."""
    from sqlalchemy import bindparam as p  # noqa: PLC0415

    d, t = ENTITIES["dossier"], ENTITIES["task"]
    procedure, intent, count = ENTITIES["procedure"], ENTITIES["idempotency"], ENTITIES["dossier_counter"]
    counting = upsert(count).values(agency_id=p("agency"), day=p("day"), n=literal(1, Integer))
    return {f"into {table}": insert(entity) for table, entity in ENTITIES.items()} | {
        "track": select(
            d.code, d.status, procedure.name.label("procedure_name"), d.received_at, d.due_at, d.finished_at
        ).join(procedure, procedure.code == d.procedure_code).where(d.code == p("code")),
        "session": _session_statement(p),
        "waiting": _waiting_statement(p),
        "intent": select(intent.status).where(
            intent.actor == p("actor"), intent.route == p("route"), intent.key == p("key")
        ),
        "count": counting.on_conflict_do_update(
            index_elements=["agency_id", "day"], set_={"n": count.n + 1}
        ).returning(count.n),
        "lock": select(d.id, d.code, d.seq, d.status, d.step, d.due_at, d.step_due_at).where(
            d.code == p("code")
        ).with_for_update(key_share=True),
        "tasks": select(t.id, t.assignee_account_id).where(
            t.dossier_id == p("dossier"), t.state.in_(["open", "claimed"])
        ),
        "move": update(d).where(d.id == p("dossier"), d.seq == p("seen")).values(
            seq=p("seq"), transfer_agency_id=p("agency")
        ),
    }  # fmt: skip


def _session_statement(p: Any) -> Any:
    s, a, post, h, b = (ENTITIES[name] for name in ("session", "account", "post", "post_holding", "account_block"))
    holds = exists().where(
        h.person_id == a.person_id, h.post_id == s.post_id, h.valid_from <= p("at"),
        or_(h.valid_to.is_(None), h.valid_to > p("at")),
    )  # fmt: skip
    blocked = exists().where(b.account_id == a.id, b.what == "account", b.lifted_at.is_(None))
    in_force = and_(post.valid_from <= p("day"), or_(post.valid_to.is_(None), post.valid_to > p("day")))
    return (
        select(
            s.id, s.account_id, a.person_id, s.post_id, post.agency_id, post.roles, s.seen_at, s.expires_at, s.ended_at,
            and_(a.state == "active", ~blocked, in_force, holds).label("entitled"),
        )
        .join(a, a.id == s.account_id)
        .join(post, post.id == s.post_id)
        .where(s.token_sha256 == p("digest"))
    )  # fmt: skip


def _waiting_statement(p: Any) -> Any:
    r, document, d = (ENTITIES[name] for name in ("signature_request", "document", "dossier"))
    due = func.coalesce(r.due_at, literal_column("'infinity'::timestamptz"))
    order = (r.lane, due, r.id)
    return (
        select(
            r.id, r.document_id, r.dossier_id, d.code.label("dossier_code"), document.title, r.role, r.act, r.capacity,
            r.title_lines, r.lane, r.due_at, func.encode(document.head_sha256, "hex").label("sha256"), r.holder,
            d.procedure_code, r.created_at.label("submitted_at"),
        )
        .join(document, document.id == r.document_id)
        .join(d, d.id == r.dossier_id)
        .where(r.state == "to_sign", r.person_id == p("person"), r.ready.is_not(False))
        .order_by(*order)
        .limit(p("limit"))
    )  # fmt: skip


def main() -> None:
    """Serve in this process."""
    uvicorn.run(
        app, host=settings.listen.host, port=settings.listen.port, loop="uvloop", http="httptools", access_log=False,
        log_level="warning", lifespan="on",
    )  # fmt: skip


if __name__ == "__main__":
    main()
