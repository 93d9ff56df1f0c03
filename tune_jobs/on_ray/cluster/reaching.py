"""Checks that a cluster answers before Ray is started, because Ray itself gives up only after two minutes.

Does not import Ray. `tune_jobs.on_ray.runner`, `tune_jobs.on_ray.cluster.connect` and
`tune_jobs.on_ray.jobs.submit` call this.
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
    """Refuse any text that is not a head's address: HOST:PORT, or a word that Ray knows. Opens no connection.

    Raises:
        InvalidValueError: it is not a head's address, such as one of the Jobs API or of Ray Client.
    """
    if address.startswith(("http://", "https://")):
        raise _of_dashboard(address)
    if "://" in address:
        raise InvalidValueError(
            f"the address {address!r} belongs to Ray Client, and through that Tune cannot run in this"
            " process: give the address of the head itself, HOST:6379, or submit the study as a job"
        )
    if address not in FOUND_BY_RAY:
        split_address(address)


def require_listener(address: str) -> None:
    """Refuse an address at which no head listens. Ray itself checks ``auto`` and ``local``.

    Raises:
        InvalidValueError: as `check_address`; or a dashboard listens there.
        TuneJobsError: nothing listens there.
    """
    check_address(address)
    if address in FOUND_BY_RAY:
        return
    _require_connection(address)
    if _speaks_http(address):
        raise _of_dashboard(address)


def _of_dashboard(address: str) -> InvalidValueError:
    return InvalidValueError(
        f"the address {address!r} belongs to a dashboard, which takes jobs: use it with submit, or give the"
        " address of the head itself, HOST:6379"
    )


def _require_connection(address: str, *, usual_port: int = 6379) -> None:
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise TuneJobsError(
            f"no Ray cluster answers at {address}: {error}. Is its head up, is the port right"
            f" ({usual_port} unless it was started with another), and does the firewall let you through?"
        ) from error


def jobs_url(address: str) -> str:
    """The address as Ray's job client takes it: HOST:PORT of a dashboard becomes a URL.

    A head's own HOST:PORT stays unchanged: Ray asks the head for its dashboard.

    Raises:
        InvalidValueError: the address is neither HOST:PORT nor a URL.
        TuneJobsError: nothing listens there.
    """
    if address.startswith(RAY_CLIENT):  # Ray would try for half a minute
        _require_connection(address.removeprefix(RAY_CLIENT), usual_port=10001)
    if "://" in address or address == "auto":
        return address
    _require_connection(address, usual_port=8265)
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
        InvalidValueError: the address is not HOST:PORT.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidValueError(
            f"the address of a cluster is HOST:PORT (such as 10.0.0.5:6379), got {address!r}"
        )
    return host.strip("[]"), int(port)
