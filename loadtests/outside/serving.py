"""How an outside signer is started from the command line, and told to stop."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

MakeApp = Callable[[Path, str, str], web.Application]
"""Makes a server of a directory of keys, and of the name and secret by which its client is known."""


def main(about: str | None, make_app: MakeApp, *, secret: str) -> None:
    """Run a server; `secret` is what its client says where nothing else is told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--client-id", default="motcua")
    parser.add_argument("--client-secret", default=secret)
    options = parser.parse_args()
    asyncio.run(_serve(make_app(options.keys, options.client_id, options.client_secret), options.host, options.port))


async def _serve(app: web.Application, host: str, port: int) -> None:
    """Serve until told to stop, and say on which port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0][1]
    sys.stdout.write(f"PORT {bound}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await stop.wait()
    await runner.cleanup()
