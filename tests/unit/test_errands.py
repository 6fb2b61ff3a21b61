"""Transactions at services that do not know our ids: an end is not lost to whoever looked a moment too early."""

import asyncio
import time

import pytest

from signing.contract import SignOrder
from signing.keys.errands import Errands
from signing.keys.ledger import Entry, Ledger

ORDER = SignOrder(transaction_id="t1", credential_id="c", owner="leader", items=(), mechanism="ecdsa")


def entry(state="asked", **more) -> Entry:
    return Entry(
        transaction_id="t1", credential_id="c", items=("a",), hashes=("aGFzaA==",), algorithm={},
        ends_at=time.time() + 60, state=state, **more,
    )  # fmt: skip


SIGNED = entry("signed", values={"a": b"value"})


class LateReader(Ledger):
    """Whoever reads first sees the entry as it stood before the task that was at it ended it."""

    stale: Entry | None = None

    def read(self, transaction_id):
        seen, self.stale = self.stale, None
        return seen or super().read(transaction_id)


def errands(ledger, asked) -> Errands:
    async def see(entry, _):
        asked.append(entry)
        await asyncio.sleep(60)
        return entry

    async def there():
        return None

    return Errands(ledger, see=see, there=there, check_every_s=0.01)


async def test_who_read_before_the_end_finds_the_end_and_does_not_forget_it(tmp_path):
    ledger = LateReader(tmp_path)
    ledger.write(SIGNED)
    ledger.stale = entry()
    told = await errands(ledger, []).poll("t1")
    assert (told.state, told.values) == ("signed", {"a": b"value"})
    assert ledger.read("t1") == SIGNED


async def test_what_has_ended_since_it_was_looked_for_is_not_asked_anew(tmp_path):
    ledger, asked = Ledger(tmp_path), []
    ledger.write(SIGNED)
    one = errands(ledger, asked)
    await one.begin(entry(), ORDER)
    await asyncio.sleep(0)
    assert (asked, ledger.read("t1")) == ([], SIGNED)
    assert (await one.poll("t1")).state == "signed"


@pytest.mark.parametrize(("handle", "state", "left"), [("h", "waiting", 1), ("", "unknown", 0)])
async def test_what_a_dead_process_left_is_gone_on_with_where_a_handle_is_known(tmp_path, handle, state, left):
    ledger, asked = Ledger(tmp_path), []
    ledger.write(entry(handle=handle))
    one = errands(ledger, asked)
    assert (await one.poll("t1")).state == state
    await asyncio.sleep(0.01)
    assert (len(asked), ledger.read("t1") is not None) == (left, bool(left))
    await one.close()


async def test_what_another_process_is_at_is_waited_for(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(entry())
    lock = ledger.take("t1")
    assert lock is not None
    assert (await errands(Ledger(tmp_path), []).poll("t1")).state == "waiting"
    assert ledger.read("t1") is not None
