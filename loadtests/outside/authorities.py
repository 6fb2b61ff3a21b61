"""Certification, revocation and time as outside authorities give them: certomancer behind a small real server.

`start` lays keys and certificates of a small PKI into an empty directory (certificates name this server for OCSP and
CRL), with the index that `SoftwareHolder` reads, and serves `/a/tsa/NAME` (RFC 3161), `/a/ocsp/NAME` (RFC 6960) and
`/a/crls/NAME/latest.crl`. The root vouches for `tsa` and `tsa2`, the intermediate for `tsa3`. `faults["tsa/tsa"]`, also
by `POST /control`, makes a service misbehave: `silent`, `429`, `garbage`, `wrong-imprint`, `wrong-nonce`, `refused`, or
a number of seconds. Certomancer builds a token in some 40 ms; for speed there is `loadtests.outside.clock`.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from asn1crypto import ocsp, tsp
from certomancer.registry import (
    ArchLabel,
    CertLabel,
    CertomancerConfig,
    ServiceLabel,
)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

KEYS: Final = ("root", "interm", "interm-ocsp", "tsa", "tsa2", "tsa3", "not-tsa", "leader", "leader2", "seal")
SIGNERS: Final = ("leader", "leader2", "seal")
_NAMES: Final = {
    "root": "Authorities Root", "interm": "Authorities Issuing", "interm-ocsp": "Authorities OCSP",
    "tsa": "Authorities TSA 1", "tsa2": "Authorities TSA 2", "tsa3": "Authorities TSA 3", "not-tsa": "No TSA At All",
    "leader": "Nguyễn Văn Ký", "leader2": "Trần Thị Thu Hồi", "seal": "UBND xã Thử Nghiệm",
}  # fmt: skip
_REJECTION: Final = bytes.fromhex("30053003020102")
"""PKIStatus 2 and no token (RFC 3161 2.4.2)."""
SILENCE_S: Final = 600.0


def _config(prefix: str, revoked: dict[str, datetime], held: set[str], born: datetime) -> dict[str, Any]:
    def span(years: int) -> dict[str, str]:
        return {"valid-from": born.isoformat(), "valid-to": (born + timedelta(days=365 * years)).isoformat()}

    def usage(*bits: str) -> dict[str, Any]:
        return {"id": "key_usage", "critical": True, "smart-value": {"schema": "key-usage", "params": list(bits)}}

    def crl_at(issuer: str) -> dict[str, Any]:
        where = {"schema": "crl-dist-url", "params": {"crl-repo-names": [issuer]}}
        return {"id": "crl_distribution_points", "smart-value": where}

    def simple_ca(**params: Any) -> list[dict[str, Any]]:
        return [{"id": "simple-ca", "params": params}]

    timing = {"id": "extended_key_usage", "critical": True, "value": ["time_stamping"]}
    tsa = {"issuer": "root", "validity": span(10), "extensions": [usage("digital_signature"), timing, crl_at("root")]}
    aia = {
        "id": "authority_information_access",
        "smart-value": {"schema": "aia-urls", "params": {"ocsp-responder-names": ["interm"]}},
    }
    signer = {
        "issuer": "interm",
        "validity": span(4),
        "extensions": [usage("digital_signature", "non_repudiation"), crl_at("interm"), aia],
    }
    certs: dict[str, Any] = {
        "root": {
            "subject": "root", "subject-key": "root", "issuer": "root", "authority-key": "root",
            "validity": span(30), "profiles": simple_ca(**{"crl-repo": "root"}),
        },
        "interm": {
            "issuer": "root", "validity": span(20), "profiles": simple_ca(**{"max-path-len": 0, "crl-repo": "root"})
        },
        "interm-ocsp": {"issuer": "interm", "validity": span(20), "profiles": ["ocsp-responder"]},
        "tsa": tsa,
        "tsa2": tsa,
        "tsa3": {
            **tsa, "issuer": "interm", "extensions": [usage("digital_signature"), timing, crl_at("interm"), aia]
        },
        "not-tsa": {**tsa, "extensions": [usage("digital_signature"), crl_at("root")]},
        **{name: dict(signer) for name in SIGNERS},
    }  # fmt: skip
    for name, since in revoked.items():
        reason = "certificate_hold" if name in held else "key_compromise"
        certs[name]["revocation"] = {"revoked-since": since.isoformat(), "reason": reason}
    return {
        "external-url-prefix": prefix,
        "keysets": {"k": {"path-prefix": ".", "keys": {name: {"path": f"{name}.key.pem"} for name in KEYS}}},
        "pki-architectures": {
            "a": {
                "keyset": "k",
                "entity-defaults": {"country-name": "VN", "organization-name": "UBND xã Thử Nghiệm"},
                "entities": {name: {"common-name": said} for name, said in _NAMES.items()},
                "certs": certs,
                "services": _services(),
            }
        },
    }  # fmt: skip


def _services() -> dict[str, Any]:
    stamping = {name: {"signing-key": name, "signing-cert": name} for name in ("tsa", "tsa2", "not-tsa")}
    stamping["tsa3"] = {"signing-key": "tsa3", "signing-cert": "tsa3", "certs-to-embed": ["interm"]}
    return {
        "ocsp": {
            "interm": {
                "for-issuer": "interm", "responder-cert": "interm-ocsp", "signing-key": "interm-ocsp",
                "validity-period": {"hours": 12},
            }
        },
        "crl-repo": {
            "root": {"for-issuer": "root", "signing-key": "root", "simulated-update-schedule": "P90D"},
            "interm": {"for-issuer": "interm", "signing-key": "interm", "simulated-update-schedule": "P1D"},
        },
        "time-stamping": stamping,
    }  # fmt: skip


class Authorities:
    """The PKI and its services; `faults` names what misbehaves and how, `asked` counts calls, `at` fixes the time.

    `waiting` counts the calls that are kept waiting and whose caller is still there.
    """

    def __init__(self, keys: Path, born: datetime | None = None) -> None:
        self.keys = keys
        self.born = (born or datetime.now(UTC) - timedelta(days=400)).replace(microsecond=0)
        self.revoked: dict[str, datetime] = {}
        self.held: set[str] = set()
        self.faults: dict[str, str] = {}
        self.asked: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        self.at: datetime | None = None
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/a/tsa/{name}", self._tsa),
                web.post("/a/ocsp/{name}", self._ocsp),
                web.get("/a/crls/{name}/latest.crl", self._crl),
                web.post("/control", self._control),
            ]
        )

    def lay(self, prefix: str) -> None:
        """Make keys and certificates that name this address, once the port is known."""
        self.prefix = prefix
        for name in KEYS:
            made = ec.generate_private_key(ec.SECP256R1())
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self.keys / f"{name}.key.pem").write_bytes(pem)
        self.load()
        for name in KEYS:
            (self.keys / f"{name}.pem").write_bytes(_pem(self.arch.get_cert(CertLabel(name)).dump()))
        entries = [
            {"credential_id": name, "owner": name, "certificate": f"{name}.pem", "key": f"{name}.key.pem"}
            for name in SIGNERS
        ]
        (self.keys / "index.json").write_text(json.dumps({"chain": ["interm.pem", "root.pem"], "entries": entries}))

    def load(self) -> None:
        """Read the PKI anew, with what is revoked by now."""
        made = _config(self.prefix, self.revoked, self.held, self.born)
        self.arch = CertomancerConfig(made, key_search_dir=str(self.keys)).get_pki_arch(ArchLabel("a"))

    def revoke(self, name: str, since: datetime) -> None:
        """Revoke a certificate; OCSP and CRL say so from now on."""
        self.revoked[name] = since.replace(microsecond=0)
        self.load()

    def hold(self, name: str, since: datetime) -> None:
        """Put a certificate on hold (certificateHold); `lift` ends it."""
        self.held.add(name)
        self.revoke(name, since)

    def lift(self, name: str) -> None:
        """Take a certificate off the list again."""
        self.held.discard(name)
        del self.revoked[name]
        self.load()

    def der(self, name: str) -> bytes:
        """Return a certificate as it was first laid."""
        return load_pem_x509_certificate((self.keys / f"{name}.pem").read_bytes()).public_bytes(Encoding.DER)

    def _now(self) -> datetime:
        return self.at or datetime.now(UTC)

    async def _misbehave(self, service: str) -> web.Response | None:
        self.asked[service] = self.asked.get(service, 0) + 1
        fault = self.faults.get(service, "")
        if fault == "silent":
            await self._wait(service, SILENCE_S)
        elif fault == "429":
            return web.Response(status=429, headers={"Retry-After": "30"})
        elif fault == "garbage":
            kind = "timestamp-reply" if service.startswith("tsa") else "ocsp-response"
            return web.Response(body=b"\x30\x03\x0a\x01\x00 garbage", content_type=f"application/{kind}")
        elif fault.replace(".", "", 1).isdigit():
            await self._wait(service, float(fault))
        return None

    async def _wait(self, service: str, seconds: float) -> None:
        self.waiting[service] = self.waiting.get(service, 0) + 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.waiting[service] -= 1

    async def _tsa(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        bad = await self._misbehave(f"tsa/{name}")
        if bad is not None:
            return bad
        asked = tsp.TimeStampReq.load(body)
        fault = self.faults.get(f"tsa/{name}")
        if fault == "wrong-imprint":
            asked["message_imprint"]["hashed_message"] = b"\x00" * 32
        elif fault == "wrong-nonce":
            asked["nonce"] = 4711
        if fault == "refused":
            return web.Response(body=_REJECTION, content_type="application/timestamp-reply")
        timing = self.arch.service_registry.summon_timestamper(ServiceLabel(name), self._now())
        said = await asyncio.to_thread(timing.request_tsa_response, asked)
        return web.Response(body=said.dump(), content_type="application/timestamp-reply")

    async def _ocsp(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        bad = await self._misbehave(f"ocsp/{name}")
        if bad is not None:
            return bad
        answering = self.arch.service_registry.summon_responder(ServiceLabel(name), self._now())
        said = await asyncio.to_thread(answering.build_ocsp_response, ocsp.OCSPRequest.load(body))
        return web.Response(body=said.dump(), content_type="application/ocsp-response")

    async def _crl(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        bad = await self._misbehave(f"crl/{name}")
        if bad is not None:
            return bad
        said = await asyncio.to_thread(self.arch.service_registry.get_crl, ServiceLabel(name), self._now())
        return web.Response(body=said.dump(), content_type="application/pkix-crl")

    async def _control(self, request: web.Request) -> web.Response:
        self.faults.update(await request.json())
        return web.json_response({"faults": self.faults, "asked": self.asked})


def _pem(der: bytes) -> bytes:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


async def start(keys: Path, host: str = "127.0.0.1", port: int = 0, born: datetime | None = None) -> Any:
    """Lay and serve; returns the authorities and what stops them."""
    made = Authorities(keys, born)
    runner = web.AppRunner(made.app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    made.lay(f"http://{host}:{runner.addresses[0][1]}")
    return made, runner
