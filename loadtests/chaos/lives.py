"""The load: dossiers that live from the counter to the delivery, by desks that never give up an intent.

An intent keeps its idempotency key until it is answered for good: whatever was lost on the way is asked again.
"""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Any

import aiohttp
import asyncpg
import msgspec

from api.embedded.walk import PAPER, Desk, Refusal, Walk
from loadtests.chaos.ledger import Entry, Ledger
from loadtests.chaos.product import Standing

PAUSE_S = 0.2
GIVEN_UP_AFTER = 600
_PDF = b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%%s\n"


class Doing(msgspec.Struct, kw_only=True):
    """What a life is at: the request, since when (monotonic), how often it was sent, and what came back last."""

    what: str
    since: float
    tries: int = 0
    last: str = "nothing yet"

    def told(self, now: float) -> str:
        """Say so in one line."""
        return f"{self.what} for {now - self.since:.0f} s, sent {self.tries} times, last answer: {self.last}"


class StubbornDesk(Desk):
    """A desk that asks again, with the same key, until it has an answer; every 2xx goes into the ledger."""

    patience_s = inf
    """How long others may take after the last kill is the run's to say, not a desk's."""

    def __init__(self, web: aiohttp.ClientSession, product: Standing, who: str, ward: "Ward") -> None:
        super().__init__(web, product.accounts.of(f"{who}.kinhbac"))
        self._ward = ward
        self._product = product
        self._hand = asyncio.Lock()

    @property
    def session_headers(self) -> dict[str, str]:
        """What shows this desk's session, for requests that are sent once."""
        return dict(self._headers)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API until it answers for good."""
        return await self._send(method, path, None if body is None else json.dumps(body).encode(), "application/json")

    async def upload(self, path: str, content: bytes) -> Any:
        """Send a file until it is taken."""
        return await self._send("POST", path, content, "application/pdf")

    async def _send(self, method: str, path: str, content: bytes | None, kind: str) -> Any:
        key = secrets.token_hex(16)
        doing = self._ward.begins(f"{self.account.login} {method} {path}")
        for tries in range(1, GIVEN_UP_AFTER):
            doing.tries = tries
            headers = {**self._headers, "Content-Type": kind, "Idempotency-Key": key}
            try:
                async with self._web.request(method, path, data=content, headers=headers) as answer:
                    text, status = await answer.read(), answer.status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._ward.trouble[type(error).__name__] += 1
                doing.last = repr(error)
                await asyncio.sleep(PAUSE_S)
                continue
            told = json.loads(text) if text else None
            doing.last = f"{status} {text[:200].decode(errors='replace')}"
            if status < 300:
                if method != "GET" and path != "/session":
                    who = self.account.login
                    self._ward.ledger.note(
                        Entry(who=who, method=method, path=path, key=key, status=status, tries=tries, answer=told)
                    )
                return told
            if status in {429, 503} or (status == 409 and told["code"] == "request-in-flight"):
                self._ward.trouble[f"{status} {told['code']}"] += 1
                # Several lives share one desk and its limit, which they keep; what is away is asked for at once.
                await asyncio.sleep(int(answer.headers["Retry-After"]) if status == 429 else PAUSE_S)
                continue
            if status >= 500:
                self._ward.faults.append(f"{method} {path}: {status} {told}")
            raise Refusal(f"{method} {path}", status, told or {})
        raise TimeoutError(path)

    async def sign_until_recorded(self, document_id: str) -> None:
        """Sign or seal a document; what a crash returned to the list is signed again."""
        while True:
            item = await self.waiting(document_id)
            async with self._hand:  # a person signs one thing after another
                await self._take_a_new_code()
                ticket = await self.sign(item)
            stage = ticket["items"][0]["stage"]
            self._ward.outcomes[stage] += 1
            if stage == "recorded":
                return
            self._ward.strange.append(f"{stage}: {ticket['items'][0]['detail']}")

    async def _take_a_new_code(self) -> None:
        """Let half a minute pass in an instant: a code is good once, and the load would only wait for the next."""
        while True:
            try:
                owner = await asyncpg.connect(self._product.environment["DATABASE_URL"], timeout=5)
                try:
                    await owner.execute(
                        "UPDATE second_factor SET last_counter = 0 FROM account"
                        " WHERE account.id = account_id AND account.login = $1",
                        self.account.login,
                    )
                finally:
                    owner.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(PAUSE_S)
            else:
                return


class Ward:
    """One ward's desks, the lives of its dossiers, and what went wrong on the way."""

    def __init__(self, web: aiohttp.ClientSession, product: Standing, ledger: Ledger) -> None:
        self.ledger = ledger
        self.enough = asyncio.Event()
        self.ended = 0
        self.trouble: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.strange: list[str] = []
        self.sealed: list[tuple[str, str]] = []
        """Dossiers by their code, each with its sealed document."""
        self.doing: dict[str, Doing] = {}
        self._walk = Walk(web, product.accounts, lambda _vi, _en: None)
        for place, who in (
            ("counter", "tiepnhan"), ("appraiser", "thuly"), ("head", "kynhay"), ("chair", "chutich"),
            ("clerk", "vanthu"),
        ):  # fmt: skip
            setattr(self._walk, place, StubbornDesk(web, product, who, self))

    def begins(self, what: str) -> Doing:
        """Note what the present life asks for; asking the same again and again counts from the first time."""
        task = asyncio.current_task()
        life = task.get_name() if task else "nobody"
        before = self.doing.get(life)
        since = before.since if before is not None and before.what == what else time.monotonic()
        self.doing[life] = Doing(what=what, since=since)
        return self.doing[life]

    @property
    def appraiser(self) -> StubbornDesk:
        """Somebody who may read every document of the ward."""
        return self._walk.appraiser  # type: ignore[return-value]

    async def log_in(self) -> None:
        """Open everybody's session; it outlives every crash."""
        await self._walk.log_in()
        self.doing.clear()

    async def lives(self) -> None:
        """Live one life after another until it is enough."""
        task = asyncio.current_task()
        while not self.enough.is_set():
            await self.life()
            self.ended += 1
        if task is not None:
            self.doing.pop(task.get_name(), None)

    async def life(self) -> None:
        """One dossier from the counter to the delivery, with a paper handed in on the way."""
        walk = self._walk
        filed = await walk.receive()
        paper = _PDF % secrets.token_hex(16).encode()
        await walk.counter.upload(f"/uploads?profile=handed_in&dossier_id={filed['id']}", paper)
        made = await self._drafted(filed)
        document = made["document"]["id"]
        for desk in (walk.head, walk.chair, walk.clerk):
            await desk.sign_until_recorded(document)  # type: ignore[attr-defined]
        self.sealed.append((filed["code"], document))
        await walk.deliver(filed, made["result"]["id"])

    async def _drafted(self, filed: Mapping[str, Any]) -> dict[str, Any]:
        """Appraise and draft; a draft whose making a crash put aside is ordered again."""
        desk, code = self._walk.appraiser, filed["code"]
        ward = (await desk.call("GET", "/session"))["posts"][0]["agency_id"]
        step = f"/dossiers/{code}/steps"
        await self._walk.counter.call("POST", f"{step}/hand_over", {"facts": {"agency_id": ward}})
        await desk.call("POST", f"{step}/confirm_hand_over", {"facts": {}})
        await desk.call("POST", f"{step}/appraise", {"facts": {"note": "Đủ điều kiện"}})
        result = await desk.call("POST", f"/dossiers/{filed['id']}/results", {})
        document = await desk.call("POST", f"/results/{result['id']}/documents", {})
        while True:
            order = {"template": "marital_status", "data": dict(PAPER)}
            draft = await desk.call("POST", f"/documents/{document['id']}/drafts", order)
            done = await desk.until(f"/drafts/{draft['id']}", "state", "done", "failed")
            if done["state"] == "done":
                break
            self.strange.append(f"draft: {done['error']}")
        await desk.call("POST", f"/documents/{document['id']}/chains", {})
        return {"result": result, "document": document}
