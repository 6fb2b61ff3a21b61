"""A remote signer of the Cloud Signature Consortium's API, v1 and v2 side by side, with real keys and a person.

Run as `python -m loadtests.outside.csc --port 0 --keys DIR`; prints `PORT <n>` when it listens. v1 holds a call to
`credentials/authorize` until the person has confirmed; v2 answers with a handle, and signs later where it is told so.
A SAD is good once, for its own hashes, and for a while. Credentials may want a page instead (`csc_page`). `/control` is
as in `sp769`.
"""

import asyncio
import base64
import secrets
import time
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web

from loadtests.outside.csc_page import PageFault, Pages, form_of, sent_back
from loadtests.outside.keyring import Held, Keyring
from loadtests.outside.serving import main

Behaviour = Literal["confirm", "refuse", "silent", "expire", "garbage", "wrong_hash", "partial"]
WEBHOOK_HEADER = "X-Webhook-Secret"
SHA256 = "2.16.840.1.101.3.4.2.1"
RSA, RSA_SHA256, PSS = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.10"
EC, ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.4.3.2"
MECHANISMS = {
    RSA: "rsa_pkcs1v15", RSA_SHA256: "rsa_pkcs1v15", PSS: "rsa_pss", EC: "ecdsa", ECDSA_SHA256: "ecdsa",
}  # fmt: skip


class Profile(msgspec.Struct, kw_only=True):
    """How the person and the service behave; changed while running through /control."""

    behaviour: Behaviour = "confirm"
    delay_s: float = 0.0
    by_hand: bool = False
    answer_delay_s: float = 0.0
    down: bool = False
    window_s: float = 240.0
    token_s: float = 3600.0
    sad_s: float = 300.0
    multisign: int = 200
    scal: str = "2"
    auth: Literal["app", "page", "secret"] = "app"
    key_names_only: bool = False
    asynchronous: bool = False
    page_size: int = 100
    webhook_secret: str = ""
    webhook_times: int = 1
    code_s: float = 60.0
    issuer: str = ""
    redirect_uris: list[str] = []


class Authorisation(msgspec.Struct, kw_only=True):
    """One request to a person, and what became of it."""

    handle: str
    credential: str
    hashes: list[str]
    asked_at: float
    behaviour: Behaviour
    state: str = "waiting"
    sad: str = ""
    sad_ends: float = 0.0
    used: bool = False
    key_uses: int = 0
    description: str = ""
    traceparents: list[str] = []


class Service:
    """Holds the authorisations of one running server."""

    def __init__(self, keyring: Keyring, client_id: str, client_secret: str) -> None:
        self.keyring, self.client_id, self.client_secret = keyring, client_id, client_secret
        self.profile = Profile()
        self.tokens: dict[str, float] = {}
        self.by_handle: dict[str, Authorisation] = {}
        self.answers: dict[str, list[str]] = {}
        self.calls: dict[str, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.http: aiohttp.ClientSession | None = None
        self.pages = Pages(client_id)

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Be as slow, as broken and as strict as told."""
        if request.path.startswith("/control"):
            return await handler(request)
        method = request.path.partition("/csc/v")[2][2:]
        self.calls[method] = self.calls.get(method, 0) + 1
        if self.profile.answer_delay_s:
            await asyncio.sleep(self.profile.answer_delay_s)
        if self.profile.down:
            raise web.HTTPServiceUnavailable(text="down")
        if method != "info" and not method.startswith("oauth2/"):
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if self.tokens.get(bearer, 0.0) < time.monotonic():
                return fault("invalid_token", status=401)
        try:
            return await handler(request)
        except (KeyError, TypeError, ValueError):
            return fault("invalid_request", "a parameter is missing or wrong")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return fault("invalid_client", status=401)
        if form.get("grant_type") == "authorization_code":
            return self.redeemed(form)
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + self.profile.token_s
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.profile.token_s + 3600}
        return web.json_response(answer)

    def redeemed(self, form: Any) -> web.Response:
        """Give the SAD for a page's code; a code that comes twice takes it back."""
        asked = self.pages.redeem(form)
        one = self.by_handle.get(asked.ticket) if asked else None
        if asked is None or one is None or asked.redeemed:
            if one is not None:
                one.sad = ""
            return fault("invalid_grant", "code")
        asked.redeemed = True
        one.sad, one.sad_ends = secrets.token_urlsafe(24), time.monotonic() + self.profile.sad_s
        return web.json_response({"access_token": one.sad, "token_type": "SAD", "expires_in": self.profile.sad_s})

    async def push(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return fault("invalid_client", status=401)
        named = self.pages.push({name: str(value) for name, value in form.items() if name != "client_secret"})
        return web.json_response({"request_uri": named, "expires_in": 90}, status=201)

    async def page(self, request: web.Request) -> web.Response:
        """Show a person what they are asked to authorise."""
        version = request.match_info["version"]
        try:
            asked = self.pages.open(version, request.query, self.profile.multisign, self.profile.redirect_uris)
            credential = self.held(asked.credential).serial
        except (PageFault, KeyError, ValueError) as error:
            return web.Response(status=400, text=f"{type(error).__name__}: {error}")
        self.by_handle[asked.ticket] = Authorisation(
            handle=asked.ticket, credential=credential, hashes=asked.hashes, asked_at=time.monotonic(),
            behaviour=self.profile.behaviour,
        )  # fmt: skip
        return form_of(asked)

    async def decision(self, request: web.Request) -> web.Response:
        """Do what the person pressed, and send their browser back."""
        form = await request.post()
        asked, one = self.pages.by_ticket[str(form["ticket"])], self.by_handle[str(form["ticket"])]
        who = {"iss": self.profile.issuer} if self.profile.issuer else {}
        if self.state_of(one) != "waiting" or form["press"] != "confirm":
            one.state = "refused"
            return sent_back(asked, {"error": "access_denied", **who})
        one.state = "confirmed"
        asked.code, asked.code_ends = secrets.token_urlsafe(24), time.monotonic() + self.profile.code_s
        return sent_back(asked, {"code": asked.code, **who})

    async def info(self, request: web.Request) -> web.Response:
        version = request.match_info["version"]
        told: dict[str, Any] = {
            "specs": "1.0.4.0" if version == "1" else "2.0.0.2",
            "name": "outside", "authType": ["oauth2client"], "lang": "en",
            "methods": ["credentials/list", "credentials/info", "credentials/authorize", "signatures/signHash"],
        }  # fmt: skip
        if version == "2":
            told["asynchronousOperationMode"] = self.profile.asynchronous
        return web.json_response(told)

    async def credentials(self, request: web.Request) -> web.Response:
        body = await request.json()
        ids = [one.serial for one in self.keyring.of_owner(body["userID"])]
        if request.match_info["version"] == "2":
            return web.json_response({"credentialIDs": ids})
        start = int(body.get("pageToken") or 0)
        end = start + self.profile.page_size
        more = {"nextPageToken": str(end)} if end < len(ids) else {}
        return web.json_response({"credentialIDs": ids[start:end], **more})

    def held(self, credential: str) -> Held:
        self.keyring.refresh()
        return self.keyring.by_serial[credential]

    async def credential(self, request: web.Request) -> web.Response:
        body = await request.json()
        one = self.held(body["credentialID"])
        elliptic = self.keyring.default_mechanism(one.serial) == "ecdsa"
        full = [ECDSA_SHA256] if elliptic else [RSA_SHA256, PSS]
        algorithms = [EC if elliptic else RSA] if self.profile.key_names_only else full
        # The first is the signer's own; of the others the specification fixes no order.
        certificates = [one.certificate, *reversed(self.keyring.chain)]
        modes = {"app": "implicit", "page": "oauth2code", "secret": "explicit"}
        told: dict[str, Any] = {
            "key": {"status": "enabled", "algo": algorithms, "len": 256 if elliptic else 2048},
            "cert": {"status": "valid", "certificates": [base64.b64encode(der).decode() for der in certificates]},
            "SCAL": self.profile.scal,
            "multisign": self.profile.multisign,
        }
        if request.match_info["version"] == "1":
            told["authMode"] = modes[self.profile.auth]
        else:
            pin = {"type": "Password", "id": "PIN", "format": "N"}
            objects = {"objects": [pin]} if self.profile.auth == "secret" else {}
            told["auth"] = {"mode": "oauth2code" if self.profile.auth == "page" else "explicit", **objects}
        return web.json_response(told)

    async def authorize(self, request: web.Request) -> web.Response:
        body = await request.json()
        version = request.match_info["version"]
        hashes = body["hash" if version == "1" else "hashes"]
        if len(hashes) != body["numSignatures"] or len(hashes) > self.profile.multisign:
            return fault("invalid_request", "Numbers of signatures is too high")
        if version == "2" and body["hashAlgorithmOID"] != SHA256:
            return fault("invalid_request", "Invalid parameter hashAlgorithmOID")
        one = Authorisation(
            handle=secrets.token_hex(12), credential=self.held(body["credentialID"]).serial, hashes=hashes,
            asked_at=time.monotonic(), behaviour=self.profile.behaviour, description=body.get("description", ""),
            traceparents=[request.headers.get("traceparent", "")],
        )  # fmt: skip
        self.by_handle[one.handle] = one
        if not self.profile.by_hand:
            self.later(self.person(one, self.profile.delay_s))
        if version == "2":
            return web.json_response({"handle": one.handle}, status=202)
        while self.state_of(one) == "waiting":  # noqa: ASYNC110 - the window's end is a state, too
            await asyncio.sleep(0.02)
        return self.answered(one)

    async def check(self, request: web.Request) -> web.Response:
        one = self.by_handle[(await request.json())["handle"]]
        one.traceparents.append(request.headers.get("traceparent", ""))
        if self.state_of(one) == "waiting":
            return web.json_response({"handle": one.handle}, status=202)
        return self.answered(one)

    def state_of(self, one: Authorisation) -> str:
        if one.state == "waiting" and time.monotonic() - one.asked_at > self.profile.window_s:
            one.state = "expired"
        return one.state

    def answered(self, one: Authorisation) -> web.Response:
        if one.state == "confirmed":
            return web.json_response({"SAD": one.sad, "expiresIn": self.profile.sad_s})
        if one.state == "refused":
            return fault("access_denied", "the person refused")
        return fault("expired_token", "the authorisation expired")

    def later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def person(self, one: Authorisation, delay_s: float) -> None:
        """Act as the person with the phone."""
        await asyncio.sleep(delay_s)
        if one.behaviour == "silent" or one.state != "waiting":
            return
        states = {"refuse": "refused", "expire": "expired"}
        one.state = states.get(one.behaviour, "confirmed")
        one.sad, one.sad_ends = secrets.token_urlsafe(24), time.monotonic() + self.profile.sad_s

    async def sign(self, request: web.Request) -> web.Response:
        body = await request.json()
        version = request.match_info["version"]
        hashes = body["hash" if version == "1" else "hashes"]
        one, why = self.may_sign(body, hashes, body["hashAlgo" if version == "1" else "hashAlgorithmOID"])
        if one is None:
            return fault("invalid_request", why)
        one.used = True
        values = await asyncio.to_thread(self.use_key, one, hashes, MECHANISMS[body["signAlgo"]])
        if version == "1" or body.get("operationMode") != "A":
            return web.json_response({"signatures": values})
        response = secrets.token_hex(8)
        self.later(self.ready(response, values, body.get("response_uri", "")))
        return web.json_response({"responseID": response})

    def may_sign(self, body: dict[str, Any], hashes: list[str], digest: str) -> tuple[Authorisation | None, str]:
        """Return the authorisation that a SAD stands for, or none and why."""
        one = next((two for two in self.by_handle.values() if two.sad and two.sad == body["SAD"]), None)
        if one is None or one.used or one.credential != body["credentialID"]:
            return None, "Invalid parameter SAD"
        checks = (
            (time.monotonic() > one.sad_ends, "SAD expired"),
            (not hashes or not set(hashes) <= set(one.hashes), "Hash is not authorized by the SAD"),
            (digest != SHA256, "Invalid hash algorithm"),
            (body["signAlgo"] == PSS and not body["signAlgoParams"], "Missing parameter signAlgoParams"),
        )
        why = next((why for failed, why in checks if failed), "")
        return (None, why) if why else (one, "")

    def use_key(self, one: Authorisation, hashes: list[str], mechanism: str) -> list[str]:
        values: list[str] = []
        for place, coded in enumerate(hashes):
            digest = bytes(32) if one.behaviour == "wrong_hash" else base64.b64decode(coded)
            value = self.keyring.sign(one.credential, digest, mechanism)
            if one.behaviour == "garbage":
                value = secrets.token_bytes(len(value))
            left_out = one.behaviour == "partial" and place % 2
            values.append("" if left_out else base64.b64encode(value).decode())
        one.key_uses += 1
        return values

    async def ready(self, response: str, values: list[str], uri: str) -> None:
        """Have values ready after a while, and say so where that is wanted."""
        await asyncio.sleep(self.profile.delay_s)
        self.answers[response] = values
        self.http = self.http or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        for _ in range(self.profile.webhook_times if uri else 0):
            headers = {WEBHOOK_HEADER: self.profile.webhook_secret}
            try:
                async with self.http.post(
                    uri, json={"responseID": response, "signatures": values}, headers=headers
                ) as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                return

    async def polling(self, request: web.Request) -> web.Response:
        response = (await request.json())["responseID"]
        if response not in self.answers:
            return web.json_response({"responseID": response}, status=202)
        return web.json_response({"signatures": self.answers[response]})

    async def set_profile(self, request: web.Request) -> web.Response:
        merged = {**msgspec.to_builtins(self.profile), **await request.json()}
        self.profile = msgspec.convert(merged, Profile)
        return web.json_response(msgspec.to_builtins(self.profile))

    async def act(self, request: web.Request) -> web.Response:
        """Confirm or refuse what waits, by its description or handle; or let every token be forgotten."""
        if request.match_info["act"] == "forget-tokens":
            self.tokens.clear()
            return web.json_response({})
        named = request.match_info["id"]
        one = next(two for two in self.by_handle.values() if named in (two.handle, two.description))
        one.behaviour = request.match_info["act"]  # pyright: ignore[reportAttributeAccessIssue]
        await self.person(one, 0.0)
        return web.json_response({"state": one.state})

    async def told(self, _: web.Request) -> web.Response:
        kept = [msgspec.to_builtins(one) for one in self.by_handle.values()]
        secret = [*self.tokens, *(one.sad for one in self.by_handle.values() if one.sad)]
        return web.json_response({"authorisations": kept, "calls": self.calls, "secrets": secret})

    async def forget(self, _: web.Application) -> None:
        for task in list(self.tasks):
            task.cancel()
        if self.http is not None:
            await self.http.close()


def fault(error: str, description: str = "", status: int = 400) -> web.Response:
    """Return an error as the specification words it."""
    return web.json_response({"error": error, "error_description": description}, status=status)


def make_app(keys: Path, client_id: str, client_secret: str) -> web.Application:
    """Return the server's application."""
    service = Service(Keyring(keys), client_id, client_secret)
    app = web.Application(client_max_size=8 * 1024 * 1024, middlewares=[service.guard])
    under = "/csc/v{version:[12]}"
    app.add_routes(
        [
            web.post(f"{under}/info", service.info),
            web.post(f"{under}/oauth2/token", service.token),
            web.post(f"{under}/oauth2/pushed_authorize", service.push),
            web.get(f"{under}/oauth2/authorize", service.page),
            web.post(f"{under}/oauth2/decision", service.decision),
            web.post(f"{under}/credentials/list", service.credentials),
            web.post(f"{under}/credentials/info", service.credential),
            web.post(f"{under}/credentials/authorize", service.authorize),
            web.post("/csc/v{version:2}/credentials/authorizeCheck", service.check),
            web.post(f"{under}/signatures/signHash", service.sign),
            web.post("/csc/v{version:2}/signatures/signPolling", service.polling),
            web.get("/control", service.told),
            web.post("/control", service.set_profile),
            web.post("/control/{id}/{act}", service.act),
        ]
    )
    app.on_cleanup.append(service.forget)
    return app


if __name__ == "__main__":
    main(__doc__, make_app, secret="demo-secret")
