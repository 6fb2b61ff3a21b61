"""Other makers' signers beside ours, where they were fetched: each is started once and asked for rounds of signatures.

How each is started stands in `peers.json`, which whoever fetches them writes; the service itself needs none of them.
A program reads counts from its standard input, a line each, and answers with the milliseconds of processor time that
one signature took it, start-up left out; its last output is verified by plain pyHanko.
"""

import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_der_x509_certificate

from signing.bench import plain
from signing.bench.ground import Ground, Paper

LISTED: Final = "peers.json"
_SAID: Final = {"rsa": "RSA-2048", "p256": "P-256"}
_PASSWORD: Final = "bench"  # noqa: S105  of keys that live as long as the benchmark
_WARM_MS: Final = 3000.0
"""For how long a program may warm up; what runs on a virtual machine is slow at first."""
_TURN_MS: Final = 200.0


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One signer: the words that start it, the keys that it takes, and what it leaves out; or why it is not there."""

    name: str
    leaves_out: str
    command: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("rsa", "p256")
    missing: str = ""


class PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one signer came to with one key on one file: milliseconds, and how many times ours of the same rounds."""

    name: str
    leaves_out: str
    ms: float | None = None
    times_ours: float | None = None
    valid: bool = False
    missing: str = ""


class _Started:
    """One signer at work."""

    def __init__(self, peer: Peer, key: str, ground: Ground, paper: Paper, stack: ExitStack) -> None:
        self.target = ground.room / "peer.pdf"
        files = (_keys(ground, key), _PASSWORD, str(paper.path), str(self.target))
        self.process = stack.enter_context(
            subprocess.Popen(  # noqa: S603  what the list says, made by whoever fetched them
                [*peer.command, *files],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self.process.kill)
        spent, self.often = 0.0, 1
        while spent < _WARM_MS:
            took = self.turn()
            spent += took * self.often
            self.often = max(1, min(200, int(_TURN_MS / max(took, 0.01))))

    def turn(self) -> float:
        """Return the milliseconds of one signature; raise RuntimeError with its last word where it has died."""
        asked, answers, errors = self.process.stdin, self.process.stdout, self.process.stderr
        if asked is None or answers is None or errors is None:
            raise RuntimeError("no pipes")
        try:
            asked.write(f"{self.often}\n")
            asked.flush()
            return float(answers.readline())
        except (ValueError, BrokenPipeError):
            self.process.kill()
            with suppress(BrokenPipeError):  # what was never read would be written once more
                asked.close()
            raise RuntimeError((errors.read().strip().splitlines() or ["no answer"])[-1][:120]) from None


def listed(place: Path) -> tuple[Peer, ...]:
    """Return the signers that were fetched there; none where nobody did."""
    try:
        return msgspec.json.decode((place / LISTED).read_bytes(), type=tuple[Peer, ...])
    except FileNotFoundError:
        return ()


def measure(
    ground: Ground,
    place: Path,
    rounds: int,
    ours: Callable[[Paper, str], Callable[[], float]],
    say: Callable[[str], None],
) -> list[PeerRow]:
    """Measure every signer with each key on each file; `ours` makes the turn of our own that goes beside."""
    rows: list[PeerRow] = []
    for peer in listed(place):
        if peer.missing:
            rows.append(PeerRow(name=peer.name, leaves_out=peer.leaves_out, missing=peer.missing))
            continue
        for paper in ground.papers:
            for key in peer.keys:
                say(f"{peer.name}, {_SAID[key]}, {paper.name}")
                rows.append(_row(ground, paper, peer, key, rounds, ours(paper, key)))
    return rows


def _row(ground: Ground, paper: Paper, peer: Peer, key: str, rounds: int, ours: Callable[[], float]) -> PeerRow:
    name = f"{peer.name}, {_SAID[key]}, {paper.name}"
    with ExitStack() as stack:
        try:
            started = _Started(peer, key, ground, paper, stack)
            turns = [(started.turn(), ours()) for _ in range(rounds)]
        except (RuntimeError, OSError) as error:
            return PeerRow(name=name, leaves_out=peer.leaves_out, missing=str(error)[:160])
        valid = _valid(started.target, ground)
    theirs, own = median(turn[0] for turn in turns), median(turn[1] for turn in turns)
    return PeerRow(name=name, leaves_out=peer.leaves_out, ms=theirs, times_ours=theirs / own, valid=valid)


def _valid(signed: Path, ground: Ground) -> bool:
    try:
        return plain.verify(signed.read_bytes(), ground)
    except Exception:  # noqa: BLE001  another maker's file may make a reader raise anything
        return False


def _keys(ground: Ground, key: str) -> str:
    """Write a person's key with its certificates as PKCS#12, once."""
    path, who = ground.room / f"{key}.p12", ground.people[key]
    if not path.exists():
        own, *chain = (load_der_x509_certificate(der) for der in (who.certificate, *ground.chain))
        made = serialize_key_and_certificates(
            b"bench", who.key, own, chain, BestAvailableEncryption(_PASSWORD.encode())
        )
        path.write_bytes(made)
    return str(path)


def text(rows: tuple[PeerRow, ...]) -> list[str]:
    """Return the lines for a terminal."""
    lines = [f"{'ms CPU':>12} {'x ours':>8}  người ký khác / other makers, invisible, in memory"] if rows else []
    for row in rows:
        if row.ms is None or row.times_ours is None:
            lines.append(f"{'-':>12} {'-':>8}  {row.name}: không chạy / not run: {row.missing}")
            continue
        judged = "" if row.valid else "; pyHanko does not find it valid"
        lines.append(f"{row.ms:12.3f} {row.times_ours:8.1f}  {row.name}{judged}; leaves out: {row.leaves_out}")
    return lines
