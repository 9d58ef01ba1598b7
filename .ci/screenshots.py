"""Take screenshots of the built site, and list pages that scroll sideways.

``python .ci/screenshots.py FOLDER`` writes pictures of a few pages, as a laptop and a phone
show them in light and dark mode. It fails if a page of the site is wider than its window. It
needs playwright (``python -m pip install playwright``) and an installed Chromium or Chrome.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SITE = Path(__file__).parents[1] / "docs" / "_build"
PAGES = [
    "index",
    "quickstart",
    "guide/tables",
    "accuracy",
    "gallery/index",
    "api/generated/sknet.NNClassifier",
]
WINDOWS = {"laptop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
#: Find the first box that is too wide: the page, or a part of it that scrolls separately. Code,
#: tables and formulas may be wide.
SCROLLING = """() => {
    const boxes = [document.documentElement,
                   ...document.querySelectorAll("[class*=bd-], [class*=sidebar]")];
    const scrolls = (box) => box === document.documentElement
        || /auto|scroll/.test(getComputedStyle(box).overflowX);
    const wide = boxes.find((box) => box.scrollWidth > box.clientWidth + 1 && scrolls(box));
    if (!wide) return null;
    const right = wide.getBoundingClientRect().right;
    const beyond = [...wide.querySelectorAll("*")]
        .filter((box) => box.getBoundingClientRect().right > right)
        .filter((box) => !box.closest("pre, table, math"));
    const words = (beyond.pop() ?? wide).textContent.trim().slice(0, 40);
    return `${wide.className || "the page"}, near ${JSON.stringify(words)}`;
}"""


def picture(browser, folder):
    """Write a picture of each of ``PAGES`` in both windows, light and dark."""
    for device, size in WINDOWS.items():
        for scheme in ("light", "dark"):
            tab = browser.new_page(viewport=size, color_scheme=scheme)
            for page in PAGES:
                tab.goto((SITE / f"{page}.html").as_uri())
                name = page.replace("/", "_")
                tab.screenshot(path=folder / f"{name}_{device}_{scheme}.png")
            tab.close()


def scrolling(browser):
    """Return the pages that are wider than a window, each with what is too wide."""
    found = []
    for device, size in WINDOWS.items():
        tab = browser.new_page(viewport=size)
        # JupyterLite's own pages need a server.
        pages = (one for one in SITE.rglob("*.html") if "lite" not in one.parts)
        for page in sorted(pages):
            tab.goto(page.as_uri(), wait_until="domcontentloaded")
            if wide := tab.evaluate(SCROLLING):
                found.append(f"{device}: {page.relative_to(SITE)}: {wide}")
        tab.close()
    return found


def main():
    """Take the pictures, then look for pages that scroll."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        picture(browser, folder)
        found = scrolling(browser)
        browser.close()
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
