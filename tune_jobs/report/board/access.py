"""Who may look at a board: the names of its host, the token, and the headers of every answer.

On loopback the names alone decide: a page of another origin can lead its own name to 127.0.0.1 (DNS
rebinding), but it cannot send another name. Beyond loopback a token is needed. It is sent in a header and
never stands in an address, so no log, history or referrer has it; a cookie that follows from it takes its
place. Called by `server`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from eml_models.errors import InvalidValueError

TOKEN_VARIABLE = "TUNE_JOBS_BOARD_TOKEN"
LEAST_CHARACTERS = 16
"""Fewest characters of a token: short ones can be guessed."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What a browser may load for a page of the board: from the board alone, and no inline script or style."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Server": "tune-jobs",
}
"""Headers of every answer that does not set them itself."""


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_unspecified(host: str) -> bool:
    """Whether an address stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(32)


def checked_token(text: str, origin: str) -> str:
    """A token of the user's own, without the white space around it.

    Args:
        origin: where it comes from, for the message.

    Raises:
        InvalidValueError: it is too short, or has characters that no header can hold.
    """
    token = text.strip()
    if len(token) < LEAST_CHARACTERS or not all("!" <= character <= "~" for character in token):
        raise InvalidValueError(
            f"the token of {origin} must have at least {LEAST_CHARACTERS} characters of ASCII without spaces,"
            f" got {len(token)} characters; make one with: python -c 'import secrets;"
            " print(secrets.token_urlsafe())'"
        )
    return token


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may look.

    Attributes:
        host: the name or address that the board listens at.
        token: that a viewer must give; None for none.
    """

    host: str
    token: str | None = field(default=None, repr=False)

    def is_known_host(self, header: str | None) -> bool:
        """Whether the ``Host`` header of a request names this board; the port may be that of a tunnel."""
        name = _host_of(header or "")
        if name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            own = {self.host.lower()}
            if not is_loopback(self.host):
                own |= {socket.gethostname().lower(), socket.getfqdn().lower()}
            return name in own - {""}
        # no other site has an address for a name, so beyond loopback any address will do
        return address.is_loopback or not is_loopback(self.host)

    @property
    def cookie_name(self) -> str:
        """The name of the cookie; boards with other tokens have others, since ports share cookies."""
        return f"tune-jobs-board-{self._derived('name')[:8]}"

    @property
    def cookie(self) -> str:
        """The value of the cookie, from which the token cannot be found."""
        return self._derived("cookie")

    def admits(self, *, authorization: str | None, cookies: Mapping[str, str]) -> bool:
        """Whether a request with these headers may look."""
        if self.token is None:
            return True
        held = cookies.get(self.cookie_name)
        if held is not None and _equal(held, self.cookie):
            return True
        return self.is_token(authorization)

    def is_token(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header has the token: as ``Bearer``, or as a password of ``Basic``."""
        if self.token is None:
            return True
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() == "basic":
            try:
                text = base64.b64decode(text, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif kind.lower() != "bearer":
            return False
        return _equal(text.strip(), self.token)

    def _derived(self, purpose: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, f"tune-jobs board {purpose}".encode(), "sha256").hexdigest()


def _equal(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _host_of(header: str) -> str:
    """The host of a ``Host`` header without its port and its brackets, in small letters."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")
