"""The words of a key holder's own page, on which a person authorises (OAuth 2.0, RFC 6749)."""

from typing import Protocol, runtime_checkable

import msgspec


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the holder's own on which the person authorises one transaction (OAuth 2.0, authorisation code).

    `url` is for that person's browser alone; `state` comes back with what the page answers, once.
    """

    url: str
    state: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told of a transaction: the code that the holder shows them, the page on which they authorise."""

    code: str | None = None
    page: Page | None = None


class PageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser brought back from a holder's page: a code, or the `error` that it names (RFC 6749, 4.1.2).

    `issuer` is who says that he answered (RFC 9207); empty where the page does not name itself.
    """

    state: str
    code: str = ""
    error: str = ""
    issuer: str = ""


@runtime_checkable
class PageHolder(Protocol):
    """A holder whose persons authorise on its own page: what their browser brings back goes to it."""

    async def take_answer(self, transaction_id: str, answer: PageAnswer) -> None:
        """Go on with what the page answered, or end the transaction by it; the same answer again changes nothing.

        Raises:
            HolderUnavailable: nothing is known here of a transaction that waits for a page; ask again later.
        """
        ...
