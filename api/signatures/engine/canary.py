"""A trial signature every minute: a small file goes the whole way, prepare, key, finish, verify, and is thrown away.

It goes through every key holder that keeps a canary key and asks nobody; of the others it is only seen whether they
answer. A person's key is never used, so no `key_use` is written. The signer is ready while its own trial is fresh:
a dead key holder shows in the metrics and on the desks, and takes no process away from the others.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

import signing
from api.signatures.engine import store
from api.signatures.engine.context import Engine
from signing.contract import (
    CANARY,
    Appearance,
    Field,
    FieldPlan,
    FinishOrder,
    HeldCertificate,
    KeyHolder,
    PrepareOrder,
    Sha256,
    SignItem,
    SignOrder,
    Trust,
)
from signing.errors import SigningError, ValueMismatch

_log: Final = structlog.get_logger("canary")

EVERY_S: Final = 60.0
AGAIN_S: Final = 15.0
"""After a trial of our own has failed."""
FRESH_S: Final = 120.0
"""A signer whose last good trial is older is not ready."""
TRIAL_S: Final = 45.0
PROBE_S: Final = 10.0
_STEP_S: Final = 20.0
_POLL_S: Final = 0.2

trials = Counter("motcua_canary_total", "Trial signatures, by key holder and outcome.", ["holder", "outcome"])
took = Gauge("motcua_canary_seconds", "How long the last trial signature took.", ["holder"])
age = Gauge("motcua_canary_age_seconds", "Seconds since the last good trial signature.", ["holder"])
reachable = Gauge(
    "motcua_holder_reachable", "Whether a key holder answered when it was last asked (1 or 0).", ["holder"]
)

_PLAN: Final = FieldPlan(signatures=(Field(name="Signatory1", kind="signature", page=0, box=(36, 36, 164, 100)),))
_LEAST_PDF: Final = (
    b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    b"2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
    b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<<>>>>\nendobj\n"
)


def least_pdf() -> bytes:
    """Return a whole PDF with one empty page."""
    offsets = [_LEAST_PDF.index(b"%d 0 obj" % number) for number in (1, 2, 3)]
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    tail = b"xref\n0 4\n0000000000 65535 f \n%strailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return _LEAST_PDF + tail % (table, len(_LEAST_PDF))


class Canary:
    """Tries the signer's own key and every key holder, and knows when the own trial was last good."""

    def __init__(self, engine: Engine, own: KeyHolder, *, tick: Callable[[], float] = time.monotonic) -> None:
        """Hold what is tried; `tick` gives seconds that no change of the clock moves."""
        self._engine = engine
        self._own = own
        self._tick = tick
        self._last_good: dict[str, float] = {}
        for name in (CANARY, *engine.holders):
            age.labels(name).set_function(lambda name=name: self.age_s(name))

    def age_s(self, name: str = CANARY) -> float:
        """Return how many seconds ago the last good trial at a holder was; infinity where there was none."""
        good = self._last_good.get(name)
        return float("inf") if good is None else self._tick() - good

    def is_fresh(self) -> bool:
        """Tell whether the signer has shown lately that it can sign."""
        return self.age_s() < FRESH_S

    async def fly(self) -> bool:
        """Try the own key, then every holder at once; return whether the own trial was good."""
        good = await self._try(CANARY, self._own) is None
        await asyncio.gather(*(self._look_at(name, holder) for name, holder in self._engine.holders.items()))
        return good

    async def _look_at(self, name: str, holder: KeyHolder) -> None:
        code = await self._try(name, holder) if await self._keeps_canary(holder) else await _probe(holder)
        reachable.labels(name).set(code is None)
        if code is not None:
            _log.warning("holder_unreachable", holder=name, code=code)
        try:
            async with self._engine.pools.transaction() as tx:
                await store.save_holder_state(tx, name, code, self._engine.clock())
        except Exception as error:  # noqa: BLE001 - the metrics have it; a desk that is late is no reason to stop
            _log.warning("holder_state_not_saved", holder=name, kind=type(error).__name__)

    @staticmethod
    async def _keeps_canary(holder: KeyHolder) -> bool:
        # Who asks a person is never asked for a list either: some services show that to the person.
        return not holder.capabilities.asks_person and await _canary_of(holder) is not None

    async def _try(self, name: str, holder: KeyHolder) -> str | None:
        """Sign and verify once; return None where it was good, else a code."""
        began = self._tick()
        try:
            async with asyncio.timeout(TRIAL_S):
                await self._sign(holder)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, this signer cannot sign just now
            code = error.code if isinstance(error, SigningError) else type(error).__name__
            trials.labels(name, "failed").inc()
            _log.error("canary_failed", holder=name, code=code)
            return code
        self._last_good[name] = self._tick()
        took.labels(name).set(self._tick() - began)
        trials.labels(name, "good").inc()
        return None

    async def _sign(self, holder: KeyHolder) -> None:
        held = await _canary_of(holder)
        if held is None:
            raise ValueMismatch("Không có khóa thử", "There is no canary key")
        engine, at = self._engine, self._engine.clock()
        with engine.blobs.scratch() as room:
            draft, base, target = room / "draft.pdf", room / "base.pdf", room / "signed.pdf"
            await asyncio.to_thread(draft.write_bytes, least_pdf())
            laid = await engine.workshop.run(signing.lay_fields, str(draft), str(base), _PLAN, timeout_s=_STEP_S)
            order = PrepareOrder(
                base=str(base),
                base_sha256=laid.sha256,
                field="Signatory1",
                certificate=held.certificate,
                chain=held.chain,
                appearance=Appearance(kind="none"),
                at=at,
                mechanism="ecdsa",
                plan=_PLAN,
            )
            prepared = await engine.workshop.run(signing.prepare, order, timeout_s=_STEP_S)
            value = await _value_of(holder, prepared.tbs_sha256)
            await asyncio.to_thread(
                signing.check_value, held.certificate, prepared.signed_attrs, prepared.mechanism, value
            )
            trust = Trust(anchors=held.chain[-1:])
            finish = FinishOrder(base=str(base), prepared=prepared, value=value, chain=held.chain, trust=trust, at=at)
            await engine.workshop.run(signing.finish, finish, str(target), timeout_s=_STEP_S)
            await self._verify(target, trust)

    async def _verify(self, target: Path, trust: Trust) -> None:
        """Judge what was written as anybody would: by its file, and by an anchor that no document is judged by."""
        at = self._engine.clock() + timedelta(seconds=1)
        verdict = await self._engine.workshop.run(signing.verify, str(target), trust, at=at, timeout_s=_STEP_S)
        if not verdict.ok or not all(one.trusted for one in verdict.signatures):
            raise ValueMismatch("Chữ ký thử không hợp lệ", "The trial signature does not verify")


async def _canary_of(holder: KeyHolder) -> HeldCertificate | None:
    try:
        async with asyncio.timeout(PROBE_S):
            return next(iter(await holder.list_certificates(CANARY)), None)
    except (SigningError, OSError):
        return None


async def _value_of(holder: KeyHolder, tbs_sha256: Sha256) -> bytes:
    transaction_id = f"mc-canary-{secrets.token_hex(8)}"
    item = SignItem(item_id=CANARY, tbs_sha256=tbs_sha256, name=CANARY)
    await holder.start(
        SignOrder(transaction_id=transaction_id, credential_id=CANARY, owner=CANARY, items=(item,), mechanism="ecdsa")
    )
    while (outcome := await holder.poll(transaction_id)).state == "waiting":  # noqa: ASYNC110 - it is another machine
        await asyncio.sleep(_POLL_S)
    if outcome.state != "signed" or CANARY not in outcome.values:
        raise ValueMismatch("Không nhận được chữ ký thử", f"No trial value came back ({outcome.state})")
    return outcome.values[CANARY]


async def _probe(holder: KeyHolder) -> str | None:
    """Ask a holder for a transaction that never was; any answer shows that it is there."""
    try:
        async with asyncio.timeout(PROBE_S):
            await holder.poll("mc-canary")
    except SigningError as error:
        return error.code
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return None


async def run(canary: Canary, stopping: asyncio.Event) -> None:
    """Try once a minute, sooner after a failure, until told to stop."""
    while not stopping.is_set():
        good = await canary.fly()
        try:
            async with asyncio.timeout(EVERY_S if good else AGAIN_S):
                await stopping.wait()
        except TimeoutError:
            continue
