"""An official's desktop tool with the keys of his token: fetches what waits for him, signs it, and hands it back.

Run as `python -m loadtests.outside.officer --url URL --login NAME --password-file FILE --keys DIR`; works until it is
stopped. `--form` is what it hands back: `values` (raw, all in one call), `prepared` (our file with its own CMS in the
room) or `own` (a revision of its own, as tools do that know nothing of ours). `--behaviour` is how well it behaves.
"""

import argparse
import asyncio
import contextlib
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import msgspec
from asn1crypto import algos, cms
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.generic import TextStringObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

from loadtests.outside.keyring import Keyring

Form = Literal["values", "prepared", "own"]
Behaviour = Literal["confirm", "refuse", "silent", "wrong_file", "altered_page", "another_certificate", "garbage"]
FORMS: Final[tuple[Form, ...]] = ("values", "prepared", "own")
BEHAVIOURS: Final[tuple[Behaviour, ...]] = (
    "confirm", "refuse", "silent", "wrong_file", "altered_page", "another_certificate", "garbage",
)  # fmt: skip
_ALGORITHMS: Final = {"ecdsa": "sha256_ecdsa", "rsa_pkcs1v15": "rsassa_pkcs1v15"}
ROOM: Final = "/signing-tool/transactions"


class Token:
    """A USB token: the keys of one keyring, used for one document after another; it can be told to misbehave."""

    def __init__(self, keyring: Keyring, behaviour: Behaviour = "confirm") -> None:
        self.keyring, self.behaviour = keyring, behaviour

    def serial_for(self, errand: dict[str, Any]) -> str:
        """Return whose key signs: the one asked for, or somebody else's of the same kind."""
        self.keyring.refresh()
        wanted = errand["certificate_serial"]
        if self.behaviour != "another_certificate":
            return wanted
        kind = self.keyring.default_mechanism(wanted)
        others = (one for one in self.keyring.by_serial if one != wanted)
        return next(one for one in others if self.keyring.default_mechanism(one) == kind)

    def value(self, errand: dict[str, Any]) -> dict[str, Any]:
        """Return the raw value over the signed attributes, as JSON takes it."""
        serial = self.serial_for(errand)
        attributes = msgspec.json.decode(msgspec.json.encode(errand["signed_attributes"]), type=bytes)
        if hashlib.sha256(attributes).hexdigest() != errand["tbs_sha256"]:
            raise ValueError("the hash is not that of the attributes")
        digest = bytes(32) if self.behaviour == "wrong_file" else bytes.fromhex(errand["tbs_sha256"])
        value = self.keyring.sign(serial, digest, errand["mechanism"])
        if self.behaviour == "garbage":
            value = os.urandom(len(value))
        certificates = [self.keyring.by_serial[serial].certificate, *self.keyring.chain]
        made = {"request_id": errand["request_id"], "value": value, "certificates": certificates}
        return msgspec.to_builtins(made)

    def signer(self, errand: dict[str, Any]) -> signers.SimpleSigner:
        """Return the key as pyHanko uses it."""
        serial = self.serial_for(errand)
        raw = self.keyring.key(serial).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        store = SimpleCertificateStore()
        store.register_multiple(asn1_x509.Certificate.load(der) for der in self.keyring.chain[:-1])
        return signers.SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(self.keyring.by_serial[serial].certificate),
            signing_key=asn1_keys.PrivateKeyInfo.load(raw),
            cert_registry=store,
            prefer_pss=errand["mechanism"] == "rsa_pss",
        )

    async def into_the_room(self, prepared: bytes, errand: dict[str, Any]) -> bytes:
        """Return the prepared file with this tool's own CMS in the room that was kept for it."""
        start, end = errand["reserved_start"], errand["reserved_end"]
        digest = hashlib.sha256(prepared[:start] + prepared[end:]).digest()
        if self.behaviour == "wrong_file":
            digest = bytes(32)
        made = await self.signer(errand).async_sign(digest, "sha256", use_pades=True)
        digits = made.dump().hex().encode()
        if self.behaviour == "garbage":
            digits = os.urandom(len(digits) // 2).hex().encode()
        filled = prepared[: start + 1] + digits.ljust(end - start - 2, b"0") + prepared[end - 1 :]
        return filled.replace(b"/Type /Page\n", b"/Type /Pag3\n", 1) if self.behaviour == "altered_page" else filled

    def at_once(self, prepared: bytes, errand: dict[str, Any]) -> bytes:
        """Return the prepared file with a CMS over its own attributes, without pyHanko and without an event loop."""
        start, end = errand["reserved_start"], errand["reserved_end"]
        attributes = msgspec.json.decode(msgspec.json.encode(errand["signed_attributes"]), type=bytes)
        value = msgspec.json.decode(msgspec.json.encode(self.value(errand)["value"]), type=bytes)
        own = asn1_x509.Certificate.load(self.keyring.by_serial[errand["certificate_serial"]].certificate)
        chain = [asn1_x509.Certificate.load(der) for der in self.keyring.chain[:-1]]
        hashed = algos.DigestAlgorithm({"algorithm": "sha256"})
        made = cms.SignedData(
            {
                "version": "v1",
                "digest_algorithms": [hashed],
                "encap_content_info": {"content_type": "data"},
                "certificates": [own, *chain],
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": cms.SignerIdentifier(
                            {"issuer_and_serial_number": {"issuer": own.issuer, "serial_number": own.serial_number}}
                        ),
                        "digest_algorithm": hashed,
                        "signed_attrs": cms.CMSAttributes.load(attributes),
                        "signature_algorithm": {"algorithm": _ALGORITHMS[errand["mechanism"]]},
                        "signature": value,
                    }
                ],
            }
        )
        digits = cms.ContentInfo({"content_type": "signed_data", "content": made}).dump().hex().encode()
        return prepared[: start + 1] + digits.ljust(end - start - 2, b"0") + prepared[end - 1 :]

    async def by_itself(self, base: bytes, errand: dict[str, Any], subfilter: Any = SigSeedSubFilter.PADES) -> bytes:
        """Return the base with one revision of this tool's own: number and date where given, and the signature."""
        if self.behaviour == "wrong_file":
            base = base.replace(b"\n", b"\r", 1)
        if self.behaviour == "garbage":
            return base + os.urandom(4096)
        writer = IncrementalPdfFileWriter(io.BytesIO(base), strict=False)
        fills = {entry["Key"]: entry["Value"] for entry in errand["tool"]["MetaData"]}
        for reference in writer.root["/AcroForm"]["/Fields"]:
            field = reference.get_object()
            if text := fills.get(str(field.get("/T", ""))):
                field[pdf_name("/V")] = TextStringObject(text)
                writer.update_container(field)
        if self.behaviour == "altered_page":
            page = writer.root["/Pages"]["/Kids"][0].get_object()
            page[pdf_name("/Rotate")] = writer.root["/Pages"]["/Count"]
            writer.update_container(page)
        how = signers.PdfSignatureMetadata(
            field_name=errand["field"], md_algorithm="sha256", subfilter=subfilter, location="Bắc Ninh"
        )
        out = await signers.PdfSigner(how, self.signer(errand)).async_sign_pdf(writer, existing_fields_only=True)
        return out.getvalue()


class OfficerTool:
    """The program at the official's desk: one session, one token."""

    def __init__(
        self, web: aiohttp.ClientSession, headers: dict[str, str], token: Token, form: Form = "values"
    ) -> None:
        self.web, self.headers, self.token, self.form = web, headers, token, form
        self.calls = 0

    async def _call(self, method: str, path: str, **sent: Any) -> aiohttp.ClientResponse:
        self.calls += 1
        headers = {**self.headers, **sent.pop("headers", {})}
        answer = await self.web.request(method, path, headers=headers, **sent)
        await answer.read()
        return answer

    async def waiting(self) -> list[dict[str, Any]]:
        """Return what waits for this official."""
        answer = await self._call("GET", ROOM)
        answer.raise_for_status()
        return await answer.json()

    async def fetch(self, transaction: str, errand: dict[str, Any], what: str) -> bytes:
        """Download the base or the prepared file of one document."""
        answer = await self._call("GET", f"{ROOM}/{transaction}/items/{errand['request_id']}/{what}")
        answer.raise_for_status()
        return await answer.read()

    async def signed(self, transaction: str, errand: dict[str, Any]) -> bytes:
        """Fetch and sign one document as a whole file."""
        if self.form == "own":
            return await self.token.by_itself(await self.fetch(transaction, errand, "base"), errand)
        return await self.token.into_the_room(await self.fetch(transaction, errand, "prepared"), errand)

    async def hand_back_file(self, transaction: str, errand: dict[str, Any], content: bytes) -> tuple[int, Any]:
        """Send a signed file as a form, as the desktop tool does; return status and answer."""
        form = aiohttp.FormData()
        form.add_field("uploadfile", content, filename="ket-qua.pdf", content_type="application/pdf")
        answer = await self._call("POST", f"{ROOM}/{transaction}/items/{errand['request_id']}/file", data=form)
        return answer.status, await answer.json(content_type=None)

    async def hand_back_values(self, transaction: str, values: list[dict[str, Any]]) -> tuple[int, Any]:
        """Send raw values, all in one call."""
        answer = await self._call("POST", f"{ROOM}/{transaction}/values", json={"values": values})
        return answer.status, await answer.json(content_type=None)

    async def refuse(self, transaction: str) -> int:
        """Say that the official does not sign these."""
        return (await self._call("POST", f"{ROOM}/{transaction}/refusal")).status

    async def work_once(self) -> list[tuple[int, Any]]:
        """Fetch, sign and hand back all that waits now; return the answers."""
        answers: list[tuple[int, Any]] = []
        for waiting in await self.waiting():
            transaction, items = waiting["transaction_id"], waiting["items"]
            if self.token.behaviour == "silent":
                continue
            if self.token.behaviour == "refuse":
                answers.append((await self.refuse(transaction), None))
            elif self.form == "values":
                values = await asyncio.to_thread(lambda items=items: [self.token.value(one) for one in items])
                answers.append(await self.hand_back_values(transaction, values))
            else:
                answers += [
                    await self.hand_back_file(transaction, one, await self.signed(transaction, one)) for one in items
                ]
        return answers


@contextlib.asynccontextmanager
async def at_the_desk(
    url: str, login: str, password: str, token: Token, form: Form = "values"
) -> AsyncIterator[OfficerTool]:
    """Log in as the web page does, and hand its bearer token to the tool."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(url, timeout=timeout) as web:
        sent = {"login": login, "password": password}
        async with web.post("/session", json=sent, headers={"Idempotency-Key": os.urandom(16).hex()}) as opened:
            opened.raise_for_status()
            bearer = (await opened.json())["token"]
        yield OfficerTool(web, {"Authorization": f"Bearer {bearer}"}, token, form)


async def _serve(options: argparse.Namespace) -> None:
    token = Token(Keyring(options.keys), options.behaviour)
    password = options.password_file.read_text(encoding="utf-8").strip()
    async with at_the_desk(options.url, options.login, password, token, options.form) as tool:
        while True:
            await tool.work_once()
            await asyncio.sleep(options.every)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--login", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--form", choices=FORMS, default="values")
    parser.add_argument("--behaviour", choices=BEHAVIOURS, default="confirm")
    parser.add_argument("--every", type=float, default=0.5)
    asyncio.run(_serve(parser.parse_args()))
