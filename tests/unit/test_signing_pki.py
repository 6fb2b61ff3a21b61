"""The demo certificates: made once, whole or not at all, plainly marked."""

import stat
import time

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from PIL import Image

from api.embedded import pki
from api.embedded.pki import CertificateWanted, lay_pki
from tests.paper import AT

PEOPLE = [
    CertificateWanted(id="a", common_name="Nguyễn Văn Ký", organisation="UBND xã Thử Nghiệm"),
    CertificateWanted(id="b", common_name="Trần Thị Ấn", organisation="UBND xã", key="rsa2048", klass="public_duty"),
    CertificateWanted(
        id="s", common_name="UBND xã", organisation="Ủy ban nhân dân xã Thử Nghiệm", kind="seal", owner="0101"
    ),
]


def load(place, name):
    return x509.load_pem_x509_certificate((place / name).read_bytes())


def test_certificates_are_made_for_signing_and_say_what_they_are(tmp_path):
    place = tmp_path / "keys"
    index = lay_pki(place, PEOPLE, at=AT, demo=True)
    root, issuing = load(place, "root.pem"), load(place, "issuing.pem")
    issuing.verify_directly_issued_by(root)
    for entry in index.entries:
        certificate = load(place, entry.certificate)
        certificate.verify_directly_issued_by(issuing)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.digital_signature
        assert usage.content_commitment
        assert not usage.key_cert_sign
        units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert [unit.value for unit in units] == ["CHỈ ĐỂ THỬ"]
        assert stat.S_IMODE((place / entry.key).stat().st_mode) == 0o600
    assert [entry.owner for entry in index.entries] == ["a", "b", "0101"]


def test_a_second_call_changes_nothing_and_a_third_adds(tmp_path):
    place = tmp_path / "keys"
    first = lay_pki(place, PEOPLE, at=AT, demo=True)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert lay_pki(place, PEOPLE, at=AT, demo=True) == first
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    more = lay_pki(place, [*PEOPLE, CertificateWanted(id="c", common_name="C", organisation="O")], at=AT, demo=True)
    assert more.entries[:3] == first.entries
    assert all((place / name).read_bytes() == before[name] for name in before if name != "index.json")


def test_a_crash_leaves_nothing_half_made(tmp_path, monkeypatch):
    place = tmp_path / "keys"

    def broken(*_args, **_more):
        raise OSError("disk full")

    for part, left in (("make_certificate", []), ("_issue", [place])):
        with monkeypatch.context() as patch:
            patch.setattr(pki, part, broken)
            with pytest.raises(OSError, match="disk full"):
                lay_pki(place, PEOPLE, at=AT, demo=True)
        assert list(tmp_path.iterdir()) == left
    assert len(lay_pki(place, PEOPLE, at=AT, demo=True).entries) == 3


def test_a_ward_of_certificates_is_made_quickly(tmp_path):
    wanted = [CertificateWanted(id=f"p{n}", common_name=f"Người {n}", organisation="UBND xã") for n in range(40)]
    started = time.process_time()
    lay_pki(tmp_path / "keys", wanted, at=AT, demo=True)
    assert time.process_time() - started < 5


def test_images_are_transparent_coloured_and_the_same_for_the_same_name(tmp_path):
    for name in ("one", "two"):
        lay_pki(tmp_path / name, PEOPLE, at=AT, demo=True)
    for entry, colour in (("a", 2), ("s", 0)):
        picture = (tmp_path / "one" / f"{entry}.png").read_bytes()
        assert picture == (tmp_path / "two" / f"{entry}.png").read_bytes()
        image = Image.open(tmp_path / "one" / f"{entry}.png")
        assert image.getpixel((0, 0))[3] == 0
        inked = [pixel for pixel in image.get_flattened_data() if pixel[3] > 200]
        assert inked
        assert all(max(pixel[:3]) == pixel[colour] for pixel in inked)
