"""Whether somebody listens at a cluster's address, asked before Ray is: it would look for two minutes.

Imports no Ray.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException

from eml_models.errors import InvalidValueError
from tune_jobs.errors import TuneJobsError

TIMEOUT_S = 5.0
FOUND_BY_RAY = ("auto", "local")


def require_listener(address: str) -> None:
    """Refuse an address at which nothing listens. ``auto`` and addresses with a scheme are left to Ray.

    Raises:
        InvalidValueError: it is no HOST:PORT, or it is that of the Jobs API.
        TuneJobsError: nothing listens there.
    """
    if address.startswith(("http://", "https://")):
        raise InvalidValueError(
            f"the address {address!r} is that of a dashboard, which takes jobs: use it with submit, or give"
            " run the address of the head itself, HOST:6379"
        )
    if address in FOUND_BY_RAY or "://" in address:
        return
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise TuneJobsError(
            f"no Ray cluster answers at {address}: {error}. Is its head up, the port right (6379 unless it"
            " was started with another), and is there a way through the firewall?"
        ) from error


def jobs_url(address: str) -> str:
    """The address as Ray's job client wants it: HOST:PORT of a dashboard becomes a URL.

    A head's own HOST:PORT is left as it is: Ray asks it for its dashboard.

    Raises:
        InvalidValueError: it is neither HOST:PORT nor a URL.
        TuneJobsError: nothing listens there.
    """
    if "://" in address or address == "auto":
        return address
    require_listener(address)
    return f"http://{address}" if _speaks_http(address) else address


def _speaks_http(address: str) -> bool:
    try:
        connection = HTTPConnection(*split_address(address), timeout=TIMEOUT_S)
        connection.request("GET", "/api/version")
        connection.getresponse().close()
    except (OSError, HTTPException):
        return False
    return True


def split_address(address: str) -> tuple[str, int]:
    """HOST and PORT.

    Raises:
        InvalidValueError: it is not HOST:PORT.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidValueError(
            f"the address of a cluster is HOST:PORT (such as 10.0.0.5:6379), got {address!r}"
        )
    return host.strip("[]"), int(port)
