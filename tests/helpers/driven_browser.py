"""A headless Chromium that a test drives through the DevTools protocol, at any width of its window.

Chromium's own windows are at least 500 pixels wide; the protocol gives a page any width. Notes the errors of
the console and the addresses of all requests.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from patience import patience_s

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """A page of the browser.

    Attributes:
        errors: texts of the console's errors and of exceptions.
        requests: the addresses that the page asked for, except data in the address itself.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._socket, self._numbers = socket, itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(self._waiting[number], patience_s())

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; None if the page is left meanwhile."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value") if "result" in found else None

    async def wait_for(self, script: str) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = asyncio.get_running_loop().time() + patience_s()
        while not (value := await self.run(script)):
            assert asyncio.get_running_loop().time() < deadline, f"never true: {script}"
            await asyncio.sleep(0.1)
        return value

    async def open(self, address: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        """Load an address in a window of this size."""
        await self.resize(width, height=height, dark=dark)
        await self.call("Page.navigate", url=address)
        await self.wait_for("document.readyState === 'complete'")

    async def resize(self, width: int, *, height: int = 900, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=theme)

    async def picture(self, target: Path, *, whole: bool = False) -> None:
        """Write what is seen as PNG; `whole` for all of the page, however long."""
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        target.write_bytes(base64.b64decode(found["data"]))

    async def _listen(self) -> None:
        async for message in self._socket:
            found = json.loads(message.data)
            if "id" in found:
                self._waiting.pop(found["id"]).set_result(found.get("result", found))
                continue
            params = found.get("params", {})
            match found["method"]:
                case "Runtime.exceptionThrown":
                    self.errors.append(str(params["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                    self.errors.append(str(params["args"]))
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
                case "Network.requestWillBeSent" if not params["request"]["url"].startswith("data:"):
                    self.requests.append(params["request"]["url"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A browser with one page, whose files lie in `folder`."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
    process = subprocess.Popen(
        [str(BROWSER), *flags, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port_of(folder)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(t for t in await answer.json() if t["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.call(f"{domain}.enable")
                yield page
                page._listening.cancel()
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


async def _port_of(folder: Path) -> int:
    """The port that the browser has written into its folder."""
    file = folder / "DevToolsActivePort"
    deadline = asyncio.get_running_loop().time() + patience_s()
    while not (file.exists() and file.read_text().strip()):
        assert asyncio.get_running_loop().time() < deadline, "the browser has not begun"
        await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
