"""The second door: who holds keys, and whom a verdict trusts. The signer process alone opens it.

The web process never imports this module, so no key, session to a key holder or trust decision can live there.
"""

from collections.abc import Sequence
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
from signing.levels import Quotas, RevocationSource, Shelf
from signing.trust.anchors import load_certificates, load_trust
from signing.trust.revocation import Directory, Revocation
from signing.trust.revocation import Told as FetchTold
from signing.trust.timestamps import AuthoritySettings, Told, TsaPool

_S = TypeVar("_S", CscSettings, Pkcs11Settings, Sp769Settings, UploadSettings, VtssSettings)

__all__ = [
    "AuthoritySettings",
    "Directory",
    "HolderConfig",
    "KeyHolder",
    "Trust",
    "TsaPool",
    "load_certificates",
    "load_trust",
    "open_canary",
    "open_holder",
    "open_revocation",
    "open_timestamps",
]


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
        for url in (service.base_url, service.oauth2_url, service.redirect_uri):
            _demand_tls(url, production=config.production)
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


def open_timestamps(
    authorities: Sequence[AuthoritySettings],
    trust: Trust,
    *,
    production: bool,
    told: Told | None = None,
    quotas: Quotas | None = None,
) -> TsaPool:
    """Open the timestamping authorities; a token is signed, so TLS only hides what is asked for.

    Without `quotas` what was asked is counted in this process alone.

    Raises:
        HolderMisconfigured: one of a test in production, or the certificates named for one cannot be read.
    """
    opened = [
        (each, load_certificates(Path(each.chain)) if each.chain else ())
        for each in authorities
        if _fit_authority(each, production=production)
    ]
    return TsaPool(tuple(opened), trust, told=told, quotas=quotas)


def open_revocation(shelf: Shelf | Path, *, told: FetchTold | None = None) -> RevocationSource:
    """Open the source of OCSP and CRL over a shelf, or over a directory as one."""
    return Revocation(Directory(shelf) if isinstance(shelf, Path) else shelf, told=told)


def _fit_authority(settings: AuthoritySettings, *, production: bool) -> bool:
    if production and settings.development:
        raise HolderMisconfigured(
            f"Dịch vụ dấu thời gian thử nghiệm «{settings.name}» không được dùng khi vận hành thật",
            f"The test timestamping authority '{settings.name}' does not open in production",
        )
    return True


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
    if production and url and not url.startswith("https://"):
        raise HolderMisconfigured("Dịch vụ ký số từ xa phải dùng TLS", "The remote signer must be reached over TLS")
