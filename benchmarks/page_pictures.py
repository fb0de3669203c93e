"""The pictures of docs/ui.md: a few runs and a study are trained, the page is opened, used and photographed.

python -m benchmarks.page_pictures            # some minutes; writes docs/ui/*.png
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lab_page import chromium, page
from classlab.ui.listing import key_of

OUT = Path(__file__).parent.parent / "docs" / "ui"
SEVEN = [(90, 80), (250, 80), (220, 140), (180, 200), (150, 290)]  # a stroke on a paper of 336 pixels
WIDTH, HEIGHT = 1100, 760


def classlab(*arguments: str) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-P", "-m", "classlab.cli.main", *arguments], check=True, capture_output=True)


def train(home: Path) -> None:
    """Train what is shown: MNIST, two settings with several seeds, one that diverges, and a small study."""
    runs = str(home / "runs")
    classlab("run", "mnist-20k", "--out", runs)
    for seed in range(3):
        classlab("run", "digits-quick", "--seed", str(seed), "--out", runs)
    for seed in range(2):
        rate = "training.optimizer.learning_rate=0.02"
        classlab("run", "digits-quick", "--seed", str(seed), "--set", rate, "--out", runs)
    subprocess.run(  # its contract is not kept, which is exit code 1
        [sys.executable, "-P", "-m", "classlab.cli.main", "run", "digits-quick", "--out", runs,
         "--set", "training.optimizer.learning_rate=50"], check=False, capture_output=True,
    )  # fmt: skip
    study = {
        "name": "which-rate", "question": "Does a smaller learning rate do as well on small digits?",
        "experiment": "digits-quick", "seeds": 4, "set": {"training.epochs": 6, "contract": {}},
        "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.03]}},
    }  # fmt: skip
    (home / "which-rate.yaml").write_text(json.dumps(study))
    classlab("study", str(home / "which-rate.yaml"), "--out", str(home / "studies"))


def draw_seven(tab: Any) -> None:
    """Draw a seven with the mouse."""
    tab.wait_for_selector("#run option", state="attached")
    box = tab.locator("#paper").bounding_box()
    scale = box["width"] / 336
    points = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in SEVEN]
    tab.mouse.move(*points[0])
    tab.mouse.down()
    for point in points[1:]:
        tab.mouse.move(*point, steps=8)
    tab.mouse.up()
    tab.wait_for_selector("#bars li", timeout=120_000)
    tab.wait_for_selector(".answer[aria-busy=false]", timeout=120_000)


def shoot(browser: Any, address: str, path: str, name: str, scheme: str, use: Any) -> None:
    """Open a view, use it, and keep its picture."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(address)
    if path:
        tab.goto(address.split("?")[0] + path)
    use(tab)
    tab.wait_for_timeout(800)
    tab.screenshot(path=OUT / f"{name}-{scheme}.png")
    context.close()


def main() -> None:
    """Make every picture."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="classlab-pictures-") as folder:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else folder).resolve()
        if not (home / "studies").exists():
            train(home)
        run, mnist = (
            key_of(min((home / "runs" / name).rglob("calibration.safetensors")).parent)
            for name in ("digits-quick", "mnist-20k")
        )
        study = key_of(home / "studies" / "which-rate")
        waits = {"timeout": 180_000}
        with page([home / "runs", home / "studies"]) as (address, _), chromium() as browser:
            shoot(
                browser, address, "", "runs", "light", lambda tab: tab.wait_for_selector("tr.group .setting", **waits)
            )
            charts = "#charts .vega-embed svg"
            shoot(browser, address, f"run/{run}", "run", "dark", lambda tab: tab.wait_for_selector(charts, **waits))
            shoot(
                browser, address, f"study/{study}", "study", "light", lambda tab: tab.wait_for_selector(charts, **waits)
            )
            shoot(browser, address, f"draw?run={mnist}", "draw", "light", draw_seven)

            def look(tab: Any) -> None:
                tab.wait_for_selector("#images button", **waits)
                tab.click("#images button >> nth=0")
                tab.wait_for_selector(".layer", **waits)

            shoot(browser, address, f"inside?run={mnist}", "inside", "light", look)


if __name__ == "__main__":
    main()
