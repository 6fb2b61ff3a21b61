"""Certificates are bound and unbound by two persons over the real API, and the signer sees for itself what they are."""

import dataclasses
import shutil
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyotp.totp import TOTP

from api.embedded.pki import CertificateWanted, lay_pki
from api.embedded.province import certificates_wanted, data, rows
from api.kernel import new_id, system_clock
from api.people import changes
from api.people.engine import judging
from signing.errors import HolderUnavailable
from signing.keys.software import SoftwareHolder
from tests.authenticator import base64url
from tests.office import new_key
from tests.people_ground import CHAIRMAN, PROVINCE, WARD_ADMINISTRATOR, people
from tests.site import made, refused

CHAIR = next(p for p in data.people() if p.slug == CHAIRMAN)
WARD = str(rows.agency_id(CHAIR.agency))
COMMITTEE = next(wanted for wanted in certificates_wanted() if wanted.id == f"seal.{CHAIR.committee}")
NEW = (
    CertificateWanted(id="again", common_name=CHAIR.name, organisation=COMMITTEE.organisation, owner="024085007654"),
    CertificateWanted(id="other", common_name="Trần Văn Khác", organisation=COMMITTEE.organisation, owner="other"),
    CertificateWanted(id="seal.new", common_name=COMMITTEE.organisation, organisation=COMMITTEE.organisation,
                      kind="seal", owner="0101"),
    CertificateWanted(id="seal.far", common_name="Ủy ban nhân dân xã Nơi Khác", organisation="Nơi Khác", kind="seal"),
)  # fmt: skip


class Silent(SoftwareHolder):
    """A key holder that is down."""

    async def list_certificates(self, owner):
        raise HolderUnavailable("không trả lời", f"no answer about {owner}")


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    room = tmp_path_factory.mktemp("certificates")
    pki, far = room / "pki", room / "far"
    shutil.copytree(province.pki, pki)
    lay_pki(pki, NEW, at=system_clock(), demo=True)
    lay_pki(far, NEW[:1], at=system_clock(), demo=True)
    async with people(cluster, province, room) as site:
        site.pki, site.far = pki, far
        holders = {
            "software": SoftwareHolder(pki, production=False),
            "far": SoftwareHolder(far, production=False),
            "down": Silent(pki, production=False),
        }
        site.ground.engine = dataclasses.replace(site.ground.engine, holders=holders)
        yield site


def der(place, name: str) -> bytes:
    return x509.load_pem_x509_certificate((place / f"{name}.pem").read_bytes()).public_bytes(Encoding.DER)


def binding(site, name: str = "again", owner: str = "024085007654", place=None, **more) -> dict:
    image = (site.pki / f"{name}.png").read_bytes()
    return {"kind": "bind_certificate", "account_id": site.account_id(CHAIRMAN), "holder": "software", "owner": owner,
            "certificate": base64url(der(place or site.pki, name)), "image_png": base64url(image), **more}  # fmt: skip


def sealing(site, name: str = "seal.new", owner: str = "0101") -> dict:
    change = binding(site, name, owner)
    del change["account_id"]
    return {**change, "kind": "bind_seal", "agency_id": WARD}


async def serial_used(site) -> str | None:
    """The certificate with which the chairman's latest signature was made."""
    return await site.ground.db.admin.fetchval(
        "SELECT certificate_serial FROM signature_request WHERE role = 'signatory' AND state = 'recorded'"
        " ORDER BY id DESC LIMIT 1"
    )


async def waits_for_the_chairman(site) -> UUID:
    """A request that names the chairman, its initials given."""
    initials, signatory, _ = await site.ground.submitted()
    assert await site.ground.sign("kynhay", initials) == ["recorded"]
    return signatory


async def signed_by_the_chairman(site, signatory: UUID) -> list[str | None]:
    accepted = await site.ground.ask("chutich", signatory)
    await site.ground.work()
    [outcome] = await site.ground.outcomes(accepted.ticket)
    return [outcome, *await site.ground.details(accepted.ticket)]


async def test_what_the_apis_password_inserts_signs_nothing_and_what_two_agreed_to_does(site):
    admin, waiting = site.ground.db.admin, await waits_for_the_chairman(site)
    await admin.execute(
        "UPDATE certificate SET revoked_at = now() WHERE person_id = (SELECT person_id FROM account WHERE id = $1)",
        UUID(site.account_id(CHAIRMAN)),
    )
    app = await asyncpg.connect(site.ground.db.dsn("app"))
    for statement in (
        "INSERT INTO certificate SELECT * FROM certificate",
        "UPDATE certificate SET revoked_at = NULL",
        "INSERT INTO proposal (kind, agency_id, content_sealed, digest, proposed_by_account_id, state)"
        " SELECT 'bind_certificate', agency_id, 'x', sha256('x'), id, 'applied' FROM account LIMIT 1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)
    # The whole way of a proposal as rows, sealed with the API's own key: only the factors are not the persons'.
    raw = changes.to_bytes(changes.from_bytes(msgspec.json.encode(binding(site))))
    digest, proposal_id = changes.digest_of(raw), new_id(system_clock())
    await app.execute(
        "INSERT INTO proposal (id, kind, agency_id, subject_account_id, content_sealed, digest, proposed_by_account_id)"
        " VALUES ($1, 'bind_certificate', $2, $3, $4, $5, $6)",
        proposal_id, UUID(WARD), UUID(site.account_id(CHAIRMAN)),
        site.ground.province.vault.seal(changes.SEALED, raw.decode()), digest,
        UUID(site.account_id(WARD_ADMINISTRATOR)),
    )  # fmt: skip
    insider = TOTP(site.ground.province.accounts.of("thuly.kinhbac").totp_secret).now()
    for who, purpose in ((WARD_ADMINISTRATOR, "propose"), (PROVINCE[0], "approve"), ("thuly.kinhbac", "approve")):
        person, answer_id = next(p for p in data.people() if p.slug == who), uuid4()
        await app.execute(
            "INSERT INTO factor_answer (id, purpose, proposal_id, account_id, post_id, kind, response, digest)"
            " VALUES ($1, $2, $3, $4, $5, 'totp', $6, $7)",
            answer_id, purpose, proposal_id, rows.account_id(person), rows.post_id(person), insider.encode(), digest,
        )  # fmt: skip
        await judging.judge(site.ground.engine, None, {"answer": str(answer_id)})
    await app.close()
    assert await admin.fetchval("SELECT state FROM proposal WHERE id = $1", proposal_id) == "refused"
    assert await signed_by_the_chairman(site, waiting) == ["failed", "no-certificate"]

    proposal = await site.agreed(binding(site))
    assert proposal["state"] == "applied", proposal
    assert await signed_by_the_chairman(site, waiting) == ["recorded", None]
    assert await serial_used(site) == f"{x509.load_der_x509_certificate(der(site.pki, 'again')).serial_number:x}"
    row = await admin.fetchrow("SELECT * FROM certificate WHERE id = $1", UUID(proposal["made_id"]))
    assert (row["class"], row["mechanism"], row["credential_id"]) == ("demo", "ecdsa", "again")
    assert row["named_agency_id"] == rows.agency_id(CHAIR.committee)
    assert site.ground.province.vault.open("holder-owner", row["owner_sealed"]) == "024085007654"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": "other", "owner": "other"}, "certificate-name"),
        ({"owner": "somebody.else"}, "certificate-not-held"),
        ({"holder": "nowhere"}, "holder-unknown"),
        ({"image_png": base64url(b"GIF89a, more or less")}, "not-signable"),
    ],
)
async def test_what_the_certificate_or_its_holder_contradicts_is_not_bound(site, changed, code):
    before = await site.ground.db.admin.fetchval("SELECT count(*) FROM certificate")
    proposal = await site.propose(WARD_ADMINISTRATOR, binding(site, **changed))
    if proposal["state"] == "waiting":  # the name is compared when it is applied
        proposal = await site.approve(PROVINCE[0], proposal)
    assert (proposal["state"], proposal["why"]["code"]) == ("refused", code)
    assert await site.ground.db.admin.fetchval("SELECT count(*) FROM certificate") == before


async def test_a_holder_with_an_authority_of_its_own_is_not_believed(site):
    change = binding(site, place=site.far, holder="far")
    proposal = await site.propose(WARD_ADMINISTRATOR, change)
    assert (proposal["state"], proposal["why"]["code"]) == ("refused", "certificate-unfit")


async def test_a_holder_that_is_down_costs_neither_the_proposal_nor_the_code(site):
    down = await site.propose(WARD_ADMINISTRATOR, binding(site, holder="down"))
    assert (down["state"], down["why"]["code"]) == ("refused", "holder-unreachable")
    proposal = await site.propose(WARD_ADMINISTRATOR, sealing(site))
    up, engine = site.ground.engine.holders, site.ground.engine
    site.ground.engine = dataclasses.replace(engine, holders={"software": up["down"]})
    code = await site.code(PROVINCE[0])
    waiting = await site.approve(PROVINCE[0], proposal, code=code)
    assert (waiting["state"], waiting["voices"][-1]["reason"]) == ("waiting", "holder-unreachable")
    site.ground.engine = engine
    assert (await site.approve(PROVINCE[0], proposal, code=code))["state"] == "applied"
    mine = made(await site.web[CHAIRMAN].get("/certificates"))
    [line] = [line for line in mine if line["id"] == (await made_by(site, proposal))]
    assert (line["agency_id"], line["account_id"], line["holder"]) == (WARD, None, "software")
    far = await site.agreed(sealing(site, "seal.far", "seal.far"))
    assert (far["state"], far["why"]["code"]) == ("refused", "certificate-name")


async def made_by(site, proposal: dict) -> str:
    return made(await site.web[WARD_ADMINISTRATOR].get(f"/proposals/{proposal['id']}"))["made_id"]


async def test_an_unbound_certificate_never_comes_back_and_its_owner_is_told(site):
    admin, chairman, waiting = site.ground.db.admin, site.web[CHAIRMAN], await waits_for_the_chairman(site)
    mine = made(await chairman.get("/certificates"))
    bound = next(c for c in mine if c["account_id"] == site.account_id(CHAIRMAN) and not c["revoked_at"])
    change = {"kind": "unbind_certificate", "account_id": site.account_id(CHAIRMAN), "certificate_id": bound["id"],
              "reason": "mất thẻ"}  # fmt: skip
    own = {**change, "account_id": site.account_id("thuly.kinhbac")}
    assert (await site.agreed(own))["why"]["code"] == "nothing-to-change"
    assert (await site.agreed(change))["state"] == "applied"
    assert await signed_by_the_chairman(site, waiting) == ["failed", "no-certificate"]
    again = await site.agreed(binding(site))
    assert (again["state"], again["why"]["code"]) == ("refused", "certificate-known")
    told = made(await chairman.get("/session"))["changes"]
    assert [line["kind"] for line in told] == ["unbind_certificate", "bind_certificate"]
    assert made(await chairman.get(f"/proposals/{told[0]['proposal_id']}"))["change"]["reason"] == "mất thẻ"
    actions = await admin.fetch("SELECT action, detail FROM audit WHERE action LIKE 'certificate.%' ORDER BY id")
    assert [row["action"] for row in actions][-1] == "certificate.unbound"
    assert {row["detail"]["serial"] for row in actions} >= {bound["serial"]}


async def test_certificates_are_told_to_whom_they_concern(site):
    ward = made(await site.web[WARD_ADMINISTRATOR].get("/certificates?limit=200"))
    assert {line["agency_id"] for line in ward} == {None, WARD}
    officer = await site.enter("thuly.kinhbac")
    assert {line["account_id"] for line in made(await officer.get("/certificates"))} <= {
        site.account_id("thuly.kinhbac")
    }
    stranger = await site.enter("quantri.bacgiang")
    assert not {line["id"] for line in ward} & {line["id"] for line in made(await stranger.get("/certificates"))}
    propose = {"change": binding(site), "code": "123456"}
    assert refused(await stranger.post("/proposals", json=propose, headers=new_key()), 403)["code"] == "may-not-propose"
