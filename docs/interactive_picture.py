"""Takes docs/interactive.png, the README's picture of the demo's page.

    python docs/interactive_picture.py demo/interactive.html docs/interactive.png

Needs playwright and a system Chromium.
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SANDBOX = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to run as root otherwise

page_file, out = Path(sys.argv[1]), Path(sys.argv[2])
with sync_playwright() as running:
    browser = running.chromium.launch(executable_path=CHROMIUM, args=SANDBOX)
    page = browser.new_page(viewport={"width": 1120, "height": 1400})
    page.goto(page_file.resolve().as_uri())
    page.select_option("#row", "3")
    picture = page.locator("#read canvas").bounding_box()
    page.mouse.click(
        picture["x"] + picture["width"] - 2, picture["y"] + 0.72 * picture["height"]
    )  # in the silence
    page.wait_for_timeout(300)
    last = page.locator("section").nth(2).bounding_box()
    page.screenshot(path=out, clip={"x": 0, "y": 0, "width": 1120, "height": last["y"] + last["height"] + 12})
    browser.close()
