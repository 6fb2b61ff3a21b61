"""The left head of a document (Decree 30/2020/NĐ-CP, Appendix I): whose agency, under whom, at which place."""

import re
from datetime import datetime
from typing import Final

from api.documents.typesetting import Head
from api.kernel import AgencyId
from api.registry.service import Registry

_COMMITTEE: Final = "Ủy ban nhân dân"
_LEVEL: Final = re.compile(r"^(tỉnh|thành phố|phường|xã|thị trấn|đặc khu)\s+", re.IGNORECASE)
_BREAK_AFTER: Final = ("Trung tâm Phục vụ", "Ban Quản lý")
_LONGEST_LINE: Final = 26


async def head_of(registry: Registry, agency_id: AgencyId, at: datetime) -> Head:
    """Return the head of an agency's documents at an instant, with the names it bore then."""
    agency = await registry.agency(agency_id)
    name = await registry.agency_name(agency_id, at)
    parent = ""
    if not name.startswith(_COMMITTEE) and agency.parent_id is not None:
        parent = await registry.agency_name(agency.parent_id, at)
    return Head(parent=(parent,) if parent else (), agency=split_name(name), place=place_of(name))


def split_name(name: str) -> tuple[str, ...]:
    """Break an agency's name as its head shows it: a people's committee over its territory, others where long."""
    if name.startswith(_COMMITTEE) and len(name) > len(_COMMITTEE) + 1:
        return _COMMITTEE, name[len(_COMMITTEE) + 1 :]
    for start in _BREAK_AFTER:
        if name.startswith(start) and len(name) > _LONGEST_LINE:
            return start, name[len(start) + 1 :]
    return (name,)


def place_of(name: str) -> str:
    """Return the place before the date: the territory's own name, without the word for its level."""
    found = re.search(r"(?:tỉnh|thành phố|phường|xã|thị trấn|đặc khu)\s+(?P<place>.+)$", name)
    return found["place"] if found else _LEVEL.sub("", name)


def shown_address(url: str) -> str:
    """Return an address as it is printed: without the scheme, which nobody types."""
    return re.sub(r"^https?://", "", url)
