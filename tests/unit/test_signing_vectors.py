"""A preparation stored by the first version is finished by every later one, to the same byte."""

import re
from pathlib import Path

import msgspec

import signing
from signing.contract import FinishOrder, Prepared, Trust
from signing.pdf.cms import signed_attributes
from signing.trust.anchors import load_certificates
from tests.paper import pdfsig_valid

VECTOR = Path(__file__).parents[1] / "vectors" / "prepared"
FINISHED = "4b534af0cc5c9df33309dd02db7f7e45f9dc72a244cc7006012d010d5882fd0f"


def test_a_stored_preparation_is_finished_to_the_same_byte(tmp_path):
    prepared = msgspec.json.decode((VECTOR / "prepared.json").read_bytes(), type=Prepared)
    finishing = FinishOrder(
        base=str(VECTOR / "base.pdf"),
        prepared=prepared,
        value=(VECTOR / "value.bin").read_bytes(),
        chain=load_certificates(VECTOR / "issuing.pem"),
        trust=Trust(anchors=load_certificates(VECTOR / "root.pem")),
    )
    signed = signing.finish(finishing, str(tmp_path / "out.pdf"))
    assert signed.sha256.hex() == FINISHED
    assert pdfsig_valid(tmp_path / "out.pdf") == 1


def test_the_stored_attributes_are_still_what_we_would_send():
    prepared = msgspec.json.decode((VECTOR / "prepared.json").read_bytes(), type=Prepared)
    assert signed_attributes(prepared.certificate, prepared.document_digest) == prepared.signed_attrs


def test_a_preparation_without_fields_of_tomorrow_is_read_today():
    """Version N reads what version N+1 stored: unknown members are passed over."""
    stored = (VECTOR / "prepared.json").read_text()
    newer = re.sub(r"^{", '{"added_later": 1,', stored)
    assert msgspec.json.decode(newer, type=Prepared) == msgspec.json.decode(stored, type=Prepared)
