"""Fetch other makers' signers into var/peers, and write there how `python -m signing bench` starts each: `make peers`.

What cannot be had here is listed with the reason, so that its row says so. Nothing is installed outside var/peers.
"""

import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path
from shutil import copy, which

import msgspec

from signing.bench.peers import LISTED, Peer

HERE = Path(__file__).resolve().parent
PYTHON = ("endesive==3.0.1", "pypdf<7")
NODE = (
    "@signpdf/signpdf@3.3.0",
    "@signpdf/signer-p12@3.3.0",
    "@signpdf/placeholder-plain@3.3.0",
    "@signpdf/utils@3.3.0",
)
DEBIAN = (
    "libpdfbox2-java", "libfontbox2-java", "libcommons-logging-java", "libbcprov-java", "libbcutil-java",
    "libbcpkix-java", "libitext-java",
)  # fmt: skip
NO_ATTRIBUTE = "no signing-certificate-v2 (not PAdES), adbe.pkcs7.detached"


def run(*words: object, room: Path) -> None:
    """Run a program; raise RuntimeError with its last word."""
    done = subprocess.run([str(word) for word in words], cwd=room, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise RuntimeError(f"{words[0]}: {said[-1][:160]}")


def endesive(place: Path) -> tuple[str, ...]:
    """Make an environment for it. Its oscrypto does not know OpenSSL 3.0.10 and later by name, so it is told."""
    room = place / "python"
    venv.create(room, with_pip=True, clear=True)
    python = room / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON, room=place)
    for file in room.glob("lib/*/site-packages/oscrypto/_openssl/_libcrypto_c*.py"):
        file.write_text(file.read_text().replace(r"(\\d\\.\\d\\.\\d[a-z]*)", r"(\\d+\\.\\d+\\.\\d+[a-z]*)"))
    return str(python), str(HERE / "endesive_peer.py")


def signpdf(place: Path) -> tuple[str, ...]:
    """Let npm put it beside the program, where node looks for it."""
    demand("node")
    room = place / "node"
    room.mkdir(exist_ok=True)
    (room / "package.json").write_text("{}")
    run(
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
        *NODE,
        room=room,
    )
    copy(HERE / "signpdf.mjs", room)
    return "node", str(room / "signpdf.mjs")


def java(which_one: str) -> Callable[[Path], tuple[str, ...]]:
    """Take the libraries out of Debian's packages, without installing them."""

    def fetch(place: Path) -> tuple[str, ...]:
        demand("javac")
        room = place / "debian"
        jars = room / "usr" / "share" / "java"
        if not jars.is_dir():
            room.mkdir(exist_ok=True)
            run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *DEBIAN, room=room)
            for package in room.glob("*.deb"):
                run("dpkg", "-x", package, room, room=room)
        run("javac", "-cp", f"{jars}/*", "-d", room, HERE / "Signers.java", room=room)
        return "java", "-cp", f"{room}:{jars}/*", "Signers", which_one

    return fetch


def mutool(_: Path) -> tuple[str, ...]:
    """Use the program that the tests need anyway."""
    demand("mutool")
    return sys.executable, str(HERE / "mutool_peer.py")


def demand(program: str) -> None:
    """Raise RuntimeError where a program is not installed."""
    if which(program) is None:
        raise RuntimeError(f"{program} is not installed")


PEERS: tuple[tuple[Peer, Callable[[Path], tuple[str, ...]]], ...] = (
    (Peer(name="endesive 3.0.1 (PyPI)", leaves_out="adbe.pkcs7.detached, no field lock"), endesive),
    (
        Peer(
            name="@signpdf 3.3.0 (npm)", keys=("rsa",), leaves_out="no signing-certificate-v2, no field lock, RSA only"
        ),
        signpdf,
    ),
    (Peer(name="PDFBox 2 with Bouncy Castle (Debian)", leaves_out=f"{NO_ATTRIBUTE}, no field lock"), java("pdfbox")),
    (Peer(name="iText 2.1 with Bouncy Castle (Debian)", leaves_out=f"{NO_ATTRIBUTE}, no field lock"), java("itext")),
    (
        Peer(
            name="mutool sign (Debian), a process each",
            leaves_out=f"{NO_ATTRIBUTE}, no chain, SHA-1; writes 700 kB, start-up counts",
        ),
        mutool,
    ),
)


def fetch(place: Path, peers: Iterable[tuple[Peer, Callable[[Path], tuple[str, ...]]]] = PEERS) -> list[Peer]:
    """Fetch them and write the list; what does not come is listed with the reason."""
    place.mkdir(parents=True, exist_ok=True)
    found: list[Peer] = []
    for peer, get in peers:
        print(f"… {peer.name}", flush=True)  # noqa: T201  a command's own word
        try:
            found.append(msgspec.structs.replace(peer, command=get(place)))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            found.append(msgspec.structs.replace(peer, missing=str(error)))
    (place / LISTED).write_bytes(msgspec.json.encode(found))
    return found


if __name__ == "__main__":
    missing = [f"{peer.name}: {peer.missing}" for peer in fetch(Path("var/peers").resolve()) if peer.missing]
    print("\n".join(missing) or "… Xong / Done")  # noqa: T201  a command's own word
