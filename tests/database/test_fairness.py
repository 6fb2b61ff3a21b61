"""Fair shares in the real queue: 500 items of one keep nobody else waiting, and a counter goes before them all."""

import secrets
from collections import Counter
from functools import partial
from typing import NamedTuple
from uuid import UUID

import pytest_asyncio

from api.jobs.runner import Runner
from api.kernel import system_clock
from api.signatures.engine.context import FINISH, JUDGE, PREPARE, receive
from api.signatures.engine.judging import judge
from tests.many_documents import copy_rows
from tests.signing_ground import Ground

BATCH = 8
"""How many jobs the signer takes at once."""


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


class Desk:
    """Rows alone, no files: what is prepared in which order is what counts."""

    def __init__(self, ground) -> None:
        self.ground = ground
        self.order: list[str] = []

    async def open(self) -> "Desk":
        initials, self.model, _ = await self.ground.submitted("mau")
        await self.ground.sign("kynhay", initials)
        await self.ground.db.admin.execute("UPDATE mandate SET procedure_codes = NULL")
        return self

    async def waiting_for(self, who: str, count: int) -> list:
        """Requests of one signatory, ready to be asked."""
        digests = [secrets.token_bytes(32) for _ in range(count)]
        requests = await copy_rows(self.ground, self.model, digests, [1] * count)
        actor = self.ground.actor(who)
        await self.ground.db.admin.execute(
            "UPDATE signature_request SET person_id = $2, post_id = $3,"
            " mandate_id = (SELECT id FROM mandate WHERE person_id = $2 AND 'main_document' = ANY (acts) LIMIT 1)"
            " WHERE id = ANY ($1::uuid[])",
            requests,
            actor.person_id,
            actor.post_id,
        )
        return requests

    async def ask(self, who: str, count: int, lane: str = "normal") -> None:
        """Ask, and have the ticket judged: its jobs of preparing wait in the queue from now on."""
        accepted = await self.ground.ask(who, *await self.waiting_for(who, count), lane=lane)
        await Runner(self.ground.db.dsn("signer"), {JUDGE: partial(judge, self.ground.engine)}).drain()
        asked = "SELECT count(*) FROM signature_request WHERE batch_id = $1 AND state = 'asked'"
        assert await self.ground.db.admin.fetchval(asked, accepted.ticket) == count

    async def prepare(self, count: int) -> list[str]:
        """Let the signer take `count` jobs of preparing off the real queue; whose they were, in order."""
        return await self._take(PREPARE, "state = 'prepared', attempt = attempt + 1", count)

    async def finish(self, count: int) -> list[str]:
        """Let it take `count` jobs of embedding; whose they were, in order."""
        return await self._take(
            FINISH, "state = 'recorded', recorded_at = now(), recorded_sha256 = shown_sha256", count
        )

    async def confirm(self, who: str) -> None:
        """The person confirms all that was prepared: the values come."""
        person = self.ground.actor(who).person_id
        async with self.ground.signer.transaction() as tx:
            sent = await tx.fetch(
                "UPDATE signature_request SET state = 'sent' WHERE person_id = $1 AND state = 'prepared'"
                " RETURNING id, attempt, lane",
                person,
            )
            await receive(tx, Confirmed(person), [(item, b"value") for item in map(Sent, sent)], "poll", system_clock())

    async def _take(self, kind: str, change: str, count: int) -> list[str]:
        took: list[str] = []
        handlers = {kind: self._note(took, change, count)}
        self.runner = Runner(self.ground.db.dsn("signer"), handlers, batch_size=1, max_concurrent_tasks=2)
        await self.runner.run()
        return took[:count]

    def _note(self, took: list[str], change: str, count: int):
        async def note(_context, ids) -> None:
            async with self.ground.signer.transaction() as tx:
                row = await tx.fetchrow(
                    f"UPDATE signature_request SET {change} WHERE id = $1 RETURNING person_id, lane", ids["request"]
                )
            took.append(row["lane"] if row["lane"] == "counter" else str(row["person_id"]))
            if len(took) >= count:
                self.runner.stop()

        return note


class Confirmed(NamedTuple):
    """Of a transaction what receiving values looks at."""

    person_id: UUID


class Sent:
    """Of a hash that was sent the same."""

    def __init__(self, row) -> None:
        self.id, self.attempt, self.lane = row["id"], row["attempt"], row["lane"]


async def test_a_single_item_and_a_counter_pass_five_hundred_of_another(ground):
    desk = await Desk(ground).open()
    chair, deputy = (str(ground.actor(who).person_id) for who in ("chutich", "phochutich"))
    await desk.ask("chutich", 500)
    assert set(await desk.prepare(20)) == {chair}
    await desk.ask("phochutich", 1)
    await desk.ask("phochutich2", 1, lane="counter")
    took = await desk.prepare(3 * BATCH)
    assert took[0] == "counter"
    assert deputy in took[: 2 * BATCH]
    assert Counter(took)[chair] == 3 * BATCH - 2


async def test_nobody_waits_for_more_than_twice_a_fair_share(ground):
    desk = await Desk(ground).open()
    people = {who: str(ground.actor(who).person_id) for who in ("chutich", "phochutich", "phochutich2")}
    await desk.ask("chutich", 200)
    await desk.prepare(10)
    await desk.ask("phochutich", 40)
    await desk.ask("phochutich2", 40)
    await desk.ask("chutich", 100)
    took = await desk.prepare(90)
    for end in range(6, len(took) + 1, 3):
        shares = Counter(took[:end])
        for who, person in people.items():
            assert shares[person] >= end // 3 / 2, (who, end, shares)


async def test_whoever_confirms_later_does_not_pass_whoever_waits_for_the_machine(ground):
    desk = await Desk(ground).open()
    chair = str(ground.actor("chutich").person_id)
    await desk.ask("chutich", 40)
    await desk.prepare(40)
    await desk.confirm("chutich")
    await desk.finish(10)
    took: list[str] = []
    for _ in range(6):
        await desk.ask("phochutich", 2)
        await desk.prepare(2)
        await desk.confirm("phochutich")
        took += await desk.finish(2)
    assert Counter(took)[chair] >= len(took) // 3


async def test_whoever_confirms_later_does_not_go_behind_all_that_was_asked_before(ground):
    desk = await Desk(ground).open()
    deputy = str(ground.actor("phochutich").person_id)
    await desk.ask("chutich", 60)
    await desk.ask("phochutich", 5)
    await desk.prepare(65)
    await desk.confirm("chutich")
    await desk.finish(20)
    await desk.confirm("phochutich")
    assert Counter(await desk.finish(10))[deputy] >= 4
