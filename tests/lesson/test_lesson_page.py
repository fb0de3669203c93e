"""The page in a real browser: steps, changed numbers, and its numbers those of lesson/small_network.py."""

import json
import re

import pytest

from classlab.errors import UserError
from classlab.lesson import quantities, small_network, walk_page


@pytest.fixture
def opened(browser, tmp_path):
    """Write a page and open it; fails at the end on any script error or network request."""
    faults = []
    contexts = []

    def open_page(net, rates=(2.0, 0.5), epochs=8, width=1000, scheme="light"):
        walk_page.write(net, rates, epochs, tmp_path / "lesson.html")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        view = context.new_page()
        view.on("pageerror", lambda error: faults.append(str(error)))
        view.on("console", lambda message: faults.append(message.text))
        view.on("request", lambda request: faults.append(request.url) if "lesson.html" not in request.url else None)
        view.goto((tmp_path / "lesson.html").as_uri())
        return view

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def outline(view):
    """Return every step's result by name, as the page has it in full precision."""
    values = view.eval_on_selector_all(
        "#outline button", "buttons => buttons.map(one => [one.textContent.split(' = ')[0], one.dataset.value])"
    )
    return {name: float(value) for name, value in values}


def expected(net, rate, epoch):
    rows = [quantities.values(row) for row in small_network.descend(net, rate, epoch + 1)]
    return rows[epoch - 1] | {f"{name}, new": rows[epoch][name] for name in rows[epoch] if re.match(r"[wb]\d", name)}


def assert_equal(view, net, rate, epoch):
    wanted = expected(net, rate, epoch)
    for name, value in outline(view).items():
        if " by path " not in name:
            assert value == pytest.approx(wanted[name], rel=1e-12, abs=1e-14), name


@pytest.mark.browser
def test_steps_forward_and_back_by_button_and_key(opened):
    net = small_network.build()
    view = opened(net)
    assert view.locator("#title").inner_text() == "The sum at h1"
    assert float(view.locator("#result").get_attribute("data-value")) == pytest.approx(0.0275)
    view.locator("#next").click()
    assert view.locator("#title").inner_text() == "The activation a_h1"
    assert view.locator("#formula math").count() == 2
    view.keyboard.press("ArrowRight")
    view.keyboard.press("ArrowLeft")
    view.locator("#back").click()
    assert view.locator("#title").inner_text() == "The sum at h1"
    assert view.locator("#back").is_disabled()
    view.keyboard.press("End")
    assert view.locator("#title").inner_text() == "Update w8"
    view.keyboard.press("ArrowRight")
    assert view.locator("#epoch").input_value() == "2"
    assert_equal(view, net, 2.0, 2)
    assert "Epoch 2, step 1: The sum at h1" in view.locator("#live").inner_text()


@pytest.mark.browser
def test_every_path_is_lit_and_the_sum_lights_them_all(opened):
    view = opened(small_network.build())
    view.locator("#outline button", has_text="∂E/∂w1 by path 2").click()
    assert view.locator("#title").inner_text() == "Path 2 of 2 to w1"
    assert view.locator("svg .edge.lit").count() == 3  # w1, w7 and from o2 to E2
    assert view.locator("#links math").count() == 5
    view.locator("#next").click()
    assert view.locator("svg .edge.lit").count() == 5


@pytest.mark.browser
def test_changed_numbers_change_everything(opened):
    view = opened(small_network.build())
    view.locator("input[name=w5]").fill("0.9")
    weights = [0.15, 0.20, 0.25, 0.30, 0.9, 0.45, 0.50, 0.55]
    assert_equal(view, small_network.build(weights=weights), 2.0, 1)
    view.locator("input[name=η]").fill("3")
    view.locator("input[name=t1]").fill("0.1")
    view.locator("#epoch").fill("5")
    view.locator("#epoch").press("Enter")
    changed = small_network.build(weights=weights, targets=[[0.1, 0.5]])
    assert_equal(view, changed, 3.0, 5)
    assert view.locator("#rates button").count() == 3
    errors = view.eval_on_selector_all(
        "#table tr:nth-child(5) td", "cells => cells.map(one => Number(one.dataset.value))"
    )
    wanted = [small_network.descend(changed, rate, 5)[-1].forward.total for rate in (2.0, 0.5, 3.0)]
    assert errors == pytest.approx(wanted, rel=1e-12)
    view.locator("input[name=w1]").fill("")
    assert view.locator("#problem").inner_text() == "w1 must be a number."
    assert view.locator("input[name=w1]").get_attribute("aria-invalid") == "true"
    view.locator("#reset").click()
    assert view.locator("#problem").inner_text() == ""
    assert_equal(view, small_network.build(), 2.0, 5)


@pytest.mark.browser
@pytest.mark.parametrize(
    "options",
    [
        {"hidden": "tanh", "biases": True, "loss": "cross_entropy"},
        {"hidden": "relu", "output": "softmax", "loss": "cross_entropy", "targets": [[1.0, 0.0]]},
        {"output": "softmax", "sizes": (2, 3, 2)},
        {"sizes": (3, 2, 2, 1)},
        {"inputs": [[0.05, 0.1], [0.9, -0.4]], "targets": [[0.5, 0.5], [0.1, 0.9]]},
    ],
    ids=["tanh", "relu-softmax", "softmax-squared", "deep", "two-examples"],
)
def test_every_option_has_the_networks_numbers(opened, options):
    net = small_network.build(**options)
    view = opened(net)
    view.locator("#epoch").fill("3")
    view.locator("#epoch").press("Enter")
    assert_equal(view, net, 2.0, 3)


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 800, 1400])
def test_it_fits_every_width_in_light_and_dark(opened, width):
    papers = set()
    for scheme in ("light", "dark"):
        view = opened(small_network.build(), width=width, scheme=scheme)
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        small = view.eval_on_selector_all(
            "svg text", "texts => texts.map(one => one.getBoundingClientRect().height).filter(height => height < 9)"
        )
        assert small == []
        papers.add(view.evaluate("getComputedStyle(document.body).backgroundColor"))
        view.locator("#log").check()
    assert len(papers) == 2


@pytest.mark.browser
@pytest.mark.parametrize("width", [1024, 1280])
def test_the_panel_lies_over_nothing_wherever_the_page_is_scrolled(opened, width):
    view = opened(small_network.build(), width=width)
    over = view.evaluate("""() => {
        const panel = document.querySelector(".panel"), found = [];
        for (let top = 0; top < document.documentElement.scrollHeight; top += 50) {
            window.scrollTo(0, top);
            const a = panel.getBoundingClientRect();
            for (const other of document.querySelectorAll("section:not(.panel)")) {
                const b = other.getBoundingClientRect();
                const sides = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                if (sides > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) found.push(other.className);
            }
        }
        return found;
    }""")
    assert over == []


@pytest.mark.browser
def test_every_control_has_a_name_for_a_screen_reader(opened):
    view = opened(small_network.build())
    unnamed = view.eval_on_selector_all(
        "input, button", "all => all.filter(one => !one.textContent.trim() && !one.labels?.length).length"
    )
    assert unnamed == 0
    assert view.locator("#drawing svg").get_attribute("aria-label").startswith("The network 2-2-2.")


def test_the_file_stands_by_itself(tmp_path):
    text = walk_page.html(small_network.build(), (2.0,), 3)
    assert not re.search(r"""(src|href)=["'](?!#)""", text)
    assert "default-src 'none'" in text
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])
    assert data["given"]["w8"] == 0.55
    with pytest.raises(UserError, match="takes 1135 steps an epoch; a page can be walked with up to 400"):
        walk_page.html(small_network.build(sizes=(12, 8, 4, 2)), (1.0,), 3)
    with pytest.raises(UserError, match="a page computes up to 20,000 rows; 30,000 asked for"):
        walk_page.html(small_network.build(), (1.0, 2.0, 3.0), 10_000)
