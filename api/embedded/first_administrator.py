"""The first two administrators of a province: from the operator's command line, as the database's owner.

Every later change takes two persons; so two there must be before anything can change, and no third comes this way.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import pyotp
from pyotp.totp import TOTP

from api.audit import append
from api.db.pools import prepare_connection
from api.db.privacy import Vault
from api.db.queries import load
from api.errors import Conflict, Invalid
from api.http.auth.choosing import one_time_password
from api.http.auth.passwords import hash_now
from api.http.auth.rules import ONE_TIME_PASSWORD
from api.kernel import sort_key, vn_day
from api.people.changes import Login
from api.settings import owner_keys

q: Final = load("api.embedded", "first_administrator.sql")
MOST: Final = 2


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A log-in with its secrets, shown this once."""

    login: str
    password: str
    totp_uri: str


def make(login: str, name: str, *, at: datetime, environment: Mapping[str, str] = os.environ) -> Made:
    """Make one of the first two administrators, with a one-time password and a TOTP secret.

    Raises:
        BadSettings: the owner's DSN or a key is missing.
        Invalid: the log-in has not the form of one, or there is no province in the registry.
        Conflict: the log-in is taken, or there are two administrators already.
    """
    dsn, data_keys, factor_keys = owner_keys(environment)
    try:
        msgspec.convert(login, Login)
    except msgspec.ValidationError:
        raise Invalid("Tên đăng nhập không đúng dạng.", "The log-in has not the form of one.", code="login") from None
    personal, factors = (Vault(keys, next(iter(keys))) for keys in (data_keys, factor_keys))
    return asyncio.run(_make(dsn, personal, factors, login, name, at))


async def _make(dsn: str, personal: Vault, factors: Vault, login: str, name: str, at: datetime) -> Made:
    connection = await asyncpg.connect(dsn)
    await prepare_connection(connection)
    try:
        async with connection.transaction():
            return await lay(connection, personal, factors, login=login, name=name, at=at)
    finally:
        await connection.close()


async def lay(
    connection: asyncpg.Connection, personal: Vault, factors: Vault, *, login: str, name: str, at: datetime
) -> Made:
    """Lay the rows of one administrator in the caller's transaction; raises as `make` does."""
    await connection.execute(q.lock_first)
    province = await connection.fetchval(q.province)
    if province is None:
        raise Invalid("Danh mục chưa có cơ quan cấp tỉnh.", "The registry holds no province.", code="no-province")
    if (await connection.fetchval(q.administrators, at, province) or 0) >= MOST:
        raise Conflict(
            "Tỉnh đã có hai quản trị; người tiếp theo được đề xuất qua API và cần hai người.",
            "The province has two administrators; the next is proposed through the API and takes two persons.",
            code="two-administrators",
        )
    if await connection.fetchval(q.login_taken, login):
        raise Conflict("Tên đăng nhập đã có người dùng.", "The log-in is taken.", code="login-taken")
    password, secret = one_time_password(), pyotp.random_base32()
    sealed = personal.seal("person.name", name), personal.fingerprint("person.name", name)
    names = (name, sort_key(name), personal.current, *sealed)
    hashed = await asyncio.to_thread(hash_now, password)
    factor = factors.current, factors.seal("second-factor", secret)
    await connection.execute(
        q.insert_first, province, login, *names, hashed, at + ONE_TIME_PASSWORD, *factor, at, vn_day(at)
    )
    await append(
        connection,  # pyright: ignore[reportArgumentType] - the owner's own connection, which no pool hands out
        None,
        process="owner",
        action="account.first-administrator",
        subject_kind="agency",
        subject_id=province,
        detail={},
        at=at,
    )
    return Made(login=login, password=password, totp_uri=TOTP(secret, name=login, issuer="Motcua").provisioning_uri())
