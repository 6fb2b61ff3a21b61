"""Those with an account: officers, those who sign by telephone, clerks, heads, readers."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar, Final

import gevent
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust import task
from pyotp.totp import TOTP

from loadtests.load.model import BATCH, STORM_BATCH
from loadtests.load.notes import Asked, Finished
from loadtests.load.people import PLAN, Crew, Person
from loadtests.load.shapes import SHAPES

_log = logging.getLogger(__name__)
WATCH_S: Final = 300.0
_STEP_S: Final = 30


class Officer(Person):
    """Keeps the work list open, reads dossiers, receives at the counter, hands over."""

    persona = "officer"
    official = True

    @task(6)
    def look(self) -> None:
        told = self.ask("GET", "/desk/officer?limit=50", "work list")
        items = told["items"] if isinstance(told, dict) else []
        if items:
            code = self.chance.choice(items)["dossier_code"]
            gevent.sleep(self.wait_time() / 4)
            self.ask("GET", f"/dossiers/{code}", "dossier")
            self.ask("GET", f"/dossiers/{code}/journal", "journal")

    @task(2)
    def receive(self) -> None:
        """Take a dossier in and hand it to the ward: what a counter does all morning."""
        if self.seat is None or not self.seat.login.startswith(("tiepnhan", "quay")):
            return
        parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        filer = {"name": "Nguyễn Thị Hồng Nhung", "id_number": "024199001234"}
        body = {
            "procedure_code": PLAN.procedure, "filer": filer, "parts": parts, "territory_code": self.seat.territory,
        }  # fmt: skip
        filed = self.write("/dossiers", "receive", body)
        if isinstance(filed, dict):
            gevent.sleep(self.wait_time() / 4)
            step = {"facts": {"agency_id": self.seat.ward_id}}
            self.write(f"/dossiers/{filed['code']}/steps/hand_over", "hand over", step)


class Signing(Person):
    """Signs or seals what waits: a fresh one-time code for each ask, then the ticket's stream to its end."""

    abstract = True
    official = True
    op: ClassVar[str]
    at_most: ClassVar[int] = STORM_BATCH
    _last_step: int = 0

    @task
    def sign(self) -> None:
        if self.seat is None:
            return
        told = self.ask("GET", f"/signature-requests?limit={self.at_most}", "to-sign list")
        items = told["items"] if isinstance(told, dict) else []
        if not items or not self._fresh_code():
            return
        lane, items = self.choose(items)
        began = time.time()
        order = {
            "lane": lane,
            "items": [{"request_id": item["id"], "sha256": item["sha256"]} for item in items],
            "code": TOTP(self.seat.totp_secret).now(),
        }
        accepted = self.write("/signature-batches", self.op, order, items=len(items))
        if isinstance(accepted, dict) and self._watch(accepted["ticket"]) and lane == "counter":
            took_ms = (time.time() - began) * 1000
            Crew.book.note("requests", Asked(began, "counter item sealed", took_ms, 200, 0, slow=False))

    def choose(self, items: list[Any]) -> tuple[str, list[Any]]:
        """Say which of what waits is asked for now, and in which lane."""
        return "normal", items

    def _fresh_code(self) -> bool:
        """A code is good once: say whether this step's is unused, and take it."""
        step = int(time.time()) // _STEP_S
        if step == self._last_step:
            return False
        self._last_step = step
        return True

    def _watch(self, ticket: str) -> bool:
        """Follow a ticket to its end by its stream; say whether it came to one."""
        deadline = time.time() + WATCH_S
        path = f"/signature-batches/{ticket}"
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self.token}"}
        while time.time() < deadline:
            for now in self._stream(f"{path}/events", headers):
                if now.get("finished_at"):
                    self._finished(now)
                    return True
            gevent.sleep(self.chance.uniform(0.5, 2.0))
        told = self.ask("GET", path, "ticket")
        if isinstance(told, dict) and told.get("finished_at"):
            self._finished(told)
            return True
        return False

    def _stream(self, path: str, headers: dict[str, str]) -> Any:
        with self.asking("GET", path, "ticket", headers, stream=True) as answer:
            if answer.status_code != 200:
                return
            for line in self._lines(answer):
                try:
                    told = json.loads(line[5:]) if line.startswith(b"data:") else None
                except ValueError:
                    _log.warning("an event that is no JSON: %r", line[:300])
                    Crew.book.note("requests", Asked(time.time(), "ticket", 0.0, 0, len(line), slow=False))
                    continue
                if isinstance(told, dict) and "version" in told:
                    yield told

    @staticmethod
    def _lines(answer: Any) -> Iterator[bytes]:
        """Give the lines of a stream as they come; the library's own iteration waits for whole chunks."""
        with suppress(HTTPConnectionClosed, HTTPParseError, OSError):
            while line := answer._response.readline(b"\n"):  # noqa: SLF001 - the response underneath
                yield line

    def _finished(self, told: dict[str, Any]) -> None:
        recorded = {i["request_id"]: i["recorded_sha256"] or "" for i in told["items"] if i["stage"] == "recorded"}
        outcomes = Counter(item["stage"] for item in told["items"])
        entry = Finished(
            ticket=told["ticket"], asked_at=told["asked_at"], finished_at=told["finished_at"], recorded=recorded,
            outcomes=dict(outcomes), seen=time.time(),
        )  # fmt: skip
        Crew.book.note("tickets", entry)


class PhoneSignatory(Signing):
    """Signs in batches; the key holder asks the telephone."""

    persona = "phone-signatory"
    op = "sign these"
    at_most = STORM_BATCH if SHAPES[PLAN.shape].only else BATCH


class Clerk(Signing):
    """Numbers and seals what was signed."""

    persona = "clerk"
    op = "seal these"

    def choose(self, items: list[Any]) -> tuple[str, list[Any]]:
        """Every fifth time somebody stands at the counter: their item alone, ahead of all others."""
        return ("counter", items[:1]) if self.chance.random() < 0.2 else ("normal", items)


class Head(Person):
    """Looks where things stand, and what is late."""

    persona = "head"
    official = True

    @task
    def watch(self) -> None:
        self.ask("GET", "/desk/head", "head counts")
        gevent.sleep(self.wait_time() / 4)
        self.ask("GET", "/desk/head/late", "late list")


class Reader(Person):
    """Opens files of the own ward, each for the first time."""

    persona = "reader"
    official = True

    @task
    def read(self) -> None:
        if self.seat is not None and (papers := PLAN.documents.get(self.seat.ward_id)):
            self.ask("GET", f"/documents/{self.chance.choice(papers)}/file", "read PDF", headers={"Accept": "*/*"})
