"""A real browser for tests of the web page, and an index of documents that pages trip over."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

HOSTILE = "<img src=x onerror=alert(1)>"
ODD: list[dict[str, Any]] = [
    {
        "id": HOSTILE,
        "title": f"<script>alert('t')</script> month {HOSTILE}",
        "text": f"A month of </script><script>alert('x')</script> {HOSTILE} &amp; keys.",
        HOSTILE: HOSTILE,
        "nested": {"a": [HOSTILE]},
    },
    {
        "id": "emoji",
        "title": "🔑 Keys 🫖",
        "text": "😀😀 Rotate 👩‍👩‍👧 the key every month, 🍵 tea.",
    },
    {"id": "..", "title": "מפתחות", "text": "יש להחליף את ה key כל month. שמרו את הישנים."},
    {"id": "x" * 700, "title": "", "text": "key" * 150 + " month"},
    {"id": "../../etc/passwd?x#y", "title": "Path", "text": "A month in a path \x1b[31m\u202e."},
    {"id": "long", "title": "Long", "text": "Nothing is here. " * 400 + "\n\nA month of lava."},
    *({"id": f"n{n}", "title": f"Day {n}", "text": f"Day {n} of the month."} for n in range(12)),
]


def launch_chromium() -> Iterator["Browser"]:
    """Give the Chromium of this machine, without a window; without one, tests are skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as in containers.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page, and what it must never have done."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page, self.address = page, address
        self.lines: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda line: self.lines.append(line.text))
        page.on("pageerror", lambda error: self.lines.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self._note(request.url))

    def _dismiss(self, dialog: "Dialog") -> None:
        self.lines.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, url: str) -> None:
        if not url.startswith(self.address):
            self.elsewhere.append(url)

    def open(self, query: str = "") -> "Page":
        self.page.goto(f"{self.address}/{query}")
        self.rest()
        return self.page

    def rest(self) -> None:
        """Wait until the page has shown what was asked."""
        self.page.wait_for_selector("#results[aria-busy=false]", state="attached")

    def ids(self) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all(
            ".hit", "hits => hits.map(hit => hit.dataset.id)"
        )
        return found

    def search(self, **request: object) -> dict[str, Any]:
        """Ask the API itself."""
        answer = httpx.post(f"{self.address}/v1/search", json={"shares": True, **request})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def opened(browser: "Browser", address: str, **options: Any) -> Iterator[Visit]:  # noqa: ANN401
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), address)
    yield visit
    assert visit.elsewhere == []
    context.close()


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]
