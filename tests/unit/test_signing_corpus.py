"""Every real file beside the repository: what is good is signed and sealed, what is bad is refused with a remedy."""

import contextlib
import hashlib
import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw
from pyhanko.pdf_utils.reader import PdfFileReader

import signing
from signing.contract import FieldPlan, Trust
from signing.pdf import direct, second
from signing.pdf import prepare as preparing
from signing.pdf.reading import page_box
from signing.pdf.verify import anchored, verify_bytes
from tests.paper import (
    AT,
    lay,
    mutool_says,
    openssl_accepts,
    order,
    pdfsig_valid,
    run,
    sign,
    split,
    trust,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
DOTS = 100


def files(folder: str, pattern: str = "*.pdf") -> list:
    """List a folder of the corpus as test cases; nothing where the folder is not there."""
    return [pytest.param(path, id=path.stem[-60:]) for path in sorted((DATA / folder).glob(pattern))]


def render(path: Path, room: Path, tool: str = "poppler") -> list[Image.Image]:
    """Return every page as poppler or MuPDF shows it; nothing where it cannot read the file."""
    room.mkdir(exist_ok=True)
    if tool == "poppler":
        run("pdftoppm", "-r", DOTS, "-png", path, room / "page")
    else:
        run("mutool", "draw", "-q", "-r", DOTS, "-o", room / "page%03d.png", path)
    return [Image.open(shown).convert("RGB") for shown in sorted(room.glob("page*.png"))]


def blank(shown: Image.Image, boxes: list[tuple[float, float, float, float]], frame) -> Image.Image:
    """White out boxes given in points, with a margin of two pixels for antialiasing."""
    x0, _, _, y1 = frame
    draw, scale = ImageDraw.Draw(shown), DOTS / 72
    for left, bottom, right, top in boxes:
        corners = ((left - x0) * scale - 2, (y1 - top) * scale - 2, (right - x0) * scale + 2, (y1 - bottom) * scale + 2)
        draw.rectangle(corners, fill="white")
    return shown


def assert_same_look(before: Path, after: Path, plan: FieldPlan, room: Path) -> None:
    """Compare all pages outside the boxes of stamps, number and date."""
    old = render(before, room / "old")
    tool = "poppler" if old else "mupdf"
    old, new = old or render(before, room / "old", tool), render(after, room / "new", tool)
    assert len(old) == len(new) > 0
    reader = PdfFileReader(io.BytesIO(after.read_bytes()), strict=False)
    fields = [field for field in (plan.number, plan.issued_date, *plan.signatures) if field]
    for index, (left, right) in enumerate(zip(old, new, strict=True)):
        container, position, _ = reader.find_page_container(index)
        frame = page_box(container.get_object()["/Kids"][position])
        boxes = [field.box for field in fields if field.page % len(old) == index]
        difference = ImageChops.difference(blank(left, boxes, frame), blank(right, boxes, frame))
        assert difference.getbbox() is None, f"page {index + 1} differs at {difference.getbbox()}"


def assert_signs(source: Path, room: Path, original: Path) -> None:
    """Take a file through signature and seal and have everybody judge it."""
    plan = lay(source, room / "laid.pdf")
    sign(room / "laid.pdf", room / "signed.pdf", "Signatory1", plan)
    sealed = room / "sealed.pdf"
    assert sign(room / "signed.pdf", sealed, "Seal", plan, who="seal").verdict.ok
    assert signing.verify(str(sealed), trust(), at=AT).ok
    assert pdfsig_valid(sealed) == 2
    assert mutool_says(sealed) == ["edits since", "unchanged since"]
    assert [openssl_accepts(*part, room) for part in split(sealed, room)] == [True, True]
    assert_same_look(original, sealed, plan, room)


@pytest.mark.parametrize("path", files("pdfs/good"))
def test_a_good_file_is_accepted_signed_and_sealed(path, tmp_path):
    report = signing.lint(str(path), "to_sign", at=AT)
    assert report.accepted, report.problems
    assert signing.lint(str(path), "handed_in", at=AT).accepted
    assert_signs(path, tmp_path, path)


@pytest.mark.parametrize("path", files("pdfs/good"))
def test_a_good_file_is_signed_and_judged_the_same_both_ways(path, tmp_path, monkeypatch):
    plan = lay(path, tmp_path / "laid.pdf")
    for base, target, field, who in (
        ("laid.pdf", "signed.pdf", "Signatory1", "leader-rsa"),
        ("signed.pdf", "sealed.pdf", "Seal", "seal"),
    ):
        asked, data = order(tmp_path / base, field, plan, who=who), (tmp_path / base).read_bytes()
        with monkeypatch.context() as fixed:
            fixed.setattr(os, "urandom", lambda size: bytes(range(size)))  # the file id
            by_pyhanko = preparing.through_pyhanko(data, asked)
            with contextlib.suppress(direct.Unusual):
                assert direct.increment(direct.plan(data, hashlib.sha256(data)), asked) == by_pyhanko
            prepared = signing.prepare(asked)
        assert prepared.increment == by_pyhanko.data
        sign(tmp_path / base, tmp_path / target, field, plan, who=who)
        signed = (tmp_path / target).read_bytes()
        again = second.judge(signed, trust(), AT, anchored)
        assert again in (None, verify_bytes(signed, trust(), at=AT))


def test_most_good_files_go_the_short_way(tmp_path):
    paths = sorted((DATA / "pdfs" / "good").glob("*.pdf"))
    direct_ones = 0
    for path in paths:
        lay(path, tmp_path / "laid.pdf")
        data = (tmp_path / "laid.pdf").read_bytes()
        with contextlib.suppress(direct.Unusual):
            direct.plan(data, hashlib.sha256(data))
            direct_ones += 1
    assert direct_ones >= len(paths) * 0.75


@pytest.mark.parametrize("path", files("pdfs/refused"))
@pytest.mark.parametrize("profile", ["handed_in", "to_sign"])
def test_an_encrypted_file_is_refused_with_a_remedy(path, profile, tmp_path):
    report = signing.lint(str(path), profile, at=AT)
    assert not report.accepted
    assert not report.repairable
    assert [problem.code for problem in report.problems] == ["encrypted"]
    assert all(problem.remedy_vi and problem.remedy_en for problem in report.problems)
    assert not signing.repair(str(path), str(tmp_path / "out.pdf"), at=AT).accepted
    assert not (tmp_path / "out.pdf").exists()


@pytest.mark.parametrize("path", files("pdfs/repairable"))
def test_a_broken_file_is_mended_or_refused_in_time(path, tmp_path):
    started = time.monotonic()
    report = signing.lint(str(path), "to_sign", at=AT)
    usable = path
    if report.repairable:
        usable = tmp_path / "mended.pdf"
        mended = signing.repair(str(path), str(usable), at=AT)
        assert mended.accepted == usable.exists() == mended.repaired
        report = mended
    signing.lint(str(path), "handed_in", at=AT)
    assert time.monotonic() - started < 10
    if report.accepted:
        assert_signs(usable, tmp_path, path)
    else:
        assert report.problems
        assert all(problem.vi and problem.remedy_vi and problem.remedy_en for problem in report.problems)


def test_what_must_not_be_mended_is_not():
    for name, code in (
        ("pyhanko-base.pdf", "prepared-not-signed"),
        ("verapdf-veraPDF_test_suite_6-1-12-t02-pass-a.pdf", "already-signed"),
        ("openpdf-pades_infinite_loop.pdf", "broken-and-signed"),
    ):
        report = signing.lint(str(DATA / "pdfs/repairable" / name), "to_sign", at=AT)
        assert not report.accepted
        assert not report.repairable
        assert code in {problem.code for problem in report.problems}


def trust_in_itself(data: bytes) -> Trust:
    """Believe whoever signed, so that only the structure is judged."""
    certificates: set[bytes] = set()
    try:
        for signature in PdfFileReader(io.BytesIO(data), strict=False).embedded_signatures:
            certificates |= {one.dump() for one in (signature.signer_cert, *signature.other_embedded_certs)}
    except Exception:  # noqa: BLE001  these files are made to break readers
        return Trust()
    return Trust(anchors=tuple(certificates))


@pytest.mark.parametrize("path", files("attacks/coverage") + files("attacks/shadow", "*--4_*.pdf"))
def test_an_attack_is_rejected(path):
    data = path.read_bytes()
    verdict = verify_bytes(data, trust_in_itself(data), at=AT)
    assert not verdict.ok
    assert not verdict.untouched
    assert second.judge(data, trust_in_itself(data), AT, lambda *_: False) is None
    assert not signing.lint(str(path), "to_sign", at=AT).accepted


@pytest.mark.parametrize("path", files("attacks/shadow", "*--3_*.pdf"))
def test_an_intact_control_is_accepted(path):
    data = path.read_bytes()
    verdict = verify_bytes(data, trust_in_itself(data), at=AT)
    assert verdict.ok, verdict
    handed_in = signing.lint(str(path), "handed_in", at=AT)
    assert handed_in.accepted
    assert len(handed_in.foreign_signatures) == 1
    assert not signing.lint(str(path), "to_sign", at=AT).accepted


@pytest.mark.parametrize("path", files("attacks/shadow", "*--[12]_*.pdf"))
def test_an_unsigned_shadow_is_rewritten_or_refused_before_it_is_signed(path, tmp_path):
    report = signing.lint(str(path), "to_sign", at=AT)
    if report.repairable:
        report = signing.repair(str(path), str(tmp_path / "mended.pdf"), at=AT)
    assert report.accepted or report.problems
