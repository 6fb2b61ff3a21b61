"""The second door: who holds keys, and whom a verdict trusts. The signer process alone opens it.

The web process never imports this module, so no key, session to a key holder or trust decision can live there.
"""

from pathlib import Path
from typing import Literal

import msgspec

from signing.contract import KeyHolder, Trust
from signing.errors import HolderMisconfigured
from signing.keys.canary import CanaryHolder
from signing.keys.software import SoftwareHolder
from signing.keys.sp769 import Sp769Holder, Sp769Settings
from signing.trust.anchors import load_certificates, load_trust

__all__ = ["HolderConfig", "KeyHolder", "Trust", "load_certificates", "load_trust", "open_canary", "open_holder"]


class HolderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One configured holder. `keys` is for `software`, `sp769` for the remote service of that shape."""

    kind: Literal["software", "sp769"]
    production: bool
    keys: str = ""
    sp769: Sp769Settings | None = None


def open_canary() -> KeyHolder:
    """Make a key for trial signatures alone, in memory."""
    return CanaryHolder()


def open_holder(config: HolderConfig) -> KeyHolder:
    """Open a key holder; raise HolderMisconfigured when its settings are wrong or not allowed in production."""
    if config.kind == "software":
        if not config.keys:
            raise HolderMisconfigured("Chưa cấu hình thư mục khóa phần mềm", "No directory of key files is configured")
        return SoftwareHolder(Path(config.keys), production=config.production)
    if config.sp769 is None:
        raise HolderMisconfigured("Chưa cấu hình dịch vụ ký số từ xa", "The remote signer is not configured")
    if config.production and config.sp769.development:
        raise HolderMisconfigured(
            "Dịch vụ ký số thử nghiệm không được dùng khi vận hành thật", "A test signer does not open in production"
        )
    if config.production and not config.sp769.base_url.startswith("https://"):
        raise HolderMisconfigured("Dịch vụ ký số từ xa phải dùng TLS", "The remote signer must be reached over TLS")
    return Sp769Holder(config.sp769)
