"""A remote signer of Viettel MySign's published shape, with real keys and a person who confirms, refuses or is silent.

Run as `python -m loadtests.outside.vtss --port 0 --keys DIR`; prints `PORT <n>` when it listens. A log-in is one
person's and good for what is theirs. `/control` is as in `sp769`.
"""

import asyncio
import base64
import secrets
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiohttp import web

from loadtests.outside.keyring import Keyring
from loadtests.outside.serving import main

Behaviour = Literal["confirm", "refuse", "silent", "expire", "garbage", "wrong_hash", "partial"]
SHA256 = "2.16.840.1.101.3.4.2.1"
MECHANISMS = {"1.2.840.113549.1.1.1": "rsa_pkcs1v15", "1.2.840.10045.2.1": "ecdsa"}
WAITING, SIGNING, SIGNED, EXPIRED, DENIED = "4000", "6000", "1", "4001", "4002"


class Profile(msgspec.Struct, kw_only=True):
    """How the person and the service behave; changed while running through /control."""

    behaviour: Behaviour = "confirm"
    delay_s: float = 0.0
    by_hand: bool = False
    answer_delay_s: float = 0.0
    down: bool = False
    window_s: float = 240.0


class Transaction(msgspec.Struct, kw_only=True):
    """One request to a person, and what became of it."""

    id: str
    credential: str
    mechanism: str
    hashes: list[str]
    names: list[str]
    description: str
    asked_at: float
    behaviour: Behaviour
    status: str = WAITING
    signatures: list[str] = []
    key_uses: int = 0


class Service:
    """Holds the log-ins and transactions of one running server."""

    def __init__(self, keyring: Keyring, client_id: str, client_secret: str) -> None:
        self.keyring, self.client_id, self.client_secret = keyring, client_id, client_secret
        self.profile = Profile()
        self.people: dict[str, str] = {}
        self.transactions: dict[str, Transaction] = {}
        self.calls: dict[str, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Be as slow, as broken and as strict as told."""
        if request.path.startswith("/control"):
            return await handler(request)
        method = request.path.removeprefix("/vtss/service/")
        self.calls[method] = self.calls.get(method, 0) + 1
        if self.profile.answer_delay_s:
            await asyncio.sleep(self.profile.answer_delay_s)
        if self.profile.down:
            raise web.HTTPServiceUnavailable(text="down")
        if method != "ras/v1/login":
            person = self.people.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
            if person is None:
                return fault("invalid_token", 401)
            request["person"] = person
        try:
            return await handler(request)
        except (KeyError, TypeError, ValueError):
            return fault("invalid_request")

    def knows(self, body: dict[str, Any]) -> bool:
        return body.get("client_id") == self.client_id and body.get("client_secret") == self.client_secret

    async def login(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self.knows(body) or not body["profile_id"]:
            return fault("invalid_client")
        if not self.keyring.of_owner(body["user_id"]):
            return fault("invalid_user")
        token = secrets.token_urlsafe(24)
        self.people[token] = body["user_id"]
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    async def certificates(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self.knows(body) or body["user_id"] != request["person"]:
            return fault("invalid_client")
        chain = [base64.b64encode(der).decode() for der in self.keyring.chain]
        listed = [
            {
                "credential_id": one.serial,
                "cert": {"certificates": [base64.b64encode(one.certificate).decode(), *chain]},
                "key": {"status": "enabled", "algo": [self.algorithm(one.serial)]},
            }
            for one in self.keyring.of_owner(body["user_id"])
        ]
        return web.json_response(listed)

    def algorithm(self, serial: str) -> str:
        mechanism = self.keyring.default_mechanism(serial)
        return next(oid for oid, named in MECHANISMS.items() if named == mechanism)

    async def sign(self, request: web.Request) -> web.Response:
        body = await request.json()
        hashes, documents = body["hash"], body["documents"]
        if not self.knows(body) or not len(hashes) == len(documents) == body["numSignatures"]:
            return fault("invalid_request")
        if body["hashAlgo"] != SHA256 or body["async"] != 1:
            return fault("invalid_request")
        if body["credentialID"] not in {one.serial for one in self.keyring.of_owner(request["person"])}:
            return fault("invalid_credential")
        if any(len(one["document_name"]) >= 100 for one in documents):
            return fault("document_name_too_long")
        one = Transaction(
            id=secrets.token_hex(12), credential=body["credentialID"], mechanism=MECHANISMS[body["signAlgo"]],
            hashes=hashes, names=[base64.b64decode(two["document_name"]).decode() for two in documents],
            description=base64.b64decode(body["description"]).decode(), asked_at=time.monotonic(),
            behaviour=self.profile.behaviour,
        )  # fmt: skip
        self.transactions[one.id] = one
        if not self.profile.by_hand:
            task = asyncio.ensure_future(self.person(one, self.profile.delay_s))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return web.json_response({"transactionId": one.id})

    async def person(self, one: Transaction, delay_s: float) -> None:
        """Act as the person with the phone."""
        await asyncio.sleep(delay_s)
        if one.behaviour == "silent" or one.status != WAITING:
            return
        states = {"refuse": DENIED, "expire": EXPIRED}
        if one.behaviour in states:
            one.status = states[one.behaviour]
            return
        one.status = SIGNING
        one.signatures = await asyncio.to_thread(self.use_key, one)
        one.status = SIGNED

    def use_key(self, one: Transaction) -> list[str]:
        values: list[str] = []
        for place, coded in enumerate(one.hashes):
            digest = bytes(32) if one.behaviour == "wrong_hash" else base64.b64decode(coded)
            value = self.keyring.sign(one.credential, digest, one.mechanism)
            if one.behaviour == "garbage":
                value = secrets.token_bytes(len(value))
            # Its values come in lines, as those of many Java programs.
            left_out = one.behaviour == "partial" and place % 2
            values.append("" if left_out else base64.encodebytes(value).decode().replace("\n", "\r\n"))
        one.key_uses += 1
        return values

    async def status(self, request: web.Request) -> web.Response:
        one = self.transactions[(await request.json())["transactionId"]]
        if one.credential not in {two.serial for two in self.keyring.of_owner(request["person"])}:
            return fault("invalid_transaction")
        if one.status == WAITING and time.monotonic() - one.asked_at > self.profile.window_s:
            one.status = EXPIRED
        values = {"signatures": one.signatures} if one.status == SIGNED else {}
        return web.json_response({"status": one.status, **values})

    async def set_profile(self, request: web.Request) -> web.Response:
        merged = {**msgspec.to_builtins(self.profile), **await request.json()}
        self.profile = msgspec.convert(merged, Profile)
        return web.json_response(msgspec.to_builtins(self.profile))

    async def act(self, request: web.Request) -> web.Response:
        """Confirm or refuse what waits, by its description or id; or let every log-in be forgotten."""
        if request.match_info["act"] == "forget-tokens":
            self.people.clear()
            return web.json_response({})
        named = request.match_info["id"]
        one = next(two for two in self.transactions.values() if named in (two.id, two.description))
        one.behaviour = request.match_info["act"]  # pyright: ignore[reportAttributeAccessIssue]
        await self.person(one, 0.0)
        return web.json_response({"status": one.status})

    async def told(self, _: web.Request) -> web.Response:
        kept = [msgspec.to_builtins(one) for one in self.transactions.values()]
        return web.json_response({"transactions": kept, "calls": self.calls, "secrets": list(self.people)})


def fault(error: str, status: int = 400) -> web.Response:
    """Return an error as the service words it."""
    return web.json_response({"error": error, "error_description": error}, status=status)


def make_app(keys: Path, client_id: str, client_secret: str) -> web.Application:
    """Return the server's application."""
    service = Service(Keyring(keys), client_id, client_secret)
    app = web.Application(client_max_size=8 * 1024 * 1024, middlewares=[service.guard])
    app.add_routes(
        [
            web.post("/vtss/service/ras/v1/login", service.login),
            web.post("/vtss/service/certificates/info", service.certificates),
            web.post("/vtss/service/signHash", service.sign),
            web.post("/vtss/service/requests/status", service.status),
            web.get("/control", service.told),
            web.post("/control", service.set_profile),
            web.post("/control/{id}/{act}", service.act),
        ]
    )
    return app


if __name__ == "__main__":
    main(__doc__, make_app, secret="demo-secret")
