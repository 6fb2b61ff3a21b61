"""A remote signer by CSC: its settings, its holder, and the hand that controls the small real server."""

import os
from pathlib import Path

import aiohttp

from signing.contract import SignItem, SignOrder
from signing.holders import HolderConfig, open_holder
from signing.keys.csc_wire import CscSettings

AS_BEFORE = {
    "behaviour": "confirm", "delay_s": 0.0, "by_hand": False, "answer_delay_s": 0.0, "down": False, "window_s": 240.0,
    "token_s": 3600.0, "sad_s": 300.0, "multisign": 200, "scal": "2", "auth": "app", "key_names_only": False,
    "asynchronous": False, "page_size": 100, "webhook_times": 1, "webhook_secret": "", "code_s": 60.0, "issuer": "",
    "redirect_uris": [],
}  # fmt: skip


def csc_settings(url: str, version: str, room: Path, **changes) -> CscSettings:
    values = {
        "base_url": url, "version": version, "state_dir": str(room / "csc"), "client_id": "motcua",
        "client_secret": "demo-secret", "certificate_class": "demo", "timeout_s": 5.0, "check_every_s": 0.02,
    }  # fmt: skip
    return CscSettings(**{**values, **changes})


class Csc:
    """One version of one service, and its holders."""

    def __init__(self, url: str, version: str, room: Path) -> None:
        self.url, self.version, self.room = url, version, room
        self.made: list = []
        self.holder = self.another()

    def another(self, **changes):
        """A holder as another signer process has it: the same ledger, nothing else in common."""
        settings = csc_settings(self.url, self.version, self.room, **changes)
        self.made.append(open_holder(HolderConfig(kind="csc", production=False, csc=settings)))
        return self.made[-1]

    async def control(self, path: str = "", **changes) -> dict:
        async with aiohttp.ClientSession() as web, web.post(f"{self.url}/control{path}", json=changes) as answer:
            return await answer.json()

    async def told(self) -> dict:
        async with aiohttp.ClientSession() as web, web.get(f"{self.url}/control") as answer:
            return await answer.json()

    async def order(self, count: int = 3, owner: str = "leader", *, mechanism: str = "ecdsa", digests=None):
        """An order, described by its own id, by which the server's hand finds it."""
        held = (await self.holder.list_certificates(owner))[0]
        name = os.urandom(12).hex()
        items = tuple(
            SignItem(item_id=f"item-{number}", tbs_sha256=digest, name=f"{number}")
            for number, digest in enumerate(digests or [os.urandom(32) for _ in range(count)])
        )
        return SignOrder(
            transaction_id=name, credential_id=held.credential_id, owner=owner, items=items, mechanism=mechanism,
            description=name,
        )  # fmt: skip

    async def asked(self, order: SignOrder) -> list[dict]:
        """How often the person was asked about an order."""
        return [one for one in (await self.told())["authorisations"] if one["description"] == order.transaction_id]
