"""An increment written directly is pyHanko's to the byte, and whatever is unusual goes pyHanko's way."""

import hashlib
import os
import re

import pikepdf
import pytest
from pyhanko.pdf_utils.generic import DictionaryObject, pdf_name

import signing
from signing.contract import Appearance
from signing.pdf import direct
from signing.pdf import prepare as preparing
from signing.pdf.reading import open_for_revision
from tests.paper import chain, lay, openssl_accepts, order, page, pdfsig_valid, pki, run, sign, split


@pytest.fixture(autouse=True)
def fixed_file_id(monkeypatch):
    """The file id is the one thing that is drawn."""
    chain()
    pki()
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))


def planned(data):
    return direct.plan(data, hashlib.sha256(data))


def both(base, field, plan, **changes):
    asked = order(base, field, plan, **changes)
    data = base.read_bytes()
    return direct.increment(planned(data), asked), preparing.through_pyhanko(data, asked)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"who": "leader-rsa"},
        {"who": "leader-rsa", "mechanism": "rsa_pss", "reason": None},
        {"appearance": Appearance(kind="none"), "location": None, "reason": None},
        {"appearance": Appearance(kind="signatory", lines=("Người ký: Nguyễn Văn Ký", "Ấp (1) \\ 2"))},
        {"reason": "Duyệt (lần 2) \\ hết", "location": "Huế"},
    ],
    ids=["image", "rsa", "pss", "invisible", "text", "odd letters"],
)
def test_both_ways_write_the_same_signature(tmp_path, rotate, changes):
    plan = lay(page(tmp_path / "source.pdf", rotate=rotate), tmp_path / "laid.pdf")
    directly, by_pyhanko = both(tmp_path / "laid.pdf", "Signatory1", plan, **changes)
    assert directly == by_pyhanko


def test_both_ways_write_the_same_seal_with_number_and_date(tmp_path):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    sign(tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan)
    directly, by_pyhanko = both(tmp_path / "signed.pdf", "Seal", plan, who="seal")
    assert directly == by_pyhanko
    assert directly.data.count(b"endobj") > 12


def test_a_usual_file_needs_no_pyhanko(tmp_path, monkeypatch):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")

    def absent(*_):
        raise AssertionError("pyHanko was asked")

    monkeypatch.setattr(preparing, "through_pyhanko", absent)
    signing.prepare(order(tmp_path / "laid.pdf", "Signatory1", plan))


def revised(change):
    def make(path, _):
        writer, buffer = open_for_revision(path.read_bytes())
        change(writer)
        writer.write_in_place()
        path.write_bytes(buffer.getvalue())

    return make


def with_streams(path, source):
    with pikepdf.open(source) as document:
        document.save(source.with_suffix(".streams.pdf"), object_stream_mode=pikepdf.ObjectStreamMode.generate)
    lay(source.with_suffix(".streams.pdf"), path)


def with_a_small_size(path, _):
    data = path.read_bytes()
    size = int(re.findall(rb"/Size (\d+)", data)[-1])
    at = data.rindex(b"/Size %d" % size)
    path.write_bytes(data[:at] + b"/Size %d" % (size - 1) + data[at + len(b"/Size %d" % size) :])


def form_entry(name, value):
    def change(writer):
        form = writer.root["/AcroForm"]
        form[pdf_name(name)] = value
        writer.update_container(form)

    return change


def without_flags(writer):
    form = writer.root["/AcroForm"]
    del form["/SigFlags"]
    writer.update_container(form)


def with_permissions(writer):
    writer.root[pdf_name("/Perms")] = DictionaryObject()
    writer.update_root()


def rewritten(path, _):
    """Another writer's layout of the same fields."""
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.disable)


UNUSUAL = {
    "cross-reference streams": with_streams,
    "no signature flags": revised(without_flags),
    "permissions": revised(with_permissions),
    "a form entry more": revised(form_entry("/NeedAppearances", pdf_name("/true"))),
    "another writer": rewritten,
    "a size that lies": with_a_small_size,
}


@pytest.mark.parametrize("make", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_unusual_goes_the_way_of_pyhanko(tmp_path, monkeypatch, make):
    path = tmp_path / "laid.pdf"
    plan = lay(page(tmp_path / "source.pdf"), path)
    make(path, tmp_path / "source.pdf")
    with pytest.raises(direct.Unusual):
        planned(path.read_bytes())
    asked, ways = order(path, "Signatory1", plan), []
    by_pyhanko = preparing.through_pyhanko
    monkeypatch.setattr(preparing, "through_pyhanko", lambda *told: ways.append(1) or by_pyhanko(*told))
    prepared = signing.prepare(asked)
    assert ways == [1]
    assert prepared.increment == by_pyhanko(path.read_bytes(), asked).data


def test_a_plan_kept_in_memory_gives_the_same(tmp_path):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    asked = order(tmp_path / "laid.pdf", "Signatory1", plan)
    known = planned((tmp_path / "laid.pdf").read_bytes())
    first, second = (preparing.prepare_planned(known, asked) for _ in range(2))
    assert first == second == signing.prepare(asked)


@pytest.mark.parametrize(
    "changes", [{}, {"who": "leader-rsa"}, {"who": "leader-rsa", "mechanism": "rsa_pss"}], ids=["ecdsa", "rsa", "pss"]
)
@pytest.mark.parametrize("shown", ["invisible", "visible"])
def test_other_programs_find_every_kind_valid(tmp_path, monkeypatch, changes, shown):
    monkeypatch.undo()
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    looks = {"appearance": Appearance(kind="none")} if shown == "invisible" else {}
    target = tmp_path / "signed.pdf"
    assert sign(tmp_path / "laid.pdf", target, "Signatory1", plan, **changes, **looks).verdict.ok
    assert sign(tmp_path / "laid.pdf", target, "Signatory1", plan, **changes, **looks).verdict.ok
    assert pdfsig_valid(target) == 1
    assert [openssl_accepts(*part, tmp_path) for part in split(target, tmp_path)] == [True]
    assert "No syntax or stream encoding errors" in run("qpdf", "--check", target).stdout
