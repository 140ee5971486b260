"""The web page where documents are hostile, nothing is found, or a person sees little of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import lastword as lw
from lastword.server.app import make_app
from lastword.server.settings import ServerSettings
from tests.lastword.server.browsing import HOSTILE, Visit, opened
from tests.lastword.server.live import live

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KEY = "a-key-of-the-test-123"


def test_texts_of_documents_never_become_markup(visit: Visit) -> None:
    page = visit.open("?q=month+%3Cscript%3E&k=50")
    at = visit.ids().index(HOSTILE)
    item = page.locator(".hit").nth(at)
    assert HOSTILE in item.locator(".title").inner_text()
    assert item.locator("p.id").inner_text() == HOSTILE
    item.get_by_role("button", name="Explain").click()
    page.wait_for_selector(".channel")
    item.get_by_role("button", name="Metadata").click()
    assert HOSTILE in item.locator("dt").all_inner_texts()
    for name in (HOSTILE, "..", "../../etc/passwd?x#y", "x" * 700):
        page.locator(".hit").nth(visit.ids().index(name)).locator("a").click()
        page.wait_for_selector("#document .text")
        assert name in page.locator("#document-body").inner_text()
        page.keyboard.press("Escape")
        page.wait_for_selector("#document", state="hidden")
    assert page.locator("main img, dialog img, main script, dialog script").count() == 0
    shown = page.evaluate("document.body.innerText")
    assert "\x1b" not in shown and "\u202e" not in shown


def test_nothing_found_and_errors_are_said(visit: Visit) -> None:
    page = visit.open("?q=month&filter=nested+%3D%3D+%22vain%22")
    assert page.locator("#notice h2").inner_text() == "Nothing found for “month”"
    assert page.get_by_role("status").text_content().startswith("Nothing found.")  # type: ignore[union-attr]
    page.get_by_role("button", name="Remove the filter").click()
    page.wait_for_selector(".hit")
    page.fill("#filter", "year > >")
    page.keyboard.press("Enter")
    page.wait_for_selector("#notice h2")
    assert page.locator("#notice h2").inner_text() == "The filter cannot be read"
    page.get_by_role("button", name="Reset ranking").first.click()
    page.wait_for_selector(".hit")
    for link in ("?q=month&index=nowhere", "?q=month&channels=smell", "?q=month&fusion=cold"):
        visit.open(link)
        page.get_by_role("button", name="Reset ranking").first.click()
        page.wait_for_selector(".hit")
        assert page.url.endswith("?q=month")
    page.context.set_offline(True)
    page.fill("#query", "day 3")
    page.wait_for_selector("#notice h2")
    assert page.locator("#notice h2").inner_text() == "The server does not answer"
    page.context.set_offline(False)  # the page finds it again by itself
    page.wait_for_selector(".hit")
    assert all("Failed to load resource" in line for line in visit.lines)  # the browser's own
    visit.lines.clear()


def test_a_key_is_asked_for_and_kept_in_the_tab(browser: "Browser", odd: lw.SearchEngine) -> None:
    app = make_app({"odd": odd}, ServerSettings(keys=(KEY,)))
    with live(app) as address, opened(browser, address) as visit:
        page = visit.open("?q=month")
        for key in ("wrong", KEY):
            page.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
            page.wait_for_selector(".hit" if key == KEY else "#key-hint.fault")
        assert page.evaluate("Object.values(sessionStorage)") == [KEY]
        assert KEY not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
        assert all("401" in line for line in visit.lines)


def show_explanation(page: "Page") -> None:
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_selector(".channel")


def show_metadata_and_ranking(page: "Page") -> None:
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.get_by_role("button", name="Ranking").click()


STATES: dict[tuple[str, int], dict[str, Callable[["Page"], object]]] = {
    ("light", 1440): {
        "": lambda page: None,
        "?q=rotate+a+key+month&k=4": show_explanation,
        "?q=month&doc=emoji&k=1": lambda page: page.wait_for_selector("#document .text"),
    },
    ("dark", 390): {
        "": lambda page: page.get_by_role("button", name="Keyboard shortcuts").click(),
        "?q=%3Cscript%3E&index=notes&k=4": show_metadata_and_ranking,
        "?q=month&filter=year+%3E+%3E": lambda page: None,
    },
}


@pytest.mark.parametrize(("scheme", "width"), STATES)
def test_it_is_accessible_and_fits(
    browser: "Browser", address: str, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    size = {"width": width, "height": 844}
    with opened(browser, address, viewport=size, color_scheme=scheme) as visit:
        for query, show in STATES[scheme, width].items():
            page = visit.open(query)
            show(page)
            found = axe.run(page)
            assert found.violations_count == 0, f"{query}: {found.generate_report()}"
        page = visit.open("?q=month&k=20")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Switch between light and dark").click()
        other = page.evaluate("document.documentElement.dataset.theme")
        assert other == {"light": "dark", "dark": "light"}[scheme]
        found = axe.run(visit.open("?q=rotate+a+key&k=3"))
        assert found.violations_count == 0, found.generate_report()


def test_files_of_the_page_are_served_and_no_others(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        start = client.get("/")
        assert start.headers["content-type"] == "text/html; charset=utf-8"
        policy = start.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "<script>" not in start.text and "style=" not in start.text
        names = re.findall(r'(?:src|href)="(page/[^"]+)"', start.text)
        assert len(names) == 4
        folder = Path(lw.__file__).parent / "server" / "page"
        for name in sorted({*names, *(f"page/{path.name}" for path in folder.glob("*.js"))}):
            answer = client.get(f"/{name}")
            assert answer.content == (folder.parent / name).read_bytes()
            assert answer.headers["cache-control"] == "no-cache"
            known = {"If-None-Match": answer.headers["etag"]}
            again = client.get(f"/{name}", headers=known)
            assert (again.status_code, again.content) == (304, b"")
        for name in (
            "page/",
            "page/index.html",
            "page/../app.py",
            "page/%2e%2e/app.py",
            "page/x.js",
        ):
            assert client.get(f"/{name}").status_code == 404
