"""Each view in a real browser: opened, used, in every window and scheme, by keyboard, and judged by axe."""

import json
import math
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from classlab.runs import store
from classlab.ui.listing import key_of
from tests.ui.conftest import served
from tests.ui.test_streams import Growing

pytestmark = pytest.mark.browser
PATIENT = 150_000  # milliseconds: the child process loads torch first
SEVEN = [(90, 80), (250, 80), (220, 140), (180, 200), (150, 290)]


@contextmanager
def tab_of(browser, page, path="/", **options):
    """Open a view as its reader does, by the printed address; yields the tab and what it complained of."""
    options = {"viewport": {"width": 1000, "height": 900}, **options}
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENT)
    tab, complaints = context.new_page(), []
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url) if _leaves(page, request.url) else None)
    tab.goto(f"{page.address}/?token={page.token}")
    if path != "/":
        tab.goto(page.address + path)
    yield tab, complaints
    context.close()


def until(tab, expression):
    """Wait for an expression to hold; Playwright's own way evaluates text, which the page's policy forbids."""
    end = time.monotonic() + PATIENT / 1000
    while not tab.evaluate(expression):
        assert time.monotonic() < end, expression
        tab.wait_for_timeout(50)


def _leaves(page, url):
    return not url.startswith((page.address, "data:", "blob:"))


@pytest.fixture(scope="module")
def keys(folders, run, study):
    runs = sorted(path.parent for path in (folders / "runs").rglob("summary.json"))
    diverged = next(path for path in runs if json.loads((path / "summary.json").read_text())["status"] != "finished")
    finished = [path for path in runs if path != diverged]
    return {
        "run": key_of(finished[0]), "other": key_of(finished[1]), "diverged": key_of(diverged), "study": key_of(study),
    }  # fmt: skip


# Every view: where it is, and what stands there once it is whole.
VIEWS = {
    "runs": ("/", "tr.group .setting"),
    "run": ("/run/{run}", "#sections .pictures img >> nth=0"),
    "diverged": ("/run/{diverged}", "#sections section >> nth=0"),
    "compare": ("/compare?run={run}&run={other}&run={diverged}", "#charts .vega-embed svg"),
    "studies": ("/studies", "tbody a"),
    "study": ("/study/{study}", "#charts .vega-embed svg"),
    "draw": ("/draw", "#run option >> nth=0"),
    "inside": ("/inside?run={run}", "#images button >> nth=0"),
    "data": ("/data", "#augmented img >> nth=0"),
    "lesson": ("/lesson", "#drawing svg"),
    "start": ("/start", ".setting-row >> nth=0"),
    "report": ("/report/run/{run}", ".vega-embed svg >> nth=0"),
}


@pytest.fixture(scope="module", params=VIEWS)
def view(request, browser, page, keys):
    """A view that is whole, in one tab for all that is asked of it."""
    path, whole = VIEWS[request.param]
    with tab_of(browser, page, path.format(**keys)) as (tab, complaints):
        tab.wait_for_selector(whole, state="attached")
        until(tab, "[...document.querySelectorAll('.chart')].every(chart => chart.querySelector('svg'))")
        tab.wait_for_timeout(500)
        yield request.param, tab, complaints


def test_it_fits_every_window_in_both_schemes(view):
    _, tab, _ = view
    for width in (400, 800, 1400):
        for scheme in ("light", "dark"):
            tab.set_viewport_size({"width": width, "height": 900})
            tab.emulate_media(color_scheme=scheme)
            tab.wait_for_timeout(150)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, (width, scheme)
            ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 27, 34)"}[scheme]


def test_axe_finds_nothing_serious(view):
    from axe_playwright_python.sync_playwright import Axe

    name, tab, _ = view
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        # axe is put into the page from outside, where the page's own policy has no say.
        found = Axe().run(tab).response["violations"]
        serious = [
            (rule["id"], [node["html"][:120] for node in rule["nodes"]][:3])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == [], (name, scheme)


def test_nothing_leaves_the_machine_and_no_script_fails(view):
    _, _, complaints = view
    assert complaints == []


def test_no_text_of_a_folder_becomes_markup(browser, run, tmp_path):
    growing = Growing(run, tmp_path, "s0-11111111")
    summary = json.loads((run / store.SUMMARY).read_text())
    growing.grow(2)
    evil = "<img src=x onerror=alert(1)>"
    store.write_json(growing.path / store.SUMMARY, {**summary, "experiment": evil, "status_sentence": evil})
    with served([tmp_path]) as page, tab_of(browser, page) as (tab, complaints):
        tab.wait_for_selector("tr.group")
        assert evil in tab.inner_text("tr.group") and tab.locator("tr.group img").count() == 0
        tab.goto(f"{page.address}/run/{growing.key}")
        until(tab, "document.querySelector('#sentence').textContent.includes('onerror')")
        assert tab.locator("#verdict img, header img").count() == 0 and complaints == []


# Used.


def test_a_run_grows_in_the_page_and_its_end_is_said(browser, run, tmp_path):
    growing = Growing(run, tmp_path / "runs")
    growing.grow(1)
    with served([tmp_path / "runs"]) as page, tab_of(browser, page, f"/run/{growing.key}") as (tab, complaints):
        tab.wait_for_selector("#charts .vega-embed svg")
        assert tab.locator("#epochs tbody tr").count() == 1
        for epoch in (2, 3):
            growing.grow(epoch)
            until(tab, f"document.querySelectorAll('#epochs tbody tr').length == {epoch}")
        until(tab, "document.querySelector('#charts .chart').getAttribute('aria-label').includes('at epoch 3')")
        assert "running: 3 of 3 epochs" in tab.inner_text("#sentence").lower()
        growing.end()
        until(tab, "document.querySelector('#word').textContent == 'Contract kept'")
        until(tab, "document.querySelector('#said').textContent.startsWith('Finished')")
        assert complaints == []


def test_a_run_that_diverges_and_a_folder_that_goes_are_said(browser, run, tmp_path):
    import shutil

    growing = Growing(run, tmp_path / "runs")
    growing.grow(2)
    with served([tmp_path / "runs"]) as page, tab_of(browser, page, f"/run/{growing.key}") as (tab, _):
        until(tab, "document.querySelectorAll('#epochs tbody tr').length == 2")
        growing.grow(3, train_loss=math.nan)
        growing.end(status="diverged", status_sentence="diverged: the loss was not finite in epoch 3")
        until(tab, "document.querySelector('#word').textContent == 'Diverged'")
        assert "not finite" in tab.inner_text("#epochs tbody tr >> nth=0")
        (growing.path / store.SUMMARY).write_text('{"status":')
        until(tab, "document.querySelector('#problem').textContent.includes('summary.json')")
        shutil.rmtree(growing.path)
        until(tab, "document.querySelector('#problem').textContent.includes('is gone')")


def test_a_server_that_is_killed_and_started_again_is_met_again(browser, run, tmp_path):
    growing = Growing(run, tmp_path / "runs")
    growing.grow(1)
    with served([tmp_path / "runs"]) as first:
        port = first.port
        opened = tab_of(browser, first, f"/run/{growing.key}")
        tab, _ = opened.__enter__()
        until(tab, "document.querySelectorAll('#epochs tbody tr').length == 1")
    tab.wait_for_selector("body.lost")
    growing.grow(3)
    with served([tmp_path / "runs"], port=port):
        tab.wait_for_selector("body:not(.lost)")
        until(tab, "document.querySelectorAll('#epochs tbody tr').length == 3")
        epochs = tab.evaluate("[...document.querySelectorAll('#epochs tbody th')].map(cell => cell.textContent)")
        assert epochs == ["3", "2", "1"]
        opened.__exit__(None, None, None)


def test_runs_are_filtered_sorted_and_chosen_by_keyboard_alone(browser, page):
    with tab_of(browser, page) as (tab, complaints):
        tab.wait_for_selector("tr.group .setting")
        groups = tab.locator("tr.group")
        assert groups.count() == 4 and "kept by 2 of 2" in tab.inner_text("#list")
        tab.keyboard.press("/")
        tab.keyboard.type("diverged")
        until(tab, "document.querySelectorAll('tr.group').length == 1")
        tab.keyboard.press("Control+a")
        tab.keyboard.press("Delete")
        until(tab, "document.querySelectorAll('tr.group').length == 4")
        tab.keyboard.type("rates/")
        until(tab, "document.querySelectorAll('tr.group').length == 2")
        tab.keyboard.press("Escape")
        tab.keyboard.press("j")
        tab.keyboard.press("x")
        tab.keyboard.press("j")
        tab.keyboard.press("x")
        until(tab, "document.querySelectorAll('tr.group input:checked').length == 2")
        assert not tab.is_disabled("#compare")
        tab.keyboard.press("c")
        tab.wait_for_url("**/compare?run=*")
        tab.wait_for_selector("#answer .verdict")
        assert complaints == []


def test_a_group_opens_its_seeds(browser, page):
    with tab_of(browser, page) as (tab, _):
        button = tab.locator("tr.group.several button[aria-expanded]").first
        button.click()
        tab.wait_for_selector("tr.seed a")
        assert tab.locator("tr.seed").count() == 2


def test_a_seven_is_drawn_and_answered(browser, page, keys):
    with tab_of(browser, page, f"/draw?run={keys['run']}") as (tab, complaints):
        tab.wait_for_selector("#run option", state="attached")
        box = tab.locator("#paper").bounding_box()
        points = [(box["x"] + x * box["width"] / 336, box["y"] + y * box["width"] / 336) for x, y in SEVEN]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]:
            tab.mouse.move(*point, steps=4)
        tab.mouse.up()
        tab.wait_for_selector("#bars li")
        tab.wait_for_selector(".answer[aria-busy=false]")
        assert tab.locator("#bars li").count() == 3 and tab.inner_text("#word") in "0123456789"
        assert "8 × 8" in tab.inner_text("#seen figcaption")
        tab.click("#look")
        tab.wait_for_selector(".layer")
        assert tab.locator("#answer .answer-word").inner_text() in "0123456789" and complaints == []


def test_the_keyboard_draws(browser, page, keys):
    with tab_of(browser, page, f"/draw?run={keys['run']}") as (tab, _):
        tab.wait_for_selector("#run option", state="attached")
        tab.focus("#paper")
        tab.keyboard.press("Shift+ArrowUp")
        tab.keyboard.press("Shift+ArrowUp")
        tab.keyboard.press("Space")
        for _ in range(5):
            tab.keyboard.press("Shift+ArrowDown")
        tab.keyboard.press("Space")
        tab.wait_for_selector("#bars li")
        tab.keyboard.press("Delete")
        until(tab, "document.querySelector('#sentence').textContent == 'Draw something.'")


def test_a_mistake_is_seen_from_inside(browser, page, keys):
    with tab_of(browser, page, f"/inside?run={keys['run']}") as (tab, _):
        tab.click("#images button >> nth=0")
        tab.wait_for_selector(".layer")
        assert tab.locator(".layer").count() >= 2 and "linear" in tab.inner_text("#layers").lower()
        tab.wait_for_selector("#checks strong", timeout=60_000)
        assert "this network has no convolution" in tab.inner_text("#evidence-maps")
        assert tab.locator(".evidence img").count() == 4  # occlusion and integrated gradients, for two classes
        assert "rank correlation" in tab.inner_text("#checks") and "Amber" in tab.inner_text("#key")
        tab.select_option("#kind", "all")
        until(tab, "document.querySelectorAll('#images button').length == 24")


def test_a_slider_changes_the_images(browser, page):
    with tab_of(browser, page, "/data") as (tab, _):
        tab.wait_for_selector("#augmented img")
        before = tab.get_attribute("#augmented img >> nth=3", "src")
        tab.locator("#sliders input[type=range]").first.fill("45")
        until(tab, "document.querySelector('#stated').textContent.includes('degrees: 45')")
        assert tab.get_attribute("#augmented img >> nth=3", "src") != before


def test_the_command_is_built_and_a_wrong_value_is_answered(browser, page):
    with tab_of(browser, page, "/start") as (tab, _):
        until(tab, "document.querySelector('#command').textContent == 'classlab run digits-quick --seed 0'")
        tab.fill("[id='set-training.epochs']", "3")
        until(tab, "document.querySelector('#command').textContent.endsWith('--set training.epochs=3')")
        tab.fill("[id='set-training.epochs']", "0")
        until(tab, "document.querySelector('#problem').textContent.includes('must be at least 1; got 0')")
        assert tab.inner_text("#command") == "" and tab.is_disabled("#copy")


def test_a_curve_is_heard(browser, page, keys):
    with tab_of(browser, page, f"/run/{keys['run']}") as (tab, complaints):
        tab.wait_for_selector("#charts .vega-embed svg")
        tab.evaluate(
            "() => { window.tones = []; const set = AudioParam.prototype.setTargetAtTime;"
            "AudioParam.prototype.setTargetAtTime = function (...given) {"
            " tones.push(given[0]); return set.apply(this, given); }; }"
        )
        button = tab.get_by_role("button", name="Hear validation, accuracy, as a tone")
        button.click()
        pitches = [tone for tone in tab.evaluate("tones") if tone > 1]
        assert len(pitches) == 3 and min(pitches) >= 219 and max(pitches) <= 881 and complaints == []


def test_the_report_can_be_kept(browser, page, keys, tmp_path):
    status, headers, content = page.ask(f"/report/run/{keys['run']}/file", timeout=PATIENT / 1000)
    assert status == 200 and headers["content-disposition"].startswith("attachment; filename=")
    assert content.startswith(b"<!doctype html>") and b"vegaEmbed" in content


def test_a_study_that_is_not_complete_says_that_it_is_too_early(page, folders, tmp_path):
    import shutil

    copy = tmp_path / "studies" / "rates"
    shutil.copytree(folders / "studies" / "rates", copy)
    for run in sorted(copy.rglob("summary.json"))[-1:]:
        run.unlink()
    with served([tmp_path / "studies"]) as opened:
        status, answer = opened.json(f"/api/study/{key_of(copy)}/answer")
        assert status == 200 and answer["sentence"].startswith("Too early to tell: 1 of 2 seeds: ")
        assert not answer["whole"]
        _, board = opened.json(f"/api/study/{key_of(copy)}")
        assert len(board["runs"]) == 4


def test_the_pictures_of_the_chapter_are_there():
    chapter = Path(__file__).parents[2] / "docs" / "ui.md"
    import re

    for name in re.findall(r"\]\((ui/[\w-]+\.png)\)", chapter.read_text()):
        assert (chapter.parent / name).is_file(), name


def test_the_page_is_quick_to_answer(page):
    started = time.monotonic()
    assert page.json("/api/runs")[0] == 200
    assert time.monotonic() - started < 30
