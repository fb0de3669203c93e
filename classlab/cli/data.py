"""`classlab data`: which datasets there are, fetching, checking and looking at them."""

from typing import Annotated, Any

import typer

from classlab.errors import Refused, UserError

app = typer.Typer(name="data", help="Datasets: list, fetch, verify, show.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]


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
    for heading in ("dataset", "image", "classes", "train", "test", "cached", "sources in order"):
        table.add_column(
            heading, justify="right" if heading in {"classes", "train", "test"} else "left", overflow="fold"
        )
    for fact in facts:
        sizes = fact["sizes"]
        image = " × ".join(map(str, fact["shape"]))
        cached = {True: "yes", False: "no", None: "not needed"}[fact["cached"]]
        counts = (f"{len(fact['class_names'])}", f"{sizes['train']:,}", f"{sizes['test']:,}")
        table.add_row(fact["name"], image, *counts, cached, "\n".join(fact["sources"]))
    console.print(table)


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
            console.print(
                f"{name}: {len(dataset.images):,} + {len(dataset.test_images):,} images from {dataset.source}"
            )
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
    from classlab.data.reading import BadFile

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
            console.print(f"{name}: {f'damaged or missing: {problem}' if problem else f'ok {digest}'}", soft_wrap=True)
    if json:
        print_json(results)
    bad = [result["name"] for result in results if not result["ok"]]
    if bad:
        raise Refused(f"not as they should be: {', '.join(bad)}")


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
