"""Sealing under named keys, keyed hashes for search, and what a mistake gives."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.db.privacy import Vault, canonical
from api.errors import Broken

OLD, NEW = os.urandom(32), os.urandom(32)
VAULT = Vault({"2026a": OLD}, "2026a")
ROTATED = Vault({"2026b": NEW, "2026a": OLD}, "2026b")


@given(st.text(max_size=200), st.sampled_from(["name", "id_number", "contact"]))
def test_what_is_sealed_opens_again_and_differs_each_time(text, purpose):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    first, second = VAULT.seal(purpose, text), VAULT.seal(purpose, text)
    assert first != second
    assert VAULT.open(purpose, first) == VAULT.open(purpose, second) == text


def test_a_sealed_value_does_not_show_its_text():
    assert "Nguyễn".encode() not in VAULT.seal("name", "Nguyễn Văn An")


def test_another_purpose_does_not_open():
    with pytest.raises(Broken):
        VAULT.open("name", VAULT.seal("id_number", "001090000001"))


@pytest.mark.parametrize("place", [0, 1, 3, 8, 20, -1])
def test_an_altered_value_does_not_open(place):
    blob = bytearray(VAULT.seal("name", "Trần Thị Bình"))
    blob[place] ^= 1
    with pytest.raises(Broken) as caught:
        VAULT.open("name", bytes(blob))
    assert caught.value.kind_code == "sealed-unreadable"


NEVER_SEALED = [b"", b"\x01", b"\x01\xff", b"\x01\x02ab", b"\x02" + bytes(60), b"\x01\x02\xff\xfe" + bytes(40)]


@pytest.mark.parametrize("blob", NEVER_SEALED)
def test_what_was_never_sealed_does_not_open(blob):
    with pytest.raises(Broken):
        VAULT.open("name", blob)


def test_rotation_keeps_the_old_readable_and_seals_with_the_new():
    before = VAULT.seal("name", "Lê Văn Cường")
    after = ROTATED.seal("name", "Lê Văn Cường")
    assert ROTATED.open("name", before) == ROTATED.open("name", after) == "Lê Văn Cường"
    assert (ROTATED.key_id(before), ROTATED.key_id(after)) == ("2026a", "2026b")
    with pytest.raises(Broken):
        VAULT.open("name", after)


def test_search_finds_rows_of_every_key():
    stored = VAULT.fingerprint("id_number", "001090000001")
    assert ROTATED.fingerprint("id_number", "001090000001") != stored
    assert stored in ROTATED.fingerprints("id_number", "001090000001")


def test_a_fingerprint_depends_on_purpose_and_key_and_is_32_bytes():
    one = VAULT.fingerprint("id_number", "001090000001")
    assert len(one) == 32
    assert one != VAULT.fingerprint("passport.id_number", "001090000001")
    assert one != Vault({"2026a": NEW}, "2026a").fingerprint("id_number", "001090000001")


@pytest.mark.parametrize(
    ("purpose", "same"),
    [
        (
            "name",
            ["Nguyễn Văn Đức", "NGUYỄN VĂN ĐỨC", " nguyen  van duc ", unicodedata.normalize("NFD", "Nguyễn Văn Đức")],
        ),
        ("person.phone", ["0912345678", "+84 912 345 678", "0084.912.345.678", "091-234-5678", "+84 0912345678"]),
        ("id_number", ["001090000001", "001 090 000 001", "001.090.000.001"]),
        ("passport.id_number", ["C1234567", "c 123-4567"]),
        ("contact", ["Số 1 phố Huế", unicodedata.normalize("NFD", "Số 1 phố Huế"), " Số 1 phố Huế "]),
    ],
)
def test_equal_things_hash_equally(purpose, same):
    assert len({canonical(purpose, text) for text in same}) == 1
    assert len({VAULT.fingerprint(purpose, text) for text in same}) == 1


def test_different_things_hash_differently():
    assert canonical("id_number", "C1234567") != canonical("id_number", "1234567")
    assert canonical("contact", "phố Huế") != canonical("contact", "pho Hue")


def test_keys_are_checked_and_never_shown():
    with pytest.raises(ValueError, match="31 bytes"):
        Vault({"a": bytes(31)}, "a")
    with pytest.raises(ValueError, match="no key 'b'"):
        Vault({"a": bytes(32)}, "b")
    with pytest.raises(ValueError, match="key id"):
        Vault({"": bytes(32)}, "")
    assert OLD.hex() not in repr(VAULT)
    assert repr(OLD) not in repr(VAULT)
