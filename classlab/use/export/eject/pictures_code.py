"""The notebook cells that draw: augmented images, curves, confusions, the most confident mistakes."""

from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import code

_DRAWING = '''
    import matplotlib.pyplot as plt

    def pictures(images, titles, columns=10):
        """Draw images, 0 … 1, side by side."""
        rows = -(-len(images) // columns)
        figure, places = plt.subplots(rows, columns, figsize=(columns, 1.25 * rows), squeeze=False)
        for place in places.flat:
            place.axis("off")
        for place, image, title in zip(places.flat, images.cpu().clamp(0, 1), titles):
            place.imshow(image.permute(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            place.set_title(title, fontsize=8)
        figure.tight_layout()
        plt.show()
'''
SAMPLES = """
    data = load(DATA)
    for name, (pixels, labels) in data.items():
        print(f"{name}: {len(labels):,} images of {' × '.join(map(str, pixels.shape[1:]))}")
    pixels, labels = data["train"]
    pictures($first, $titles)
"""
AUGMENTED = """
    changed = [augment($same, generator(SEED, epoch, "augment"))$first for epoch in (1, 2, 3)]
    pictures(torch.cat([pixels[:10]$scale, *changed]), ["as it is"] * 10 + ["changed"] * 30)
"""
COPIED = """
    places = torch.arange(10).repeat($times) + len(pixels) * torch.arange($times).repeat_interleave(10)
    pictures(copies(pixels, places)$first, [f"copy {number}" for number in range($times) for _ in range(10)])
"""
_CURVES = '''
    def curves(rows):
        """Draw what was measured after each epoch."""
        kinds = [kind for kind in ("loss", "accuracy") if any(kind in name for name in rows[0])]
        figure, places = plt.subplots(1, len(kinds), figsize=(5 * len(kinds), 3), squeeze=False)
        for place, kind in zip(places.flat, kinds):
            for name in rows[0]:
                if name.endswith(kind):
                    place.plot([row["epoch"] for row in rows], [row[name] for row in rows], ".-", label=name)
            place.set_xlabel("epoch")
            place.xaxis.get_major_locator().set_params(integer=True)
            place.set_ylabel(kind)
            place.legend()
        figure.tight_layout()
        plt.show()

    curves(rows)
'''
MEASURED = """
    pixels, labels = data["test"]
    loss, accuracy = evaluate(net, pixels, labels)
    n, z = len(labels), 1.96  # Wilson's interval, which holds near 100 % too
    middle = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + (z / (2 * n)) ** 2)
    print(f"test accuracy {100 * accuracy:.2f} % of {n:,} images, test loss {loss:.4f}")
    print(f"95 % interval {100 * (middle - half):.2f} to {100 * (middle + half):.2f} %")
"""
CONFUSED = """
    said = answers(net, pixels).argmax(1)
    confused = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    for true, other in zip(labels.tolist(), said.tolist()):
        confused[true, other] += 1
    size = min(3 + 0.4 * len(CLASSES), 12)
    figure, place = plt.subplots(figsize=(size, size))
    place.imshow(confused.float().log1p(), cmap="Blues")
    for true in range(len(CLASSES)):
        for other in range(len(CLASSES)):
            number = confused[true, other].item()
            dark = confused[true, other].float().log1p() > confused.float().log1p().max() / 2
            if number:
                place.text(other, true, number, ha="center", va="center", fontsize=8,
                           color="white" if dark else "black")
    place.set_xticks(range(len(CLASSES)), CLASSES, rotation=90)
    place.set_yticks(range(len(CLASSES)), CLASSES)
    place.set_xlabel("what the network says")
    place.set_ylabel("what it is")
    plt.show()
"""
MISTAKES = """
    sure = (answers(net, pixels) / TEMPERATURE).softmax(1).max(1).values
    wrong = (said != labels).nonzero()[:, 0]
    wrong = wrong[sure[wrong].argsort(descending=True)][:20]
    titles = [f"{CLASSES[labels[i]]} as {CLASSES[said[i]]}\\n{100 * sure[i]:.0f} % sure" for i in wrong]
    print(f"{(said != labels).sum():,} of {len(labels):,} test images are misclassified; the most confident mistakes:")
    if len(wrong):
        pictures(pixels[wrong]$scale, titles)
"""
REDRAWN = """
    pixels, labels = data["test"]
    print(f"test loss {evaluate(net, pixels, labels):.4f}")
    drawn = answers(net, pixels[:20]) * STD + MEAN
    pictures(torch.cat([pixels[:10]$scale, drawn[:10]]), ["given"] * 10 + ["reconstructed"] * 10)
"""


DRAWING, CURVES = code(_DRAWING), code(_CURVES)


def samples(leaving: Leaving) -> str:
    """Return the cell that reads the images and shows some."""
    titles = '[""] * 10' if leaving.reconstructs else "[CLASSES[label] for label in labels[:10]]"
    return code(SAMPLES, first=f"pixels[:10]{_scale(leaving)}", titles=titles)


def changed(leaving: Leaving) -> str:
    """Return the cell that shows how training images are changed, "" where nothing changes them."""
    plan, clean, scale = leaving.experiment.data, leaving.wants_clean, _scale(leaving)
    first = "[0]" if clean else ""
    if plan.expansion:
        return code(COPIED, times=plan.copies, first=first)
    if not plan.augmentations:
        return ""
    same = f"pixels[:10]{scale}" + (f", pixels[:10]{scale}" if clean else "")
    return code(AUGMENTED, same=same, first=first, scale=scale)


def results(leaving: Leaving) -> list[tuple[str, str]]:
    """Return (what is said, cell) of what the network does with the test images."""
    if leaving.reconstructs:
        return [("Above what the network is given, below what it draws.", code(REDRAWN, scale=_scale(leaving)))]
    return [
        (
            "The test images are met here for the first time. Another sample of as many images would give another "
            "figure: the interval says within which bounds the accuracy on all such images may well lie.",
            code(MEASURED),
        ),
        ("A row is a class, a column what the network says; what is off the diagonal is wrong.", code(CONFUSED)),
        (
            "The most confident mistakes. Probabilities are calibrated by the temperature. Would you have known?",
            code(MISTAKES, scale=_scale(leaving)),
        ),
    ]


def _scale(leaving: Leaving) -> str:
    return ".float() / 255" if leaving.in_bytes else ""
