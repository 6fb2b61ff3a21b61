"""The levels above B-B, made with real authorities and judged by others: pyHanko's engine, poppler, openssl."""

import asyncio
import logging
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pikepdf
import pytest
from asn1crypto import tsp, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.validation import async_validate_pdf_signature, async_validate_pdf_timestamp
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

import signing
from signing.errors import EvidenceUnavailable, OutputInvalid
from signing.levels import LEVELS, Evidence, FinishStampOrder, StampOrder
from signing.raising import Order, raise_level
from signing.trust import tokens
from tests import stamping_ground as ground
from tests.paper import apart, lay, openssl_accepts, page, pdfsig_valid, run, split

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)


@pytest.fixture
async def made(tmp_path):
    async with ground.outside(tmp_path) as authorities:
        yield authorities


@pytest.fixture
async def sealed(made, tmp_path) -> Path:
    return await asyncio.to_thread(ground.signed_and_sealed, made, tmp_path)


async def verified(made, path: Path, at: datetime | None = None, known: Evidence | None = None):
    return await asyncio.to_thread(
        signing.verify, str(path), ground.trust(made), at=at or datetime.now(UTC), known=known
    )


async def judged_by_others(made, path: Path, room: Path) -> dict[str, int]:
    """Have openssl judge every container, and poppler the signatures; returns how many of each were found good."""
    room.mkdir()
    root, found = made.keys / "root.pem", {"cades": 0, "timestamps": 0}
    for container, content in split(path, room):
        if openssl_accepts(container, content, room, root, datetime.now(UTC)):
            found["cades"] += 1
            continue
        done = run(
            "openssl", "ts", "-verify", "-data", content, "-in", container, "-token_in", "-CAfile", root,
            "-untrusted", made.keys / "tsa.pem",
        )  # fmt: skip
        found["timestamps"] += "Verification: OK" in done.stdout + done.stderr
    return {**found, "pdfsig": pdfsig_valid(path)}


async def test_every_level_is_reached_and_judged_by_others(made, sealed, tmp_path, capsys):
    """Both signatures rise together, by appended revisions alone; what the others say is printed."""
    before, said = sealed.read_bytes(), {}
    said["b-b"] = await asyncio.to_thread(lambda: asyncio.run(judged_by_others(made, sealed, tmp_path / "split-b-b")))
    assert said["b-b"] == {"cades": 2, "timestamps": 0, "pdfsig": 2}
    for level, stamps in (("b-t", 1), ("b-lt", 1), ("b-lta", 1)):
        done = await ground.raised(made, tmp_path, sealed, f"{level}.pdf", level)
        assert done.standing.level == level
        assert done.verdict.ok
        assert [one.kind for one in done.verdict.signatures] == ["signatory", "seal", "timestamp"]
        path = tmp_path / f"{level}.pdf"
        assert path.read_bytes().startswith(before)
        said[level] = await asyncio.to_thread(
            lambda path=path, level=level: asyncio.run(judged_by_others(made, path, tmp_path / f"split-{level}"))
        )
        assert said[level] == {"cades": 2, "timestamps": stamps, "pdfsig": 2}
        with pikepdf.open(path) as document:
            assert ("/DSS" in document.Root) == (level != "b-t")
    with capsys.disabled():
        for level, found in said.items():
            sys.stdout.write(
                f"\n{level}: pdfsig {found['pdfsig']} valid, openssl cms -verify -cades {found['cades']},"
                f" openssl ts -verify {found['timestamps']}"
            )
    assert await ground.raised(made, tmp_path, tmp_path / "b-lta.pdf", "again.pdf", "b-lt") is None


async def test_a_file_climbs_from_each_level_to_the_next(made, sealed, tmp_path):
    at = sealed
    for level in LEVELS[1:]:
        done = await ground.raised(made, tmp_path, at, f"{level}.pdf", level)
        at = tmp_path / f"{level}.pdf"
        assert done.standing.level == level
        told = await asyncio.to_thread(signing.stand, str(at), ground.trust(made), at=datetime.now(UTC))
        assert told == done.standing


async def test_an_archived_file_proves_itself_offline_to_plain_pyhanko_and_can_be_renewed(made, sealed, tmp_path):
    """Nothing but the file and the anchor, every certificate shown to be good as of the oldest timestamp.

    pyHanko's `ades_lta_validation` is not asked: it wants a timestamp inside each signature (0.38), where ETSI
    EN 319 142-1 leaves the choice.
    """
    first = await ground.raised(made, tmp_path, sealed, "first.pdf", "b-lta")
    second = await ground.raised(made, tmp_path, tmp_path / "first.pdf", "second.pdf", "b-lta", renew=True)
    assert second.standing.level == "b-lta"
    assert second.standing.proven_at == first.standing.proven_at
    assert second.size > first.size
    for name, stamps in (("first.pdf", 1), ("second.pdf", 2)):
        with (tmp_path / name).open("rb") as stream:
            reader = PdfFileReader(stream)
            held = DocumentSecurityStore.read_dss(reader)
            told = {
                "ocsps": [one.get_object().data for one in held.ocsps],
                "crls": [c.get_object().data for c in held.crls],
            }

            def offline(at, held=held, told=told):
                return ValidationContext(
                    trust_roots=[x509.Certificate.load(made.der("root"))], other_certs=list(held.load_certs()),
                    moment=at, revocation_mode="require", retroactive_revinfo=True, **told,
                )  # fmt: skip

            timestamps = reader.embedded_timestamp_signatures
            assert len(timestamps) == stamps
            said = [await async_validate_pdf_timestamp(one, offline(datetime.now(UTC))) for one in timestamps]
            assert all(one.valid and one.intact and one.trusted for one in said)
            for one in reader.embedded_regular_signatures:
                status = await async_validate_pdf_signature(one, offline(said[0].timestamp))
                assert status.bottom_line, status.summary()


async def test_a_timestamp_inside_a_foreign_signature_gets_its_evidence_too(made, tmp_path):
    """pyHanko's long-term process finds the whole past in the file; without that authority's evidence it does not."""
    source = await ground.signed_elsewhere(made, tmp_path)
    standing = await asyncio.to_thread(signing.stand, str(source), ground.trust(made), at=datetime.now(UTC))
    tsa3 = (made.der("tsa3"), made.der("interm"), made.der("root"))
    assert tsa3 in standing.paths
    done = await ground.raised(made, tmp_path, source, "lta.pdf", "b-lta")
    assert (done.standing.level, tsa3 in done.standing.paths) == ("b-lta", True)
    bare = msgspec.structs.replace(standing, paths=tuple(path for path in standing.paths if path != tsa3))
    timestamps, known = ground.pool(made), ground.revocation(tmp_path)
    order = Order(
        source=str(source), sha256=ground.sha256(source), target=str(tmp_path / "bare.pdf"), wanted="b-lta",
        trust=ground.trust(made), standing=bare, signed_at=datetime.now(UTC) - timedelta(days=1),
    )  # fmt: skip
    with pytest.raises(EvidenceUnavailable, match="the file stands at b-t"):
        await raise_level(order, timestamps, known, asyncio.to_thread, lambda: datetime.now(UTC))
    await timestamps.close()
    await known.close()
    said = {}
    for name in ("lta.pdf", "bare.pdf"):
        with (tmp_path / name).open("rb") as stream:
            signature = PdfFileReader(stream).embedded_regular_signatures[0]
            said[name] = (await ades_lta_validation(signature, offline_spec(made))).ades_subindic
    assert said == {"lta.pdf": AdESPassed.OK, "bare.pdf": AdESIndeterminate.CERTIFICATE_CHAIN_GENERAL_FAILURE}


def offline_spec(made) -> PdfSignatureValidationSpec:
    """Nothing but the file and the anchor, and revocation data demanded for every certificate."""
    trusted = SimpleTrustManager.build(trust_roots=[x509.Certificate.load(made.der("root"))])
    return PdfSignatureValidationSpec(
        SignatureValidationSpec(
            cert_validation_policy=CertValidationPolicySpec(
                trust_manager=trusted, revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO)
            ),
            revinfo_gathering_policy=RevocationInfoGatheringSpec(
                online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY
            ),
        )
    )


async def test_what_follows_the_last_timestamp_is_judged_as_strictly_as_before(made, sealed, tmp_path):
    await ground.raised(made, tmp_path, sealed, "lta.pdf", "b-lta")
    whole = (tmp_path / "lta.pdf").read_bytes()
    with pikepdf.open(tmp_path / "lta.pdf") as document:
        document.pages[0].obj.Contents = document.make_stream(b"BT ET")
        document.save(tmp_path / "rewritten.pdf")
    altered = {
        "a letter of a signature": whole.replace(b"/M (D", b"/M (E", 1),
        "objects behind the end": whole + b"9 0 obj\n<<>>\nendobj\n",
        "a byte of the token": whole[:-2000] + bytes((whole[-2000] ^ 1,)) + whole[-1999:],
        "rewritten": (tmp_path / "rewritten.pdf").read_bytes(),
    }
    for name, data in altered.items():
        (tmp_path / "altered.pdf").write_bytes(data)
        verdict = await verified(made, tmp_path / "altered.pdf")
        assert not verdict.ok, name
    assert (await verified(made, tmp_path / "lta.pdf")).ok


@pytest.mark.parametrize(
    ("revoked_after", "stamped", "expected"),
    [
        (timedelta(hours=2), True, None),
        (timedelta(hours=-2), True, "revoked"),
        (timedelta(hours=2), False, "revoked-time-unknown"),
        (timedelta(hours=-2), False, "revoked-time-unknown"),
        (None, False, None),
    ],
)
async def test_a_revocation_counts_from_its_time_on_and_time_counts_only_where_it_is_proven(
    made, tmp_path, revoked_after, stamped, expected
):
    """Signed ten days ago. Revoked after the timestamp: good. Before it, or nobody knows: not good."""
    signed_at = (datetime.now(UTC) - timedelta(days=10)).replace(microsecond=0)
    sealed = await asyncio.to_thread(ground.signed_and_sealed, made, tmp_path, "leader", signed_at)
    path = sealed
    if stamped:
        made.at = signed_at
        done = await ground.raised(made, tmp_path, sealed, "stamped.pdf", "b-t", at=signed_at)
        assert done.standing.proven_at == signed_at
        path, made.at = tmp_path / "stamped.pdf", None
    known = Evidence()
    if revoked_after is not None:
        made.revoke("leader", signed_at + revoked_after)
        known = await told_of(made, tmp_path)
    verdict = await verified(made, path, known=known)
    signatory = next(one for one in verdict.signatures if one.kind == "signatory")
    assert [problem.code for problem in signatory.problems] == ([expected] if expected else [])
    assert verdict.ok == (expected is None)
    assert next(one for one in verdict.signatures if one.kind == "seal").trusted


async def test_a_time_before_the_certificate_proves_no_signature(made, sealed, tmp_path):
    """The timestamp is good as of now, but the signers had no certificates yet at its time: NOT_YET_VALID."""
    asked = StampOrder(base=str(sealed), base_sha256=ground.sha256(sealed))
    prepared = await asyncio.to_thread(signing.prepare_stamp, asked)
    made.at = datetime.now(UTC) - timedelta(days=365 * 30)
    asking, _ = tokens.ask(prepared.document_digest)
    headers = {"Content-Type": "application/timestamp-query"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{made.prefix}/a/tsa/tsa", data=asking, headers=headers) as answer,
    ):
        token = tsp.TimeStampResp.load(await answer.read())["time_stamp_token"].dump()
    done = FinishStampOrder(
        base=str(sealed), prepared=prepared, token=token, trust=ground.trust(made), at=datetime.now(UTC)
    )
    with pytest.raises(OutputInvalid, match="NOT_YET_VALID"):
        await asyncio.to_thread(signing.finish_stamp, done, str(tmp_path / "early.pdf"))
    assert not (tmp_path / "early.pdf").exists()


async def listed(made, by: str = "interm") -> Evidence:
    """The list of one authority as it is now."""
    async with aiohttp.ClientSession() as web, web.get(f"{made.prefix}/a/crls/{by}/latest.crl") as answer:
        return Evidence(crls=(await answer.read(),))


@pytest.mark.parametrize(
    ("held_after", "stamped", "expected"),
    [
        (timedelta(hours=2), True, ""),
        (timedelta(hours=-2), True, "TRY_LATER"),
        (timedelta(hours=2), False, "TRY_LATER"),
    ],
)
async def test_a_hold_leaves_open_what_is_not_proven_older_until_it_is_lifted_or_revoked(
    made, tmp_path, held_after, stamped, expected
):
    """EN 319 102-1, 5.2.6: INDETERMINATE, TRY_LATER. The newest word counts; only a revocation is for ever."""
    signed_at = (datetime.now(UTC) - timedelta(days=10)).replace(microsecond=0)
    path = await asyncio.to_thread(ground.signed_and_sealed, made, tmp_path, "leader", signed_at)
    if stamped:
        made.at = signed_at
        await ground.raised(made, tmp_path, path, "stamped.pdf", "b-t", at=signed_at)
        path, made.at = tmp_path / "stamped.pdf", None

    async def judged(*told: Evidence):
        known = Evidence(
            crls=tuple(der for one in told for der in one.crls), ocsps=tuple(der for one in told for der in one.ocsps)
        )
        verdict = await verified(made, path, known=known)
        signatory = next(one for one in verdict.signatures if one.kind == "signatory")
        return verdict, signatory.sub_indication, signatory.revocation, [one.code for one in signatory.problems]

    made.hold("leader", signed_at + held_after)
    hold = await listed(made)
    verdict, *said = await judged(hold)
    if expected:
        assert said == [expected, "on_hold", ["certificate-on-hold"]]
        assert not verdict.ok
        assert verdict.indication == "INDETERMINATE"
    else:
        assert (verdict.ok, said) == (True, ["", "good", []])
    made.lift("leader")
    verdict, *said = await judged(hold, await told_of(made, tmp_path))
    assert (verdict.ok, said) == (True, ["", "good", []]), "an older hold says nothing any more"
    made.revoke("leader", signed_at + held_after)
    verdict, sub, revocation, _ = await judged(hold, await listed(made))
    assert verdict.ok == (not expected)
    assert (sub, revocation) == (("REVOKED_NO_POE", "revoked") if expected else ("", "revoked_later"))


async def test_no_level_is_paid_with_a_certificate_on_hold_and_it_is_once_that_is_lifted(made, sealed, tmp_path):
    made.hold("leader", datetime.now(UTC) - timedelta(hours=1))
    source = ground.revocation(tmp_path)
    with pytest.raises(EvidenceUnavailable) as refused:
        await ground.raised(made, tmp_path, sealed, "lta.pdf", "b-lta", evidence=source)
    assert [one.code for one in refused.value.problems] == ["on-hold"]
    assert not (tmp_path / "lta.pdf").exists()
    made.lift("leader")
    again = ground.revocation(tmp_path / "fresh")
    assert (await ground.raised(made, tmp_path, sealed, "lta.pdf", "b-lta", evidence=again)).standing.level == "b-lta"


@pytest.mark.parametrize("stamped", [True, False])
async def test_a_revoked_authority_ends_every_signature_that_is_not_proven_older(made, tmp_path, stamped):
    signed_at = (datetime.now(UTC) - timedelta(days=100)).replace(microsecond=0)  # the root's list is 40 days old
    path = await asyncio.to_thread(ground.signed_and_sealed, made, tmp_path, "leader", signed_at)
    if stamped:
        made.at = signed_at
        await ground.raised(made, tmp_path, path, "stamped.pdf", "b-t", at=signed_at)
        path, made.at = tmp_path / "stamped.pdf", None
    made.revoke("interm", signed_at + timedelta(hours=2))
    verdict = await verified(made, path, known=await listed(made, "root"))
    people = [one for one in verdict.signatures if one.kind != "timestamp"]
    assert verdict.ok == stamped
    for one in people:
        assert [problem.code for problem in one.problems] == ([] if stamped else ["authority-revoked"])
        assert one.sub_indication == ("" if stamped else "REVOKED_CA_NO_POE")


async def told_of(made, room: Path) -> Evidence:
    """What the authorities say of the revoked certificate now, to be given to the verifier from outside."""
    source = ground.revocation(room)
    paths = [(made.der("leader"), made.der("interm"), made.der("root"))]
    try:
        return await source.evidence(paths, newer_than=datetime.now(UTC) - timedelta(hours=1))
    finally:
        await source.close()


async def test_signatures_outlive_their_certificates_by_the_timestamp(made, sealed, tmp_path):
    """Five years later the signers' certificates have ended; B-B proves nothing any more, B-LTA still does."""
    done = await ground.raised(made, tmp_path, sealed, "lta.pdf", "b-lta")
    later = datetime.now(UTC) + timedelta(days=5 * 365)
    assert later < done.standing.renew_by
    assert not (await verified(made, sealed, later)).ok
    assert (await verified(made, tmp_path / "lta.pdf", later)).ok
    assert not (await verified(made, tmp_path / "lta.pdf", later + timedelta(days=9000))).ok


@pytest.mark.alone
async def test_raising_takes_at_most_twice_a_files_size_in_every_process(made, tmp_path):
    """120 MB, of which no step holds a second copy beside the interpreter; each in a process of its own."""
    peaks: dict[str, int] = {}

    def large() -> Path:
        at, source = datetime.now(UTC), page(tmp_path / "page.pdf")
        with pikepdf.open(source) as document:
            noise = random.Random(3)
            document.Root.Large = pikepdf.Array([document.make_stream(noise.randbytes(1_000_000)) for _ in range(120)])
            document.save(tmp_path / "large.pdf", object_stream_mode=pikepdf.ObjectStreamMode.disable)
        plan = lay(tmp_path / "large.pdf", tmp_path / "laid.pdf", names=("Signatory1",))
        return ground.sign(made, tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan, "leader", at)

    async def measured(work, *args, **kwargs):
        answer, peak = await asyncio.to_thread(apart, work.__name__, *args, **kwargs)
        peaks[work.__name__] = max(peak, peaks.get(work.__name__, 0))
        return answer

    def now() -> datetime:
        return datetime.now(UTC)

    source = await asyncio.to_thread(large)
    standing = await measured(signing.stand, str(source), ground.trust(made), at=now())
    timestamps, known = ground.pool(made), ground.revocation(tmp_path)
    for wanted in ("b-lt", "b-lta"):
        order = Order(
            source=str(source), sha256=ground.sha256(source), target=str(tmp_path / f"{wanted}.pdf"), wanted=wanted,
            trust=ground.trust(made), standing=standing, signed_at=now() - timedelta(days=1),
        )  # fmt: skip
        done = await raise_level(order, timestamps, known, measured, now)
        assert done.standing.level == wanted
    await timestamps.close()
    await known.close()
    assert peaks.keys() == {"stand", "prepare_stamp", "finish_stamp", "add_evidence"}
    assert {step: peak for step, peak in peaks.items() if peak > 2 * source.stat().st_size} == {}


async def test_the_service_by_hand_signs_at_a_level_and_raises(made, tmp_path):
    draft = page(tmp_path / "draft.pdf")
    tsa = f"{made.prefix}/a/tsa/tsa"

    async def by_hand(*words: object) -> tuple[int, str]:
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signing", *map(str, words),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await done.communicate()
        return done.returncode or 0, said.decode()

    keys = ("--keys", made.keys, "--owner", "leader")
    done, said = await by_hand("sign", draft, *keys, "--out", tmp_path / "lta.pdf", "--level", "b-lta", "--tsa", tsa)
    assert (done, said.split(",")[0]) == (0, "B-LTA"), said
    anchors = ("--anchors", made.keys / "root.pem")
    done, said = await by_hand(
        "raise", tmp_path / "lta.pdf", "--renew", "--tsa", tsa, *anchors, "--out", tmp_path / "renewed.pdf"
    )
    assert (done, said.split(",")[0]) == (0, "B-LTA"), said
    made.faults["tsa/tsa"] = "garbage"
    done, said = await by_hand(
        "raise", tmp_path / "lta.pdf", "--renew", "--tsa", tsa, *anchors, "--out", tmp_path / "never.pdf"
    )
    assert done == 1
    assert "No authority gives a timestamp" in said
    assert not (tmp_path / "never.pdf").exists()
