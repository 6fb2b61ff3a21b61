"""Who may propose a change, and who may be the second person: pure.

The signer asks these rules; the API asks them too, only to refuse early with clear words.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api.people.changes import Change, EnrolFactor, GivePost, OpenAccount
from api.registry.authority import PROVINCE_WIDE, Role

LIVES: Final = timedelta(days=3)
"""How long a proposal waits for its second person."""
OFFERED: Final = timedelta(hours=24)
"""How long an approved enrolment waits for its first valid answer."""
TRIES: Final = 5
"""Wrong first answers before an enrolment has failed."""


class Voter(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a post as it stands now; `entitled` is whether account and post stand and nothing blocks them."""

    account_id: UUID
    person_id: UUID
    agency_id: UUID
    agency_kind: str
    rank: str
    roles: Sequence[str]
    entitled: bool

    @property
    def of_province(self) -> bool:
        """Tell whether this is an administrator of the whole province."""
        return Role.ADMINISTRATOR in self.roles and self.agency_kind == "province"

    @property
    def in_charge(self) -> bool:
        """Tell whether this is an administrator or the head of the own agency."""
        return self.administers(self.agency_id) or self.rank == "head"

    def administers(self, agency_id: UUID) -> bool:
        """Tell whether this is an administrator of an agency."""
        return self.of_province or (Role.ADMINISTRATOR in self.roles and self.agency_id == agency_id)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is about: whose account, whose agency looks after it, and where its post would be."""

    agency_id: UUID
    account_id: UUID | None = None
    person_id: UUID | None = None
    post_agency_id: UUID | None = None
    post_agency_parent_id: UUID | None = None


def reaches_province(change: Change, subject: Subject) -> bool:
    """Tell whether only the province's administrators may do this: roles for the whole province, foreign agencies."""
    if not isinstance(change, OpenAccount | GivePost):
        return False
    at_home = subject.agency_id in {subject.post_agency_id, subject.post_agency_parent_id}
    return not at_home or bool(PROVINCE_WIDE & set(change.post.roles))


def may_propose(voter: Voter, change: Change, subject: Subject) -> bool:
    """Tell whether this person may propose the change; a person may propose a further factor for the own account."""
    if not voter.entitled:
        return False
    if isinstance(change, EnrolFactor) and subject.account_id == voter.account_id:
        return True
    return voter.of_province if reaches_province(change, subject) else voter.administers(subject.agency_id)


def may_approve(voter: Voter, change: Change, subject: Subject, proposer_person_id: UUID) -> bool:
    """Tell whether this is a fit second person: neither the proposer nor who benefits, and in charge there.

    In charge is another administrator of the agency or of the province, or the head of the agency.
    """
    if not voter.entitled or voter.person_id in {proposer_person_id, subject.person_id}:
        return False
    if reaches_province(change, subject):
        return voter.of_province
    return voter.administers(subject.agency_id) or (voter.rank == "head" and voter.agency_id == subject.agency_id)


def has_expired(created_at: datetime, at: datetime) -> bool:
    """Tell whether nobody may approve a proposal any more."""
    return at - created_at >= LIVES
