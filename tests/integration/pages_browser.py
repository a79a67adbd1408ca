"""A headless Chromium, and the pages as somebody sees them in it."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

# Seconds. All that is waited for takes a fraction of one on an idle machine.
PATIENCE_SECONDS = 40.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESKTOP = (1280, 900)
PHONE = (360, 740)


@frozen
class Browser:
    """One window."""

    driver: webdriver.Chrome

    def open(self, url: str, *, key: str | None = None, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        """Go to an address in a new tab; with `key`, as if it had been entered there before."""
        used = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        opened = self.driver.current_window_handle
        self.driver.switch_to.window(used)
        self.driver.close()
        self.driver.switch_to.window(opened)
        self.resize(size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[scheme])
        if key is not None:
            store = f"sessionStorage.setItem('kasparro.key', {json.dumps(key)})"
            self._command("Page.addScriptToEvaluateOnNewDocument", source=store)
        self.console()
        self.requests()
        self.driver.get(url)

    def resize(self, size: tuple[int, int]) -> None:
        """Look at it in a window of this size."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self._command("Emulation.setDeviceMetricsOverride", **metrics)

    def _command(self, name: str, **params: Any) -> None:
        self.driver.execute_cdp_cmd(name, params)

    def run(self, script: str, *args: Any) -> Any:
        return self.driver.execute_script(script, *args)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What is to be read there; nothing where nothing is."""
        found = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.run(found, selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector))

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        WebDriverWait(self.driver, PATIENCE_SECONDS, 0.05).until(lambda _: condition(), f"waited in vain for: {what}")

    def wait_text(self, selector: str, wanted: str) -> None:
        self.wait(lambda: wanted in self.text(selector), f"{wanted!r} in {selector}")

    def console(self) -> list[str]:
        """What the console was told since the last question."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last question."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]


@contextmanager
def launch(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no chromium with chromedriver: on Debian, apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    driver.set_page_load_timeout(PATIENCE_SECONDS)
    driver.set_script_timeout(PATIENCE_SECONDS)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
