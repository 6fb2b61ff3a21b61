"""A remote signer of VNPT SmartCA's published shape, with real keys and a person who confirms, refuses or is silent.

Run as `python -m loadtests.outside.sp769 --port 0 --keys DIR`; prints `PORT <n>` when it listens. DIR holds an
index.json as `api.embedded.pki` lays it. `POST /control` sets the profile, `POST /control/{transaction}/{act}`
confirms or refuses one transaction by hand, `GET /control` tells what happened.
"""

import asyncio
import base64
import random
import secrets
import time
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web

from loadtests.outside.keyring import Keyring
from loadtests.outside.serving import main

Behaviour = Literal["confirm", "refuse", "silent", "expire", "garbage", "wrong_hash", "partial"]
WEBHOOK_HEADER = "X-Webhook-Secret"


class Crowd(msgspec.Struct, kw_only=True):
    """Many people, each of their own mind: how long they take, and which part of them does what else than confirm."""

    delay_s: tuple[float, float]
    expire: float = 0.0
    refuse: float = 0.0
    twice: float = 0.0
    """Tap twice: what is signed is told twice."""
    lost: float = 0.0
    """Have no network after the tap: nobody is called back, who asks finds it signed."""
    seed: int = 0


class Profile(msgspec.Struct, kw_only=True):
    """How the person and the service behave; changed while running through /control."""

    behaviour: Behaviour = "confirm"
    delay_s: float = 0.0
    by_hand: bool = False
    answer_delay_s: float = 0.0
    down: bool = False
    window_s: float = 240.0
    webhook_url: str = ""
    webhook_secret: str = ""
    webhook_times: int = 1
    crowd: Crowd | None = None
    """In place of `behaviour`, `delay_s` and `webhook_times`: drawn for each transaction."""


class Transaction(msgspec.Struct, kw_only=True):
    """One request for signatures and what became of it."""

    id: str
    serial: str
    mechanism: str
    files: list[dict[str, Any]]
    asked_at: float
    behaviour: Behaviour
    state: str = "sig_wait_for_user_confirm"
    asked_times: int = 1
    key_uses: int = 0
    signatures: list[dict[str, str]] = []
    code: str = msgspec.field(default_factory=lambda: secrets.token_hex(3))
    """What the app shows beside it."""
    traceparents: list[str] = []
    """Of every call about it, in order."""
    calls_back: int = 1
    tapped_at: float | None = None
    """When the person confirmed, in seconds since the epoch."""


class Service:
    """Holds the transactions of one running server."""

    def __init__(self, keyring: Keyring, sp_id: str, sp_password: str) -> None:
        self.keyring = keyring
        self.sp_id = sp_id
        self.sp_password = sp_password
        self.profile = Profile()
        self.transactions: dict[str, Transaction] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.http: aiohttp.ClientSession | None = None

    async def body(self, request: web.Request) -> dict[str, Any]:
        if self.profile.answer_delay_s:
            await asyncio.sleep(self.profile.answer_delay_s)
        if self.profile.down:
            raise web.HTTPServiceUnavailable(text="down")
        body = await request.json()
        if body.get("sp_id") != self.sp_id or body.get("sp_password") != self.sp_password:
            answer = msgspec.json.encode({"status_code": 401, "message": "SP_CREDENTIAL_INVALID"}).decode()
            raise web.HTTPUnauthorized(text=answer, content_type="application/json")
        return body

    async def certificates(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        held = self.keyring.of_owner(body["user_id"])
        if body.get("serial_number"):
            held = [one for one in held if one.serial == body["serial_number"]]
        listed = [
            {
                "service_type": "ESEAL" if one.kind == "seal" else "SMARTCA",
                "serial_number": one.serial,
                "cert_data": base64.b64encode(one.certificate).decode(),
                "chain_data": self.keyring.chain_data(),
                "cert_valid_from": one.valid_from,
                "cert_valid_to": one.valid_to,
            }
            for one in held
        ]
        return web.json_response({"status_code": 200, "message": "ok", "data": {"user_certificates": listed}})

    async def sign(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        known = self.transactions.get(body["transaction_id"])
        if known is not None:
            known.asked_times += 1
            known.traceparents.append(request.headers.get("traceparent", ""))
            return web.json_response({"status_code": 400, "message": "sig_transaction_exists"}, status=400)
        serials = {one.serial for one in self.keyring.of_owner(body["user_id"])}
        if body["serial_number"] not in serials:
            return web.json_response({"status_code": 403, "message": "CREDENTIAL_STATUS_INVALID"}, status=403)
        if any(len(bytes.fromhex(file["data_to_be_signed"])) != 32 for file in body["sign_files"]):
            return web.json_response({"status_code": 400, "message": "hash is not SHA-256"}, status=400)
        transaction = Transaction(
            id=body["transaction_id"],
            serial=body["serial_number"],
            mechanism=body.get("sign_algo") or self.keyring.default_mechanism(body["serial_number"]),
            files=body["sign_files"],
            asked_at=time.monotonic(),
            behaviour=self.profile.behaviour,
            traceparents=[request.headers.get("traceparent", "")],
        )
        self.transactions[transaction.id] = transaction
        delay_s, transaction.calls_back = self.profile.delay_s, self.profile.webhook_times
        if self.profile.crowd is not None:
            delay_s = self.of_the_crowd(transaction, self.profile.crowd)
        if not self.profile.by_hand:
            self.later(self.person(transaction, delay_s))
        data = {"transaction_id": transaction.id, "tran_code": transaction.code}
        return web.json_response({"status_code": 200, "message": transaction.state, "data": data})

    def of_the_crowd(self, transaction: Transaction, crowd: Crowd) -> float:
        """Draw what this person does; return after how many seconds."""
        chance = random.Random(f"{crowd.seed} {len(self.transactions)}")
        drawn = chance.random()
        for part, behaviour, times in (
            (crowd.expire, "expire", 1), (crowd.refuse, "refuse", 1), (crowd.twice, "confirm", 2),
            (crowd.lost, "confirm", 0),
        ):  # fmt: skip
            if drawn < part:
                transaction.behaviour, transaction.calls_back = behaviour, times
                break
            drawn -= part
        return chance.uniform(*crowd.delay_s)

    def later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def person(self, transaction: Transaction, delay_s: float) -> None:
        """Act as the person with the phone."""
        await asyncio.sleep(delay_s)
        if transaction.behaviour == "silent" or transaction.state != "sig_wait_for_user_confirm":
            return
        states = {"refuse": "sig_user_rejected", "expire": "sig_expired"}
        if transaction.behaviour in states:
            transaction.state = states[transaction.behaviour]
        else:
            transaction.tapped_at = time.time()
            await asyncio.to_thread(self.use_key, transaction)
        for _ in range(transaction.calls_back if self.profile.webhook_url else 0):
            await self.call_back(transaction)

    def use_key(self, transaction: Transaction) -> None:
        signatures = []
        for place, file in enumerate(transaction.files):
            if transaction.behaviour == "partial" and place % 2:
                continue
            digest = bytes.fromhex(file["data_to_be_signed"])
            if transaction.behaviour == "wrong_hash":
                digest = bytes(32)
            value = self.keyring.sign(transaction.serial, digest, transaction.mechanism)
            if transaction.behaviour == "garbage":
                value = secrets.token_bytes(len(value))
            signatures.append({"doc_id": file["doc_id"], "signature_value": base64.b64encode(value).decode()})
        transaction.key_uses += 1
        transaction.signatures = signatures
        transaction.state = "sig_signed"

    async def call_back(self, transaction: Transaction) -> None:
        sent = {
            "sp_id": self.sp_id,
            "status_code": 200,
            "message": transaction.state,
            "transaction_id": transaction.id,
            "signed_files": transaction.signatures,
        }
        self.http = self.http or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers = {WEBHOOK_HEADER: self.profile.webhook_secret}
        try:
            async with self.http.post(self.profile.webhook_url, json=sent, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return

    async def status(self, request: web.Request) -> web.Response:
        await self.body(request)
        transaction = self.transactions.get(request.match_info["id"])
        if transaction is None:
            return web.json_response({"status_code": 404, "message": "sig_not_found"}, status=404)
        transaction.traceparents.append(request.headers.get("traceparent", ""))
        waiting = transaction.state == "sig_wait_for_user_confirm"
        if waiting and time.monotonic() - transaction.asked_at > self.profile.window_s:
            transaction.state = "sig_expired"
        data = {"transaction_id": transaction.id, "signatures": transaction.signatures}
        return web.json_response({"status_code": 200, "message": transaction.state, "data": data})

    async def set_profile(self, request: web.Request) -> web.Response:
        changes = await request.json()
        merged = {**msgspec.to_builtins(self.profile), **changes}
        self.profile = msgspec.convert(merged, Profile)
        return web.json_response(msgspec.to_builtins(self.profile))

    async def act(self, request: web.Request) -> web.Response:
        transaction = self.transactions.get(request.match_info["id"])
        if transaction is None:
            raise web.HTTPNotFound
        transaction.behaviour = request.match_info["act"]  # pyright: ignore[reportAttributeAccessIssue]
        if transaction.behaviour not in {"confirm", "refuse", "expire"}:
            raise web.HTTPBadRequest
        await self.person(transaction, 0)
        return web.json_response({"state": transaction.state})

    async def told(self, _: web.Request) -> web.Response:
        kept = {key: msgspec.to_builtins(one) for key, one in self.transactions.items()}
        return web.json_response({"profile": msgspec.to_builtins(self.profile), "transactions": kept})

    async def forget(self, _: web.Application) -> None:
        for task in list(self.tasks):
            task.cancel()
        if self.http is not None:
            await self.http.close()


def make_app(keys: Path, sp_id: str, sp_password: str) -> web.Application:
    """Return the server's application."""
    service = Service(Keyring(keys), sp_id, sp_password)
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.add_routes(
        [
            web.post("/v1/credentials/get_certificate", service.certificates),
            web.post("/v1/signatures/sign", service.sign),
            web.post("/v1/signatures/sign/{id}/status", service.status),
            web.get("/control", service.told),
            web.post("/control", service.set_profile),
            web.post("/control/{id}/{act}", service.act),
        ]
    )
    app.on_cleanup.append(service.forget)
    return app


if __name__ == "__main__":
    main(__doc__, make_app, secret="demo")
