"""The operator's command that makes the first two administrators of a province, and no third."""

import asyncio
import re
import subprocess
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

from pyotp import parse_uri

MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"


async def run(environment: dict[str, str], login: str) -> subprocess.CompletedProcess[str]:
    words = [MOTCUA, "people", "first-administrator", "--login", login, "--name", "Nguyễn Thị Đầu"]
    return await asyncio.to_thread(
        subprocess.run, words, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


async def test_two_are_made_each_with_a_one_time_password_and_a_factor_and_no_third(db, province):
    key = province.factor_key.hex()
    environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": db.dsn("admin"), "MOTCUA_DATA_KEYS": f"test1:{key}"}
    missing = await run(environment, "mot.tinh")
    assert (missing.returncode, "MOTCUA_FACTOR_KEYS" in missing.stderr) == (1, True)
    environment["MOTCUA_FACTOR_KEYS"] = f"test1:{key}"
    empty = await run(environment, "mot.tinh")
    assert (empty.returncode, "no province" in empty.stderr) == (1, True)
    await db.admin.execute(
        "INSERT INTO agency (code, kind, name, sort_key, valid_from)"
        " VALUES ('H05', 'province', 'UBND', 'x', '2025-07-01')"
    )
    made = [await run(environment, login) for login in ("mot.tinh", "hai.tinh", "ba.tinh")]
    assert [one.returncode for one in made] == [0, 0, 1], made[0].stderr
    assert "two administrators" in made[2].stderr
    _, password, uri, _ = made[0].stdout.splitlines()
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", password)
    row = await db.admin.fetchrow(
        "SELECT second_factor.secret_sealed, account_password.one_time_until, account_password.argon2, post.roles"
        "  FROM account JOIN second_factor ON second_factor.account_id = account.id"
        "  JOIN account_password ON account_password.account_id = account.id"
        "  JOIN post_holding ON post_holding.person_id = account.person_id JOIN post ON post.id = post_holding.post_id"
        " WHERE account.login = 'mot.tinh'"
    )
    assert parse_uri(uri).secret == province.factors.open("second-factor", row["secret_sealed"])
    assert row["one_time_until"] > datetime.now(UTC)
    assert row["roles"] == ["administrator"]
    assert row["argon2"].startswith("$argon2id$")
    assert await db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'account.first-administrator'") == 2
