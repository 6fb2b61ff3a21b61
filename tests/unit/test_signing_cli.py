"""`python -m signing` as an operator types it."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from api.embedded.pki import lay_pki
from signing.__main__ import main
from signing.keys.software import sign_hash
from tests.paper import PEOPLE, lay, page, pdfsig_valid, run
from tests.unit.test_signing_stamps import DRAFT, typeset


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Certificates of today, since the commands take the time from the machine."""
    place = tmp_path_factory.mktemp("cli") / "keys"
    lay_pki(place, PEOPLE, at=datetime.now(UTC), demo=True)
    return place


@pytest.fixture
def say(capsys):
    def run(*words):
        code = main([str(word) for word in words])
        return code, capsys.readouterr()

    return run


def test_a_draft_is_linted_signed_and_verified(tmp_path, say, keys):
    draft, out = page(tmp_path / "draft.pdf"), tmp_path / "out.pdf"
    assert say("lint", draft)[0] == 0
    code, told = say("sign", draft, "--keys", keys, "--owner", "leader", "--out", out)
    assert code == 0, told.err
    code, told = say("verify", out, "--demo-anchors", keys / "root.pem", "--json")
    verdict = json.loads(told.out)
    assert (code, verdict["ok"], verdict["demo"]) == (0, True, True)
    code, told = say("verify", out, "--demo-anchors", keys / "root.pem")
    assert "HỢP LỆ" in told.out
    assert "Nguyễn Văn Ký" in told.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draft.pdf", "out.pdf"]


def test_verify_fails_for_a_stranger_a_changed_file_and_none(tmp_path, say, keys):
    draft, out = page(tmp_path / "draft.pdf"), tmp_path / "out.pdf"
    say("sign", draft, "--keys", keys, "--owner", "leader", "--out", out)
    assert say("verify", out)[0] == 1
    out.write_bytes(out.read_bytes() + b" ")
    assert say("verify", out, "--demo-anchors", keys / "root.pem")[0] == 1
    assert say("verify", draft, "--demo-anchors", keys / "root.pem")[0] == 1
    code, told = say("verify", tmp_path / "absent.pdf")
    assert code == 1
    assert "Không đọc được tệp" in told.err


def test_prepare_and_finish_by_hand(tmp_path, say, keys):
    base, prepared, out = tmp_path / "base.pdf", tmp_path / "prepared.json", tmp_path / "out.pdf"
    lay(page(tmp_path / "draft.pdf"), base)
    certificate = ("--cert", keys / "leader-rsa.pem", "--chain", keys / "issuing.pem")
    code, told = say("prepare", base, "--field", "Signatory1", *certificate, "--out", prepared, "--json")
    assert code == 0, told.err
    key = load_pem_private_key((keys / "leader-rsa.key.pem").read_bytes(), None)
    value = sign_hash(key, bytes.fromhex(json.loads(told.out)["tbs_sha256"]), "rsa_pkcs1v15")
    (tmp_path / "value.bin").write_bytes(value)
    rest = ("--base", base, "--chain", keys / "issuing.pem", "--anchors", keys / "root.pem", "--out", out)
    code, told = say("finish", prepared, "--value", tmp_path / "value.bin", *rest)
    assert code == 0, told.err
    assert say("verify", out, "--anchors", keys / "root.pem")[0] == 0


def test_places_stamp_number_and_certification_by_hand(tmp_path, say, keys):
    draft, laid, plan = typeset(DRAFT, tmp_path / "draft.pdf"), tmp_path / "laid.pdf", tmp_path / "plan.json"
    places = [{"field": "Signatory1", "anchor": "CHỦ TỊCH", "side": "below"}, {"field": "Number", "anchor": "Số:"}]
    (tmp_path / "places.json").write_text(json.dumps(places), encoding="utf-8")
    code, told = say(
        "lay", draft, "--out", laid, "--plan", plan, "--fields", "Signatory1", "Seal",
        "--places", tmp_path / "places.json", "--certification", "final",
    )  # fmt: skip
    assert code == 0, told.err
    assert "Seal: 1 (" in told.out
    signed, sealed = tmp_path / "signed.pdf", tmp_path / "sealed.pdf"
    by_hand = ("--keys", keys, "--plan", plan)
    hand = ("--kind", "signatory", "--image", keys / "leader.png")
    code, told = say("sign", laid, *by_hand, "--owner", "leader", "--out", signed, *hand)
    assert code == 0, told.err
    seal = ("--kind", "seal", "--image", keys / "seal.png", "--line", "Thời gian ký: 20.11.2026")
    fills = ("--fill", "Number=12/UBND", "--fill", "IssuedDate=20/11")
    code, told = say("sign", signed, *by_hand, "--owner", "seal", "--field", "Seal", "--out", sealed, *seal, *fills)
    assert code == 0, told.err
    code, told = say("verify", sealed, "--demo-anchors", keys / "root.pem", "--json")
    assert (code, json.loads(told.out)["fills"]) == (0, {"Number": "12/UBND", "IssuedDate": "20/11"})
    assert "Số: 12/UBND" in run("pdftotext", "-layout", sealed, "-").stdout
    assert pdfsig_valid(sealed) == 2
    (tmp_path / "places.json").write_text(json.dumps([{"field": "Seal", "anchor": "?"}]), encoding="utf-8")
    code, told = say("lay", draft, "--out", laid, "--plan", plan, "--places", tmp_path / "places.json")
    assert code == 1
    assert "chữ mốc của Seal" in told.err


def test_a_broken_file_is_mended_on_request(tmp_path, say):
    draft = page(tmp_path / "draft.pdf")
    draft.write_bytes(draft.read_bytes().replace(b"startxref\n", b"startxref\n9"))
    code, told = say("lint", draft)
    assert code == 1
    assert "--repair" in told.out
    assert say("lint", draft, "--repair", tmp_path / "mended.pdf")[0] == 0
    assert say("lint", tmp_path / "mended.pdf")[0] == 0


def test_a_wrong_call_is_told(say):
    with pytest.raises(SystemExit) as ended:
        say("prepare", "x.pdf")
    assert ended.value.code == 2
