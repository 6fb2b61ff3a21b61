"""`motcua verify FILE`: the four separate facts of a verification, in the words of `GET /verify/{code}`.

A file proves two of them: that it is untouched, and who signed it. Whether the signatories were competent at that time
and whether the paper is still in force stands in the register: a server that runs here is asked, otherwise the facts
are said to be unknown.
"""

import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from api.documents.facts import Fact, Facts, of_file
from api.documents.verification import FileCheck
from api.embedded import demo_settings
from api.embedded.up import find_running
from api.errors import Invalid
from signing.contract import Verdict

PATIENCE_S: Final = 60.0
_MARKS: Final = {"yes": "✓", "no": "✗", "unknown": "?"}
_HEADINGS: Final = (
    ("untouched", "1. Nguyên vẹn", "Untouched"),
    ("signed", "2. Ai ký, với tư cách gì", "Signed by whom, in what capacity"),
    ("competent", "3. Thẩm quyền lúc ký", "Competent at that time"),
    ("in_force", "4. Còn hiệu lực", "Still in force"),
)


def verify_file(path: Path, *, as_json: bool, write: Callable[[str], object]) -> int:
    """Verify a PDF and write the four facts; 0 when all that can be known of it is good.

    Raises:
        Invalid: the file cannot be read as a PDF at all.
    """
    verdict = msgspec.json.decode(_judge(path), type=Verdict)
    with path.open("rb") as stream:
        facts = of_file(verdict, hashlib.file_digest(stream, "sha256").digest())
    running = find_running(demo_settings.layout())
    if running is not None:
        facts = _of_register(running.base_url, path) or facts
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    else:
        write("\n".join([str(path), *_lines(facts, verdict)]) + "\n")
    return 0 if facts.ok else 1


def _judge(path: Path) -> bytes:
    # In a process of its own: a hostile file may kill or hang the parser, never the command.
    words = [sys.executable, "-m", "signing", "verify", str(path), "--json", *_anchors(os.environ)]
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=120)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Invalid(f"Kiểm tra {path} quá lâu.", f"Verifying {path} took too long.") from None
    if not done.stdout.strip():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else str(done.returncode)
        raise Invalid(f"Không đọc được {path}: {reason}", f"{path} cannot be read: {reason}")
    return done.stdout


def _anchors(environment: Mapping[str, str]) -> list[str]:
    trust = Path(environment.get("MOTCUA_TRUST_DIR") or demo_settings.layout(environment).trust)
    words = ["--anchors", str(trust)] if trust.is_dir() else []
    return words + (["--demo-anchors", str(trust / "demo")] if (trust / "demo").is_dir() else [])


def _of_register(base_url: str, path: Path) -> Facts | None:
    """Return what the running server's register says of the file; None when it does not know it or does not answer."""
    try:
        check = _call(f"{base_url}/verify", path.read_bytes())
        deadline = time.monotonic() + PATIENCE_S
        while check.state != "done" and time.monotonic() < deadline:
            time.sleep(0.1)
            check = _call(f"{base_url}/verify/checks/{check.id}", None)
    except (OSError, urllib.error.URLError, msgspec.MsgspecError):
        return None
    return check.facts if check.facts is not None and check.facts.registered else None


def _call(url: str, body: bytes | None) -> FileCheck:
    asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/pdf"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 -- our own server's http address
        return msgspec.json.decode(answer.read(), type=FileCheck)


def _lines(facts: Facts, verdict: Verdict) -> list[str]:
    lines: list[str] = []
    for name, vi, en in _HEADINGS:
        fact: Fact = getattr(facts, name)
        lines.append(f"{_MARKS[fact.state]} {vi}: {fact.vi}  /  {en}: {fact.en}")
        if name == "signed":
            lines += [f"     - {one.summary_vi}  /  {one.summary_en}" for one in facts.signatures]
    if not facts.registered:
        lines.append(
            "→ Tra hai điều sau theo mã in trên văn bản  /  Ask for the last two with the code printed on the paper"
        )
    lines += [f"! {problem.vi}  /  {problem.en}" for problem in verdict.problems]
    if facts.demo:
        lines.append("! CHỈ ĐỂ THỬ: chứng thư thử, không có giá trị pháp lý  /  demo certificate, worth nothing in law")
    return lines
