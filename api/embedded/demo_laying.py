"""What a first `up --demo` lays: certificates and keys for trying out, log-ins, and the demo province."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import msgspec

from api import settings
from api.db.privacy import Vault
from api.embedded.demo_settings import Layout, write_private
from api.embedded.faults import LauncherError
from api.embedded.pki import lay_pki
from api.embedded.postgres import Progress
from api.embedded.province import Accounts, certificates_wanted, lay_province, new_accounts
from api.kernel import Clock, system_clock


async def lay_demo(
    files: Layout,
    owner_dsn: str,
    environments: Mapping[str, Mapping[str, str]],
    say: Progress,
    clock: Clock = system_clock,
) -> Accounts:
    """Lay whatever of the demo is not there yet; return its log-ins.

    Raises:
        LauncherError: the province stands in the database, but the file with its log-ins is gone.
    """
    if not (files.pki / "index.json").exists():
        say("Đang tạo chứng thư và con dấu để thử…", "Making demo certificates and seals…")
    await asyncio.to_thread(_lay_certificates, files, clock)
    accounts, fresh = _keep_accounts(files.accounts)
    if fresh:
        say("Đang lập tỉnh mẫu: cơ quan, người, thủ tục…", "Laying the demo province: agencies, people, procedures…")
    told = settings.read("signer", environments["signer"])
    connection = await asyncpg.connect(owner_dsn, timeout=10)
    try:
        laid = await lay_province(
            connection,
            pki=files.pki,
            vault=Vault(told.data_keys, told.data_key),
            factors=Vault(told.factor_keys, told.factor_key),
            at=clock(),
            accounts=accounts,
        )
    finally:
        await connection.close()
    if fresh and not laid.laid:
        files.accounts.unlink()
        raise LauncherError(
            f"Cơ sở dữ liệu đã có tỉnh mẫu nhưng tệp tài khoản {files.accounts} đã mất.",
            f"The database holds the demo province, but its log-ins in {files.accounts} are gone.",
            next_step=(f"Khôi phục tệp ấy, hoặc xóa {files.var} để làm lại.", f"Restore it, or remove {files.var}."),
        )
    return laid


def read_accounts(files: Layout) -> Accounts:
    """Return the log-ins that `lay_demo` kept.

    Raises:
        LauncherError: there is no such file.
    """
    try:
        return msgspec.json.decode(files.accounts.read_bytes(), type=Accounts)
    except FileNotFoundError:
        raise LauncherError(f"Không có {files.accounts}.", f"There is no {files.accounts}.") from None


def _lay_certificates(files: Layout, clock: Clock) -> None:
    index = lay_pki(files.pki, certificates_wanted(), at=clock(), demo=True)
    anchors = files.trust / "demo"  # beside the real ones, so that a demo signature is never mistaken for a real one
    anchors.mkdir(parents=True, exist_ok=True)
    (anchors / "root.pem").write_bytes((files.pki / index.chain[-1]).read_bytes())
    write_private(files.holders, msgspec.json.encode([{"kind": "software", "keys": str(files.pki)}]).decode())


def _keep_accounts(path: Path) -> tuple[Accounts, bool]:
    """Return the log-ins and whether they are new; they are kept before they are laid, so that none is ever lost."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Accounts), False
    accounts = new_accounts()
    write_private(path, msgspec.json.format(msgspec.json.encode(accounts)).decode())
    return accounts, True
