"""Take one dossier and a small batch through the whole product with each key holder, and judge what comes out.

    python -m loadtests.journeys [upload pkcs11 csc sp769 vtss software] [--batch 5]

Runs `motcua up --demo` in a directory of its own and, beside it, the outside servers of the holders with real keys
(SoftHSM2 for `pkcs11`, a desktop tool for `upload`). One line for each holder; exit status 0 when all are good.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import asyncpg
import msgspec

from api.embedded.demo_settings import write_private
from api.embedded.faults import LauncherError
from api.embedded.walk import Refusal
from loadtests.chaos.product import Product
from loadtests.journeys.holders import BY_ID, KINDS, World
from loadtests.journeys.judges import BadResultError
from loadtests.journeys.ward import Journey

READY_S = 60.0
HOLDER_S = 180.0
_BAD = (BadResultError, LauncherError, Refusal, TimeoutError, aiohttp.ClientError, ExceptionGroup)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def tell_the_signer(product: Product, owner: asyncpg.Connection, told: list[dict[str, object]]) -> None:
    """Give the signer these holders: it reads its settings when it starts, and its supervisor starts it again."""
    since = await owner.fetchval("SELECT now()")
    write_private(product.files.holders, msgspec.json.encode(told).decode())
    for pid in product.processes("signer")[:1]:
        os.kill(pid, signal.SIGTERM)
    declared = "SELECT count(*) FROM key_holder WHERE declared_at > $1"
    async with asyncio.timeout(READY_S):
        while await owner.fetchval(declared, since) < len(told):  # noqa: ASYNC110 - another process declares them
            await asyncio.sleep(0.1)


async def one(journey: Journey, holder: str, size: int) -> str:
    """Make one holder's journey; the line that tells of it."""
    began = time.monotonic()
    await journey.with_holder(holder, by_id=holder in BY_ID)
    documents = [await journey.one_dossier(("own", "prepared"))]
    documents += await journey.batch(size)
    uses = await journey.uses(holder, documents)
    return (
        f"✓ {holder:11} 1 hồ sơ qua năm bước, {size} hồ sơ ký hàng loạt; {uses} lần dùng khóa; kiểm tra bằng motcua,"
        f" pdfsig, openssl  /  1 dossier through five steps, {size} in a batch; {uses} key uses; judged by motcua,"
        f" pdfsig, openssl ({time.monotonic() - began:.1f} s)"
    )


async def journeys(product: Product, room: Path, kinds: Sequence[str], size: int) -> int:
    """Make every journey that was asked for; how many went wrong."""
    failed = 0
    async with contextlib.AsyncExitStack() as stack:
        world = World(stack, room, product.files.pki, product.url)
        wanted = [holder for kind in kinds for holder in KINDS[kind]]
        told = {holder: await world.settings_of(holder) for holder in {"software": None, **dict.fromkeys(wanted)}}
        owner = await asyncpg.connect(product.environment["DATABASE_URL"], timeout=10)
        stack.push_async_callback(owner.close)
        await tell_the_signer(product, owner, list(told.values()))
        web = await stack.enter_async_context(
            aiohttp.ClientSession(product.url, timeout=aiohttp.ClientTimeout(total=60))
        )
        (room / "results").mkdir()
        journey = Journey(product, web, owner, room / "results")
        await journey.walk.log_in()
        for holder in wanted:
            try:
                async with asyncio.timeout(HOLDER_S):
                    say(await one(journey, holder, size))
            except _BAD as error:
                failed += 1
                say(f"✗ {holder:11} {type(error).__name__}: {error} {getattr(error, 'exceptions', '')}")
    return failed


async def run(kinds: Sequence[str], size: int) -> int:
    """Run once; the exit status."""
    room = Path(tempfile.mkdtemp(prefix="motcua-journeys-"))
    failed = 1
    try:
        async with Product(room) as product:
            failed = await journeys(product, room, kinds, size)
    finally:
        if failed:
            say(f"nhật ký / logs: {room}")
        else:
            shutil.rmtree(room, ignore_errors=True)
    return 1 if failed else 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.journeys", description=__doc__)
    parser.add_argument("holders", nargs="*", choices=[*KINDS, []], default=[])
    parser.add_argument("--batch", type=int, default=5)
    options = parser.parse_args()
    return asyncio.run(run(options.holders or list(KINDS), options.batch))


if __name__ == "__main__":
    sys.exit(main())
