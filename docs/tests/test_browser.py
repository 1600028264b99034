"""The site in a real browser: pages render, pictures load, search finds, nothing leaves the machine, on a
phone and in the dark."""

import re

import pytest

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# One page of each kind; the links of all others are held by test_site.py.
PAGES = (
    "index.html",
    "lecture.html",
    "commands.html",
    "gallery.html",
    "scoreboard.html",
    "api/losses.html",
    "performance.html",
)
RGB = re.compile(r"rgba?\((\d+), (\d+), (\d+)")


@pytest.fixture
def opened(browser, address, site):
    """A function that opens a page; what it fetched from outside or could not fetch is an error."""
    contexts, wrong = [], []

    def open_page(name, viewport=WIDE, scheme="light"):
        if not (site / name.partition("?")[0]).exists():
            pytest.fail(f"{name} was not built")
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((address, "data:"))
                else wrong.append(f"outside: {request.url}")
            ),
        )
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on(
            "response",
            lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address + name)
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def tutorials(site):
    return sorted(path.relative_to(site).as_posix() for path in site.glob("tutorials/*.html"))


def look(page):
    """Hold that a page has a title, that its pictures have loaded, its equations are drawn, and nothing is
    wider than the window."""
    assert page.locator("h1").first.inner_text().strip()
    pictures = page.evaluate(
        "[...document.querySelectorAll('article img')].filter(i => !(i.complete && "
        "i.naturalWidth)).map(i => i.src)"
    )
    assert pictures == []
    assert page.evaluate("document.querySelectorAll('.math').length") <= page.evaluate(
        "document.querySelectorAll('mjx-container').length"
    )
    assert page.evaluate("document.querySelectorAll('mjx-merror').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def brightness(colour):
    red, green, blue = map(int, RGB.match(colour).groups())
    return (299 * red + 587 * green + 114 * blue) / 1000


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read(opened, name, viewport):
    page = opened(name, viewport)
    look(page)
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('article p')).fontSize)") >= 14


def test_every_tutorial_can_be_read(opened, site):
    for name in tutorials(site):
        for viewport in (WIDE, PHONE):
            look(opened(name, viewport))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_in_the_dark(opened, name):
    page = opened(name, scheme="dark")
    look(page)
    style = "(e => { const s = getComputedStyle(e); return s.%s })(document.querySelector('%s'))"
    assert brightness(page.evaluate(style % ("backgroundColor", "body"))) < 60
    assert brightness(page.evaluate(style % ("color", "article p"))) > 150


@pytest.mark.parametrize(
    ("words", "expected"), [("bits/dim", "scoreboard.html"), ("reparametrise", "api/losses.html")]
)
def test_search_finds(opened, words, expected):
    page = opened(f"search.html?q={words}")
    page.wait_for_selector("#search-results li", timeout=20_000)
    page.wait_for_function("/^Search Results/.test(document.querySelector('#search-results h2')?.innerText)")
    found = page.evaluate(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))"
    )
    assert any(expected in link for link in found), found


def test_the_sidebar_leads_on(opened):
    page = opened("index.html")
    page.locator(".sidebar-tree a", has_text="Scoreboard").first.click()
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").first.inner_text().startswith("Scoreboard")


def test_the_scoreboard_on_a_phone_has_no_line_without_a_value(opened):
    page = opened("scoreboard.html", PHONE)
    shown = "[...document.querySelectorAll('.scores td')].filter(e => getComputedStyle(e).display !== 'none')"
    assert page.evaluate(f"{shown}.length") > 20
    assert page.evaluate(f"{shown}.filter(e => !e.innerText.trim()).length") == 0
