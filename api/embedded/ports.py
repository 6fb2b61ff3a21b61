"""Addresses to listen on: is one free, and if the default is not, which one is."""

import socket

from api.embedded.faults import LauncherError
from api.settings import Address

_TRIED = 20


def is_free(address: Address) -> bool:
    """Return whether somebody could listen on this address now."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(preferred: Address, *, insist: bool) -> Address:
    """Return a free address on this host: the preferred one, else one of the next ports; port 0 takes any.

    Args:
        preferred: the address asked for.
        insist: True when a person asked for exactly this one.

    Raises:
        LauncherError: it is taken and was insisted on, or the next ports are taken too.
    """
    if preferred.port == 0:
        with socket.socket(socket.AF_INET6 if ":" in preferred.host else socket.AF_INET) as probe:
            probe.bind((preferred.host, 0))
            return Address(preferred.host, int(probe.getsockname()[1]))
    tried = [preferred] if insist else [Address(preferred.host, preferred.port + more) for more in range(_TRIED)]
    for address in tried:
        if is_free(address):
            return address
    raise LauncherError(
        f"Cổng {preferred.port} ở {preferred.host} đang bị chương trình khác dùng.",
        f"Port {preferred.port} on {preferred.host} is in use by another program.",
        code="launcher-port-taken",
        next_step=(
            "Dừng chương trình ấy, hoặc đặt MOTCUA_LISTEN=127.0.0.1:cổng-khác.",
            "Stop that program, or set MOTCUA_LISTEN=127.0.0.1:another-port.",
        ),
    )
