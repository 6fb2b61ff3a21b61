"""The second door: who holds keys, and whom a verdict trusts. The signer process alone opens it.

The web process never imports this module, so no key, session to a key holder or trust decision can live there.
"""

from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from signing.contract import KeyHolder, Trust
from signing.errors import HolderMisconfigured
from signing.keys.canary import CanaryHolder
from signing.keys.csc import CscHolder
from signing.keys.csc_wire import CscSettings
from signing.keys.pkcs11 import Pkcs11Holder, Pkcs11Settings
from signing.keys.software import SoftwareHolder
from signing.keys.sp769 import Sp769Holder, Sp769Settings
from signing.keys.upload import UploadHolder, UploadSettings
from signing.keys.vtss import VtssHolder, VtssSettings
from signing.trust.anchors import load_certificates, load_trust

_S = TypeVar("_S", CscSettings, Pkcs11Settings, Sp769Settings, UploadSettings, VtssSettings)

__all__ = ["HolderConfig", "KeyHolder", "Trust", "load_certificates", "load_trust", "open_canary", "open_holder"]


class HolderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One configured holder: its kind, and the settings of that kind. `keys` is for `software`.

    A test service or token says so by `development` in its own settings, and does not open in production.
    """

    kind: Literal["software", "pkcs11", "csc", "sp769", "vtss", "upload"]
    production: bool
    keys: str = ""
    pkcs11: Pkcs11Settings | None = None
    csc: CscSettings | None = None
    sp769: Sp769Settings | None = None
    vtss: VtssSettings | None = None
    upload: UploadSettings | None = None


def open_canary() -> KeyHolder:
    """Make a key for trial signatures alone, in memory."""
    return CanaryHolder()


def open_holder(config: HolderConfig) -> KeyHolder:
    """Open a key holder; raise HolderMisconfigured when its settings are wrong or not allowed in production."""
    if config.kind == "software":
        if not config.keys:
            raise HolderMisconfigured("Chưa cấu hình thư mục khóa phần mềm", "No directory of key files is configured")
        return SoftwareHolder(Path(config.keys), production=config.production)
    if config.kind == "pkcs11":
        return Pkcs11Holder(_fit(config.pkcs11, production=config.production))
    if config.kind == "csc":
        service = _fit(config.csc, production=config.production)
        _demand_tls(service.base_url, production=config.production)
        return CscHolder(service)
    if config.kind == "vtss":
        mysign = _fit(config.vtss, production=config.production)
        _demand_tls(mysign.base_url, production=config.production)
        return VtssHolder(mysign)
    if config.kind == "upload":
        return UploadHolder(_fit(config.upload, production=config.production))
    remote = _fit(config.sp769, production=config.production)
    _demand_tls(remote.base_url, production=config.production)
    return Sp769Holder(remote)


def _fit(settings: _S | None, *, production: bool) -> _S:
    """Return a kind's settings; raise HolderMisconfigured where there are none, or those of a test in production."""
    if settings is None:
        raise HolderMisconfigured("Chưa cấu hình nơi giữ khóa này", "The settings of this kind of holder are missing")
    if production and settings.development:
        raise HolderMisconfigured(
            "Nơi giữ khóa thử nghiệm không được dùng khi vận hành thật", "A test holder does not open in production"
        )
    return settings


def _demand_tls(url: str, *, production: bool) -> None:
    if production and not url.startswith("https://"):
        raise HolderMisconfigured("Dịch vụ ký số từ xa phải dùng TLS", "The remote signer must be reached over TLS")
