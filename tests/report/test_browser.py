"""The page as readers see it: in a browser, narrow and wide, light and dark, on paper, without scripts."""

import pytest

from classlab.report import document

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    return document.write(quick, out=out, author="Ada Lovelace " + "x" * 90, roll="052", course="Deep Learning")


def opened(browser, report, **options):
    """Open the page; everything it says to the console or asks of a network is kept in the list returned with it."""
    page, complaints = browser.new_context(**options).new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if _leaves(request.url) else None)
    page.goto(report.as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_function("document.querySelectorAll('.chart.vega-embed svg').length == 4")
    return page, complaints


def _leaves(url):
    return not url.startswith(("file:", "data:"))


def contrast(page, selector):
    """Return the contrast of an element's text against the page, as WCAG 2 reckons it."""
    colours = page.evaluate(
        """selector => [getComputedStyle(document.querySelector(selector)).color,
                        getComputedStyle(document.body).backgroundColor]""",
        selector,
    )
    lights = []
    for colour in colours:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1400])
def test_the_page_fits_every_window_in_both_schemes(browser, report, width, scheme):
    page, complaints = opened(browser, report, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length"
        )
        == 0
    )
    for selector in ("p", ".caption", "nav a", "td", ".verdict .word"):
        assert contrast(page, selector) >= 4.5, selector
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 27, 34)"}[scheme]
    assert complaints == []
    page.context.close()


def test_charts_follow_the_scheme_and_answer_the_pointer(browser, report):
    page, complaints = opened(browser, report, viewport={"width": 1000, "height": 900}, color_scheme="light")
    stroke = "getComputedStyle(document.querySelector('#figure-loss .mark-line path')).stroke"
    light = page.evaluate(stroke)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(stroke) != light
    page.locator("#figure-loss .chart svg").hover(position={"x": 200, "y": 150})
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "validation" in tooltip.inner_text()
    assert complaints == []
    page.context.close()


def test_still_charts_stand_where_scripts_do_not_run(browser, report):
    page, _ = opened(browser, report, java_script_enabled=False)
    assert page.locator(".chart svg").count() == 4
    assert "validation" in page.locator("#figure-loss .chart svg").text_content()
    page.context.close()


def test_on_paper_the_page_is_light_and_without_its_list_of_sections(browser, report):
    page, _ = opened(browser, report, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.context.close()


@pytest.fixture(scope="module")
def study_page(tmp_path_factory):
    import classlab as cl

    out = tmp_path_factory.mktemp("study")
    one = {
        "name": "a-variant-with-quite-a-long-name",
        "data": {"dataset": "digits", "val_size": 100},
        "model": "perceptron",
        "training": {"epochs": 2, "batch_size": 200, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    }
    rates = {"training.optimizer.learning_rate": [0.1, 0.05, 1e30]}
    result = cl.study({"name": "s", "experiment": one, "sweep": {"grid": rates}, "seeds": 2}, out=out, jobs=1)
    return document.write(result, out=out / "report.html")


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_the_page_of_a_study_fits_every_window(browser, study_page, width):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if _leaves(request.url) else None)
    page.goto(study_page.as_uri())
    page.wait_for_function("document.querySelectorAll('.chart.vega-embed svg').length == 6")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wider = "[...document.querySelectorAll('.chart svg')].filter(svg => svg.getBoundingClientRect().right > innerWidth)"
    assert page.evaluate(f"{wider}.length") == 0
    assert complaints == []
    page.close()
