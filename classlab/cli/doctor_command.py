"""`classlab doctor`: what this machine is, and what classlab makes of it."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from classlab.cli.options import Json
from classlab.errors import Refused, UserError
from classlab.formats import listed

if TYPE_CHECKING:
    from classlab.training.fast.machine import Machine

OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 6)
LITTLE_DISK, TOO_LITTLE_DISK = 5e9, 0.5e9  # bytes; a dataset and its cache take up to 0.4e9, a run under 0.1e9
LITTLE_MEMORY = 2e9
PARTS = ("numpy", "pydantic", "pillow", "scikit-learn", "scipy", "pandas", "altair", "vl-convert-python", "typst",
         "xlsxwriter")  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FETCHERS = ("npm", "apt-get")
MARKS = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "problem": "[bold red]problem[/bold red]"}


@dataclass(frozen=True)
class Line:
    """One thing looked at. todo: what would better it, where there is anything."""

    name: str
    status: Literal["ok", "note", "problem"]
    text: str
    todo: str = ""


def doctor(
    measure: Annotated[bool, typer.Option("--measure", help="measure the machine's speed again, in 3 seconds")] = False,
    schemas: Annotated[
        Path | None, typer.Option(help="only write JSON Schemas there, for an editor that completes keys")
    ] = None,
    json: Json = False,
) -> None:
    """Say what this machine is and what classlab makes of it; each line is ok, a note or a problem, with what to do.

    Its speed is measured once and kept: the first time takes 3 seconds more. Exit 1 where there is a problem.

    Example: classlab doctor --measure
    """
    from classlab.cli.output import console, print_json

    if schemas is not None:
        _write_schemas(schemas, json)
        return
    lines = [_python(), _torch()]
    machine = None
    if lines[-1].status != "problem":
        from classlab.training.fast import machine as machines
        from classlab.training.settings import check_device

        device = check_device(None)
        machine = machines.renew(device) if measure else machines.cached(device)
        lines += [_processor(), _bf16(machine), _threads(machine), _speed(machine), _native(), _gpu()]
    checks: tuple[Callable[[], Line], ...] = (_memory, _disk, _datasets, _fetchers, _parts, _browser)
    lines += [check() for check in checks]
    if json:
        print_json({"lines": [asdict(line) for line in lines], "machine": asdict(machine) if machine else None})
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for line in lines:
            table.add_row(line.name, MARKS[line.status], Text("\n".join(filter(None, (line.text, line.todo)))))
        console.print(table)
    problems = [line.name for line in lines if line.status == "problem"]
    if problems:
        raise Refused(f"not as it should be: {', '.join(problems)}")


def _write_schemas(folder: Path, json: bool) -> None:
    """Write what an experiment and a study may hold, as the classlab that is installed has it."""
    from json import dumps

    from classlab import experiment, files
    from classlab.cli.output import print_json
    from classlab.study import declaration
    from classlab.terminal import say

    files.make_folder(folder)
    schemas = {"experiment.schema.json": experiment.schema(), "study.schema.json": declaration.schema()}
    paths = [folder / name for name in schemas]
    for path, schema in zip(paths, schemas.values(), strict=True):
        files.write(path, dumps(schema, indent=2) + "\n")
    if json:
        print_json({"schemas": [str(path) for path in paths]})
    else:
        line = "# yaml-language-server: $schema=FILE"
        say(f"{' and '.join(map(str, paths))} are written; a YAML file names its schema in its first line, `{line}`")


def _python() -> Line:
    text = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Line("python", "problem", text, "classlab needs Python 3.11 or newer")
    return Line("python", "ok", text)


def _torch() -> Line:
    try:
        import torch
    except Exception as error:  # a broken torch fails in ways of its own
        return Line("torch", "problem", f"does not load: {error}", "install it as https://pytorch.org/get-started says")
    text = f"{torch.__version__}, {torch.get_num_threads()} threads"
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    if version < OLDEST_TORCH:
        return Line("torch", "problem", text, f"classlab needs torch {'.'.join(map(str, OLDEST_TORCH))} or newer")
    policy = os.environ.get("OMP_WAIT_POLICY", "").lower()
    if policy not in {"", "passive"}:
        todo = "unset OMP_WAIT_POLICY: threads that spin make a busy machine many times slower"
        return Line("torch", "note", f"{text}, OMP_WAIT_POLICY={policy}", todo)
    return Line("torch", "ok", text)


def _processor() -> Line:
    from classlab.training.fast.machine import processor

    return Line("processor", "ok", f"{processor()}, {os.cpu_count()} cores")


def _bf16(machine: "Machine") -> Line:
    from classlab.training.settings import MIN_BATCH_FOR_BF16, has_bf16

    ratio = f"convolutions are {machine.conv_bf16_ratio:.1f} times as fast in it as in fp32"
    if not has_bf16(machine.device):
        return Line("bf16", "ok", f"not in this {_kind(machine)}: training is in fp32 ({ratio})")
    where = f"in this {_kind(machine)}{_flags(machine.device)}"
    if machine.device == "cpu" and machine.conv_bf16_ratio <= 1:
        return Line("bf16", "ok", f"{where}, and not used: {ratio}")
    return Line("bf16", "ok", f"{where}: {ratio}; used for large steps in batches from {MIN_BATCH_FOR_BF16}")


def _threads(machine: "Machine") -> Line:
    from classlab.training.settings import least_work_for_threads

    if machine.threads == 1:
        return Line("threads", "ok", "one")
    least, linear = (least_work_for_threads(machine.device, convolutions) / 1e6 for convolutions in (True, False))
    other = f" ({linear:.0f} without convolutions)" if linear > least else ""
    text = f"{machine.threads} from {least:.0f} million multiply-adds a step{other}, below that one"
    return Line("threads", "ok", text)


def _flags(device: str) -> str:
    import torch

    if device != "cpu":
        return ""
    known = {"avx512_bf16": torch.cpu._is_avx512_bf16_supported(), "amx": torch.cpu._is_amx_tile_supported()}
    return f" ({', '.join(name for name, there in known.items() if there)})"


def _kind(machine: "Machine") -> str:
    return "processor" if machine.device == "cpu" else "GPU"


def _speed(machine: "Machine") -> Line:
    text = (
        f"matrix product fp32 {machine.fp32_gflops:,.0f}, bf16 {machine.bf16_gflops:,.0f} GFLOP/s; "
        f"copy {machine.copy_gb_per_second:.0f} GB/s; measured {machine.measured_at.replace('T', ' ')}"
    )
    if machine.was_busy:
        todo = f"the machine was busy then (load {machine.load:.1f}); classlab doctor --measure when it is quiet"
        return Line("speed", "note", text, todo)
    return Line("speed", "ok", text)


def _native() -> Line:
    from classlab.training.fast.native import library

    found = library.compiler()
    if found is None:
        todo = "install gcc or clang, or pip install 'classlab[native]'; small networks train twice as fast then"
        return Line("native step", "note", "no C compiler: steps are torch's own, and slower", todo)
    vectors = "AVX-512" if library.has_wide_vectors() else "short vectors"
    bf16 = " with bf16 products" if library.has_bf16() else ", without bf16 products"
    place = f", kept in {folder}" if (folder := library.folder()) else ""
    return Line("native step", "ok", f"{found.version}; {vectors}{bf16}: a step in C for each network{place}")


def _gpu() -> Line:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return Line("gpu", "ok", f"{', '.join(names)}: training is there unless --device says otherwise")
    if torch.backends.mps.is_available():
        return Line("gpu", "ok", "Apple's, used with --device mps; training is on the processor otherwise")
    if torch.version.cuda and shutil.which("nvidia-smi"):
        return Line("gpu", "note", "there is a driver, but torch sees no device", "see what nvidia-smi says")
    return Line("gpu", "ok", "none: training is on the processor")


def _memory() -> Line:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return Line("memory", "ok", "how much there is, this system does not say")
    text = f"{total / 1e9:.1f} GB"
    if total < LITTLE_MEMORY:
        return Line("memory", "note", text, "MNIST takes up to 1.5 GB, CIFAR-10 up to 2 GB; choose part of the data")
    return Line("memory", "ok", text)


def _disk() -> Line:
    from classlab.data import cache

    try:
        folders = [Path.cwd(), cache.home()]
    except UserError:  # which the line of datasets tells
        folders = [Path.cwd()]
    free = {str(folder): _free(folder) for folder in folders}
    text = ", ".join(f"{bytes_ / 1e9:.1f} GB free for {folder}" for folder, bytes_ in free.items())
    least = min(free.values())
    if least < TOO_LITTLE_DISK:
        return Line("disk", "problem", text, "make room: datasets and runs are written there")
    return Line("disk", "note" if least < LITTLE_DISK else "ok", text)


def _free(folder: Path) -> int:
    from classlab.data.bounded_files import is_folder

    folder = folder.absolute()
    while not is_folder(folder) and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _datasets() -> Line:
    from classlab.data import cache

    try:
        folder = cache.home()
    except UserError as error:
        return Line("datasets", "problem", str(error), "digits needs none, the others do")
    if not cache.writable(folder):
        return Line("datasets", "problem", f"{folder} cannot be written to", "name another folder in CLASSLAB_DATA")
    there = sorted({path.stem for place in cache.folders() for path in cache.all_in(place)})
    if not there:
        return Line("datasets", "note", f"none in {folder}; digits needs none", "classlab data fetch mnist")
    return Line("datasets", "ok", f"{', '.join(there)} in {folder}; digits needs no file")


def _fetchers() -> Line:
    there = [name for name in FETCHERS if shutil.which(name)]
    if there:
        return Line("fetching", "ok", f"from the official addresses, else with {listed(there)}")
    return Line("fetching", "ok", "from the official addresses alone: npm and apt-get, the other ways, are not here")


def _parts() -> Line:
    missing = []
    for name in PARTS:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Line("parts", "problem", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Line(
        "parts", "ok", f"typst {importlib.metadata.version('typst')} (PDF), altair (charts), xlsxwriter (Excel) …"
    )


def _browser() -> Line:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return Line("browser", "ok", f"{found or 'none'}; only classlab's own tests drive one")
