"""Log-in tried by guessing from many places, by enumeration, and by locking others out."""

import asyncio
from datetime import date, timedelta

import pytest
import pytest_asyncio

from api.errors import Broken
from api.http.auth.passwords import PasswordPool
from api.http.auth.rules import STRANGERS_FREE
from api.operating import forgetting
from tests.office import PASSWORD, Office, SetClock, client_of, log_in, serving

OFFICE_PC = "10.1.1.1"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest_asyncio.fixture
async def app(db, tmp_path, clock):
    """The app, with a chairman who logs in from his own machine, and a ward of colleagues behind one address."""
    office = Office(db.admin)
    for login in ("chutich", "an", "binh"):
        await office.officer(login)
    locked, closed = await office.officer("khoa"), await office.officer("dong")
    await db.admin.execute("UPDATE account SET state = 'locked' WHERE id = $1", locked)
    await db.admin.execute("UPDATE account SET state = 'closed' WHERE id = $1", closed)
    async with serving(db.dsn("app"), tmp_path, clock=clock) as (_, app):
        assert (await log_in(client_of(app, OFFICE_PC), "chutich")).status_code == 201
        yield app


async def guessed(app, login: str, source: str, password: str = "sai mat khau") -> dict:
    answer = await log_in(client_of(app, source), login, password)
    return {"status": answer.status_code, **answer.json()}


async def test_guesses_from_many_places_share_one_budget_and_the_owner_feels_nothing(app, clock):
    codes = [(await guessed(app, "chutich", f"198.51.100.{n}"))["code"] for n in range(STRANGERS_FREE + 10)]
    assert codes == ["wrong-login"] * STRANGERS_FREE + ["slowed-down"] * 10
    told = await log_in(client_of(app, "203.0.113.9"), "chutich")
    assert (told.status_code, told.json()["code"]) == (429, "slowed-down"), "not even with the right password"
    assert 0 < int(told.headers["retry-after"]) <= 61
    assert (await log_in(client_of(app, OFFICE_PC), "chutich")).status_code == 201, "the owner's machine is known"
    assert (await log_in(client_of(app, "198.51.100.7"), "an")).status_code == 201, "another account is another budget"
    clock.move(seconds=61)
    assert (await guessed(app, "chutich", "198.51.100.200"))["code"] == "wrong-login"
    assert (await guessed(app, "chutich", "198.51.100.201"))["code"] == "slowed-down", "one a minute, together"
    clock.move(seconds=61)
    assert (await log_in(client_of(app, "203.0.113.9"), "chutich")).status_code == 201, "slowed down, never locked out"


async def test_guesses_at_the_same_moment_are_counted_too(app):
    tries = await asyncio.gather(*(guessed(app, "chutich", f"198.51.100.{n}") for n in range(STRANGERS_FREE + 20)))
    codes = [told["code"] for told in tries]
    assert (codes.count("wrong-login"), codes.count("slowed-down")) == (STRANGERS_FREE, 20)


async def test_a_month_later_a_machine_is_a_stranger_again(app, clock):
    clock.move(days=31)
    for n in range(STRANGERS_FREE):
        await guessed(app, "chutich", f"198.51.100.{n}")
    assert (await log_in(client_of(app, OFFICE_PC), "chutich")).json()["code"] == "slowed-down"


async def test_nobody_locks_the_chairman_or_a_ward_out(app):
    for _ in range(8):
        await guessed(app, "chutich", "203.0.113.66")
    assert (await guessed(app, "chutich", "203.0.113.66", PASSWORD))["code"] == "locked-out"
    assert (await log_in(client_of(app, OFFICE_PC), "chutich")).status_code == 201
    ward = "203.0.113.1"
    for _ in range(8):
        await guessed(app, "an", ward)
    assert (await guessed(app, "an", ward, PASSWORD))["code"] == "locked-out"
    assert (await log_in(client_of(app, ward), "binh")).status_code == 201, "one address, one forgetful colleague"


async def test_no_account_is_found_out_by_words_status_or_work(app, monkeypatch):
    """Unknown, wrong, locked and closed: the same answer, headers and number of argon2 works, in every turn."""
    works = 0
    check = PasswordPool.check

    async def counted(self, argon2, password):
        nonlocal works
        works += 1
        return await check(self, argon2, password)

    monkeypatch.setattr(PasswordPool, "check", counted)
    told: dict[str, list] = {}
    for login in ("an", "khong-co-ai", "khoa", "dong"):
        told[login] = []
        for turn in range(STRANGERS_FREE + 4):
            before = works
            answer = await log_in(client_of(app, f"198.51.100.{turn % 6}"), login, "sai mat khau")
            body = {name: value for name, value in answer.json().items() if name != "reference"}
            headers = {name for name in answer.headers if name != "content-length"}
            told[login].append((answer.status_code, body, headers, works - before))
    first = told["an"]
    assert all(each == first for each in told.values())
    assert {turn[3] for turn in first if turn[0] == 401} == {1}
    assert {turn[3] for turn in first if turn[0] == 429} == {0}


async def test_old_attempts_are_forgotten_by_the_rule_and_never_what_lock_out_remembers(app, db, clock):
    async def tried(days: int) -> None:
        await db.admin.execute(
            "INSERT INTO login_attempt (login_fingerprint, source, succeeded, at) VALUES ('x', '10.9.9.9', true, $1)",
            clock() - timedelta(days=days),
        )

    async def ruled(days: int, valid_from: str) -> None:
        await db.admin.execute(
            "INSERT INTO legal_rule (key, value, legal_basis, checked, valid_from) VALUES ($1, $2, 'thử', true, $3)",
            forgetting.RULE, days, date.fromisoformat(valid_from),
        )  # fmt: skip

    async def left() -> list[int]:
        ages = await db.admin.fetch(
            "SELECT $1 - at AS age FROM login_attempt WHERE source = '10.9.9.9' ORDER BY id", clock()
        )
        return [row["age"].days for row in ages]

    for days in (200, 91, 89, 31, 29):
        await tried(days)
    worker = await db.pools("worker")
    with pytest.raises(Broken):
        await forgetting.forget_attempts(worker, clock())
    assert len(await left()) == 5, "without a rule nothing is forgotten"
    await ruled(90, "2026-01-01")
    assert await forgetting.forget_attempts(worker, clock()) == 2
    assert await left() == [89, 31, 29]
    await db.admin.execute("UPDATE legal_rule SET valid_to = '2026-06-01' WHERE key = $1", forgetting.RULE)
    await ruled(7, "2026-06-01")
    assert await forgetting.forget_attempts(worker, clock()) == 2
    assert await left() == [29], "a source stays known for thirty days, whatever the rule says"
    assert (await guessed(app, "chutich", "198.51.100.9"))["code"] == "wrong-login"
    assert (await log_in(client_of(app, OFFICE_PC), "chutich")).status_code == 201
