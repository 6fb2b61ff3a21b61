"""Both sides of CSC against programs that others wrote: our holder against their service, their client against ours."""

import asyncio
import hashlib
import io
import os

import aiohttp
import pytest
from aiohttp import web
from certomancer.registry import CertomancerConfig
from csc_dummy.csc_dummy_server import CSCWithCertomancer, DummyServiceParams
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationManager,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner

from signing.contract import SignItem, SignOrder
from signing.errors import HolderRefused
from signing.holders import HolderConfig, open_holder
from signing.pdf.cms import check_value, signed_attributes
from tests.csc_ground import Csc, csc_settings
from tests.paper import page, pdfsig_valid, pki
from tests.signer_process import remote_signer

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
ALWAYS = {"valid-from": "2020-01-01T00:00:00+0000", "valid-to": "2100-01-01T00:00:00+0000"}


def certomancer_config() -> CertomancerConfig:
    """A small authority of certomancer's own over our test keys."""
    files = {"root": "issuing", "leader": "leader", "clerk": "leader-rsa"}
    people = {name: {"issuer": "root", "validity": ALWAYS} for name in ("leader", "clerk")}
    root = {"subject": "root", "issuer": "root", "validity": ALWAYS}
    keys = {name: {"path": f"{file}.key.pem"} for name, file in files.items()}
    entities = {name: {"country-name": "VN", "common-name": name.title()} for name in files}
    province = {"keyset": "all", "entities": entities, "certs": {"root": root, **people}}
    config = {"keysets": {"all": {"keys": keys}}, "pki-architectures": {"province": province}}
    return CertomancerConfig(config, key_search_dir=str(pki()), config_search_dir=str(pki()))


@pytest.fixture
async def dummy(tmp_path):
    """Our holder for v1 before certomancer's dummy service, which asks nobody and checks nobody."""
    parameters = DummyServiceParams(hash_pinning_required=True, multisign=50)
    service = CSCWithCertomancer(certomancer_config(), service_params=parameters)
    service.register_routes()
    runner = web.AppRunner(service.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = csc_settings(f"http://127.0.0.1:{runner.addresses[0][1]}", "v1", tmp_path, client_id="")
    holder = open_holder(HolderConfig(kind="csc", production=False, csc=settings))
    yield holder
    await holder.close()
    await runner.cleanup()


@pytest.mark.parametrize(("name", "mechanism"), [("leader", "ecdsa"), ("clerk", "rsa_pkcs1v15"), ("clerk", "rsa_pss")])
async def test_our_holder_signs_by_certomancers_service(dummy, name, mechanism):
    listed = {one.credential_id: one for one in await dummy.list_certificates("anybody")}
    held = listed[f"province/{name}"]
    assert len(held.chain) == 1
    attributes = [signed_attributes(held.certificate, os.urandom(32)) for _ in range(50)]
    items = tuple(
        SignItem(item_id=f"{number}", tbs_sha256=hashlib.sha256(one).digest(), name="")
        for number, one in enumerate(attributes)
    )
    order = SignOrder(
        transaction_id=os.urandom(8).hex(), credential_id=held.credential_id, owner="anybody", items=items,
        mechanism=mechanism,
    )  # fmt: skip
    await dummy.start(order)
    async with asyncio.timeout(60):
        while (told := await dummy.poll(order.transaction_id)).state == "waiting":
            await asyncio.sleep(0.02)
    assert told.state == "signed"
    for number, one in enumerate(attributes):
        check_value(held.certificate, one, told.values[f"{number}"], mechanism)
    with pytest.raises(HolderRefused):
        await dummy.start(
            SignOrder(
                transaction_id="more", credential_id=held.credential_id, owner="anybody",
                items=(*items, items[0]), mechanism=mechanism,
            )
        )  # fmt: skip


class AskedInTheApp(CSCAuthorizationManager):
    """pyHanko's client where the person confirms in the service's app."""

    def __init__(self, session, info, credential) -> None:
        super().__init__(info, credential)
        self._session = session

    async def authorize_signature(self, hash_b64s):
        body = self.format_csc_auth_request(num_signatures=len(hash_b64s), hash_b64s=hash_b64s)
        url = self.csc_session_info.endpoint_url("credentials/authorize")
        async with self._session.post(url, headers=self.auth_headers, json=body, raise_for_status=True) as answer:
            return self.parse_csc_auth_response(await answer.json())


async def test_pyhankos_client_signs_by_our_service(tmp_path):
    async with remote_signer(pki(), "csc") as url, aiohttp.ClientSession() as session:
        csc = Csc(url, "v1", tmp_path)
        form = {"grant_type": "client_credentials", "client_id": "motcua", "client_secret": "demo-secret"}
        async with session.post(f"{url}/csc/v1/oauth2/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        (held,) = await csc.holder.list_certificates("leader-rsa")
        info = CSCServiceSessionInfo(url, held.credential_id, oauth_token=token, api_ver="v1")
        credential = await fetch_certs_in_csc_credential(session, info)
        assert credential.hash_pinning_required
        signer = CSCSigner(session, AskedInTheApp(session, info, credential), batch_size=3)
        subfilter = SigSeedSubFilter.PADES
        meta = PdfSignatureMetadata(field_name="Signatory1", md_algorithm="sha256", subfilter=subfilter)
        drafts = [page(tmp_path / f"{number}.pdf", f"{number}").read_bytes() for number in range(3)]
        signing = (PdfSigner(meta, signer).async_sign_pdf(IncrementalPdfFileWriter(io.BytesIO(one))) for one in drafts)
        for number, signed in enumerate(await asyncio.gather(*signing)):
            (tmp_path / f"{number}-signed.pdf").write_bytes(signed.getvalue())
            assert pdfsig_valid(tmp_path / f"{number}-signed.pdf") == 1
        (asked,) = (await csc.told())["authorisations"]
        assert (len(asked["hashes"]), asked["key_uses"]) == (3, 1)
        await csc.holder.close()
