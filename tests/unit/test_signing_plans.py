"""The next signature of a large file just verified: prepared without reading it, and never for another file."""

import hashlib
import os
import random

import pikepdf
import pytest

import signing
from signing.contract import FinishOrder
from signing.errors import BaseChanged, NotSignable
from signing.keys.software import sign_hash
from signing.pdf import files, plans
from signing.pdf import prepare as preparing
from tests.paper import chain, key, lay, order, page, pdfsig_valid, sign, trust


@pytest.fixture
def signed(tmp_path):
    """A file of 1.5 MB with its first signature, whose signer is known, and the plan by which it was laid."""
    with pikepdf.open(page(tmp_path / "page.pdf")) as document:
        document.Root.Large = document.make_stream(random.Random(4).randbytes(3 << 19))
        document.save(tmp_path / "source.pdf", object_stream_mode=pikepdf.ObjectStreamMode.disable)
    plan = lay(tmp_path / "source.pdf", tmp_path / "laid.pdf")
    for _ in range(2):  # the first file of a signer is judged by the first verifier
        sign(tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan)
    return tmp_path / "signed.pdf", plan


def unread(*_):
    raise AssertionError("the file was read")


def test_the_seal_is_prepared_without_the_file_to_the_byte_as_with_it(signed, tmp_path, monkeypatch):
    path, plan = signed
    asked = order(path, "Seal", plan, who="seal")
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", lambda size: bytes(range(size)))  # the file id
        by_pyhanko = preparing.through_pyhanko(path.read_bytes(), asked)
        patch.setattr(preparing, "read_base", unread)
        prepared = signing.prepare(asked)
    assert prepared.increment == by_pyhanko.data
    assert prepared.document_digest == by_pyhanko.digest
    sealed = sign(path, tmp_path / "sealed.pdf", "Seal", plan, who="seal")
    assert [one.field for one in sealed.verdict.signatures] == ["Signatory1", "Seal"]
    assert pdfsig_valid(tmp_path / "sealed.pdf") == 2
    assert sealed.sha256 == hashlib.sha256((tmp_path / "sealed.pdf").read_bytes()).digest()


def test_a_file_that_changed_meanwhile_is_refused_at_the_latest_when_it_is_finished(signed, tmp_path):
    """What is signed is the content that the order names; the store's file is read whole before anything is kept."""
    path, plan = signed
    asked, good = order(path, "Seal", plan, who="seal"), path.read_bytes()
    spoilt = bytearray(good)
    spoilt[len(good) // 2] ^= 1
    path.write_bytes(spoilt)
    prepared = signing.prepare(asked)
    value = sign_hash(key("seal"), prepared.tbs_sha256, "ecdsa")
    finishing = FinishOrder(base=str(path), prepared=prepared, value=value, chain=chain(), trust=trust())
    with pytest.raises(BaseChanged):
        signing.finish(finishing, str(tmp_path / "out.pdf"))
    assert not (tmp_path / "out.pdf").exists()
    path.write_bytes(good)
    assert signing.finish(finishing, str(tmp_path / "out.pdf")).verdict.ok
    path.write_bytes(good + b" ")
    with pytest.raises(BaseChanged):
        signing.prepare(asked)


def test_what_is_not_to_be_signed_is_refused_as_for_a_file_that_is_read(signed):
    path, plan = signed
    with pytest.raises(NotSignable, match="already signed"):
        signing.prepare(order(path, "Signatory1", plan))
    with pytest.raises(NotSignable, match="no signature field"):
        signing.prepare(order(path, "Signatory7", plan))


def test_few_are_kept_and_no_small_one(signed, tmp_path, monkeypatch):
    path, plan = signed
    assert plans.recall(hashlib.sha256(path.read_bytes()).digest()) is not None
    monkeypatch.setattr(plans, "_MOST", 1)
    again = sign(tmp_path / "laid.pdf", tmp_path / "again.pdf", "Signatory1", plan)
    assert list(plans._kept) == [again.sha256]
    small = lay(page(tmp_path / "small.pdf"), tmp_path / "small-laid.pdf")
    for _ in range(2):
        sign(tmp_path / "small-laid.pdf", tmp_path / "small-signed.pdf", "Signatory1", small)
    assert list(plans._kept) == [again.sha256]


def test_a_disk_that_fails_while_the_file_is_verified_leaves_nothing_behind(signed, tmp_path, monkeypatch):
    path, plan = signed

    def failing(_):
        raise OSError(5, "Input/output error")

    before = set(tmp_path.iterdir())
    monkeypatch.setattr(files.os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        files.write_durably(str(tmp_path / "plain.pdf"), b"bytes")
    with pytest.raises(signing.UnreadableFile):
        sign(path, tmp_path / "sealed.pdf", "Seal", plan, who="seal")
    assert set(tmp_path.iterdir()) == before
