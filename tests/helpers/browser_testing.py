"""A real browser for tests: Chromium without a window, of any width, in the light and in the dark.

Spoken to in Chromium's DevTools protocol over a pair of pipes, which needs no package and no port. A page may
be a file or come from a server on loopback; what it wrote to its console and what it asked a network for is
kept. `needs_browser` marks the tests, which take the fixture `chromium`.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from patience import patience_s, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--remote-debugging-pipe", "about:blank"),
)

LOADED_BY_ITSELF = ("data:", "about:", "blob:")
"""Addresses that are no request to anybody."""

CUT = """
(() => {
  const wide = [], edge = document.documentElement.clientWidth + 1;
  const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const inScroller = e => { for (let p = e.parentElement; p; p = p.parentElement) if (scrolls(p)) return true;
    return false; };
  const name = e => e.tagName + (e.id ? '#' + e.id : '') + ' ' + (e.textContent || '').trim().slice(0, 60);
  for (const e of document.body.querySelectorAll('*')) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > edge && !inScroller(e)) wide.push(name(e));
  }
  for (const text of document.querySelectorAll('svg text')) {
    const box = text.getBoundingClientRect(), svg = text.ownerSVGElement.getBoundingClientRect();
    if (box.width && (box.left < svg.left - 1 || box.right > svg.right + 1
        || box.top < svg.top - 1 || box.bottom > svg.bottom + 1)) wide.push(name(text));
  }
  return wide;
})()
"""
"""The elements that end beyond the window without a bar to scroll, and the texts that their picture cuts."""


class PageLeftError(AssertionError):
    """A page was left while it was asked something."""


def needs_browser(test: Any) -> Any:
    """Marks a test that opens a page; it is skipped, with the reason, where there is no browser."""
    skipped = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium (apt-get install chromium)")
    return pytest.mark.browser(skipped(test))


@dataclass(kw_only=True)
class Tab:
    """A page in a browser.

    Attributes:
        console: each line that the page or the browser wrote on it: errors, warnings, and what scripts log.
        requests: the addresses that it asked for, its own included.
    """

    browser: Browser
    session: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _loaded: bool = False

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and its answer."""
        return self.browser.call(method, session=self.session, **params)

    def go(self, address: str) -> None:
        """Open an address, and wait until the page is loaded."""
        self._loaded = False
        failed = self.call("Page.navigate", url=address).get("errorText")
        assert not failed, f"{address}: {failed}"
        self.browser.wait(lambda: self._loaded, f"{address} is not loaded")

    def evaluate(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page, whose own policy does not matter."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of an expression as soon as it is true, for a page that changes or leads on by itself."""

        def found() -> Any:
            with suppress(PageLeftError):
                return self.evaluate(script)

        return wait_until(found, f"never true: {script}", period_s=0.1)

    def resize(self, width: int, *, height: int = 900, dark: bool = False) -> None:
        """Give the window this many CSS pixels, as on a phone where it is narrow, and this theme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])

    def cut(self) -> list[str]:
        """What is wider than the window without a bar to scroll, or cut by its picture; see `CUT`."""
        found: list[str] = self.evaluate(CUT)
        return found

    def asked_of_others(self, own: str = "file:") -> list[str]:
        """The requests to addresses that do not begin with `own`."""
        return [url for url in self.requests if not url.startswith((own, *LOADED_BY_ITSELF))]

    def press(self, key: str) -> None:
        """Press and release a key such as ``Tab`` or ``Enter``."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **text)

    def picture(self, file: Path, *, whole: bool = True) -> Path:
        """Write what is seen as PNG: the whole page, or the window alone."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))
        return file

    def print_to(self, file: Path) -> Path:
        """Write the page as PDF, as it would be printed on A4."""
        found = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        file.write_bytes(base64.b64decode(found["data"]))
        return file

    def heard(self, method: str, params: Mapping[str, Any]) -> None:
        """Note an event of the browser."""
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Runtime.consoleAPICalled":
            words = [str(word.get("value", word.get("description"))) for word in params["args"]]
            self.console.append(f"{params['type']}: {' '.join(words)}")
        elif method == "Runtime.exceptionThrown":
            self.console.append(f"exception: {params['exceptionDetails']}")


class Browser:
    """A running Chromium. `browser` starts and ends it."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading = writing, reading
        self._number, self._rest = 0, b""
        self._answers: dict[int, dict[str, Any]] = {}
        self._tabs: dict[str, Tab] = {}

    @contextmanager
    def tab(self, *, width: int = 1440, height: int = 900, dark: bool = False) -> Iterator[Tab]:
        """A new page in a window of this size, with cookies of its own; see `Tab.resize`."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(browser=self, session=session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height=height, dark=dark)
        yield tab
        self.call("Target.closeTarget", targetId=target)
        self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, *, session: str = "", **params: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and its answer."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        self.wait(lambda: number in self._answers, f"Chromium does not answer {method}")
        answer = self._answers.pop(number)
        if any(word in str(answer.get("error")) for word in ("context", "navigated")):
            raise PageLeftError(f"{method}: {answer['error']}")
        assert "error" not in answer, f"{method}: {answer['error']}"
        found: dict[str, Any] = answer["result"]
        return found

    def wait(self, holds: Callable[[], bool], problem: str) -> None:
        """Read what Chromium says until this holds.

        Raises:
            AssertionError: it ended, or it hangs; the message is `problem`.
        """
        until = time.monotonic() + patience_s()
        while not holds():
            ready, _, _ = select.select([self._reading], [], [], max(0.0, until - time.monotonic()))
            read = os.read(self._reading, 1 << 20) if ready else b""
            assert read, problem
            *messages, self._rest = (self._rest + read).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
        elif (tab := self._tabs.get(message.get("sessionId", ""))) is not None:
            tab.heard(message["method"], message["params"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium with a profile of its own in this folder."""
    to_it, writing = _pipe()
    reading, from_it = _pipe()
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_it} 4>&{from_it}', str(PROGRAM), *FLAGS]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder / 'profile'}"],
        pass_fds=(to_it, from_it),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_it)
    os.close(from_it)
    try:
        yield Browser(writing, reading)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(writing)
        os.close(reading)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not 3 and 4, the numbers that Chromium reads and writes."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
