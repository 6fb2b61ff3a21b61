"""Paper and pens for signing tests: small PDFs, people with certificates, and the tools that judge independently."""

import atexit
import hashlib
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import signing
from api.embedded.pki import CertificateWanted, lay_pki
from signing.contract import Appearance, FieldPlan, FinishOrder, PrepareOrder, Signed, Trust
from signing.keys.software import load_key, sign_hash

AT = datetime(2026, 11, 20, 1, 30, 15, tzinfo=UTC)
NUMBER_AND_DATE = {"Number": "123/QĐ-UBND", "IssuedDate": "Thử Nghiệm, ngày 20 tháng 11 năm 2026"}
PEOPLE = (
    CertificateWanted(id="leader", common_name="Nguyễn Văn Ký", organisation="UBND xã Thử Nghiệm"),
    CertificateWanted(id="leader-rsa", common_name="Trần Thị Ấn", organisation="UBND xã Thử Nghiệm", key="rsa2048"),
    CertificateWanted(
        id="seal", common_name="UBND xã Thử Nghiệm", organisation="Ủy ban nhân dân xã Thử Nghiệm", kind="seal"
    ),
)
CHILD = """
import pickle, sys
import signing
work, args, kwargs = pickle.loads(sys.stdin.buffer.read())
answer = getattr(signing, work)(*args, **kwargs)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.stdout.buffer.write(pickle.dumps((answer, int(peak.split()[1]) * 1024)))
"""


@cache
def pki() -> Path:
    """Lay the test certificates once per process."""
    room = Path(tempfile.mkdtemp(prefix="motcua-pki-"))
    atexit.register(shutil.rmtree, room, ignore_errors=True)
    lay_pki(room / "keys", PEOPLE, at=AT, demo=True)
    return room / "keys"


@cache
def der(name: str) -> bytes:
    return x509.load_pem_x509_certificate((pki() / f"{name}.pem").read_bytes()).public_bytes(Encoding.DER)


def chain() -> tuple[bytes, ...]:
    return (der("issuing"), der("root"))


def trust() -> Trust:
    return Trust(anchors=(der("root"),))


@cache
def key(name: str):
    return load_key(pki() / f"{name}.key.pem")


def page(path: Path, text: str = "Quyet dinh", *, rotate: int = 0, pages: int = 1) -> Path:
    """Write a small A4 document."""
    document = pikepdf.new()
    for _ in range(pages):
        sheet = document.add_blank_page(page_size=(595.28, 841.89))
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        sheet.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
        sheet.obj.Contents = document.make_stream(f"BT /F 14 Tf 90 600 Td ({text}) Tj ET".encode())
        if rotate:
            sheet.obj.Rotate = rotate
    document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return path


def order(base: Path, field: str, plan: FieldPlan, *, who: str = "leader", **changes) -> PrepareOrder:
    """Return an order to prepare one signature; a seal shows its image, the time, number and date."""
    sealed = field == "Seal"
    image = (pki() / f"{'seal' if sealed else 'leader'}.png").read_bytes()
    lines = ("Thời gian ký: 20.11.2026", "08:30:15 +07:00") if sealed else ()
    kind = "seal" if sealed else "signatory"
    values = {
        "base": str(base),
        "base_sha256": hashlib.sha256(base.read_bytes()).digest(),
        "field": field,
        "certificate": der(who),
        "chain": chain(),
        "appearance": Appearance(kind=kind, image_png=image, lines=lines),
        "at": AT,
        "mechanism": "rsa_pkcs1v15" if who == "leader-rsa" else "ecdsa",
        "plan": plan,
        "fills": NUMBER_AND_DATE if sealed and plan.number else {},
        "reason": "Phê duyệt",
        "location": "Thử Nghiệm",
    }
    return PrepareOrder(**{**values, **changes})


def sign(base: Path, target: Path, field: str, plan: FieldPlan, *, who: str = "leader", **changes) -> Signed:
    """Prepare, sign with a key file, finish."""
    asked = order(base, field, plan, who=who, **changes)
    prepared = signing.prepare(asked)
    value = sign_hash(key(who), prepared.tbs_sha256, prepared.mechanism)
    finishing = FinishOrder(base=str(base), prepared=prepared, value=value, chain=chain(), trust=trust())
    return signing.finish(finishing, str(target))


def lay(source: Path, target: Path, *, names: tuple[str, ...] = ("Signatory1", "Seal"), mark: str | None = None):
    """Lay the default fields and return their plan."""
    plan = signing.default_plan(str(source), names)
    signing.lay_fields(str(source), str(target), plan, mark=mark)
    return plan


def sign_and_seal(source: Path, room: Path, *, who: str = "leader", mark: str | None = None) -> Path:
    """Take a document through both signatures; returns the sealed file, leaving laid.pdf and signed.pdf beside it."""
    plan = lay(source, room / "laid.pdf", mark=mark)
    sign(room / "laid.pdf", room / "signed.pdf", "Signatory1", plan, who=who)
    sign(room / "signed.pdf", room / "sealed.pdf", "Seal", plan, who="seal")
    return room / "sealed.pdf"


def apart(work: str, *args, **kwargs):
    """Do one thing in a process of its own; return its answer and the most memory that it held."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((work, args, kwargs)), capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return pickle.loads(done.stdout)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)


def pdfsig_valid(path: Path) -> int:
    """Count the signatures that poppler finds valid; its exit code says nothing."""
    return run("pdfsig", "-nocert", path).stdout.count("Signature is Valid.")


def mutool_says(path: Path) -> list[str]:
    """Return what MuPDF says of each signed field."""
    return re.findall(r"edits since|unchanged since|Digest error", run("mutool", "sign", "-v", path).stdout)


def split(path: Path, room: Path) -> list[tuple[Path, Path]]:
    """Cut out each CMS and the bytes that it signs with nothing but the standard library."""
    data, parts = path.read_bytes(), []
    for number, found in enumerate(re.finditer(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data)):
        start, first, second, rest = map(int, found.groups())
        blob = bytes.fromhex(data[start + first + 1 : second - 1].decode())
        width = blob[1] & 0x7F
        size = 2 + width + int.from_bytes(blob[2 : 2 + width], "big")
        container, content = room / f"{number}.der", room / f"{number}.bin"
        container.write_bytes(blob[:size])
        content.write_bytes(data[start : start + first] + data[second : second + rest])
        parts.append((container, content))
    return parts


def openssl_accepts(container: Path, content: Path, room: Path, root: Path | None = None, at: datetime = AT) -> bool:
    """Ask openssl for a CAdES verification under the test root, or another."""
    done = run(
        "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", container, "-content", content,
        "-CAfile", root or pki() / "root.pem", "-purpose", "any", "-attime", int(at.timestamp()), "-out", room / "out",
    )  # fmt: skip
    return done.returncode == 0 and "CAdES Verification successful" in done.stderr
