"""A timestamping authority that is quick, or as slow and as limited as it is told: a small real server with a real key.

It makes a root and a certificate of its own and serves RFC 3161 at `/`; requests beyond `per_second` wait. A token
costs a quarter of certomancer's. Run as `python -m loadtests.outside.clock --port 0 --keys DIR` it lays its root into
DIR as `clock.pem` and prints `PORT <n>`; `POST /control` sets `delay_s` (from, to; evenly over the logarithm) and
`down`, `GET /control` tells how many it has given.
"""

import asyncio
import hashlib
import math
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.sign.general import as_signing_certificate_v2, simple_cms_attribute

from loadtests.outside.serving import main


def _name(said: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said)])


def _certificate(subject: str, issuer: str, key: Any, by: Any, *, root: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if not root:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(by, hashes.SHA256())


class Clock:
    """Gives tokens, at most so many per second; `down` answers 503, `given` counts, `asked_at` is when it was asked."""

    def __init__(self, per_second: float = 0.0) -> None:
        self.per_second = per_second
        self.down = False
        self.delay_s: tuple[float, float] | None = None
        self.given = 0
        self._chance = random.Random(os.urandom(8))
        self.asked_at: list[float] = []
        self._free_at = 0.0
        self._key = ec.generate_private_key(ec.SECP256R1())
        root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = _certificate("Clock Root", "Clock Root", root_key, root_key, root=True)
        own = _certificate("Clock", "Clock Root", self._key, root_key, root=False)
        self._own = asn1.Certificate.load(own.public_bytes(Encoding.DER))
        self._attributes = [
            simple_cms_attribute("content_type", "tst_info"),
            simple_cms_attribute("signing_certificate_v2", as_signing_certificate_v2(self._own)),
        ]
        self.app = web.Application()
        control = [web.get("/control", self._told), web.post("/control", self._control)]
        self.app.add_routes([web.post("/", self._answer), *control])

    def root_der(self) -> bytes:
        """Return the anchor."""
        return self.root.public_bytes(Encoding.DER)

    def root_pem(self) -> bytes:
        """Return the anchor as a file has it."""
        return self.root.public_bytes(Encoding.PEM)

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked_at.append(time.monotonic())
        if self.down:
            return web.Response(status=503)
        if self.per_second:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + 1 / self.per_second
            await asyncio.sleep(self._free_at - now)
        if self.delay_s is not None:
            await asyncio.sleep(math.exp(self._chance.uniform(*map(math.log, self.delay_s))))
        self.given += 1
        return web.Response(body=self._token(body), content_type="application/timestamp-reply")

    async def _control(self, request: web.Request) -> web.Response:
        profile = await request.json()
        delay_s = profile.get("delay_s")
        self.down, self.delay_s = profile.get("down", False), tuple(delay_s) if delay_s else None
        return await self._told(request)

    async def _told(self, _: web.Request) -> web.Response:
        return web.json_response({"given": self.given, "down": self.down, "delay_s": self.delay_s})

    def _token(self, body: bytes) -> bytes:
        asked = tsp.TimeStampReq.load(body)
        info = {
            "version": "v1", "policy": "1.3.6.1.4.1.4146.2.2", "message_imprint": asked["message_imprint"],
            "serial_number": int.from_bytes(os.urandom(8), "big"), "gen_time": datetime.now(UTC),
            "nonce": asked["nonce"],
        }  # fmt: skip
        content = core.ParsableOctetString(tsp.TSTInfo(info).dump())
        digest = simple_cms_attribute("message_digest", hashlib.sha256(bytes(content)).digest())
        attributes = cms.CMSAttributes([*self._attributes, digest])
        sid = {"issuer": self._own.issuer, "serial_number": self._own.serial_number}
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier({"issuer_and_serial_number": cms.IssuerAndSerialNumber(sid)}),
                "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                "signed_attrs": attributes,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                "signature": self._key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
                "encap_content_info": {"content_type": "tst_info", "content": content},
                "certificates": [self._own],
                "signer_infos": [signer],
            }
        )
        token = cms.ContentInfo({"content_type": "signed_data", "content": signed})
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()


async def start(clock: Clock, host: str = "127.0.0.1", port: int = 0) -> tuple[str, web.AppRunner]:
    """Serve; returns the address and what stops it."""
    runner = web.AppRunner(clock.app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return f"http://{host}:{runner.addresses[0][1]}/", runner


def make_app(keys: Path, *_: str) -> web.Application:
    """Return the authority's application, with its root laid where it is trusted from."""
    clock = Clock()
    (keys / "clock.pem").write_bytes(clock.root_pem())
    return clock.app


if __name__ == "__main__":
    main(__doc__, make_app, secret="")
