"""`motcua verify FILE`: what the file alone can prove, and where the rest is to be asked.

Of the four facts of a verification, a file proves two: that it is untouched, and who signed it. Whether the signatories
were competent at that time and whether the paper is still in force stands in the register, not in the file.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from api.embedded import demo_settings
from api.errors import Invalid
from signing.contract import Verdict


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The four facts as far as a file tells them; None is "not to be known from the file"."""

    untouched: bool
    signed: bool
    competent: bool | None
    in_force: bool | None
    demo: bool
    verdict: dict[str, Any]


def verify_file(path: Path, *, as_json: bool, write: Callable[[str], object]) -> int:
    """Verify a PDF against the configured anchors and write the facts; 0 when untouched and every signature is good.

    Raises:
        Invalid: the file cannot be read as a PDF at all.
    """
    raw = _ask(path)
    verdict = msgspec.json.decode(raw, type=Verdict)
    facts = FileFacts(
        untouched=verdict.untouched,
        signed=bool(verdict.signatures) and all(one.valid for one in verdict.signatures),
        competent=None,
        in_force=None,
        demo=verdict.demo,
        verdict=msgspec.json.decode(raw),
    )
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    else:
        write("\n".join(_lines(path, facts, verdict)) + "\n")
    return 0 if verdict.ok else 1


def _ask(path: Path) -> bytes:
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


def _lines(path: Path, facts: FileFacts, verdict: Verdict) -> list[str]:
    def mark(fact: bool) -> str:
        return "✓" if fact else "✗"

    state = ("không bị sửa", "yes") if facts.untouched else ("ĐÃ BỊ SỬA", "NO")
    if not verdict.signatures:
        state = ("không biết được, vì không có chữ ký", "cannot be told, there is no signature")
    lines = [
        f"{path}",
        f"{mark(facts.untouched)} 1. Nguyên vẹn: {state[0]}  /  Untouched: {state[1]}",
        f"{mark(facts.signed)} 2. Ai ký, với tư cách gì  /  Signed by whom, in what capacity:",
    ]
    lines += [f"     - {one.summary_vi}  /  {one.summary_en}" for one in verdict.signatures]
    if not verdict.signatures:
        lines.append("     - không có chữ ký số  /  there is no signature")
    lines += [
        "• 3. Thẩm quyền lúc ký: tra theo mã trên văn bản  /  Competent at that time: ask with the code on the paper",
        "• 4. Còn hiệu lực: tra theo mã trên văn bản  /  Still in force: ask with the code on the paper",
    ]
    lines += [f"! {problem.vi}  /  {problem.en}" for problem in verdict.problems]
    if facts.demo:
        lines.append("! CHỈ ĐỂ THỬ: chứng thư thử, không có giá trị pháp lý  /  demo certificate, worth nothing in law")
    return lines
