"""A ticket's stream as clients read it, and the own token at the desk: what both models need of signing."""

import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.load import acts
from loadtests.load.notes import Acknowledged, Finished
from loadtests.load.visitors import Visitor
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Token

RETRY_S: Final = 2.0
"""What the server's streams tell a browser to wait before it comes again (`retry: 2000`)."""


def told_in(line: bytes) -> dict[str, Any] | None:
    """Return the ticket that a line of a stream tells, if it tells one.

    Raises:
        msgspec.DecodeError: the line is data and no JSON.
    """
    told = msgspec.json.decode(line[5:]) if line.startswith(b"data:") else None
    return told if isinstance(told, dict) and "version" in told else None


def finished(told: dict[str, Any]) -> Finished:
    """Return what is written down of a ticket that has come to its end."""
    recorded = {i["request_id"]: i["recorded_sha256"] or "" for i in told["items"] if i["stage"] == "recorded"}
    return Finished(
        ticket=told["ticket"], asked_at=told["asked_at"], finished_at=told["finished_at"], recorded=recorded,
        outcomes=dict(Counter(item["stage"] for item in told["items"])), seen=time.time(),
    )  # fmt: skip


class Desk:
    """The desktop tool and the tokens of those who sit at it."""

    def __init__(self, keys: str) -> None:
        self._token = Token(Keyring(Path(keys)))

    def sign(self, step: acts.Token) -> Any:
        """Return the prepared file with the token's own CMS in it, or a raw value as JSON takes it."""
        if step.prepared is None:
            return self._token.value(step.errand)
        return self._token.at_once(step.prepared, step.errand)


def acknowledged(who: Visitor, step: acts.Ask, key: str, began: float, told: dict[str, Any]) -> Acknowledged:
    """Return the ledger's line of a 2xx."""
    return Acknowledged(
        op=step.op, who=who.seat.login if who.seat else who.persona.name, key=key, began=began, ended=time.time(),
        status=2, code=told.get("code") or "", id=str(told.get("id") or told.get("ticket") or ""), items=step.items,
    )  # fmt: skip
