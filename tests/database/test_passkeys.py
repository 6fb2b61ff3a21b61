"""A passkey as the second factor of an ask: good for exactly what was shown, once, here, by this person."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from api.kernel import new_id
from api.signatures import asking, stepup
from api.signatures.contract import AskChallenge, AskItem, PasskeyAnswer
from tests.authenticator import USER_PRESENT, Authenticator, unpadded
from tests.dossier_ground import copied
from tests.signing_ground import ORIGIN, TOLD_ANEW, Ground

RP_ID = "motcua.example"


@pytest_asyncio.fixture(scope="module")
async def ground(cluster, province):
    async with copied(cluster, province.database) as database:
        ground = await Ground(database, province).open()
        yield ground
        await ground.close()


async def enrolled(ground, who: str = "kynhay", **how) -> Authenticator:
    """An authenticator whose passkey the account has, laid as the signer would."""
    made = Authenticator(ORIGIN, RP_ID, **how)
    await ground.db.admin.execute(
        "INSERT INTO passkey (account_id, credential_id, public_key, sign_count) VALUES ($1, $2, $3, 0)",
        ground.actor(who).account_id,
        made.credential_id,
        made.public_key,
    )
    return made


async def challenged(ground, who: str, *request_ids: UUID) -> tuple[UUID, bytes]:
    """The nonce and challenge for having exactly these signed."""
    items = [AskItem(request_id=one, sha256=await ground.shown(one)) for one in request_ids]
    async with ground.app.reading() as tx:
        told = await asking.challenge(tx, ground.actor(who), AskChallenge(items=items), at=ground.clock())
    return told.nonce, unpadded(told.challenge)


def answer(nonce: UUID, assertion: dict) -> PasskeyAnswer:
    return msgspec.convert({"nonce": nonce, "assertion": assertion}, PasskeyAnswer)


async def refused_as(ground, who: str, request: UUID, offered: PasskeyAnswer) -> str:
    """Ask with this answer; nothing may be signed, and the reason comes back."""
    accepted = await ground.ask(who, request, passkey=offered)
    await ground.work()
    assert await ground.states(request) == ["to_sign"]
    (code,) = await ground.details(accepted.ticket)
    return code.removeprefix("second-factor-")


@pytest.mark.parametrize("counts", [True, False])
async def test_a_passkey_has_exactly_what_was_shown_signed(ground, counts):
    first, second = (await ground.submitted("mot"))[0], (await ground.submitted("hai"))[0]
    key = await enrolled(ground, counts=counts)
    for request in (first, second):
        nonce, challenge = await challenged(ground, "kynhay", request)
        accepted = await ground.ask("kynhay", request, passkey=answer(nonce, key.sign(challenge)))
        await ground.work()
        assert await ground.outcomes(accepted.ticket) == ["recorded"]


async def test_documents_swapped_after_the_gesture_are_not_signed(ground):
    shown, swapped = (await ground.submitted("mot"))[0], (await ground.submitted("hai"))[0]
    key = await enrolled(ground)
    nonce, challenge = await challenged(ground, "kynhay", shown)
    assert await refused_as(ground, "kynhay", swapped, answer(nonce, key.sign(challenge))) == "other"
    # Also one that merely stands beside what was shown.
    nonce, challenge = await challenged(ground, "kynhay", shown)
    accepted = await ground.ask("kynhay", shown, swapped, passkey=answer(nonce, key.sign(challenge)))
    await ground.work()
    assert await ground.details(accepted.ticket) == ["second-factor-other"] * 2


@pytest.mark.parametrize("counts", [True, False])
async def test_an_assertion_is_good_once(ground, counts):
    request, *_ = await ground.submitted()
    key = await enrolled(ground, counts=counts)
    nonce, challenge = await challenged(ground, "kynhay", request)
    offered = answer(nonce, key.sign(challenge))
    await ground.db.admin.execute("UPDATE post_holding SET valid_to = now() - interval '1 s' WHERE person_id = $1",
                                  ground.actor("kynhay").person_id)  # fmt: skip
    assert await refused_as(ground, "kynhay", request, offered) == "account-without-post"
    await ground.db.admin.execute("UPDATE post_holding SET valid_to = NULL WHERE person_id = $1",
                                  ground.actor("kynhay").person_id)  # fmt: skip
    accepted = await ground.ask("kynhay", request, passkey=offered)
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    # The request waits again, with the same digest: what was used for it before says nothing now.
    await ground.db.admin.execute("SET session_replication_role = replica")
    await ground.db.admin.execute(
        "UPDATE signature_request SET state = 'to_sign', recorded_at = NULL, recorded_sha256 = NULL WHERE id = $1",
        request,
    )
    await ground.db.admin.execute("SET session_replication_role = origin")
    await ground.db.admin.execute(TOLD_ANEW)
    assert await refused_as(ground, "kynhay", request, offered) == ("cloned" if counts else "replayed")


FAULTY = {
    "another origin": ({"origin": "https://motcua.example.attacker"}, "wrong"),
    "the origin without its port": ({"origin": "https://motcua.example:444"}, "wrong"),
    "another relying party": ({"rp_id": "attacker.example"}, "wrong"),
    "nobody was verified": ({"flags": USER_PRESENT}, "wrong"),
    "nobody was there": ({"flags": 0x04}, "wrong"),
    "a registration": ({"kind": "webauthn.create"}, "wrong"),
    "a counter gone back": ({"counter": 6}, "cloned"),
    "a counter standing still": ({"counter": 7}, "cloned"),
}


async def test_an_assertion_that_is_wrong_signs_nothing_and_five_rest_the_key(ground):
    request, *_ = await ground.submitted()
    for fault, reason in FAULTY.values():
        key = await enrolled(ground)
        await ground.db.admin.execute("UPDATE passkey SET sign_count = 7 WHERE credential_id = $1", key.credential_id)
        key.counter = 7
        nonce, challenge = await challenged(ground, "kynhay", request)
        assert await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge, **fault))) == reason, fault
    # The last key has failed once; four more rest it, and then a right one is refused as well.
    for _ in range(4):
        nonce, challenge = await challenged(ground, "kynhay", request)
        await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge, flags=USER_PRESENT)))
    nonce, challenge = await challenged(ground, "kynhay", request)
    assert await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge))) == "locked"


async def test_garbage_and_a_foreign_signature_sign_nothing(ground):
    request, *_ = await ground.submitted()
    key, other = await enrolled(ground), Authenticator(ORIGIN, RP_ID)
    nonce, challenge = await challenged(ground, "kynhay", request)
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        assertion = key.sign(challenge)
        assertion["response"][part] = "AAAA"
        assert await refused_as(ground, "kynhay", request, answer(nonce, assertion)) == "wrong"
    forged = other.sign(challenge) | {"id": key.sign(challenge)["id"]}
    assert await refused_as(ground, "kynhay", request, answer(nonce, forged)) == "wrong"
    unknown = other.sign(challenge)
    assert await refused_as(ground, "kynhay", request, answer(nonce, unknown)) == "missing"


async def test_what_the_api_puts_in_as_an_answer_cannot_break_the_signer(ground):
    request, *_ = await ground.submitted()
    for raw in (b"", b"\xff", b"{}", b'{"nonce": 1}', b"[" * 4000):
        offered = msgspec.convert(
            {"nonce": new_id(ground.clock()), "assertion": Authenticator(ORIGIN, RP_ID).sign(b"x")}, PasskeyAnswer
        )
        accepted = await ground.ask("kynhay", request, passkey=offered)
        await ground.db.admin.execute("UPDATE step_up SET response = $2 WHERE batch_id = $1", accepted.ticket, raw)
        await ground.work()
        assert await ground.details(accepted.ticket) == ["second-factor-wrong"]


async def test_another_persons_passkey_signs_nothing(ground):
    request, *_ = await ground.submitted()
    key = await enrolled(ground, "chutich")
    nonce, challenge = await challenged(ground, "kynhay", request)
    assert await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge))) == "missing"


async def test_a_confirmation_is_good_for_five_minutes_and_for_signing_alone(ground):
    request, *_ = await ground.submitted()
    key, actor = await enrolled(ground), ground.actor("kynhay")
    digest = stepup.digest_of([bytes.fromhex(await ground.shown(request))])
    for age in (timedelta(minutes=6), timedelta(minutes=-6)):
        nonce = new_id(datetime.now(UTC) - age)
        challenge = stepup.challenge("signature", actor.account_id, nonce, digest)
        assert await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge))) == "stale"
    nonce = new_id(datetime.now(UTC))
    for challenge in (
        stepup.challenge("proposal", actor.account_id, nonce, digest),
        stepup.challenge("signature", ground.actor("chutich").account_id, nonce, digest),
    ):
        assert await refused_as(ground, "kynhay", request, answer(nonce, key.sign(challenge))) == "other"


async def test_the_signer_ends_an_authorisation_at_the_midnight_after_the_ask(ground):
    """The API writes until when; a row that says next year is cut, one that says less is kept."""
    (one, *_), (two, *_) = await ground.submitted("mot"), await ground.submitted("hai")
    for request, wanted, kept in ((one, timedelta(days=365), False), (two, timedelta(minutes=1), True)):
        accepted = await ground.ask("kynhay", request)
        until = datetime.now(UTC) + wanted
        await ground.db.admin.execute(
            "UPDATE signature_batch SET authorised_until = $2 WHERE id = $1", accepted.ticket, until
        )
        await ground.work()
        row = await ground.db.admin.fetchrow(
            "SELECT asked_at, authorised_until FROM signature_batch WHERE id = $1", accepted.ticket
        )
        midnight = asking.cutting.authorised_until(row["asked_at"])
        assert row["authorised_until"] == (until if kept else midnight)
        assert midnight - row["asked_at"] <= timedelta(days=1)
