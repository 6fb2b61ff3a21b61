"""Raising a file to a level, from asking for evidence and time to the verified file; the work on bytes runs elsewhere.

Below `signing.levels` stand the ports, above it whoever owes a level: `python -m signing`, or the product's signer.
Nothing is held while an authority is waited for but the few kB of a prepared increment.
"""

import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

import signing
from signing.contract import Sha256, Trust
from signing.deadlines import WITHOUT_END, Deadline
from signing.errors import EvidenceUnavailable
from signing.levels import (
    LEVELS,
    Evidence,
    EvidenceOrder,
    FinishStampOrder,
    Level,
    Raised,
    RevocationSource,
    StampOrder,
    Standing,
    TimestampSource,
)

Run = Callable[..., Awaitable[Any]]
"""Runs one of the front door's functions with its arguments outside the event loop."""


FINISH_S: Final = 20.0
"""Seconds kept for embedding, verifying and storing."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be raised. `signed_at` is when its last signature was there: OCSP must be newer.

    `standing` is what is known of it; with `renew` one at B-LTA gets another timestamp over the evidence of the last.
    `deadline` is when whoever wants it must have it; `FINISH_S` of it is kept for what follows an answer from outside.
    """

    source: str
    sha256: Sha256
    target: str
    wanted: Level
    trust: Trust
    standing: Standing
    signed_at: datetime
    renew: bool = False
    deadline: Deadline = WITHOUT_END

    @property
    def answer_by(self) -> Deadline:
        """Until when an answer from outside is of use: a token that cannot be embedded any more would be wasted."""
        return self.deadline.sooner(FINISH_S)


async def raise_level(
    order: Order, timestamps: TimestampSource, revocation: RevocationSource, run: Run, clock: Callable[[], datetime]
) -> Raised | None:
    """Bring a file to a level; None where it has it already.

    Raises:
        TimestampUnavailable, EvidenceUnavailable: somebody outside does not answer, or badly; try again later.
        SigningError: the file is not what it was, or does not verify with what was appended.
    """
    if reached(order.standing.level, order.wanted) and not order.renew:
        return None
    raised = await _raise(order, timestamps, revocation, run, clock)
    if not reached(raised.standing.level, order.wanted):
        raise EvidenceUnavailable(
            "Dữ liệu xác minh chưa đủ cho mức chữ ký yêu cầu",
            f"The evidence is not enough for {order.wanted}: the file stands at {raised.standing.level}",
        )
    return raised


async def _raise(
    order: Order, timestamps: TimestampSource, revocation: RevocationSource, run: Run, clock: Callable[[], datetime]
) -> Raised:
    if order.wanted in {"b-t", "b-lt"} and order.standing.level == "b-b":
        if order.wanted == "b-t":
            return await _stamp(order, order.target, None, timestamps, run, clock)
        with tempfile.TemporaryDirectory(dir=Path(order.target).parent, prefix=".levels-") as room:
            first = await _stamp(order, f"{room}/stamped.pdf", None, timestamps, run, clock)
            return await _add(order, f"{room}/stamped.pdf", first.sha256, first.standing, revocation, run, clock)
    if order.wanted == "b-lt":
        return await _add(order, order.source, order.sha256, order.standing, revocation, run, clock)
    evidence = await _evidence(order, order.standing, revocation)
    return await _stamp(order, order.target, evidence, timestamps, run, clock)


def reached(level: Level, wanted: Level) -> bool:
    """Say whether a level holds all that another demands."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


async def _stamp(
    order: Order,
    target: str,
    evidence: Evidence | None,
    timestamps: TimestampSource,
    run: Run,
    clock: Callable[[], datetime],
) -> Raised:
    asked = StampOrder(base=order.source, base_sha256=order.sha256, evidence=evidence)
    prepared = await run(signing.prepare_stamp, asked)
    token = await timestamps.stamp(prepared.document_digest, order.answer_by)
    done = FinishStampOrder(base=order.source, prepared=prepared, token=token.der, trust=order.trust, at=clock())
    return await run(signing.finish_stamp, done, target)


async def _evidence(order: Order, standing: Standing, revocation: RevocationSource) -> Evidence:
    return await revocation.evidence(standing.paths, newer_than=order.signed_at, deadline=order.answer_by)


async def _add(
    order: Order,
    source: str,
    sha256: Sha256,
    standing: Standing,
    revocation: RevocationSource,
    run: Run,
    clock: Callable[[], datetime],
) -> Raised:
    evidence = await _evidence(order, standing, revocation)
    asked = EvidenceOrder(base=source, base_sha256=sha256, evidence=evidence, trust=order.trust, at=clock())
    return await run(signing.add_evidence, asked, order.target)
