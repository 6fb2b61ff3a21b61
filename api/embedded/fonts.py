"""Whether the fonts that documents are set in are in the package and hold every letter of Vietnamese."""

import unicodedata
from importlib import resources
from typing import Final

import typst

_FAMILY: Final = "Liberation Serif"
_FACES: Final = {"Regular": "", "Bold": 'weight: "bold",', "Italic": 'style: "italic",'}
_VOWELS: Final = "aăâeêioôơuưy"
_TONES: Final = "\u0300\u0309\u0303\u0301\u0323"


def missing_fonts() -> list[str]:
    """Return the faces that are missing or lack a letter; PDF/A makes a missing glyph an error, so it is really set."""
    directory = str(resources.files("signing").joinpath("pdf", "fonts"))
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[directory])
    if _FAMILY not in fonts.families():
        return [_FAMILY]
    vowels = "".join(unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS for tone in ("", *_TONES))
    letters = vowels + vowels.upper() + "đĐ"
    missing: list[str] = []
    for face, choice in _FACES.items():
        page = f'#set text({choice} font: "{_FAMILY}", fallback: false)\n{letters}'
        try:
            typst.compile(page.encode(), font_paths=fonts, pdf_standards="a-2b")
        except typst.TypstError:
            missing.append(f"{_FAMILY} {face}")
    return missing
