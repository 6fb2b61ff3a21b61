"""Text as it may come in: how long, of which form. One place makes NFC and refuses what no store can hold.

The aliases are for the fields of request Structs; their limits show in the OpenAPI document.
"""

import unicodedata
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from api.errors import Invalid

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""A name, a title, a line."""
LongText = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
"""A reason, an opinion, an explanation."""
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z./_-]*(?!\n)$")]
"""A code of a procedure, a dossier, a territory, an agency: ASCII, no blanks."""
OptionalShortText = ShortText | None
OptionalLongText = LongText | None
IdNumber = Annotated[str, msgspec.Meta(min_length=6, max_length=20, pattern=r"^[0-9A-Za-z]+(?!\n)$")]
"""A personal identity number (số định danh cá nhân) or a passport number."""
Phone = Annotated[str, msgspec.Meta(min_length=8, max_length=20, pattern=r"^\+?[0-9 .-]+(?!\n)$")]
"""A telephone number as people write it."""
TotpCode = Annotated[str, msgspec.Meta(min_length=6, max_length=6, pattern=r"^[0-9]{6}$")]
"""Six digits of a time-based one-time password (RFC 6238); only the signer can tell whether they are right."""
Sha256Hex = Annotated[str, msgspec.Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 on the wire."""

_LINE_CONTROLS: Final = "\t\n\r"
_SUSPECT: Final = ("\\u", "\\b", "\\f", "\x7f")
"""What a JSON document must hold for a string in it to carry a control character; the raw ones JSON itself forbids."""
_MAX_DEPTH: Final = 32


def clean(text: str) -> str:
    """Return the text in NFC.

    Raises:
        Invalid: it holds NUL or another control character besides tab and line ends, or half a surrogate pair.
    """
    if text.isascii() and text.isprintable():
        return text
    for char in text:
        if (char < " " and char not in _LINE_CONTROLS) or char == "\x7f" or "\ud800" <= char <= "\udfff":
            raise Invalid(
                f"Văn bản chứa ký tự điều khiển không được phép (U+{ord(char):04X}).",
                f"The text holds a control character that is not allowed (U+{ord(char):04X}).",
                code="control-character",
            )
    return unicodedata.normalize("NFC", text)


def utf8(raw: bytes) -> str:
    """Decode UTF-8 strictly.

    Raises:
        Invalid: the bytes are not UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Invalid(
            "Dữ liệu gửi lên không phải UTF-8.", "What was sent is not valid UTF-8.", code="not-utf-8"
        ) from None


def clean_json(raw: bytes) -> bytes:
    """Return a JSON document whose every string and key is in NFC and free of control characters.

    The usual document is that already and is handed back untouched, without building a tree.

    Raises:
        Invalid: it is not UTF-8, not JSON, nested too deep, or bears a control character.
    """
    text = utf8(raw)
    suspect = any(mark in text for mark in _SUSPECT)
    if not suspect and (text.isascii() or unicodedata.is_normalized("NFC", text)):
        return raw
    try:
        return msgspec.json.encode(_clean_tree(msgspec.json.decode(raw), _MAX_DEPTH))
    except (msgspec.DecodeError, RecursionError):
        raise bad_json() from None


def bad_json() -> Invalid:
    """Return the refusal of a body that is not JSON."""
    return Invalid("Nội dung gửi lên không phải JSON hợp lệ.", "The body is not valid JSON.", code="bad-json")


def clean_query(raw: bytes) -> bytes:
    """Return a query string with its percent-encoded text in NFC; plain ones come back untouched.

    Raises:
        Invalid: it is not UTF-8, holds a control character, names a parameter twice, or says null.
    """
    if not raw:
        return raw
    given = [pair.partition(b"=") for pair in raw.split(b"&")]
    if len({name for name, _, _ in given}) != len(given):
        raise Invalid("Tham số được nêu hai lần.", "A parameter stands twice.", code="parameter-twice")
    if any(value.lower() == b"null" for _, _, value in given):  # the framework would take it for nothing at all
        raise Invalid("Tham số không có giá trị thì bỏ hẳn.", "Leave a parameter out to say nothing.", code="null")
    if b"%" not in raw:
        if not raw.isascii():
            clean(utf8(raw))
        return raw
    pairs = [[_clean_part(part) for part in pair.split(b"=", 1)] for pair in raw.split(b"&")]
    return "&".join("=".join(pair) for pair in pairs).encode("ascii")


def _clean_part(part: bytes) -> str:
    return quote(clean(utf8(unquote_to_bytes(part.replace(b"+", b"%20")))), safe="")


def _clean_tree(node: Any, depth: int) -> Any:
    if isinstance(node, str):
        return clean(node)
    if not depth:
        raise RecursionError
    if isinstance(node, dict):
        return {clean(key): _clean_tree(value, depth - 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_clean_tree(value, depth - 1) for value in node]
    return node
