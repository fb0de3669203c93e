"""`classlab data`: which datasets there are, fetching, checking and looking at them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from classlab.cli.options import Json, Set
from classlab.errors import Refused, UserError
from classlab.formats import megabytes

if TYPE_CHECKING:
    from classlab.experiment import Data

app = typer.Typer(name="data", help="Datasets: list, fetch, verify, show.", no_args_is_help=True, rich_markup_mode=None)

NAME = 100  # characters of a dataset's name in that of a file


@app.command("list")
def list_(json: Json = False) -> None:
    """List the datasets that classlab knows, and which of them are in the cache.

    Example: classlab data list
    """
    from classlab.cli.output import console, print_json

    facts = [_facts(name) for name in _published()]
    if json:
        print_json(facts)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("dataset", "image", "classes", "train", "test", "cached"):
        table.add_column(heading, justify="right" if heading in {"classes", "train", "test"} else "left")
    for fact in facts:
        sizes = fact["sizes"]
        image = " × ".join(map(str, fact["shape"]))
        cached = {True: "yes", False: "no", None: "not needed"}[fact["cached"]]
        counts = (f"{len(fact['class_names'])}", f"{sizes['train']:,}", f"{sizes['test']:,}")
        table.add_row(fact["name"], image, *counts, cached)
    console.print(table)
    console.print("\nfetched from, the next where one fails:")
    for fact in facts:
        console.print(f"  {fact['name']}: {', '.join(fact['sources'])}", soft_wrap=True, markup=False)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="datasets, as `classlab data list` names them")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every dataset")] = False,
    json: Json = False,
) -> None:
    """Fetch datasets into the cache; what is there already is only checked.

    Example: classlab data fetch mnist fashion-mnist
    """
    from classlab.cli.output import console, print_json

    results = []
    for name in _chosen(names, all_):
        dataset = _module(name).load()
        results.append({"name": name, "source": dataset.source, "digest": dataset.digest})
        if not json:
            counts = f"{len(dataset.images):,} + {len(dataset.test_images):,} images"
            console.print(f"{name}: {counts} from {dataset.source}", soft_wrap=True, markup=False)
    if json:
        print_json(results)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="datasets; all that are cached when none is given")] = None,
    json: Json = False,
) -> None:
    """Check cached datasets against their known SHA-256 and print it. Exit 1 where one is damaged or missing.

    Example: classlab data verify mnist
    """
    from classlab.cli.output import console, print_json
    from classlab.data import cache
    from classlab.data.bounded_files import BadFile

    results: list[dict[str, Any]] = []
    for name in _chosen(names, not names):
        module, path = _module(name), cache.stored(name)
        if path is None and module.read_folder is None:
            digest, problem = module.load().digest, None
        elif path is None:
            if not names:
                continue
            digest, problem = None, "not in the cache; `classlab data fetch` brings it"
        else:
            try:
                cache.read(path, module.DIGEST)
                digest, problem = module.DIGEST, None
            except BadFile as error:
                digest, problem = None, str(error)
        results.append({"name": name, "digest": digest, "ok": problem is None, "problem": problem})
        if not json:
            console.print(
                f"{name}: {f'damaged or missing: {problem}' if problem else f'ok {digest}'}",
                soft_wrap=True,
                markup=False,
            )
    if json:
        print_json(results)
    bad = [result["name"] for result in results if not result["ok"]]
    if bad:
        raise Refused(f"not as they should be: {', '.join(bad)}")


@app.command()
def where(json: Json = False) -> None:
    """Say which folders hold the cache, and what is in them. CLASSLAB_DATA names another one, which may be read-only.

    Example: classlab data where
    """
    from classlab.cli.output import console, print_json
    from classlab.data import cache

    places = [
        {
            "folder": str(folder),
            "writable": cache.writable(folder),
            "datasets": {path.stem: path.stat().st_size for path in cache.all_in(folder)},
        }
        for folder in cache.folders()
    ]
    if json:
        print_json(places)
        return
    if not places:
        console.print("nowhere: there is no home folder; CLASSLAB_DATA may name a folder", soft_wrap=True)
    for place in places:
        console.print(f"{place['folder']}{'' if place['writable'] else ' (read-only)'}", soft_wrap=True, markup=False)
        for name, size in place["datasets"].items():
            console.print(f"  {name}: {megabytes(size)}", soft_wrap=True, markup=False)


@app.command()
def remove(
    names: Annotated[list[str] | None, typer.Argument(help="datasets, as `classlab data list` names them")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every dataset")] = False,
    json: Json = False,
) -> None:
    """Delete datasets from the cache. Nothing else is touched, and they can be fetched again.

    Example: classlab data remove cifar10
    """
    from classlab.cli.output import console, print_json
    from classlab.data import cache

    removed = {name: [str(path) for path in cache.remove(name)] for name in _chosen(names, all_)}
    if json:
        print_json(removed)
        return
    for name, paths in removed.items():
        console.print(
            f"{name}: {f'removed {paths[0]}' if paths else 'was not in the cache'}", soft_wrap=True, markup=False
        )


Given = Annotated[
    str | None, typer.Argument(metavar="DATASET", help="a dataset, a folder of pictures, or an .npz file")
]
Like = Annotated[
    str | None,
    typer.Option(
        metavar="EXPERIMENT",
        help="with the data section of this experiment: classes, copies …; code that it names is run",
    ),
]


@app.command()
def show(
    dataset: Given = None,
    like: Like = None,
    set_: Set = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="a .png, .svg or .html file")] = None,
    per_class: Annotated[int, typer.Option(min=1, max=50, help="images of each class")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="what the augmentations draw")] = 0,
    json: Json = False,
) -> None:
    """Write a contact sheet: samples of each class, before and after what an experiment does to them.

    Example: classlab data show fashion-mnist --like fashion-cnn --out sheet.png
    """
    from pathlib import Path

    from classlab.cli.contact_sheet import ENDINGS, write
    from classlab.cli.output import console, print_json
    from classlab.data.loading import prepare

    plan = _plan(dataset, like, set_ or [])
    if out and Path(out).suffix.lower() not in ENDINGS:
        raise UserError(f"--out writes files that end in {', '.join(ENDINGS)}; got {out}")
    prepared = prepare(plan)
    file = Path(out or f"{prepared.name[:NAME].replace('/', '-')}-sheet.png")
    write(file, prepared, plan, per_class, seed)
    if json:
        print_json({"dataset": prepared.name, "file": str(file)})
    else:
        console.print(f"contact sheet: {file}", soft_wrap=True, markup=False)


@app.command()
def stats(dataset: Given = None, like: Like = None, set_: Set = None, json: Json = False) -> None:
    """Count the images of each class in each split; mean, standard deviation and SHA-256.

    Example: classlab data stats mnist --set data.val_size=12000
    """
    from classlab.cli.output import console, print_json
    from classlab.data.loading import prepare, statistics

    plan = _plan(dataset, like, set_ or [])
    facts = statistics(prepare(plan), plan)
    if json:
        print_json(facts)
        return
    from rich.table import Table
    from rich.text import Text

    splits = [name for name in ("train", "val", "test") if facts["sizes"][name]]
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in splits:
        table.add_column(name, justify="right")
    for row in facts["classes"]:
        table.add_row(Text(row["class"]), *(f"{row[name]:,}" for name in splits))
    table.add_row("together", *(f"{facts['sizes'][name]:,}" for name in splits), style="bold")
    console.print(table)
    if facts["copies"] > 1:
        expanded = f"{facts['sizes']['train']:,} × {facts['copies']} copies = {facts['expanded_train']:,}"
        console.print(f"training images with their copies: {expanded}")
    for name in ("mean", "std"):
        known = ", ".join(f"{value:.4f}" for value in facts[f"known_{name}"])
        measured = ", ".join(f"{value:.4f}" for value in facts[name])
        console.print(f"{name} of the training images: {measured} (known for the dataset: {known})")
    console.print(f"source: {facts['source']}", soft_wrap=True, markup=False)
    console.print(f"SHA-256: {facts['digest']}", soft_wrap=True, markup=False)


def _plan(dataset: str | None, like: str | None, overrides: list[str]) -> "Data":
    """Return the data section that is meant: an experiment's, or one with nothing but a dataset, or both."""
    from classlab import experiment, lookup

    if dataset is None and like is None:
        raise UserError(f"name a dataset, or an experiment with --like; datasets: {', '.join(lookup.names('dataset'))}")
    fields: dict[str, Any]
    if like is not None:
        fields = experiment.load(like, trust=True).model_dump(mode="json")
    else:
        training = {"epochs": 1, "batch_size": 1, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
        fields = {"name": "look", "data": {}, "model": "perceptron", "training": training}
    if dataset is not None:
        fields["data"]["dataset"] = _choice(dataset)
    return experiment.load(fields, overrides, trust=True).data


def _choice(given: str) -> dict[str, str]:
    """Return the dataset that a name, a folder of pictures or an .npz file means."""
    from classlab import lookup
    from classlab.data.bounded_files import at_home, is_folder

    if given in lookup.names("dataset") or ":" in given:
        return {"name": given}
    if given.endswith(".npz"):
        return {"name": "npz", "path": given}
    if is_folder(at_home(given)):
        return {"name": "folder", "path": given}
    return {"name": given}


def _published() -> list[str]:
    """Return the datasets that exist before anybody names a folder: those with a known digest."""
    from classlab import lookup

    return [name for name in lookup.names("dataset") if hasattr(_module(name), "DIGEST")]


def _chosen(names: list[str] | None, every: bool) -> list[str]:
    from classlab import lookup
    from classlab.errors import listing

    known = _published()
    if every:
        return known
    if not names:
        raise UserError(f"name at least one dataset, or --all; known: {listing(known)}")
    for name in names:
        lookup.find("dataset", name)
        if name not in known:
            raise UserError(
                f"{name} is read from your own files and is not fetched; to fetch there are: {listing(known)}"
            )
    return names


def _module(name: str) -> Any:
    import sys

    from classlab import lookup

    return sys.modules[lookup.find("dataset", name).__module__]


def _facts(name: str) -> dict[str, Any]:
    from classlab.data import cache

    module = _module(name)
    return {
        "name": name,
        "class_names": list(module.CLASS_NAMES),
        "shape": list(module.SHAPE),
        "sizes": module.SIZES,
        "mean": list(module.MEAN),
        "std": list(module.STD),
        "digest": module.DIGEST,
        "licence": module.LICENCE,
        "citation": module.CITATION,
        "sources": [str(source) for source in module.SOURCES],
        "cached": None if module.read_folder is None else cache.stored(name) is not None,
    }
