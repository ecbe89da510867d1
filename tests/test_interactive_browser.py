"""The interactive page in a real browser: clicked, dragged and typed at, and looked at for what then changed.

Needs playwright (of the `dev` extra) and a Chromium of the system's; without one these tests are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backcast.cli import main
from test_data import write_pictures
from test_interactive import train

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

PAINTED = """selector => {
  const canvas = document.querySelector(selector);
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 3 && value === 255).length;
}"""
EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = running.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def report(folder: Path, data: Path | str, *more: str) -> Path:
    runs = [train(data, method, folder / method, *more) for method in ("lstm", "r-lstm", "p-lstm", "rp-lstm")]
    given = ["--data-dir", more[more.index("--data-dir") + 1]] if "--data-dir" in more else []
    out = folder / "page.html"
    assert main(["report", *map(str, runs), "--interactive", "--out", str(out), *given]) == 0
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Permuted pictures of 6 × 6."""
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, "mnist")
    return report(folder, "pmnist", "--data-dir", str(folder))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ragged rows of up to 300 steps and four channels, one class with a name that would be markup."""
    folder = tmp_path_factory.mktemp("lines")
    generator = np.random.default_rng(0)
    np.savez(
        folder / "rows.npz", x=generator.normal(size=(40, 300, 4)), y=np.array([EVIL, "b"])[np.arange(40) % 2],
        lengths=generator.integers(250, 301, 40),
    )  # fmt: skip
    return report(folder, folder / "rows.npz")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for name in ("ab", "cd"):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(12):
            (folder / "data" / name / f"{number}.txt").write_text(f"{name} <b>&amp;\n" * 6 + "!" * number)
    return report(folder, folder / "data")


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280, **more: Any) -> Iterator[Any]:
    """The page, drawn; at the end nothing may have gone wrong in it, and nothing been asked of any network."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **more)
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on(
        "console", lambda message: "getImageData" in message.text or wrong.append(message.text)
    )  # ours, see PAINTED
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    settle(page)
    yield page
    assert wrong == [] and asked == [file.as_uri()]
    context.close()


def settle(page: Any) -> None:
    """Whatever was to be drawn is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def step(page: Any) -> tuple[int, int]:
    """Where the cursor is, and how many steps the row has."""
    settle(page)
    now, of = re.findall(r"[\d,]+", page.inner_text("#where"))
    return int(now.replace(",", "")), int(of.replace(",", ""))


def press(page: Any, *keys: str) -> int:
    for key in keys:
        page.keyboard.press(key)
    return step(page)[0]


def row(page: Any) -> int:
    return int(page.input_value("#row"))


def test_keys_move_through_time_and_rows(browser: Any, lines: Path) -> None:
    with opened(browser, lines) as page:
        now, total = step(page)
        assert now == total > 250 and page.evaluate("document.activeElement.id") == "time"
        places = page.evaluate("Array.from(rowData(0).places)")
        assert len(places) == 200 and press(page, "Home") == places[0] == step(page)[0]
        assert press(page, "ArrowRight", "ArrowRight") == places[2]
        assert press(page, "Shift+ArrowRight") == places[12]
        assert press(page, "ArrowLeft") == places[11] and press(page, "Shift+ArrowLeft") == places[1]
        assert press(page, "Shift+ArrowLeft", "ArrowLeft") == places[0], "not beyond the beginning"
        assert press(page, "End", "ArrowRight") == total
        press(page, "ArrowDown")
        assert row(page) == 1
        press(page, "ArrowUp", "ArrowUp")
        assert row(page) == 0
        assert page.get_attribute("#time", "aria-valuetext") == f"step {total} of {total}"


def test_everything_is_reached_by_tab_and_shows_that_it_is(browser: Any, texts: Path) -> None:
    with opened(browser, texts) as page:
        page.focus("#row")
        seen = []
        for _ in range(10):
            seen.append(
                page.evaluate("""() => { const at = document.activeElement, style = getComputedStyle(at);
                    return [at.id || at.className, style.outlineStyle, at.getAttribute("aria-label") || at.labels?.[0]?.textContent] }""")
            )  # fmt: skip
            page.keyboard.press("Tab")
        names = [name for name, _, _ in seen if name]
        assert names[:3] == ["row", "next", "time"], "there is no row before the first"
        assert names[3:8] == 5 * ["symbols letters"], "boxes that scroll"
        assert all(outline != "none" and label for name, outline, label in seen if name)
        page.focus("#next")
        press(page, "Enter")
        assert row(page) == 1
        press(page, "Shift+Tab", "Enter")
        assert row(page) == 0


def test_charts_are_clicked_and_dragged(browser: Any, lines: Path) -> None:
    with opened(browser, lines) as page:
        for selector in ("#says", "#read"):
            box = page.locator(f"{selector} svg").first.bounding_box()
            left, right = box["x"] + 42, box["x"] + box["width"] - 12
            y = box["y"] + box["height"] / 2
            page.mouse.click((left + right) / 2, y)
            middle, total = step(page)
            assert abs(middle - total / 2) <= 2 and page.evaluate("document.activeElement.id") == "time"
            page.mouse.move(left + 10, y)
            page.mouse.down()
            early = step(page)[0]
            page.mouse.move(left + 100, y, steps=4)
            later = step(page)[0]
            page.mouse.move(right + 500, y, steps=2)
            assert early < later < middle < step(page)[0] == total, selector
            page.mouse.up()
            page.mouse.move(left, y)
            assert step(page)[0] == total, "let go"


def test_the_slider_is_dragged_and_rows_are_chosen(browser: Any, lines: Path) -> None:
    with opened(browser, lines) as page:
        box = page.locator("#time").bounding_box()
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] - 8, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, y, steps=5)
        page.mouse.up()
        now, total = step(page)
        assert abs(now - total / 4) < 12
        page.select_option("#row", "2")
        after, other = step(page)
        assert row(page) == 2 and abs(after / other - now / total) < 0.02, "as far into the other row"
        page.click("#next")
        page.click("#previous")
        page.click("#previous")
        settle(page)
        assert row(page) == 1


def test_what_is_shown_follows_the_cursor(browser: Any, lines: Path) -> None:
    with opened(browser, lines) as page:
        assert "lstm: without a decoder or predictor that can be asked from a state" in page.inner_text(
            "#from"
        )
        seen = set()
        for keys in (["End"], ["Shift+ArrowLeft"], ["Shift+ArrowLeft", "ArrowLeft"], ["ArrowDown"]):
            press(page, *keys)
            seen.add(
                tuple(page.inner_html(f"#{name}") for name in ("read", "says", "answers", "errors", "here"))
            )
        assert all(len(set(column)) == len(seen) == 4 for column in zip(*seen, strict=True))
        assert page.locator("#answers > div").count() == 4 and "nothing left to ask" not in page.inner_text(
            "#here"
        )
        for name, count in (("r-lstm", 1), ("p-lstm", 1), ("rp-lstm", 2)):
            assert page.locator("#answers h3").filter(has_text=re.compile(rf"^{name}:")).count() == count
        assert "The first 3 of 4 channels" in page.inner_text("#read-caption")
        press(page, "ArrowUp", "Home", *["Shift+ArrowRight"] * 5)
        now, _ = step(page)
        assert "over steps ahead of the one element more that is read" in page.get_attribute(
            "#ahead svg", "aria-label"
        )
        assert page.evaluate("errorSeries(rowData(0), 5, 'future')[0].xs[0]") == 1, "behind that one"
        near = page.evaluate("document.querySelector('#answers [data-kind=future] .channel').plot.x")
        assert near[0] < near[1] <= near[0] + 8 and near[0] + 4 == page.evaluate("row => rowData(0).anchors[anchorAt(rowData(0), row)]", now)  # fmt: skip
        table = page.inner_text("#remembers")
        assert table.count("steps") == 4 and "accuracy" in table
        probability = page.evaluate(
            "likeliest(rowData(view.row), rowData(view.row).answers[0], view.place)[0]"
        )
        assert f"{100 * probability[1]:.0f} %" in page.inner_text("#classes tr:first-child td:nth-child(2)")


def test_the_memory_curves_have_the_colours_of_the_report(browser: Any, lines: Path) -> None:
    from backcast.report.figures import COLOURS

    with opened(browser, lines) as page:
        drawn = page.evaluate(
            "Array.from(document.querySelectorAll('#memory .series'), s => s.style.getPropertyValue('--c'))"
        )
        assert drawn == list(COLOURS[:4])
        assert page.evaluate("document.querySelector('#memory .limit') !== null")
        stroke = page.evaluate("getComputedStyle(document.querySelector('#memory .series')).stroke")
        assert stroke == "color(srgb 0 0.447059 0.698039)", "which is #0072b2"


def test_lines_are_told_apart_without_their_colours_and_named_by_a_piece_of_them(
    browser: Any, lines: Path
) -> None:
    look = """selector => Array.from(document.querySelectorAll(selector), line => {
        const style = getComputedStyle(line);
        return [style.stroke, style.strokeDasharray];
    })"""
    with opened(browser, lines) as page:
        drawn = page.evaluate(look, "#memory .series")
        assert len({dashes for _, dashes in drawn}) == len(drawn) == 4
        for named in ("#remembers", "#here", "#classes"):
            assert page.evaluate(look, f"{named} .swatch .series") == drawn
        assert page.evaluate(look, "#says .series:not(.faint)") == drawn
        assert all(dashes == "none" for _, dashes in page.evaluate(look, "#answers .channel .series"))


def test_a_permuted_picture_is_drawn_and_clicked_in_its_places(browser: Any, pictures: Path) -> None:
    with opened(browser, pictures) as page:
        assert page.evaluate(PAINTED, "#read canvas") == 36 and "random order" in page.inner_text(
            "#read-caption"
        )
        order = page.evaluate("Array.from(ORDER)")
        assert sorted(order) == list(range(36)) != order
        box = page.locator("#read canvas").bounding_box()
        for pixel in (0, 17, 35):
            down, across = divmod(pixel, 6)
            page.mouse.click(
                box["x"] + (across + 0.5) * box["width"] / 6, box["y"] + (down + 0.5) * box["height"] / 6
            )
            now = order.index(pixel) + 1
            assert step(page) == (now, 36) and page.evaluate(PAINTED, "#read canvas") == now
            alpha = page.evaluate("pixel => document.querySelector('#read canvas').getContext('2d').getImageData(pixel % 6, pixel / 6 | 0, 1, 1).data[3]", pixel)  # fmt: skip
            assert alpha == 255, "the pixel read last is the one that was clicked"
            said = page.evaluate(PAINTED, "#answers [data-group='1'] canvas")
            ahead = page.evaluate(PAINTED, "#answers [data-group='2'] canvas")
            assert said == max(0, now - 1) and ahead == min(4, max(0, 35 - now)), "what is asked of a segment"
        grey = page.evaluate(
            "Array.from(document.querySelector('#read canvas').getContext('2d').getImageData(0, 0, 6, 6).data.filter((_, i) => i % 4 === 0))"
        )
        row = page.evaluate("Array.from(rowData(0).truth)")
        expected = np.zeros(36)
        expected[order] = np.array(row) * 255 / 254
        np.testing.assert_allclose(grey, expected, atol=3)  # faint pixels are rounded twice


def test_text_is_shown_with_its_errors_marked_and_clicked(browser: Any, texts: Path) -> None:
    with opened(browser, texts) as page:
        shown = page.inner_text("#read .symbols")
        assert "ab␣<b>&amp;↵" in shown.replace("\n", "") and "␣ is a blank" in page.inner_text(
            "#read-caption"
        )
        page.click("#read [data-step='9']")
        assert step(page)[0] == 9 and page.locator("#read .here").inner_text() == "m"
        assert page.locator("#read .unread").count() == min(60, step(page)[1] - 9)
        press(page, "End")
        for card in page.locator("#answers [data-kind='past']").all():
            pairs = [tuple(pair.split("\n")) for pair in card.locator(".symbols > span").all_inner_texts()]
            wrong = sum(truth != said for truth, said in pairs)
            assert len(pairs) > 40 and card.locator("mark").count() == wrong
            assert f"{100 * (1 - wrong / len(pairs)):.0f} % right" in card.inner_text()


def test_text_that_is_not_one_behind_the_other_is_not_joined(browser: Any, texts: Path) -> None:
    with opened(browser, texts) as page:
        box = page.locator("#answers [data-kind='past'] .symbols").first
        whole = box.inner_text()
        assert "…" not in whole
        page.evaluate("""() => {
            const row = rowData(0), answer = row.answers.find(({ past }) => past).past, from = answer.offset.at(-1);
            for (const unasked of [0, 1, 7, 8, 9, 20]) answer.values[from + unasked] = 65535;
            redraw();
        }""")
        settle(page)
        assert box.inner_text().count("…") == 2, (
            "nothing stands before the first, and three in a row are one gap"
        )
        assert box.locator("> span").nth(5).inner_text() == "…", "in its place"


def test_a_name_that_is_markup_is_text_and_the_page_may_not_ask_the_network(
    browser: Any, lines: Path
) -> None:
    with opened(browser, lines) as page:
        assert EVIL in page.inner_text("#classes") and EVIL in page.inner_text("#row")
        assert page.locator("img").count() == 0
    context = browser.new_context()
    page = context.new_page()
    page.goto(lines.as_uri())
    refused = """attempt => new Promise(done => {
        addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
        if (attempt === "fetch") fetch("https://example.org/").catch(() => {});
        else if (attempt === "img") document.body.append(Object.assign(new Image(), {src: "https://example.org/x.png"}));
        else { const made = document.createElement("script"); made.text = "window.ran = true"; document.body.append(made); }
    })"""
    for attempt, directive in (("fetch", "connect-src"), ("img", "img-src"), ("script", "script-src-elem")):
        assert page.evaluate(refused, attempt) == directive
    assert page.evaluate("window.ran") is None
    context.close()


def test_it_fits_a_phone_and_reads_in_light_and_dark(
    browser: Any, pictures: Path, lines: Path, texts: Path
) -> None:
    for file in (pictures, lines, texts):
        for scheme in ("light", "dark"):
            with opened(browser, file, width=380, has_touch=True, color_scheme=scheme) as page:
                assert page.evaluate("document.documentElement.scrollWidth") <= 380
                press(page, "Home")
                unread = [".unread"] if file is texts else []
                for selector in ("body", ".soft", "th", "svg text", "kbd", *unread):
                    assert contrast(page, selector) >= 4.5, (scheme, selector)
                press(page, "End")
                page.tap("#next")
                settle(page)
                assert row(page) == 1
                page.locator("#says").scroll_into_view_if_needed()
                box = page.locator("#says svg").bounding_box()
                page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                now, total = step(page)
                assert 0.4 * total < now < 0.65 * total
    with opened(browser, lines, color_scheme="dark") as page:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 25, 34)"


def contrast(page: Any, selector: str) -> float:
    """Of text, as pale as it and what it lies in make it, with what lies behind it, as WCAG defines it."""
    ink, ground, opacity = page.evaluate(
        """selector => {
          const at = document.querySelector(selector), style = getComputedStyle(at);
          let behind = at, opacity = 1;
          while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)" && behind.parentElement) behind = behind.parentElement;
          for (let each = at; each; each = each.parentElement) opacity *= getComputedStyle(each).opacity;
          return [at instanceof SVGElement ? style.fill : style.color, getComputedStyle(behind).backgroundColor, opacity];
        }""",
        selector,
    )

    def parts(colour: str) -> np.ndarray:
        return np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255

    def luminance(parts: np.ndarray) -> float:
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    seen = opacity * parts(ink) + (1 - opacity) * parts(ground)
    light, dark = sorted((luminance(seen), luminance(parts(ground))), reverse=True)
    return (light + 0.05) / (dark + 0.05)
