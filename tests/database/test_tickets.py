"""A ticket's stream: whole states with growing ids, nothing missed and nothing repeated whenever it breaks off."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator

import msgspec
import pytest
import pytest_asyncio

from api.errors import NotFound
from api.signatures import ahead, tickets
from api.signatures.contract import Place, Ticket
from api.signatures.engine import store
from tests.many_documents import lay_many
from tests.office import log_in, serving
from tests.signing_ground import Ground, runner_for


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


@contextlib.contextmanager
def watching(ground):
    watch = tickets.Watch(ground.app)
    try:
        yield watch
    finally:
        watch.close()


async def streamed(ground, watch, who: str, ticket, last_id: int = 0) -> AsyncGenerator[Ticket | Place | None]:
    """A ticket's stream, read first as its door does."""
    async with ground.app.reading() as tx:
        rows = await tickets.read(tx, ground.actor(who), ticket)
    async for event in tickets.stream(watch, ground.actor(who), rows, last_id):
        yield event


async def now(ground, ticket, who="kynhay") -> Ticket:
    async with ground.app.reading() as tx:
        return await tickets.ticket(tx, await ahead.look(tx), ground.actor(who), ticket)


def counted(monkeypatch) -> list[dict]:
    """What is asked of the database from now on: tickets with the versions known of them."""
    asked, real = [], tickets.store.tickets_moved

    async def counting(tx, known, most):
        asked.append(dict(known))
        return await real(tx, known, most)

    monkeypatch.setattr(tickets.store, "tickets_moved", counting)
    return asked


async def a_batch(ground, count: int):
    """Requests of one signatory that are ready to be asked."""
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    return await lay_many(ground, model, count)


async def test_a_stream_broken_off_at_every_event_misses_and_repeats_nothing(ground):
    requests = await a_batch(ground, 3)
    accepted = await ground.ask("chutich", *requests)
    seen, work = [], None
    with watching(ground) as watch:
        async with asyncio.timeout(60):
            while not seen or seen[-1].finished_at is None:
                stream = streamed(ground, watch, "chutich", accepted.ticket, seen[-1].version if seen else 0)
                async for event in stream:
                    if isinstance(event, Ticket):
                        seen.append(event)
                        break
                await stream.aclose()
                work = work or asyncio.create_task(ground.work())
    await work
    versions = [event.version for event in seen]
    assert versions == sorted(set(versions))
    assert len(versions) >= 3
    assert all(len(event.items) == 3 for event in seen)
    last = await now(ground, accepted.ticket, "chutich")
    assert msgspec.structs.asdict(seen[-1]) == msgspec.structs.asdict(last)
    assert last.counts == {"recorded": 3}
    with watching(ground) as watch:
        rest = [event async for event in streamed(ground, watch, "chutich", accepted.ticket, versions[-1])]
        again = [event async for event in streamed(ground, watch, "chutich", accepted.ticket, versions[-2])]
    assert rest == []
    assert again == [last]


async def test_a_version_never_falls_though_a_request_lives_on_in_another_ticket(ground):
    first, second = await a_batch(ground, 2)
    accepted = await ground.ask("chutich", first, second)
    await ground.db.admin.execute("UPDATE signature_request SET version = 40 WHERE id = $1", first)
    await runner_for(ground).drain()
    versions = [(await now(ground, accepted.ticket, "chutich")).version]
    async with ground.signer.transaction() as tx:
        why = {"code": "x", "vi": "x", "en": "x"}
        await store.back_to_list(tx, first, ground.clock(), why)
        await store.end_item(tx, accepted.ticket, first, "failed", why, ground.clock())
    versions.append((await now(ground, accepted.ticket, "chutich")).version)
    again = await ground.ask("chutich", first)
    await ground.work()
    versions.append((await now(ground, accepted.ticket, "chutich")).version)
    assert all(a < b for a, b in itertools.pairwise(versions)), versions
    assert await ground.outcomes(again.ticket) == ["recorded"]


async def test_a_stream_is_its_askers_alone(ground):
    accepted = await ground.ask("kynhay", (await ground.submitted())[0])
    with watching(ground) as watch, pytest.raises(NotFound):
        await anext(streamed(ground, watch, "chutich", accepted.ticket))


async def test_one_query_looks_for_all_streams_and_ends_with_none(ground, monkeypatch):
    tickets_asked = [
        (await ground.ask("kynhay", (await ground.submitted(text))[0])).ticket for text in ("mot", "hai", "ba")
    ]
    asked = counted(monkeypatch)
    monkeypatch.setattr(tickets, "LOOK_EVERY_S", 0.05)
    with watching(ground) as watch:
        await asyncio.gather(*(watch.wait(ticket, 10**9, 0.5) for ticket in tickets_asked * 5))
        assert sorted(asked[-1]) == sorted(tickets_asked)
        assert len(asked) <= 12, "one look for all 15 streams, every 50 ms at most"
        looks = len(asked)
        await asyncio.sleep(0.3)
        assert len(asked) <= looks + 1, "nobody watches, nobody asks"


async def test_where_more_have_moved_than_are_read_at_a_look_all_get_their_turn(ground, monkeypatch):
    tickets_asked = [
        (await ground.ask("kynhay", (await ground.submitted(text))[0])).ticket for text in ("mot", "hai", "ba", "bon")
    ]
    asked = counted(monkeypatch)
    monkeypatch.setattr(tickets, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(tickets, "AT_ONCE", 1)
    with watching(ground) as watch:
        told = await asyncio.gather(*(watch.wait(ticket, 0, 5) for ticket in tickets_asked))
    assert [rows.row.id for rows in told] == tickets_asked
    assert [len(wanted) for wanted in asked] == [4, 3, 2, 1]


async def test_looks_that_take_long_rest_no_longer_than_a_ticket_may_be_told_late(ground, monkeypatch):
    asked = counted(monkeypatch)
    counting = tickets.store.tickets_moved

    async def slowly(tx, known, most):
        await asyncio.sleep(0.1)
        return await counting(tx, known, most)

    monkeypatch.setattr(tickets.store, "tickets_moved", slowly)
    monkeypatch.setattr(tickets, "LONGEST_REST_S", 0.2)
    ticket = (await ground.ask("kynhay", (await ground.submitted())[0])).ticket
    with watching(ground) as watch:
        await watch.wait(ticket, 10**9, 3.0)
    assert len(asked) >= 4, "one each 0.4 s; by ten times 0.1 s there were three"


async def test_changes_within_a_second_are_told_together(ground, monkeypatch):
    monkeypatch.setattr(tickets, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(tickets, "REST", 0)
    monkeypatch.setattr(tickets, "AGAIN_S", 0.5)
    accepted = await ground.ask("kynhay", (await ground.submitted())[0])
    with watching(ground) as watch:
        stream = streamed(ground, watch, "kynhay", accepted.ticket)
        await anext(stream)
        await ground.work()
        began = time.monotonic()
        async with asyncio.timeout(10):
            told = await anext(stream)
        assert time.monotonic() - began >= 0.5
        assert told.finished_at is not None, "and nothing in between"
        await stream.aclose()


async def test_a_quiet_stream_gives_signs_of_life_and_tells_of_a_place_that_moved(ground, monkeypatch):
    monkeypatch.setattr(tickets, "KEEP_ALIVE_S", 0.05)
    accepted = await ground.ask("kynhay", (await ground.submitted())[0])
    with watching(ground) as watch:
        stream = streamed(ground, watch, "kynhay", accepted.ticket)
        assert isinstance(await anext(stream), Ticket)
        assert await anext(stream) is None
        await put_before(ground, 25)
        async with asyncio.timeout(5):
            while (event := await anext(stream)) is None:
                continue
        assert isinstance(event, Place)
        assert event.position == 25
        assert event.estimate_s > 1
        await stream.aclose()


async def test_a_quiet_stream_does_not_read_its_ticket_again(ground, monkeypatch):
    monkeypatch.setattr(tickets, "KEEP_ALIVE_S", 0.02)
    accepted = await ground.ask("kynhay", (await ground.submitted())[0])
    reads = counted(monkeypatch)
    with watching(ground) as watch:
        stream = streamed(ground, watch, "kynhay", accepted.ticket)
        first = await anext(stream)
        assert Ticket not in [type(await anext(stream)) for _ in range(10)]
        assert [known for known in reads if known[accepted.ticket] < first.version] == [{accepted.ticket: 0}]
        await ground.work()
        async with asyncio.timeout(10):
            while not isinstance(event := await anext(stream), Ticket):
                continue
        assert event.version > first.version
        await stream.aclose()


async def put_before(ground, count: int) -> None:
    """Work of the counter's lane, which goes first: rows alone."""
    await ground.db.admin.execute("SET session_replication_role = replica")
    await ground.db.admin.execute(
        "INSERT INTO signature_request (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role,"
        " pdf_signature, act, field, state, agency_id, lane, batch_id, turn)"
        " SELECT uuidv7(), uuidv7(), uuidv7(), uuidv7(), 1, 1, 'signatory', true, 'main_document', 'Signatory1',"
        " 'asked', uuidv7(), 'counter', $2, n FROM generate_series(1, $1) n",
        count,
        await ground.db.admin.fetchval(
            "INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count,"
            " authorised_until)"
            " VALUES (uuidv7(), uuidv7(), uuidv7(), uuidv7(), 'counter', 1, now()) RETURNING id"
        ),
    )
    await ground.db.admin.execute("SET session_replication_role = origin")


async def test_position_and_estimate_fall_while_the_work_is_done(ground):
    accepted = await ground.ask("kynhay", (await ground.submitted())[0])
    await put_before(ground, 100)
    told = [await now(ground, accepted.ticket)]
    for _ in range(4):
        await ground.db.admin.execute(
            "DELETE FROM signature_request"
            " WHERE id IN (SELECT id FROM signature_request WHERE lane = 'counter' ORDER BY turn LIMIT 25)"
        )
        told.append(await now(ground, accepted.ticket))
    assert [one.position for one in told] == [100, 75, 50, 25, 0]
    assert all(a.estimate_s > b.estimate_s for a, b in itertools.pairwise(told))


async def test_over_http_each_event_has_an_id_and_a_reader_goes_on_from_it(ground):
    keys = {"data_keys": {"test1": ground.province.data_key}, "data_key": "test1"}
    requests = await a_batch(ground, 2)
    async with serving(ground.db.dsn("app"), ground.room / "blobs", clock=ground.clock, **keys) as (web, _):
        await enter(ground, web, "chutich")
        accepted = await ground.ask("chutich", *requests)
        path = f"/signature-batches/{accepted.ticket}/events"
        answer, _ = await asyncio.gather(web.get(path), ground.work())
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = parse(answer.text)
        ids = [int(event["id"]) for event in events]
        assert ids == sorted(set(ids))
        last = msgspec.json.decode(events[-1]["data"], type=Ticket)
        assert last.counts == {"recorded": 2}
        assert parse((await web.get(path, headers={"Last-Event-ID": str(ids[-1])})).text) == []
        resumed = parse((await web.get(path, headers={"Last-Event-ID": str(ids[0] - 1)})).text)
        assert [int(event["id"]) for event in resumed] == [ids[-1]]
        assert all(event["retry"] == "2000" for event in resumed)
        await enter(ground, web, "vanthu")
        assert (await web.get(path)).status_code == 404


async def test_a_sign_of_life_is_no_message(ground, monkeypatch):
    """Whoever reads a stream's data as JSON stumbles over a line of empty data, which a browser gives them, too."""
    monkeypatch.setattr(tickets, "KEEP_ALIVE_S", 0.05)
    keys = {"data_keys": {"test1": ground.province.data_key}, "data_key": "test1"}
    async with serving(ground.db.dsn("app"), ground.room / "blobs", clock=ground.clock, **keys) as (web, _):
        await enter(ground, web, "kynhay")
        accepted = await ground.ask("kynhay", (await ground.submitted())[0])

        async def work_later() -> None:
            await asyncio.sleep(0.5)
            await ground.work()

        answer, _ = await asyncio.gather(web.get(f"/signature-batches/{accepted.ticket}/events"), work_later())
        lines = answer.text.splitlines()
        assert ": alive" in lines
        assert [line for line in lines if line.startswith("data:") and line.removeprefix("data:").strip() == ""] == []


async def enter(ground, web, who: str) -> None:
    account = ground.province.accounts.of(f"{who}.kinhbac")
    web.headers.pop("Authorization", None)
    assert (await log_in(web, account.login, account.password)).status_code == 201


def parse(text: str) -> list[dict[str, str]]:
    """The events of a stream that have an id."""
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    events = [dict(line.split(": ", 1) for line in block.split("\n") if ": " in line) for block in blocks]
    return [event for event in events if "id" in event]
