"""Where a server meets the network: certificates, and proxies that are trusted."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from ostinato.errors import RecipeError


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Raises `RecipeError` for files that no server can be started with."""
    if (certificate is None) != (key is None):
        raise RecipeError("`--tls-certificate` and `--tls-key` only apply together.")
    if certificate is None or key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(
            "`--tls-certificate` and `--tls-key` must be files of PEM that belong together, the key without a "
            f"password. Received: {certificate} and {key}: {reason}.",
            hint="for tries: openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out certificate.pem",
        ) from error


def proxies_of(given: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks of proxies.

    Raises:
        RecipeError: for what is neither.
    """
    found = list[str]()
    for one in given:
        try:
            found.append(str(ipaddress.ip_network(one) if "/" in one else ipaddress.ip_address(one)))
        except ValueError as error:
            raise RecipeError(
                f"`--trusted-proxy` must be an address or a network. Received: {one}: {error}.",
                hint="--trusted-proxy 127.0.0.1 --trusted-proxy 10.0.0.0/8",
            ) from error
    return tuple(found)


def trusting(certificate: str | Path | None) -> ssl.SSLContext | bool:
    """What a client verifies a server by: known authorities, or a file of PEM.

    Raises:
        RecipeError: for a file that can't be used.
    """
    if certificate is None:
        return True
    try:
        return ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise RecipeError(f"`certificate` must be a file of PEM. Received: {certificate}: {error.strerror}.") from error
