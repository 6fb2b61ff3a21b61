"""What can go wrong in signing, as kinds with a stable code; the caller decides by the kind, never by the text."""

from typing import Any, ClassVar

from signing.contract import Problem


class SigningError(Exception):
    """The root of what can go wrong in signing. `code` is stable; `vi` and `en` are what a person reads.

    SigningError
    ├── BaseChanged        the file is no longer the one that was shown or prepared
    ├── ValueMismatch      the returned value does not fit certificate and attributes
    ├── CertificateUnfit   the certificate may not sign this, or not now
    ├── NotSignable        the file or the order does not allow this signature
    ├── OutputInvalid      our own output did not verify; nothing was written
    ├── UnreadableFile     the file cannot be read at all
    ├── TimedOut           the work took longer than it may; its process was ended
    ├── Crashed            the process that did the work died
    ├── HolderUnavailable  the key holder does not answer; ask again later
    ├── HolderRefused      the key holder says no to this order
    ├── HolderMisconfigured  the key holder's settings or keys are wrong
    ├── TimestampUnavailable no authority gives a timestamp now; `retry_s` says when to ask again
    └── EvidenceUnavailable  OCSP or CRL of a certificate is not to be had, or the certificate is revoked
    """

    code: ClassVar[str] = "signing-error"

    def __init__(self, vi: str, en: str, *, problems: tuple[Problem, ...] = ()) -> None:
        """Say what happened in Vietnamese and English."""
        super().__init__(f"{vi} / {en}")
        self.vi = vi
        self.en = en
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross a process boundary whole."""
        return _rebuild, (type(self), self.vi, self.en, self.problems)


def _rebuild(kind: type[SigningError], vi: str, en: str, problems: tuple[Problem, ...]) -> SigningError:
    return kind(vi, en, problems=problems)


class BaseChanged(SigningError):
    """The file is no longer the one that was shown or prepared."""

    code = "base-changed"


class ValueMismatch(SigningError):
    """The returned value does not fit the certificate and the attributes that were sent."""

    code = "value-mismatch"


class CertificateUnfit(SigningError):
    """The certificate may not sign this, or not at this moment."""

    code = "certificate-unfit"


class NotSignable(SigningError):
    """The file or the order does not allow this signature."""

    code = "not-signable"


class OutputInvalid(SigningError):
    """Our own output did not verify; nothing was written."""

    code = "output-invalid"


class UnreadableFile(SigningError):
    """The file cannot be read at all."""

    code = "unreadable-file"


class TimedOut(SigningError):
    """The work took longer than it may; its process was ended."""

    code = "timed-out"


class Crashed(SigningError):
    """The process that did the work died."""

    code = "crashed"


class HolderUnavailable(SigningError):
    """The key holder does not answer; nothing is known about the order, so ask its state before anything else."""

    code = "holder-unavailable"


class HolderRefused(SigningError):
    """The key holder says no to this order."""

    code = "holder-refused"


class HolderMisconfigured(SigningError):
    """The key holder's settings or keys are wrong; a person must look."""

    code = "holder-misconfigured"


class TimestampUnavailable(SigningError):
    """No authority gives a timestamp now: silent, over its quota, or what it gave is not one."""

    code = "timestamp-unavailable"

    def __init__(self, vi: str, en: str, *, problems: tuple[Problem, ...] = (), retry_s: float = 5.0) -> None:
        """Say what happened, and after how many seconds it is worth asking again."""
        super().__init__(vi, en, problems=problems)
        self.retry_s = retry_s


class EvidenceUnavailable(SigningError):
    """OCSP or CRL of a certificate is not to be had now, or is not what it should be."""

    code = "evidence-unavailable"
