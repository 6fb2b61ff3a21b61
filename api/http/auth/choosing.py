"""What makes a password good enough to choose: long, not common, not the own name. No rules of composition.

NIST SP 800-63B-4, 3.1.1.2 and OWASP ASVS 5, 6.2: length counts, a list of the commonest is refused, and nobody is
made to mix letters, digits and signs. Pure but for the randomness of a one-time password.
"""

import re
import secrets
from collections.abc import Iterable
from typing import Final

from api.errors import Invalid
from api.kernel import fold

SHORTEST: Final = 12
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")
_NAME_PARTS: Final = 3
"""Names shorter than this are not looked for inside a password: everybody's password holds an 'an'."""

COMMON: Final = frozenset(
    {
        "password", "passwords",
        "matkhau", "matkhaumoi", "matkhaucuatoi", "iloveyou", "emyeuanh", "anhyeuem", "yeuemnhieu",
        "administrator", "quantri", "quantrihethong", "quantrivien", "welcome", "letmein", "trustno", "changeme",
        "doimatkhau", "xinchaovietnam", "vietnam", "vietnamvodich", "hochiminh", "thanhpho", "hanoi", "motcua",
        "motcuaquocgia", "uybannhandan", "chinhphu", "congdan", "congchuc", "canbo", "canhan", "khongbiet", "khongco",
        "superman", "batman", "football", "bongda", "manchesterunited", "princess", "sunshine", "dragon", "master",
        "monkey", "shadow", "michael", "computer", "internet", "samsung",
        "qwertyuiop", "asdfghjkl", "zxcvbnm", "qazwsxedc",
        "abcdefgh", "abcabcabc", "aaaaaa", "iloveyoubaby", "iloveyousomuch", "passwordpassword", "matkhaumatkhau",
        "correcthorsebatterystaple", "thisismypassword", "mypassword", "secret", "default", "testtest", "kiemtra",
    }
)  # fmt: skip
"""The commonest words behind which people put digits; compared without marks, case, blanks, digits and signs."""


def demand_good(password: str, *, old: str, names: Iterable[str]) -> None:
    """Let a new password pass or say what is wrong with it.

    Raises:
        Invalid: it is too short, the old one, common, one run or repetition, or the account's own name.
    """
    fault = _fault(password, old, names)
    if fault is not None:
        code, vi, en = fault
        raise Invalid(
            vi,
            en,
            code=code,
            next_step=(
                "Ghép bốn, năm từ không liên quan thành một câu chỉ mình bạn biết.",
                "Join four or five unrelated words into a phrase that you alone know.",
            ),
        )


def _fault(password: str, old: str, names: Iterable[str]) -> tuple[str, str, str] | None:
    plain = fold(password).replace(" ", "")
    words = re.sub(r"[^a-z]", "", plain)
    if len(password) < SHORTEST:
        return "password-short", "Mật khẩu phải có ít nhất 12 ký tự.", "A password has at least 12 characters."
    if password == old:
        return "password-same", "Mật khẩu mới trùng mật khẩu cũ.", "The new password is the old one."
    if words in COMMON or _is_run(plain):
        return "password-common", "Mật khẩu này quá phổ biến, dễ bị đoán.", "This password is too common."
    if any(_is_mostly(name, words) for name in names):
        return "password-name", "Mật khẩu chứa tên của chính bạn.", "The password is made of your own name."
    return None


def _is_run(plain: str) -> bool:
    """Tell whether it is one run of the keyboard or one short piece repeated."""
    repeated = re.fullmatch(r"(.{1,4})\1+.{0,3}", plain) is not None
    return repeated or any(plain in run or plain[::-1] in run for run in _RUNS)


def _is_mostly(name: str, words: str) -> bool:
    bare = re.sub(r"[^a-z]", "", fold(name))
    return len(bare) >= _NAME_PARTS and bare in words and len(words) - len(bare) < SHORTEST // 2


def one_time_password() -> str:
    """Return a random password of 20 letters and digits in groups (100 bits), easy to read out."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
