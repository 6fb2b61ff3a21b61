"""Those without an account: who tracks, who submits with files, the portal, the impatient."""

import random
import secrets
from typing import Any, Final

import gevent
from locust import task

from loadtests.load.model import FILES
from loadtests.load.notes import Twin
from loadtests.load.people import PLAN, Crew, Person

_FILER: Final = {"name": "Nguyễn Thị Hồng Nhung", "id_number": "024199001234", "phone": "0912345678"}
_HEAD: Final = b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
PATIENCE_S: Final = 5.0
_TRIES: Final = 5


def filing(centre: str, territory: str) -> dict[str, Any]:
    """Return a dossier handed in online."""
    parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
    return {
        "procedure_code": PLAN.procedure, "receipt_agency_code": centre, "territory_code": territory,
        "filer": _FILER, "parts": parts,
    }  # fmt: skip


def scan(chance: random.Random) -> bytes:
    """Return a file of a drawn size, different from every other."""
    kind = chance.choices(FILES, [one.share for one in FILES])[0]
    size = min(int(chance.uniform(kind.least, kind.most)), PLAN.largest_file)
    head = _HEAD % () + b"%%%s\n" % secrets.token_hex(16).encode()
    return head + b"% " + b"x" * (size - len(head) - 12) + b"\n%%EOF\n"


class Tracker(Person):
    """Looks where a dossier is, by its code."""

    persona = "tracker"

    @task
    def track(self) -> None:
        self.ask("GET", f"/track/{self.chance.choice(PLAN.codes)}", "track")


class Submitter(Person):
    """Hands a dossier in, sends a file with it, and looks again with the secret."""

    persona = "submitter"

    @task
    def submit(self) -> None:
        place = self.chance.choice(PLAN.seats["head"])
        filed = self.write("/online", "submit online", filing(place.centre_code, place.territory))
        if not isinstance(filed, dict):
            return
        secret = {"X-Dossier-Secret": filed["secret"]}
        headers = {**secret, "Content-Type": "application/pdf"}
        self.write(f"/track/{filed['code']}/uploads", "hand a file in", None, data=scan(self.chance), headers=headers)
        gevent.sleep(self.wait_time() / 4)
        self.ask("GET", f"/track/{filed['code']}", "track with secret", headers=secret)


class Portal(Person):
    """Hands in for others; one in ten comes twice under its key, and must be the same dossier."""

    persona = "portal"

    @task
    def hand_in(self) -> None:
        place = self.chance.choice(PLAN.seats["head"])
        body, key = filing(place.centre_code, place.territory), secrets.token_hex(16)
        first = self.write("/online", "submit online", body, key=key)
        if isinstance(first, dict) and self.chance.random() < 0.1:
            again = self.ask("POST", "/online", "submit online", headers={"Idempotency-Key": key}, json=body)
            if isinstance(again, dict) and again["code"] != first["code"]:
                Crew.book.note("twins", Twin(first=first["code"], again=again["code"]))


class Impatient(Person):
    """Drops what takes too long and asks again, up to five times; now and then drops what is under way at once."""

    persona = "impatient"
    network_timeout = PATIENCE_S

    @task
    def press_f5(self) -> None:
        path = f"/track/{self.chance.choice(PLAN.codes)}"
        if self.chance.random() < 0.25:
            self._drop(path)
        for _ in range(_TRIES):
            if self.ask("GET", path, "impatient") is not None:
                return

    def _drop(self, path: str) -> None:
        """Send a request and close the connection without waiting for the answer."""
        pool = self.client_pool.get_client(self.host + path)._connection_pool  # noqa: SLF001 - a socket of this line
        one = pool.get_socket()
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: motcua\r\n\r\n".encode())
        pool.release_socket(one)
