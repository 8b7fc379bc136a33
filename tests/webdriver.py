"""A real Chromium through its driver, spoken to in the W3C WebDriver protocol: JSON over HTTP, nothing to install."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

__all__ = ["ENTER", "TAB", "Browser", "missing"]

TAB, ENTER = "\ue004", "\ue007"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str | None:
    """Why there is no browser to test with, or None."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"{' and '.join(absent)} not installed (Debian: chromium, chromium-driver)" if absent else None


class Browser:
    """One headless browser.

    Args:
        width: of the window, in pixels.
        dark: whether pages are told that the user prefers dark colours.
    """

    def __init__(self, width: int = 1100, *, dark: bool = False) -> None:
        why = missing()
        if why is not None:
            raise RuntimeError(why)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._base = f"http://127.0.0.1:{port}"
        self._profile = tempfile.TemporaryDirectory(prefix="hwsim-browser-")
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        words += [f"--window-size={width},900", f"--user-data-dir={self._profile.name}"]
        words += ["--disable-background-networking", "--blink-settings=preferredColorScheme=0"] if dark else []
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": words, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(timeout=20)
            self._profile.cleanup()

    def open(self, address: str) -> None:
        """Load a page."""
        self._call("POST", f"{self._session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a function body returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        """The first element of a CSS selector."""
        found = self._call("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def click(self, selector: str) -> None:
        """Click with the mouse, as a user would: what is hidden or covered cannot be clicked."""
        self._call("POST", f"{self._session}/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._call("POST", f"{self._session}/element/{self.find(selector)}/value", {"text": text})

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        keys = {"type": "key", "id": "keyboard", "actions": strokes}
        self._call("POST", f"{self._session}/actions", {"actions": [keys]})

    def console(self) -> list[str]:
        """What the page has written to the console since the last call: errors, warnings, refusals."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [str(entry["message"]) for entry in entries]

    def requests(self) -> list[str]:
        """Addresses that pages from disk have asked for since the last call (the browser's own start page does too)."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if each["documentURL"].startswith("file:")]

    def _wait(self) -> None:
        """Until the driver answers."""
        for _ in range(100):
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except urllib.error.URLError:
                time.sleep(0.1)
        self._driver.terminate()
        raise RuntimeError("chromedriver does not answer")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()[:500]}") from None
