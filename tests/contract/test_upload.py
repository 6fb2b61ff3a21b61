"""What is special in tokens that are with their bearers: certificates in files, nothing to ask, nobody who calls."""

import asyncio
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from signing.contract import SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused
from signing.holders import HolderConfig, open_holder
from signing.keys.upload import UploadSettings
from signing.making import make_certificate
from tests.paper import AT, chain, pki
from tests.upload_ground import upload_settings


@pytest.fixture
async def holder(tmp_path):
    made = open_holder(HolderConfig(kind="upload", production=False, upload=upload_settings(pki(), tmp_path)))
    yield made
    await made.close()


async def order_for(holder, count=3) -> SignOrder:
    (held,) = await holder.list_certificates("leader")
    items = tuple(SignItem(item_id=f"{n}", tbs_sha256=os.urandom(32), name=f"Quyết định {n}") for n in range(count))
    return SignOrder(
        transaction_id=os.urandom(12).hex(), credential_id=held.credential_id, owner="leader", items=items,
        mechanism="ecdsa",
    )  # fmt: skip


async def test_an_order_waits_for_its_bearer_and_asking_again_changes_nothing(holder):
    order = await order_for(holder)
    await asyncio.gather(*(holder.start(order) for _ in range(5)))
    assert {(await holder.poll(order.transaction_id)).state for _ in range(3)} == {"waiting"}


async def test_two_hundred_are_one_authorisation_and_more_are_refused(holder):
    assert (holder.capabilities.hashes_per_authorisation, holder.capabilities.shows_document_names) == (200, True)
    await holder.start(await order_for(holder, 200))
    with pytest.raises(HolderRefused):
        await holder.start(await order_for(holder, 201))


async def test_a_webhook_is_never_believed(holder):
    for body in (b"", b"{}", b'{"values": []}'):
        with pytest.raises(HolderRefused):
            holder.read_webhook({"X-Webhook-Secret": "any"}, body)


def subject(*named: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in named])


async def test_a_certificate_belongs_to_whom_its_subject_names_and_is_read_again_when_it_changes(holder, tmp_path):
    key, issuer = ec.generate_private_key(ec.SECP256R1()), x509.load_der_x509_certificate(chain()[0]).subject
    path = tmp_path / "certificates" / "1.pem"
    name = (NameOID.COMMON_NAME, "Nguyễn Văn An")
    valid = (AT, AT.replace(year=AT.year + 1))
    for owner, oid, text in (
        ("024085007654", NameOID.USER_ID, "CCCD:024085007654"),
        ("0100233488", NameOID.SERIAL_NUMBER, "MST:0100233488"),
    ):
        made = make_certificate(subject(name, (oid, text)), issuer, key, key, valid=valid)
        path.write_bytes(made.public_bytes(Encoding.PEM))
        (held,) = await holder.list_certificates(owner)
        assert held.certificate == made.public_bytes(Encoding.DER)
        assert await holder.list_certificates(text[:-1]) == ()
    assert await holder.list_certificates("024085007654") == ()
    path.unlink()
    assert await holder.list_certificates("0100233488") == ()


async def test_what_cannot_be_read_is_a_matter_for_the_operator(holder, tmp_path):
    (tmp_path / "certificates" / "broken.pem").write_text("not a certificate")
    assert len(await holder.list_certificates("leader")) == 1  # nobody else suffers from it
    with pytest.raises(HolderMisconfigured, match=r"broken\.pem"):
        await holder.list_certificates("whose certificate it might be")
    nowhere = UploadSettings(certificates=str(tmp_path / "nowhere"))
    for settings in (nowhere, upload_settings(pki(), tmp_path)):
        with pytest.raises(HolderMisconfigured):
            open_holder(HolderConfig(kind="upload", production=True, upload=settings))
