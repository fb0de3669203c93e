"""The demo in Chromium, offline: test images against PyTorch, the time of a forward pass, drawings against predict.

    python -m benchmarks.demo_page RUN_FOLDER

Drawings are drawn with the mouse, and the very picture that stands on the paper is given to predict.
"""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from classlab.runs.finished import load
from classlab.use.export import demo
from classlab.use.export.carried import carried
from classlab.use.predict import predict

IMAGES, DRAWINGS, SIDE = 200, 60, 336
ASK = """(pixels) => {
  const times = [], answers = pixels.map((row) => {
    const image = Float32Array.from(row), begun = performance.now(), found = forward(network, image);
    times.push(performance.now() - begun);
    return probabilities(found[last].values, about.temperature);
  });
  return {times, answers};
}"""
PAPER = """() => {
  const paper = byId("paper"), points = paper.getContext("2d").getImageData(0, 0, paper.width, paper.width).data;
  const drawing = mapped(grid(paper.width, paper.width), (_, place) => points[4 * place]), begun = performance.now();
  const images = preparedDrawing(drawing, network.shape[1], about.by_mass), prepared = performance.now() - begun;
  const answer = answerOf(images, true);
  return {png: paper.toDataURL("image/png"), image: [...images[0]], name: byId("word").textContent, prepared,
          probability: answer.probability, unsure: answer.doubts.length > 0};
}"""


def main(folder: str) -> None:
    """Measure the demo of a run on MNIST and print what came of it as JSON."""
    from playwright.sync_api import sync_playwright

    from classlab.training.calibration import Calibration
    from classlab.use.calibrated import calibration_of

    exported = carried(load(folder))
    calibration: Calibration = calibration_of(exported.run, exported.network)
    expected = calibration.probabilities(exported.expected[:IMAGES])
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        file = demo.write(exported, Path(place))
        found: dict[str, Any] = {"bytes": file.stat().st_size, "parameters": exported.run.summary["parameters"]}
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for width in (390, 1200):
            tab = browser.new_context(viewport={"width": width, "height": 900}, offline=True).new_page()
            tab.goto(file.as_uri())
            given = tab.evaluate(ASK, exported.images[:IMAGES].reshape(IMAGES, -1).tolist())
            answers = np.array(given["answers"])
            found[f"at {width} px"] = {
                "same class": int((answers.argmax(1) == expected.argmax(1)).sum()),
                "largest difference of a probability": float(np.abs(answers - expected).max()),
                "p95 of a forward pass, ms": float(np.quantile(given["times"], 0.95)),
            }
        print(json.dumps(found, indent=2), flush=True)
        print(json.dumps(drawings(tab, exported.run), indent=2))
        browser.close()


def drawings(tab: Any, run: Any) -> dict[str, Any]:
    """Draw digits on the page's paper and compare what it says and sees with what predict does of the same picture."""
    from PIL import Image

    from tests.use import strokes

    rng, rows = np.random.default_rng(1), []
    box = tab.locator("#paper").bounding_box()
    scale = box["width"] / SIDE
    for number in range(DRAWINGS):
        high = rng.uniform(80, 270)
        middle = [rng.uniform(high / 2 + 14, SIDE - high / 2 - 14) for _ in range(2)]
        tab.click("#wipe")
        for line in strokes.drawn(number % 10, rng):
            points = (line * high + middle) * scale + [box["x"], box["y"]]
            tab.mouse.move(*points[0])
            tab.mouse.down()
            for point in points[1::3]:
                tab.mouse.move(*point)
            tab.mouse.up()
        tab.wait_for_timeout(400)
        page = tab.evaluate(PAPER)
        picture = Image.open(io.BytesIO(base64.b64decode(page["png"].partition(",")[2]))).convert("RGB")
        answer = predict(run, np.asarray(picture))[0]
        difference = np.abs(answer.seen[0] / 255 - np.array(page["image"]).reshape(answer.seen.shape[1:]))
        rows.append((difference.max(), difference.mean(), page["name"] == answer.name, page["unsure"] == answer.unsure,
                     abs(page["probability"] - answer.probability), page["prepared"]))  # fmt: skip
    table = np.array(rows, dtype=float)
    return {
        "count": len(rows), "largest difference of a pixel, 0…1": table[:, 0].max(),
        "median of each drawing's largest": float(np.median(table[:, 0])), "mean difference": table[:, 1].mean(),
        "same answer": int(table[:, 2].sum()), "same doubt": int(table[:, 3].sum()),
        "largest difference of the probability": table[:, 4].max(),
        "preparation, median ms": float(np.median(table[:, 5])),
    }  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
