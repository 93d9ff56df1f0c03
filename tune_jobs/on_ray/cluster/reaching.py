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
RAY_CLIENT = "ray://"


def check_address(address: str) -> None:
    """Refuse what is no address of a head: HOST:PORT, or a word that Ray knows. Asks nobody.

    Raises:
        InvalidValueError: it is none, or it is that of the Jobs API or of Ray Client.
    """
    if address.startswith(("http://", "https://")):
        raise _of_dashboard(address)
    if "://" in address:
        raise InvalidValueError(
            f"the address {address!r} is that of Ray Client, through which Tune would not run in this"
            " process: give the address of the head itself, HOST:6379, or submit the study as a job"
        )
    if address not in FOUND_BY_RAY:
        split_address(address)


def require_listener(address: str) -> None:
    """Refuse an address at which no head listens. ``auto`` and ``local`` are left to Ray.

    Raises:
        InvalidValueError: as `check_address`; or a dashboard listens there.
        TuneJobsError: nothing listens there.
    """
    check_address(address)
    if address in FOUND_BY_RAY:
        return
    _require_anybody(address)
    if _speaks_http(address):
        raise _of_dashboard(address)


def _of_dashboard(address: str) -> InvalidValueError:
    return InvalidValueError(
        f"the address {address!r} is that of a dashboard, which takes jobs: use it with submit, or give the"
        " address of the head itself, HOST:6379"
    )


def _require_anybody(address: str, *, usual_port: int = 6379) -> None:
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise TuneJobsError(
            f"no Ray cluster answers at {address}: {error}. Is its head up, the port right"
            f" ({usual_port} unless it was started with another), and is there a way through the firewall?"
        ) from error


def jobs_url(address: str) -> str:
    """The address as Ray's job client wants it: HOST:PORT of a dashboard becomes a URL.

    A head's own HOST:PORT is left as it is: Ray asks it for its dashboard.

    Raises:
        InvalidValueError: it is neither HOST:PORT nor a URL.
        TuneJobsError: nothing listens there.
    """
    if address.startswith(RAY_CLIENT):  # Ray would try for half a minute
        _require_anybody(address.removeprefix(RAY_CLIENT), usual_port=10001)
    if "://" in address or address == "auto":
        return address
    _require_anybody(address, usual_port=8265)
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
