"""What the person who starts the page decides."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the page is served and what one visitor may ask of this machine.

    Parameters
    ----------
    host, port : str, int
        Address the server is bound to.
    token : str
        Wanted from every visitor; empty for none, which only a loopback address allows.
    max_upload_bytes : int
        Largest recording.
    stager, decoder : str
        What is chosen when the page opens.
    device : str
        `auto`, `cpu` or `cuda`, for stagers that are networks.
    n_stagers : int
        Processes that stage, each one night at a time; others wait in a queue.
    keep_s : float
        A visitor who asks for nothing so long is forgotten and the uploads are removed.
    max_nights : int
        Recordings one visitor may keep at a time.
    max_visitors : int
        Visitors with recordings at a time.
    max_uploads : int
        Uploads at a time, of all visitors.

    Raises
    ------
    ValueError
        If another machine could reach the page and no token is wanted.
    """

    host: str = "127.0.0.1"
    port: int = 8050
    token: str = ""
    max_upload_bytes: int = 1 << 30
    stager: str = "yasa"
    decoder: str = "greedy"
    device: str = "auto"
    n_stagers: int = 1
    keep_s: float = 7200.0
    max_nights: int = 8
    max_visitors: int = 64
    max_uploads: int = 8

    def __post_init__(self) -> None:
        if not self.token and not is_loopback(self.host):
            raise ValueError(f"{self.host} is reached from other machines: a token is needed")
        if not re.fullmatch(r"[A-Za-z0-9._~-]*", self.token):  # it must fit into a cookie
            raise ValueError("a token is made of letters, digits and . _ ~ - alone")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
