"""Big files: no process may take more than twice a file's size, and a long one is linted in seconds.

Each step runs in a process of its own, which tells its peak (VmHWM) after it; the interpreter and the libraries count.
"""

import asyncio
import hashlib
import io
import pickle
import random
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

import signing
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Token
from signing.contract import Appearance, FinishOrder, HandedOrder, LintLimits, Prepared
from signing.keys.software import sign_hash
from signing.pdf.bounded import BoundedPool
from signing.pdf.reading import Overlay, open_for_revision
from tests.paper import AT, apart, chain, key, order, page, pdfsig_valid, pki, trust

pytestmark = pytest.mark.alone

PAGES, SIDE = 150, 576
LIMITS = LintLimits(max_bytes=1 << 30)


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    """150 MB of pages that each show a picture of noise, as a scanner's pages are to a digest; one row per picture."""
    path = tmp_path_factory.mktemp("big") / "scan.pdf"
    document, draw = pikepdf.new(), random.Random(1)
    for _ in range(PAGES):
        sheet = document.add_blank_page(page_size=(595.28, 841.89))
        picture = document.make_stream(zlib.compress(draw.randbytes(SIDE * SIDE * 3), 0))
        picture.stream_dict = pikepdf.Dictionary(
            Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=SIDE, Height=SIDE,
            ColorSpace=pikepdf.Name.DeviceRGB, BitsPerComponent=8, Filter=pikepdf.Name.FlateDecode,
        )  # fmt: skip
        sheet.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=picture))
        sheet.obj.Contents = document.make_stream(b"q 595 0 0 842 0 0 cm /I Do Q")
    document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False)
    document.close()
    return path


def digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def test_a_scan_of_150_mb_takes_at_most_twice_its_size_in_every_process(scan):
    room, size = scan.parent, scan.stat().st_size
    assert size > 149_000_000
    peaks: dict[str, int] = {}
    report, peaks["lint"] = apart("lint", str(scan), "to_sign", LIMITS, at=AT)
    assert (report.accepted, report.pages) == (True, PAGES)
    mended, peaks["repair"] = apart("repair", str(scan), str(room / "clean.pdf"), LIMITS, at=AT)
    assert mended.accepted
    plan, peaks["plan"] = apart("default_plan", str(room / "clean.pdf"), ("Signatory1", "Seal"))
    _, peaks["lay"] = apart("lay_fields", str(room / "clean.pdf"), str(room / "laid.pdf"), plan)
    (room / "clean.pdf").unlink()
    base = room / "laid.pdf"
    for field, who in (("Signatory1", "leader"), ("Seal", "seal")):
        asked = order(base, field, plan, who=who)
        prepared, peaks[f"prepare {field}"] = apart("prepare", asked)
        value = sign_hash(key(who), prepared.tbs_sha256, prepared.mechanism)
        finishing = FinishOrder(base=str(base), prepared=prepared, value=value, chain=chain(), trust=trust())
        signed, peaks[f"finish {field}"] = apart("finish", finishing, str(room / f"{field}.pdf"))
        handed = HandedOrder(
            base=str(base), prepared=prepared, source=str(room / f"{field}.pdf"), trust=trust(), at=asked.at
        )
        back, peaks[f"accept {field}"] = apart("accept", handed)
        assert back.signed.sha256 == signed.sha256
        base.unlink()
        base = room / f"{field}.pdf"
        assert signed.sha256 == digest(base)
    verdict, peaks["verify"] = apart("verify", str(base), trust(), at=AT)
    assert verdict.ok
    assert len(verdict.signatures) == 2
    assert pdfsig_valid(base) == 2
    assert {step: peak for step, peak in peaks.items() if peak > 2 * size} == {}


@pytest.fixture(scope="module")
def one_stream(tmp_path_factory) -> Path:
    """A page that shows one picture of 100 MB."""
    path = tmp_path_factory.mktemp("one") / "scan.pdf"
    document = pikepdf.new()
    sheet, side = document.add_blank_page(page_size=(595.28, 841.89)), 5840
    picture = document.make_stream(zlib.compress(random.Random(3).randbytes(side * side * 3), 0))
    picture.stream_dict = pikepdf.Dictionary(
        Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=side, Height=side,
        ColorSpace=pikepdf.Name.DeviceRGB, BitsPerComponent=8, Filter=pikepdf.Name.FlateDecode,
    )  # fmt: skip
    sheet.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=picture))
    sheet.obj.Contents = document.make_stream(b"q 595 0 0 842 0 0 cm /I Do Q")
    document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False)
    document.close()
    return path


@pytest.mark.parametrize("which", ["scan", "one_stream"])
def test_a_revision_of_a_tokens_own_takes_at_most_twice_its_size(which, request):
    """Signed, sealed and judged as whole files that a desktop tool wrote."""
    source: Path = request.getfixturevalue(which)
    room, size, at = source.parent, source.stat().st_size, datetime.now(UTC)
    peaks: dict[str, int] = {}
    _, peaks["lint"] = apart("lint", str(source), "to_sign", LIMITS, at=at)
    plan = signing.default_plan(str(source), ("Signatory1", "Seal"))
    _, peaks["lay"] = apart("lay_fields", str(source), str(room / "own.pdf"), plan)
    token = Token(Keyring(pki()))
    token.keyring.refresh()
    for field, who in (("Signatory1", "leader"), ("Seal", "seal")):
        asked = order(room / "own.pdf", field, plan, who=who, at=at)
        prepared, peaks[f"prepare {field}"] = apart("prepare", asked)
        errand = {
            "certificate_serial": token.keyring.of_owner(who)[0].serial, "mechanism": "ecdsa", "field": field,
            "tool": {"MetaData": [{"Key": key, "Value": value} for key, value in asked.fills.items()]},
        }  # fmt: skip
        (room / "back.pdf").write_bytes(asyncio.run(token.by_itself((room / "own.pdf").read_bytes(), errand)))
        handed = HandedOrder(
            base=str(room / "own.pdf"), prepared=prepared, source=str(room / "back.pdf"), trust=trust(), at=at
        )
        back, peaks[f"accept {field}"] = apart("accept", handed)
        assert back.signed.sha256 == digest(room / "back.pdf")
        (room / "back.pdf").replace(room / "own.pdf")
    verdict, peaks["verify"] = apart("verify", str(room / "own.pdf"), trust(), at=at)
    assert verdict.ok
    assert pdfsig_valid(room / "own.pdf") == 2
    assert {step: round(peak / size, 2) for step, peak in peaks.items() if peak > 2 * size} == {}


def test_a_file_of_a_thousand_pages_is_linted_in_seconds(tmp_path):
    path = page(tmp_path / "long.pdf", pages=1000)
    started = time.process_time()
    report = signing.lint(str(path), "to_sign", at=AT)
    assert (report.accepted, report.pages) == (True, 1000)
    mended = signing.repair(str(path), str(tmp_path / "clean.pdf"), at=AT)
    assert mended.accepted
    assert time.process_time() - started < 10


async def test_the_pool_is_handed_paths_and_not_bytes(scan, monkeypatch):
    """What crosses the pipe is a few hundred bytes, whatever the file's size; a draft beyond the limit is not read."""
    sent: list[int] = []
    async with BoundedPool(1) as pool:
        await pool.run(signing.lint, str(scan), "to_sign", at=AT, timeout_s=30)
        (worker,) = pool._all
        send = worker.channel.send
        monkeypatch.setattr(worker.channel, "send", lambda task: sent.append(len(pickle.dumps(task))) or send(task))
        report = await pool.run(signing.lint, str(scan), "to_sign", at=AT, timeout_s=30)
    assert [problem.code for problem in report.problems] == ["too-large"]
    assert len(sent) == 1
    assert sent[0] < 2000


def test_a_revision_of_a_large_file_is_the_same_without_a_second_copy(tmp_path):
    """pyHanko writes to one stream (its issue 336); behind a large file it writes the same bytes to another."""
    data = page(tmp_path / "page.pdf").read_bytes()
    start = data.index(b"\nxref\n") + 1
    large = data[:start] + b"%" + b"x" * (9 << 20) + b"\n" + data[start:]
    large = large.replace(b"startxref\n%d" % start, b"startxref\n%d" % (large.rindex(b"\nxref\n") + 1))
    found: list[bytes] = []
    for source in (io.BytesIO(large), Overlay(large)):
        writer = IncrementalPdfFileWriter(source)
        writer._update_meta = lambda: None
        writer._document_id[1] = writer._document_id[0]
        writer.root["/Lang"] = writer.root["/Type"]
        writer.update_root()
        writer.write_in_place()
        source.seek(0)
        found.append(source.read())
    assert found[0] == found[1]
    assert isinstance(open_for_revision(large)[1], Overlay)
    with pytest.raises(OSError, match="base"):
        Overlay(large).write(b"x")


def test_a_large_file_that_goes_pyhankos_way_is_signed_too(tmp_path):
    """Cross-reference streams are nothing for the direct way."""
    with pikepdf.open(page(tmp_path / "page.pdf")) as document:
        document.Root.Large = document.make_stream(random.Random(2).randbytes(9 << 20))
        document.save(tmp_path / "source.pdf", object_stream_mode=pikepdf.ObjectStreamMode.generate)
    plan = signing.default_plan(str(tmp_path / "source.pdf"), ("Signatory1",))
    signing.lay_fields(str(tmp_path / "source.pdf"), str(tmp_path / "laid.pdf"), plan)
    asked = order(tmp_path / "laid.pdf", "Signatory1", plan, appearance=Appearance(kind="none"))
    prepared: Prepared = signing.prepare(asked)
    value = sign_hash(key("leader"), prepared.tbs_sha256, prepared.mechanism)
    finishing = FinishOrder(base=asked.base, prepared=prepared, value=value, chain=chain(), trust=trust())
    assert signing.finish(finishing, str(tmp_path / "signed.pdf")).verdict.ok
    assert pdfsig_valid(tmp_path / "signed.pdf") == 1
