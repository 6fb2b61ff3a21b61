"""A whole file that came back: ours to the byte but for the signature, or one revision with nothing else in it."""

import asyncio
import io
import random
from datetime import UTC, datetime, timedelta

import pytest
from pyhanko.pdf_utils.generic import TextStringObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter

import signing
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Token
from signing.contract import HandedOrder
from signing.errors import BaseChanged, CertificateUnfit, NotSignable, OutputInvalid, SigningError
from tests.paper import NUMBER_AND_DATE, lay, openssl_accepts, order, page, pdfsig_valid, pki, sign, split, trust


class Desk:
    """One document, prepared for one signature, and the tool that signs it."""

    def __init__(self, room, field="Signatory1", who="leader", at=None):
        plan = lay(page(room / "source.pdf"), room / "laid.pdf")
        self.base, self.room, self.at = room / "laid.pdf", room, at or datetime.now(UTC)
        fills = {}
        if field == "Seal":
            sign(room / "laid.pdf", room / "signed.pdf", "Signatory1", plan, at=self.at)
            self.base, who, fills = room / "signed.pdf", "seal", NUMBER_AND_DATE
        self.order = order(self.base, field, plan, who=who, fills=fills, at=self.at)
        self.prepared = signing.prepare(self.order)
        self.token = Token(Keyring(pki()))
        self.token.keyring.refresh()
        (serial,) = [one.serial for one in self.token.keyring.of_owner(who)]
        self.errand = {
            "request_id": "x", "certificate_serial": serial, "mechanism": self.order.mechanism, "field": field,
            "reserved_start": self.prepared.reserved_start, "reserved_end": self.prepared.reserved_end,
            "tool": {"MetaData": [{"Key": key, "Value": value} for key, value in fills.items()]},
        }  # fmt: skip

    @property
    def whole(self) -> bytes:
        return self.base.read_bytes() + self.prepared.increment

    def accept(self, content: bytes):
        (self.room / "back.pdf").write_bytes(content)
        values = {"base": str(self.base), "prepared": self.prepared, "source": str(self.room / "back.pdf")}
        return signing.accept(HandedOrder(**values, trust=trust(), at=self.at))

    def filled(self) -> bytes:
        """Our file with the tool's own CMS in the room."""
        return asyncio.run(self.token.into_the_room(self.whole, self.errand))

    def own(self, base: bytes | None = None, **changes) -> bytes:
        """The base with a revision of the tool's own."""
        return asyncio.run(self.token.by_itself(base or self.base.read_bytes(), self.errand, **changes))


@pytest.fixture(params=["leader", "leader-rsa"])
def desk(request, tmp_path):
    return Desk(tmp_path, who=request.param)


def test_our_room_filled_by_anothers_cms_is_taken_as_it_is(desk):
    content = desk.filled()
    back = desk.accept(content)
    assert back.signed.size == len(content)
    assert back.signed.verdict.ok
    assert pdfsig_valid(desk.room / "back.pdf") == 1
    (part,) = split(desk.room / "back.pdf", desk.room)
    assert openssl_accepts(*part, desk.room, at=desk.at)
    assert back.value in part[0].read_bytes()


def test_a_byte_changed_anywhere_outside_the_room_is_another_file(tmp_path):
    desk = Desk(tmp_path)
    content = desk.filled()
    start, end = desk.prepared.reserved_start, desk.prepared.reserved_end
    chosen = random.Random(7)
    places = [chosen.randrange(start) for _ in range(40)] + [chosen.randrange(end, len(content)) for _ in range(40)]
    for place in [*places, start, end - 1, 0, len(content) - 1]:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << chosen.randrange(7)
        with pytest.raises(SigningError) as refused:
            desk.accept(bytes(spoilt))
        if place < len(desk.base.read_bytes()):
            assert isinstance(refused.value, BaseChanged), place


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_file_cut_short_prolonged_or_empty_is_refused(tmp_path, cut):
    desk = Desk(tmp_path)
    content = desk.filled()
    with pytest.raises(SigningError):
        desk.accept(content[:cut])
    with pytest.raises(SigningError):
        desk.accept(content + b"\n% more")


def test_anothers_certificate_is_refused_by_name(tmp_path):
    desk = Desk(tmp_path)
    desk.errand["certificate_serial"] = desk.token.keyring.of_owner("seal")[0].serial
    for content in (desk.filled(), desk.own()):
        with pytest.raises(CertificateUnfit):
            desk.accept(content)


def test_a_signature_over_other_bytes_is_refused(tmp_path):
    desk = Desk(tmp_path)
    desk.token.behaviour = "wrong_file"
    with pytest.raises(OutputInvalid):
        desk.accept(desk.filled())


@pytest.mark.parametrize("field", ["Signatory1", "Seal"])
def test_a_revision_of_its_own_is_taken_where_it_holds_nothing_else(tmp_path, field):
    desk = Desk(tmp_path, field)
    back = desk.accept(desk.own())
    assert back.signed.verdict.fills == (NUMBER_AND_DATE if field == "Seal" else {})
    assert pdfsig_valid(tmp_path / "back.pdf") == (2 if field == "Seal" else 1)


@pytest.mark.parametrize("number", ["", "124/QĐ-UBND"])
def test_number_and_date_are_as_they_were_given_or_it_is_not_taken(tmp_path, number):
    desk = Desk(tmp_path, "Seal")
    desk.errand["tool"]["MetaData"][0]["Value"] = number
    with pytest.raises(BaseChanged):
        desk.accept(desk.own())


def test_a_signatory_fills_nothing(tmp_path):
    desk = Desk(tmp_path)
    desk.errand["tool"]["MetaData"] = [{"Key": "Number", "Value": "1"}]
    with pytest.raises(BaseChanged):
        desk.accept(desk.own())


def test_a_page_altered_in_the_revision_that_is_signed_is_refused(tmp_path):
    """Nothing was signed before: whoever looked at signatures alone would find such a file good."""
    desk = Desk(tmp_path)
    desk.token.behaviour = "altered_page"
    content = desk.own()
    (tmp_path / "altered.pdf").write_bytes(content)
    assert signing.verify(str(tmp_path / "altered.pdf"), trust(), at=desk.at).ok
    with pytest.raises(BaseChanged):
        desk.accept(content)


def test_a_revision_slipped_in_before_the_signature_is_refused(tmp_path):
    desk = Desk(tmp_path)
    writer = IncrementalPdfFileWriter(io.BytesIO(desk.base.read_bytes()))
    writer.root[pdf_name("/Lang")] = TextStringObject("vi")
    writer.update_root()
    slipped = io.BytesIO()
    writer.write(slipped)
    with pytest.raises(BaseChanged):
        desk.accept(desk.own(slipped.getvalue()))


def test_another_field_signed_is_not_this_signature(tmp_path):
    desk = Desk(tmp_path)
    desk.errand["field"] = "Seal"
    with pytest.raises(OutputInvalid):
        desk.accept(desk.own())


def test_a_file_signed_before_it_was_prepared_is_refused(tmp_path):
    desk = Desk(tmp_path, at=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(NotSignable):
        desk.accept(desk.own())


def test_the_older_form_of_many_tools_is_taken_too(tmp_path):
    """adbe.pkcs7.detached with its signing time (ISO 32000-1): what desktop tools of the field write."""
    desk = Desk(tmp_path)
    assert desk.accept(desk.own(subfilter=SigSeedSubFilter.ADOBE_PKCS7_DETACHED)).signed.verdict.ok
