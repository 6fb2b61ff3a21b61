"""What the settings of every key holder have in common, and what such a holder declares of itself by them."""

from datetime import timedelta

import msgspec

from signing.contract import Capabilities, CertificateClass


class HolderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder can do, as configured from its contract; `window_s` is in seconds, counted from the sending."""

    name: str
    certificate_class: CertificateClass = "public"
    hashes_per_authorisation: int = 50
    window_s: int = 240
    parallel_limit: int = 20
    development: bool = False

    def capabilities(self, *, shows_document_names: bool, asks_person: bool, carried: bool = False) -> Capabilities:
        """Return what a holder with these settings declares; the arguments are what its kind decides."""
        return Capabilities(
            name=self.name,
            hashes_per_authorisation=self.hashes_per_authorisation,
            window=timedelta(seconds=self.window_s),
            parallel_limit=self.parallel_limit,
            shows_document_names=shows_document_names,
            certificate_class=self.certificate_class,
            development=self.development,
            asks_person=asks_person,
            carried=carried,
        )


class RemoteSettings(HolderSettings, frozen=True, kw_only=True):
    """The same for a service that is called at `base_url`; `timeout_s` is the patience with one call."""

    base_url: str
    timeout_s: float = 10.0
    asks_person: bool = True

    def __repr__(self) -> str:
        """Name the service and nothing secret, since settings end up in logs."""
        return f"{type(self).__name__}(name={self.name!r}, base_url={self.base_url!r})"
