"""Our own signed files, rightly and wrongly made, with their verdicts; other verifiers agree where they can."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_crl

import signing
from signing.__main__ import main
from signing.contract import Trust, Verdict
from signing.levels import Evidence
from signing.pdf.revocation import Revocations
from signing.trust.anchors import load_trust
from tests.paper import openssl_accepts, pdfsig_valid, run, split

ROOM = Path(__file__).parents[1] / "vectors" / "signed"
TOLD = json.loads((ROOM / "verdicts.json").read_text())
AT = datetime.fromisoformat(TOLD["at"])
FILES = sorted(TOLD["files"])
PDFSIG_REFUSES = {
    "content-flipped", "gap-too-wide", "never-signed", "rewritten", "unknown-subfilter", "value-of-another-key",
}  # fmt: skip
"""Bad files of which pdfsig finds no signature valid. In all others the value is right: what makes them bad is a weak
algorithm, the certificate's time or issuer, or what was appended, and pdfsig says nothing of that in its verdict."""
OPENSSL_REFUSES = {
    "content-flipped",
    "value-of-another-key",
    "another-certificate-named",
    "unknown-authority",
    "expired",
}
"""Bad files with a container that openssl can cut out and refuses: it also compares the certificate that is named."""


def trust() -> Trust:
    return load_trust(ROOM / "root.pem")


def judged(name: str) -> Verdict:
    return signing.verify(str(ROOM / f"{name}.pdf"), trust(), at=AT)


def test_the_table_names_every_file():
    assert sorted(path.stem for path in ROOM.glob("*.pdf")) == FILES
    assert sum(TOLD["files"][name]["ok"] for name in FILES) >= 15
    assert sum(not TOLD["files"][name]["ok"] for name in FILES) >= 15


@pytest.mark.parametrize("name", FILES)
def test_a_file_gets_its_verdict(name):
    verdict = judged(name)
    assert [f"{one.indication} {one.sub_indication}".strip() for one in verdict.signatures] == TOLD["files"][name][
        "signatures"
    ]
    assert verdict.ok == TOLD["files"][name]["ok"] == (verdict.indication == "TOTAL-PASSED")
    if not verdict.ok:
        assert verdict.problems or any(one.problems for one in verdict.signatures)


@pytest.mark.parametrize("name", [name for name in FILES if TOLD["files"][name]["ok"]])
def test_two_others_accept_what_is_good(name, tmp_path):
    path = ROOM / f"{name}.pdf"
    signatures = [one for one in judged(name).signatures if one.kind != "timestamp"]
    if name != "signed-file-attached":  # pdfsig is right; the cutter below would take the attached file's range too
        parts = split(path, tmp_path)
        subfilters = [one.subfilter for one in judged(name).signatures]
        for (container, content), subfilter in zip(parts, subfilters, strict=True):
            if subfilter == "ETSI.RFC3161":
                assert openssl_takes_stamp(container, content)
            elif name not in {"adbe-detached", "expired-but-timestamped"}:
                assert openssl_accepts(container, content, tmp_path, root=ROOM / "root.pem", at=AT)
    assert pdfsig_valid(path) == len(signatures)


def openssl_takes_stamp(container: Path, content: Path) -> bool:
    done = run(
        "openssl", "ts", "-verify", "-data", content, "-in", container, "-token_in", "-CAfile", ROOM / "root.pem",
        "-untrusted", ROOM / "tsa.pem", "-attime", int(AT.timestamp()),
    )  # fmt: skip
    return "Verification: OK" in done.stdout


@pytest.mark.parametrize("name", sorted(PDFSIG_REFUSES))
def test_pdfsig_refuses_what_is_bad_in_itself(name):
    assert pdfsig_valid(ROOM / f"{name}.pdf") == 0


@pytest.mark.parametrize("name", sorted(OPENSSL_REFUSES))
def test_openssl_refuses_what_is_bad_in_itself_or_in_its_chain(name, tmp_path):
    ((container, content),) = split(ROOM / f"{name}.pdf", tmp_path)
    assert not openssl_accepts(container, content, tmp_path, root=ROOM / "root.pem", at=AT)


def test_what_is_known_of_revocation_is_told():
    for name, wanted in (
        ("cades-rsa", "unknown"),
        ("archived", "good"),
        ("revoked-after-timestamp", "revoked_later"),
        ("revoked-without-time", "revoked"),
        ("revoked-before-timestamp", "revoked"),
        ("signed-after-revocation", "revoked_before"),
    ):
        person = next(one for one in judged(name).signatures if one.kind != "timestamp")
        assert person.revocation == wanted, name
        assert (person.revoked_at is None) == (wanted in {"unknown", "good"})
    assert "thu hồi sau đó" in judged("revoked-after-timestamp").signatures[0].summary_vi


def test_the_caller_may_bring_the_list(tmp_path):
    """A file without validation data is judged by the caller's, and so is one whose own data say the same."""
    listed = (ROOM / "revocations.crl").read_bytes()
    known = Evidence(crls=(listed,))
    bare = signing.verify(str(ROOM / "revoked-bare.pdf"), trust(), at=AT, known=known)
    assert [(one.sub_indication, one.revocation) for one in bare.signatures] == [("REVOKED_NO_POE", "revoked")]
    assert signing.verify(str(ROOM / "revoked-bare.pdf"), trust(), at=AT).ok
    assert signing.verify(str(ROOM / "cades-rsa.pdf"), trust(), at=AT, known=known).signatures[0].revocation == "good"


def test_a_list_speaks_only_when_its_issuer_signed_it():
    listed = bytearray((ROOM / "revocations.crl").read_bytes())
    listed[-5] ^= 1
    known = Evidence(crls=(bytes(listed), b"nonsense"), ocsps=(b"nonsense",))
    assert signing.verify(str(ROOM / "revoked-bare.pdf"), trust(), at=AT, known=known).ok
    torn = (b"", b"\x30\x03\x02\x01\x01")
    assert not Revocations(Evidence(crls=torn, ocsps=torn))


@pytest.mark.parametrize("name", ["cades-rsa", "content-flipped", "revoked-without-time", "adbe-sha1"])
def test_the_command_exits_by_the_verdict_and_reports_in_etsis_terms(name, capsys):
    words = [str(ROOM / f"{name}.pdf"), "--anchors", str(ROOM / "root.pem"), "--at", AT.isoformat()]
    code = main(["verify", *words, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if TOLD["files"][name]["ok"] else 1)
    assert told["ok"] == TOLD["files"][name]["ok"]
    (one,) = told["ValidationReport"]["SignatureValidationReport"]
    status = one["SignatureValidationStatus"]
    indication, *reason = TOLD["files"][name]["signatures"][0].split()
    assert status["MainIndication"] == f"urn:etsi:019102:mainindication:{indication.lower()}"
    assert status.get("SubIndication", []) == [f"urn:etsi:019102:subindication:{each}" for each in reason]
    assert main(["verify", *words]) == code
    assert ("HỢP LỆ / valid" in capsys.readouterr().out.splitlines()) == (code == 0)


def test_the_command_takes_lists_from_files_and_refuses_what_is_none(tmp_path, capsys):
    words = ["verify", str(ROOM / "revoked-bare.pdf"), "--anchors", str(ROOM / "root.pem"), "--at", AT.isoformat()]
    listed = load_der_x509_crl((ROOM / "revocations.crl").read_bytes())
    (tmp_path / "list.pem").write_bytes(listed.public_bytes(Encoding.PEM))
    assert main(words) == 0
    for place in (ROOM / "revocations.crl", tmp_path / "list.pem"):
        assert main([*words, "--revocations", str(place)]) == 1
        assert "[INDETERMINATE REVOKED_NO_POE]" in capsys.readouterr().out
    (tmp_path / "none.crl").write_bytes(b"nonsense")
    assert main([*words, "--revocations", str(tmp_path / "none.crl")]) == 1
    assert "none.crl" in capsys.readouterr().err


def test_an_unsigned_file_is_reported_too(capsys):
    base = Path(__file__).parents[1] / "vectors" / "prepared" / "base.pdf"
    assert main(["verify", str(base), "--anchors", str(ROOM / "root.pem"), "--json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["ValidationReport"]["SignatureValidationReport"]
    assert one["SignatureValidationStatus"]["MainIndication"].endswith("total-failed")
