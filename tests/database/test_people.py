"""People over the real API and the signer's steps: nobody changes alone what signatures rest on, blocking is easy."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from cryptography.exceptions import InvalidTag
from pyotp.totp import TOTP

from api.embedded.province import data, rows
from api.jobs.runner import Runner
from api.people import changes, rules
from api.people.engine import judging
from api.signatures.engine.context import JUDGE, PREPARE
from api.signer import STEPS
from tests.authenticator import USER_PRESENT, Authenticator, base64url, unpadded
from tests.office import log_in, new_key
from tests.people_ground import (
    CHAIRMAN,
    PROVINCE,
    WARD_ADMINISTRATOR,
    Browser,
    login,
    new_post,
    passkey_answer,
    people,
)
from tests.signing_ground import ORIGIN, TOLD_ANEW
from tests.site import made, refused

RP_ID = "motcua.example"
WARD = next(str(rows.agency_id(p.agency)) for p in data.people() if p.slug == CHAIRMAN)
CENTRE = next(str(rows.agency_id(p.agency)) for p in data.people() if p.slug == "tiepnhan.kinhbac")
OTHER_WARD = next(str(rows.agency_id(p.agency)) for p in data.people() if p.slug == "chutich.bacgiang")


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    async with people(cluster, province, tmp_path_factory.mktemp("people")) as site:
        yield site


def opening(**more):
    post = new_post(CENTRE, "counter")
    return {"kind": "open_account", "agency_id": WARD, "login": login(), "display_name": "Nguyễn Thị Mới", "post": post,
            "legal_basis": "QĐ 01/QĐ-UBND", **more}  # fmt: skip


async def opened(site, **more) -> tuple[str, str]:
    """A new account that works: its id and log-in."""
    change = opening(**more)
    proposal = await site.agreed(change)
    assert proposal["state"] == "applied", proposal
    return proposal["made_id"], change["login"]


# --- accounts and passwords ---


async def test_an_account_is_opened_by_two_and_entered_by_its_own_password(site):
    change = opening(id_number="024199001234")
    name = change["login"]
    proposal = await site.propose(WARD_ADMINISTRATOR, change, queue=True)
    account_id = (await site.approve(PROVINCE[0], proposal, queue=True))["made_id"]
    admin = site.web[WARD_ADMINISTRATOR]
    line = next(a for a in made(await admin.get("/accounts?limit=200"))["items"] if a["id"] == account_id)
    assert (line["login"], line["state"], line["post_titles"]) == (name, "active", ["Công chức thử"])
    given = made(await admin.put(f"/accounts/{account_id}/password"))["password"]
    web = await site.enter(name, given)
    assert refused(await web.get("/desk/officer"), 403)["code"] == "password-change-required"
    assert made(await web.get("/session"))["login"] == name
    for bad, code in (
        ("matkhau-123456", "password-common"),
        (f"{name}-12", "password-name"),
        ("abababababab", "password-common"),
        (given, "password-same"),
    ):
        answer = await web.put("/session/password", json={"current": given, "new": bad})
        assert refused(answer, 422, 400)["code"] == code, bad
    own = "mèo đi tàu thủy lên mây"
    assert (await web.put("/session/password", json={"current": given, "new": own})).status_code == 204
    made(await web.get("/desk/officer"))
    assert (await log_in(web, name, given)).status_code == 401
    assert (await log_in(web, name, own)).status_code == 201


async def test_a_one_time_password_ends_after_a_day_and_a_reset_ends_every_session(site):
    account_id, name = await opened(site)
    admin = site.web[WARD_ADMINISTRATOR]
    first = made(await admin.put(f"/accounts/{account_id}/password"))["password"]
    web = await site.enter(name, first)
    second = made(await admin.put(f"/accounts/{account_id}/password"))["password"]
    assert refused(await web.get("/session"), 401)["code"] == "no-session"
    await site.ground.db.admin.execute(
        "UPDATE account_password SET one_time_until = now() - interval '1 s' WHERE account_id = $1", UUID(account_id)
    )
    assert refused(await log_in(web, name, second), 403)["code"] == "one-time-password-expired"
    kept = await site.ground.db.admin.fetchval(
        "SELECT count(*) FROM idempotency WHERE answer::text LIKE $1", f"%{second}%"
    )
    assert kept == 0


async def test_an_administrator_sees_and_touches_the_own_agency_only(site):
    mine = made(await site.web[WARD_ADMINISTRATOR].get("/accounts?limit=200"))["items"]
    assert {line["agency_id"] for line in mine} == {WARD}
    assert len(mine) >= 40
    foreign = site.account_id("chutich.bacgiang")
    web = site.web[WARD_ADMINISTRATOR]
    lost = {"reason": "thử", "since": "2026-01-01T00:00:00Z"}
    for answer in (
        await web.put(f"/accounts/{foreign}/password"),
        await web.post(f"/accounts/{foreign}/lock", json={"reason": "thử"}, headers=new_key()),
        await web.post(f"/accounts/{foreign}/lost", json=lost, headers=new_key()),
        await web.get(f"/accounts/{foreign}/signed?since=2026-01-01T00:00:00Z"),
    ):
        assert refused(answer, 404)["code"] == "account-not-found"
    wide = made(await site.web[PROVINCE[0]].get("/accounts?limit=200&after=quantri.a"))["items"]
    assert len({line["agency_id"] for line in wide}) > 1
    assert refused(await site.web[CHAIRMAN].get("/accounts"), 403)["code"] == "forbidden"


async def test_a_lock_is_one_step_and_unlocking_takes_two(site):
    account_id, name = await opened(site)
    admin = site.web[WARD_ADMINISTRATOR]
    given = made(await admin.put(f"/accounts/{account_id}/password"))["password"]
    web = await site.enter(name, given)
    blocked = made(await admin.post(f"/accounts/{account_id}/lock", json={"reason": "nghỉ việc"}, headers=new_key()))
    assert blocked["sessions_ended"] == 1
    assert refused(await web.get("/session"), 401)["code"] == "no-session"
    assert refused(await log_in(web, name, given), 403)["code"] == "account-locked"
    assert (await site.agreed({"kind": "unlock_account", "account_id": account_id, "reason": "đã rõ"}))[
        "state"
    ] == "applied"
    assert (await log_in(web, name, given)).status_code == 201
    closed = await site.agreed({"kind": "close_account", "account_id": account_id, "reason": "thôi việc"})
    assert closed["state"] == "applied"
    assert refused(await log_in(web, name, given), 401)["code"] == "wrong-login"
    again = await site.agreed({"kind": "unlock_account", "account_id": account_id, "reason": "nhầm"})
    assert (again["state"], again["why"]["code"]) == ("refused", "nothing-to-change")


# --- two persons ---


async def test_the_second_person_is_neither_the_proposer_nor_who_benefits_nor_anybody(site):
    account_id, name = await opened(site, post=new_post(WARD, "administrator", rank="administrator"))
    given = made(await site.web[WARD_ADMINISTRATOR].put(f"/accounts/{account_id}/password"))["password"]
    web = await site.enter(name, given)
    await web.put("/session/password", json={"current": given, "new": "sáu con ngựa ăn cỏ non"})
    about_me = await site.propose(
        WARD_ADMINISTRATOR, {"kind": "unlock_account", "account_id": account_id, "reason": "thử"}
    )
    body = {"digest": about_me["digest"], "code": "123456"}
    for who, client in ((WARD_ADMINISTRATOR, site.web[WARD_ADMINISTRATOR]), (name, web)):
        answer = await client.post(f"/proposals/{about_me['id']}/approval", json=body, headers=new_key())
        assert refused(answer, 403)["code"] == "not-a-second-person", who
    stranger = await site.enter("quantri.bacgiang")
    for answer in (
        await stranger.get(f"/proposals/{about_me['id']}"),
        await stranger.post(f"/proposals/{about_me['id']}/approval", json=body, headers=new_key()),
        await stranger.post(f"/proposals/{about_me['id']}/refusal", json={"reason": "thử"}, headers=new_key()),
    ):
        assert refused(answer, 404)["code"] == "proposal-not-found"
    # The head of the agency may be the second person.
    assert (await site.approve(CHAIRMAN, about_me))["state"] == "applied"


async def test_whoever_writes_rows_in_the_apis_place_is_refused_by_the_signer(site):
    """The same people with right codes, but the rules of two persons broken: straight into the tables, as `app`."""
    account_id, _ = await opened(site)
    change = {"kind": "close_account", "account_id": account_id, "reason": "thử thay người khác"}
    proposal = await site.propose(WARD_ADMINISTRATOR, change)
    app = await asyncpg.connect(site.ground.db.dsn("app"))
    for who, digest in (
        (WARD_ADMINISTRATOR, proposal["digest"]),  # the proposer again
        ("thuly.kinhbac", proposal["digest"]),  # nobody in charge
        ("quantri.bacgiang", proposal["digest"]),  # in charge elsewhere
        (PROVINCE[0], "00" * 32),  # fit, but shown something else
    ):
        person = next(p for p in data.people() if p.slug == who)
        answer_id = uuid4()
        await app.execute(
            "INSERT INTO factor_answer (id, purpose, proposal_id, account_id, post_id, kind, response, digest)"
            " VALUES ($1, 'approve', $2, $3, $4, 'totp', $5, $6)",
            answer_id, UUID(proposal["id"]), rows.account_id(person), rows.post_id(person),
            (await site.code(who)).encode(), bytes.fromhex(digest),
        )  # fmt: skip
        await judging.judge(site.ground.engine, None, {"answer": str(answer_id)})
        told = made(await site.web[WARD_ADMINISTRATOR].get(f"/proposals/{proposal['id']}"))
        assert told["state"] == "waiting", who
        assert told["voices"][-1]["accepted"] is False
    await app.close()
    assert (await site.approve(PROVINCE[0], proposal))["state"] == "applied"


async def test_a_wrong_code_ends_a_proposal_and_leaves_another_persons_waiting(site):
    account_id, _ = await opened(site)
    change = {"kind": "close_account", "account_id": account_id, "reason": "thử mã sai"}
    ended = await site.propose(WARD_ADMINISTRATOR, change, code="000000")
    assert (ended["state"], ended["why"]["code"]) == ("refused", "second-factor-wrong")
    proposal = await site.propose(WARD_ADMINISTRATOR, change)
    code = await site.code(PROVINCE[1])
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert (await site.approve(PROVINCE[1], proposal, code=wrong))["state"] == "waiting"
    used = await site.approve(PROVINCE[1], await site.propose(PROVINCE[0], {**change, "reason": "khác"}), code=code)
    assert used["state"] == "applied"
    replayed = await site.approve(PROVINCE[1], proposal, code=code)
    assert (replayed["state"], replayed["voices"][-1]["reason"]) == ("waiting", "replayed")


async def test_five_wrong_codes_rest_the_factor_for_proposals_as_for_signatures(site):
    account_id, _ = await opened(site)
    proposal = await site.propose(PROVINCE[0], {"kind": "close_account", "account_id": account_id, "reason": "đoán mã"})
    right = await site.code(CHAIRMAN)
    for guess in range(5):
        wrong = f"{(int(right) + 1 + guess) % 1_000_000:06d}"
        await site.approve(CHAIRMAN, proposal, code=wrong)
    resting = await site.approve(CHAIRMAN, proposal)
    assert (resting["state"], resting["voices"][-1]["reason"]) == ("waiting", "locked")
    initials, signatory, _ = await site.ground.submitted()
    await site.ground.sign("kynhay", initials)
    accepted = await site.ground.ask("chutich", signatory)
    await site.ground.work()
    assert await site.ground.details(accepted.ticket) == ["second-factor-locked"]
    await site.ground.db.admin.execute("UPDATE second_factor SET failures = 0, last_failure_at = NULL")


async def test_roles_of_the_whole_province_and_foreign_posts_are_the_provinces_to_give(site):
    for post in (new_post(WARD, "registrar"), new_post(OTHER_WARD, "counter")):
        body = {"change": opening(post=post), "code": "123456"}
        answer = await site.web[WARD_ADMINISTRATOR].post("/proposals", json=body, headers=new_key())
        assert refused(answer, 403)["code"] == "may-not-propose"
    proposal = await site.propose(PROVINCE[0], opening(post=new_post(WARD, "registrar")))
    body = {"digest": proposal["digest"], "code": "123456"}
    answer = await site.web[WARD_ADMINISTRATOR].post(
        f"/proposals/{proposal['id']}/approval", json=body, headers=new_key()
    )
    assert refused(answer, 403)["code"] == "not-a-second-person"
    assert (await site.approve(PROVINCE[1], proposal))["state"] == "applied"


async def test_a_proposal_is_refused_withdrawn_or_expires_and_is_never_applied_after(site):
    account_id, _ = await opened(site)
    change = {"kind": "close_account", "account_id": account_id, "reason": "thử từ chối"}
    for who in (PROVINCE[0], WARD_ADMINISTRATOR):
        proposal = await site.propose(WARD_ADMINISTRATOR, change)
        answer = await site.web[who].post(
            f"/proposals/{proposal['id']}/refusal", json={"reason": "thôi không làm"}, headers=new_key()
        )
        made(answer)
        await site.work()
        told = made(await site.web[who].get(f"/proposals/{proposal['id']}"))
        assert (told["state"], told["why"]["code"]) == ("refused", "declined")
        assert told["why"]["vi"] == "Bị từ chối: thôi không làm"
    proposal = await site.propose(WARD_ADMINISTRATOR, change)
    await site.ground.db.admin.execute(
        "UPDATE proposal SET created_at = created_at - $2::interval WHERE id = $1", UUID(proposal["id"]), rules.LIVES
    )
    await judging.upkeep(site.ground.engine)
    told = made(await site.web[PROVINCE[0]].get(f"/proposals/{proposal['id']}"))
    assert (told["state"], told["why"]["code"]) == ("expired", "expired")
    body = {"digest": proposal["digest"], "code": await site.code(PROVINCE[0])}
    answer = await site.web[PROVINCE[0]].post(f"/proposals/{proposal['id']}/approval", json=body, headers=new_key())
    assert refused(answer, 409)["code"] == "not-waiting"
    listed = made(await site.web[WARD_ADMINISTRATOR].get("/proposals?state=expired"))
    assert proposal["id"] in {line["id"] for line in listed}
    assert made(await (await site.enter("thuly.kinhbac")).get("/proposals")) == []


async def test_posts_and_rights_to_sign_are_given_and_taken_by_two(site):
    account_id, name = await opened(site)
    change = {"kind": "give_post", "account_id": account_id, "post": new_post(WARD, "signatory", title="Phó Chủ tịch"),
              "legal_basis": "QĐ 02/QĐ-UBND"}  # fmt: skip
    post_id = (await site.agreed(change))["made_id"]
    mandate = {"kind": "give_mandate", "account_id": account_id, "post_id": post_id, "capacity": "KT.",
               "acts": ["main_document"], "title_lines": ["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"], "legal_basis": "TB 03",
               "valid_from": "2026-01-01T00:00:00Z"}  # fmt: skip
    mandate_id = (await site.agreed(mandate))["made_id"]
    kept = await site.ground.db.admin.fetchrow("SELECT kind, agency_id FROM mandate WHERE id = $1", UUID(mandate_id))
    assert (kept["kind"], str(kept["agency_id"])) == ("assignment", WARD)
    unlawful = await site.agreed({**mandate, "capacity": "TUQ."})
    assert (unlawful["state"], unlawful["why"]["code"]) == ("refused", "mandate")
    ended = {"kind": "revoke_mandate", "account_id": account_id, "mandate_id": mandate_id, "reason": "đổi phân công"}
    assert (await site.agreed(ended))["state"] == "applied"
    assert await site.ground.db.admin.fetchval("SELECT revoked_at FROM mandate WHERE id = $1", UUID(mandate_id))
    assert (await site.agreed({"kind": "end_post", "account_id": account_id, "post_id": post_id, "reason": "thôi"}))[
        "state"
    ] == "applied"
    held = [a["post_ids"] for a in made(await site.web[WARD_ADMINISTRATOR].get("/accounts?limit=200"))["items"]
            if a["login"] == name]  # fmt: skip
    assert post_id not in held[0]


async def test_a_login_is_given_once_and_every_step_stands_in_the_audit(site):
    _, name = await opened(site)
    twice = await site.agreed(opening(login=name))
    assert (twice["state"], twice["why"]["code"]) == ("refused", "login-taken")
    told = await site.ground.db.admin.fetch(
        "SELECT process, action FROM audit WHERE subject_kind = 'proposal' AND subject_id = $1 ORDER BY id",
        UUID(twice["id"]),
    )
    assert [(row["process"], row["action"]) for row in told] == [
        ("api", "proposal.propose"), ("signer", "proposal.accepted"), ("api", "proposal.approve"),
        ("signer", "proposal.accepted"), ("signer", "proposal.refused"),
    ]  # fmt: skip
    viewed = await site.ground.db.admin.fetchval(
        "SELECT count(*) FROM view_log WHERE subject_id = $1", UUID(twice["id"])
    )
    assert viewed == 2


# --- factors ---


async def owner(site) -> tuple[str, str]:
    """A new officer inside, with a password of the own and no factor: account id and log-in."""
    account_id, name = await opened(site)
    given = made(await site.web[WARD_ADMINISTRATOR].put(f"/accounts/{account_id}/password"))["password"]
    web = await site.enter(name, given)
    await web.put("/session/password", json={"current": given, "new": "chín cây cầu bắc qua sông"})
    return account_id, name


def enrol(account_id: str, enrolment: dict, **more) -> dict:
    return {"kind": "enrol_factor", "account_id": account_id, "enrolment_id": enrolment["id"],
            "spoken_code": enrolment["spoken_code"], **more}  # fmt: skip


async def begun(site, name: str, **body) -> dict:
    return made(await site.web[name].post("/factors/enrolments", json=body, headers=new_key()))


async def confirm(site, name: str, enrolment_id: str, **factor) -> dict:
    made(await site.web[name].post(f"/factors/enrolments/{enrolment_id}/confirmation", json=factor, headers=new_key()))
    await site.work()
    return made(await site.web[name].get(f"/factors/enrolments/{enrolment_id}"))


async def test_a_totp_secret_is_opened_by_the_persons_browser_alone_and_counts_after_its_first_code(site):
    account_id, name = await owner(site)
    browser = Browser()
    enrolment = await begun(site, name, kind="totp", public_key=base64url(browser.point))
    mine = changes.spoken_code(UUID(enrolment["id"]), UUID(account_id), "totp", browser.point)
    assert enrolment["spoken_code"] == mine
    early = {"code": "123456"}
    answer = await site.web[name].post(
        f"/factors/enrolments/{enrolment['id']}/confirmation", json=early, headers=new_key()
    )
    assert refused(answer, 409)["code"] == "nothing-offered"
    assert (await site.agreed(enrol(account_id, enrolment)))["state"] == "applied"
    offered = made(await site.web[name].get(f"/factors/enrolments/{enrolment['id']}"))
    assert offered["state"] == "offered"
    secret = browser.open(enrolment["id"], offered["handed"])
    with pytest.raises(InvalidTag):  # another browser's key opens nothing
        Browser().open(enrolment["id"], offered["handed"])
    assert await _totp_of(site, account_id) is None
    code = _code(secret)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert (await confirm(site, name, enrolment["id"], code=wrong))["tries"] == 1
    assert (await confirm(site, name, enrolment["id"], code=code))["state"] == "enrolled"
    factor = await _totp_of(site, account_id)
    assert site.ground.province.factors.open("second-factor", factor["secret_sealed"]) == secret
    assert factor["last_counter"] > 0
    assert made(await site.web[name].get(f"/factors/enrolments/{enrolment['id']}"))["handed"] is None
    # A second one replaces the first: two persons again, of whom the owner may be the proposer.
    again = await begun(site, name, kind="totp", public_key=base64url(browser.point))
    await site.ground.db.admin.execute(
        "UPDATE second_factor SET last_counter = 0 WHERE account_id = $1", UUID(account_id)
    )
    proposal = await site.propose(name, enrol(account_id, again), code=_code(secret))
    assert (await site.approve(CHAIRMAN, proposal))["state"] == "applied"
    handed = made(await site.web[name].get(f"/factors/enrolments/{again['id']}"))["handed"]
    new_secret = browser.open(again["id"], handed)
    assert new_secret != secret
    assert (await confirm(site, name, again["id"], code=_code(new_secret)))["state"] == "enrolled"
    assert (await _totp_of(site, account_id))["id"] != factor["id"]


async def test_five_wrong_first_codes_end_an_enrolment(site):
    account_id, name = await owner(site)
    browser = Browser()
    enrolment = await begun(site, name, kind="totp", public_key=base64url(browser.point))
    await site.agreed(enrol(account_id, enrolment))
    handed = made(await site.web[name].get(f"/factors/enrolments/{enrolment['id']}"))["handed"]
    code = _code(browser.open(enrolment["id"], handed))
    for guess in range(rules.TRIES):
        wrong = f"{(int(code) + 1 + guess) % 1_000_000:06d}"
        told = await confirm(site, name, enrolment["id"], code=wrong)
    assert (told["state"], told["handed"]) == ("failed", None)
    answer = await site.web[name].post(
        f"/factors/enrolments/{enrolment['id']}/confirmation", json={"code": code}, headers=new_key()
    )
    assert refused(answer, 409)["code"] == "nothing-offered"
    assert await _totp_of(site, account_id) is None


async def test_an_intruders_key_in_the_table_is_not_what_the_person_read_out(site):
    """With the API's database role, an intruder enrols a key of the own for the chairman and waits to be approved."""
    victim = site.account_id(CHAIRMAN)
    enrolment = await begun(site, CHAIRMAN, kind="totp", public_key=base64url(Browser().point))
    planted, intruder = uuid4(), Browser()
    app = await asyncpg.connect(site.ground.db.dsn("app"))
    await app.execute("INSERT INTO enrolment (id, account_id, kind) VALUES ($1, $2, 'totp')", planted, UUID(victim))
    await app.execute(
        "INSERT INTO enrolment_material (enrolment_id, public_part) VALUES ($1, $2)", planted, intruder.point
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("UPDATE enrolment_material SET public_part = $1", intruder.point)
    change = enrol(victim, enrolment, enrolment_id=str(planted))
    body = {"change": change, "code": "123456"}
    answer = await site.web[WARD_ADMINISTRATOR].post("/proposals", json=body, headers=new_key())
    assert refused(answer, 422, 400)["code"] == "spoken-code-wrong"
    # The API's own check passed by: the signer still compares what was read out.
    raw = changes.to_bytes(changes.from_bytes(msgspec.json.encode(change)))
    proposal, digest = uuid4(), changes.digest_of(raw)
    await app.execute(
        "INSERT INTO proposal (id, kind, agency_id, subject_account_id, content_sealed, digest, proposed_by_account_id)"
        " VALUES ($1, 'enrol_factor', $2, $3, $4, $5, $6)",
        proposal, UUID(WARD), UUID(victim), site.ground.province.vault.seal("proposal", raw.decode()), digest,
        UUID(site.account_id(WARD_ADMINISTRATOR)),
    )  # fmt: skip
    for who, purpose in ((WARD_ADMINISTRATOR, "propose"), (PROVINCE[0], "approve")):
        person = next(p for p in data.people() if p.slug == who)
        answer_id = uuid4()
        await app.execute(
            "INSERT INTO factor_answer (id, purpose, proposal_id, account_id, post_id, kind, response, digest)"
            " VALUES ($1, $2, $3, $4, $5, 'totp', $6, $7)",
            answer_id, purpose, proposal, rows.account_id(person), rows.post_id(person),
            (await site.code(who)).encode(), digest,
        )  # fmt: skip
        await judging.judge(site.ground.engine, None, {"answer": str(answer_id)})
    await app.close()
    told = made(await site.web[PROVINCE[0]].get(f"/proposals/{proposal}"))
    assert (told["state"], told["why"]["code"]) == ("refused", "spoken-code-wrong")


async def registered(site, name: str, key: Authenticator, **fault) -> dict:
    """An enrolment of a passkey with what the browser made."""
    started = await begun(site, name, kind="passkey")
    challenge = fault.pop("challenge", None) or unpadded(started["challenge"])
    body = key.register(challenge, **fault)
    return made(await site.web[name].post(f"/factors/enrolments/{started['id']}/passkey", json=body, headers=new_key()))


async def test_a_passkey_is_enrolled_and_agrees_to_exactly_one_change(site):
    account_id, name = await owner(site)
    key = Authenticator(ORIGIN, RP_ID)
    enrolment = await registered(site, name, key)
    assert (await site.agreed(enrol(account_id, enrolment)))["state"] == "applied"
    told = made(await site.web[name].get(f"/factors/enrolments/{enrolment['id']}/challenge"))
    first = passkey_answer(told["nonce"], key.sign(unpadded(told["challenge"])))
    assert (await confirm(site, name, enrolment["id"], passkey=first))["state"] == "enrolled"
    told = made(await site.web[name].post("/signature-batches/challenge", json={"items": [
        {"request_id": str(uuid4()), "sha256": "ab" * 32}]}))  # fmt: skip
    assert [unpadded(one) for one in told["credential_ids"]] == [key.credential_id]
    # As a factor of a proposal: the own further factor, for instance.
    further = await registered(site, name, Authenticator(ORIGIN, RP_ID))
    change, other = enrol(account_id, further), enrol(account_id, enrolment)
    for shown, state in ((other, "refused"), (change, "waiting")):
        told = made(await site.web[name].post("/proposals/challenge", json={"change": shown}))
        answer = passkey_answer(told["nonce"], key.sign(unpadded(told["challenge"])))
        proposal = await site.propose(name, change, passkey=answer)
        assert proposal["state"] == state, proposal
    assert (await site.approve(CHAIRMAN, proposal))["state"] == "applied"


@pytest.mark.parametrize(
    "fault",
    [
        {"flags": USER_PRESENT},
        {"origin": "https://attacker.example"},
        {"rp_id": "attacker.example"},
        {"challenge": b"x" * 32},
    ],
    ids=["nobody verified", "another origin", "another relying party", "another challenge"],
)
async def test_a_passkey_made_wrongly_is_not_enrolled(site, fault):
    account_id = site.account_id(CHAIRMAN)
    enrolment = await registered(site, CHAIRMAN, Authenticator(ORIGIN, RP_ID), **fault)
    ended = await site.agreed(enrol(account_id, enrolment))
    assert (ended["state"], ended["why"]["code"]) == ("refused", "passkey-invalid")


async def test_a_lost_telephone_is_one_step(site):
    """Factor blocked, other sessions ended, what was asked and unsigned back on the list, all signed since listed."""
    ground = site.ground
    before = datetime.now(UTC) - timedelta(minutes=1)
    signed, waiting, unjudged = [(await ground.submitted(text))[0] for text in ("mot", "hai", "ba")]
    assert await ground.sign("kynhay", signed) == ["recorded"]
    person = "kynhay.kinhbac"
    elsewhere, mine = await site.enter(person), await site.enter(person)
    late = await ground.ask("kynhay", unjudged)
    body = {"reason": "mất điện thoại trên xe buýt", "since": before.isoformat()}
    told = made(await mine.post("/factors/lost", json=body, headers=new_key()))
    assert told["sessions_ended"] >= 1
    assert [UUID(one) for one in told["stopped_requests"]] == [unjudged]
    assert signed in [UUID(line["id"]) for line in told["signed"]]
    assert made(await mine.get(f"/factors/signed?since={before.isoformat().replace('+', '%2B')}"))
    assert refused(await elsewhere.get("/session"), 401)["code"] == "no-session"
    await ground.work()
    assert await ground.details(late.ticket) == ["second-factor-blocked"]
    again = await ground.ask("kynhay", waiting)
    await ground.work()
    assert await ground.details(again.ticket) == ["second-factor-blocked"]
    assert await ground.states(waiting, unjudged) == ["to_sign", "to_sign"]
    # A new factor takes two persons; the old one stays blocked for ever.
    browser = Browser()
    enrolment = await begun(site, person, kind="totp", public_key=base64url(browser.point))
    assert (await site.agreed(enrol(site.account_id(person), enrolment)))["state"] == "applied"
    handed = made(await mine.get(f"/factors/enrolments/{enrolment['id']}"))["handed"]
    code = _code(browser.open(enrolment["id"], handed))
    assert (await confirm(site, person, enrolment["id"], code=code))["state"] == "enrolled"
    await ground.db.admin.execute("UPDATE second_factor SET last_counter = 0 WHERE revoked_at IS NULL")
    accepted = await ground.ask("kynhay", waiting, code=_code(browser.open(enrolment["id"], handed)))
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]


async def test_what_was_asked_before_a_loss_leaves_no_hash_after_it(site):
    ground = site.ground
    _, signatory, _ = await ground.submitted("tu")
    # The initials before it are not this test's matter.
    await ground.db.admin.execute("SET session_replication_role = replica")
    await ground.db.admin.execute(
        "UPDATE signature_request SET state = 'recorded', recorded_at = now(), batch_id = gen_random_uuid()"
        " WHERE role = 'initials' AND state = 'to_sign'"
    )
    await ground.db.admin.execute("SET session_replication_role = origin")
    await ground.db.admin.execute(TOLD_ANEW)
    accepted = await ground.ask("chutich", signatory)
    steps = {kind: partial(STEPS[kind], ground.engine) for kind in (JUDGE, PREPARE)}
    await Runner(ground.db.dsn("signer"), steps).drain()
    assert await ground.states(signatory) == ["prepared"]
    body = {"reason": "mất khóa", "since": "2026-01-01T00:00:00Z"}
    path = f"/accounts/{site.account_id(CHAIRMAN)}/lost"
    key = new_key()
    told = made(await site.web[WARD_ADMINISTRATOR].post(path, json=body, headers=key))
    assert [UUID(one) for one in told["stopped_requests"]] == [signatory]
    assert made(await site.web[WARD_ADMINISTRATOR].post(path, json=body, headers=key)) == told
    await ground.work()
    assert await ground.details(accepted.ticket) == ["factor-blocked"]
    assert await ground.states(signatory) == ["to_sign"]
    used = await ground.db.admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", signatory)
    assert used == 0


def _code(secret: str) -> str:
    return TOTP(secret).at(datetime.now(UTC))


async def _totp_of(site, account_id: str):
    return await site.ground.db.admin.fetchrow(
        "SELECT id, secret_sealed, last_counter FROM second_factor WHERE account_id = $1 AND revoked_at IS NULL",
        UUID(account_id),
    )
