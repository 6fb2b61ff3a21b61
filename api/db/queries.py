"""SQL is source code: named statements in `.sql` files, loaded once, never put together from strings."""

import re
from importlib import resources
from typing import Final

_HEADER: Final = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\n(?P<purpose>(?:--[^\n]*\n)+)", re.MULTILINE)


class Queries:
    """The statements of one file as attributes: `q.lock_dossier` is its SQL text, with asyncpg's `$1` left alone."""

    def __init__(self, statements: dict[str, str], purposes: dict[str, str], origin: str) -> None:
        """Keep the statements by name; `origin` names the package in an error."""
        self.statements: Final = statements
        self.purposes: Final = purposes
        self._origin = origin
        self.__dict__.update(statements)

    def __getattr__(self, name: str) -> str:
        """Fail loudly: what is there is found without coming here."""
        raise AttributeError(f"no statement called {name!r} in {self._origin}")


def load(package: str, file: str = "queries.sql") -> Queries:
    """Read the named statements of a package's `.sql` file.

    Raises:
        ValueError: a name stands twice, has no purpose line, or text stands before the first name.
    """
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    heads = list(_HEADER.finditer(text))
    if not heads or text[: heads[0].start()].strip():
        raise ValueError(f"{package}/{file}: every statement begins with '-- name:' and a purpose line")
    statements: dict[str, str] = {}
    purposes: dict[str, str] = {}
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        name = head["name"]
        if name in statements:
            raise ValueError(f"{package}/{file}: the name {name!r} stands twice")
        body = text[head.end() : following.start() if following else len(text)].strip().removesuffix(";")
        statements[name] = body
        purposes[name] = " ".join(line.removeprefix("--").strip() for line in head["purpose"].splitlines())
    return Queries(statements, purposes, f"{package}/{file}")
