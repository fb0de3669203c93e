"""Run folders as a hostile sender leaves them: damaged by field, by byte, by what is no file; and naming code."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from classlab.yaml_text import parse_yaml
from tests.hostile import attacks, commands, damage, donors
from tests.hostile.case import UNDAMAGED, Case, World, often

RECORDS = ("summary.json", "environment.json", "split.json")
CHECKPOINTS = ("last.safetensors", "best.safetensors", "calibration.safetensors")


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged run folder."""
    name = damage.pick(random, {"run": 45, "tiny": 25, "cut": 10, "encoder": 8, "auto": 7, "seed": 5})
    donor = commands.world_name(world, name)
    run = world.take(donor)
    if name == "encoder":
        auto = commands.world_name(world, "auto")
        experiment = (run / "experiment.yaml").read_text()
        (run / "experiment.yaml").write_text(experiment.replace(auto, str(world.take(auto, "taken/auto"))))
    if often(random, 3):
        case = commands.on_run(world, run, random, "nothing in the folder")
        plain = name in ("run", "seed", "tiny") and case.words[0] in ("report", "check", "predict")
        case.note = UNDAMAGED if plain and "--author" not in case.words else case.note
        return case
    note = f"{name}: {harm(world, run, random)}"
    if often(random, 15):
        note += f"; beside: {attacks.put_beside(world, random, random.choice([run, world.sent, run.parent]))}"
    if name in ("run", "seed") and often(random, 18):
        seed = ["--seed", "1"] if name == "seed" else []
        return commands.going_on(world, random, ["run", *donors.RUN, *seed], run, note)
    if name == "cut" and often(random, 40):
        return commands.going_on(world, random, ["run", str(world.donors / "cut.yaml")], run, note)
    return commands.on_run(world, run, random, note)


def harm(world: World, run: Path, random: Random) -> str:
    """Damage a run folder and say how."""
    ways: dict[str, tuple[int, Callable[[World, Path, Random], str]]] = {
        "record": (30, damage_record),
        "metrics": (10, damage_metrics),
        "experiment": (14, damage_experiment),
        "code": (22, name_code),
        "bytes": (10, damage_bytes),
        "place": (12, lambda world, run, random: damage.stand_in(world, any_file(run, random), random)),
        "swap": (2, lambda world, run, random: damage.swap(run, random)),
        "missing": (4, remove_files),
        "checkpoint": (12, damage_checkpoint),
        "predictions": (9, damage_predictions),
        "folder": (4, damage_folder),
    }
    way = random.choices(list(ways), [weight for weight, _ in ways.values()])[0]
    note = ways[way][1](world, run, random)
    if way not in ("place", "folder", "missing") and often(random, 8):
        note += f", {random.choice([damage_bytes, remove_files])(world, run, random)}"
    return note


def any_file(run: Path, random: Random) -> Path:
    """Return a file of the folder, or one that a command might write there."""
    files = sorted(file for file in run.iterdir() if not file.is_dir())
    more = [
        "report.html",
        "report.pdf",
        "log.txt",
        ".report.html.part",
        f"../.{run.name}.lock",
        ".lock",
        "report.html.part",
        "populations",
    ]
    return random.choice([*files, *files, *(run / name for name in more)])


def damage_record(world: World, run: Path, random: Random) -> str:
    """Damage fields of a JSON file."""
    file = run / random.choice([name for name in RECORDS if (run / name).is_file()])
    document = json.loads(file.read_text())
    gentle = often(random, 25)

    def odd() -> Any:
        return attacks.plausible(random) if gentle else attacks.odd(world, random)

    document, note = damage.fields(document, random, odd, random.choice([1, 1, 1, 2, 4]))
    text = damage.written(document)
    if often(random, 8):
        text = random.choice(
            ["\ufeff" + text, text + text, f"[{text}]", text.replace('"', "'"), text.replace(":", "=")]
        )
    file.write_text(text, encoding=random.choice(["utf-8"] * 12 + ["utf-16"]), errors="surrogatepass")
    return f"{file.name}: {note}"


def damage_metrics(world: World, run: Path, random: Random) -> str:
    """Damage metrics.csv."""
    file = run / "metrics.csv"
    text, note = damage.table(file.read_text(), random, lambda: attacks.odd(world, random, named_code=False))
    file.write_text(text, errors="surrogatepass")
    return f"metrics.csv: {note}"


def damage_experiment(world: World, run: Path, random: Random) -> str:
    """Damage experiment.yaml, as a document or as a text."""
    file = run / "experiment.yaml"

    gentle = often(random, 25)

    def odd() -> Any:
        return attacks.plausible(random) if gentle else attacks.odd(world, random, attacks.RAW_YAML)

    if often(random, 55):
        document, note = damage.fields(parse_yaml(file.read_text(), "donor"), random, odd, random.choice([1, 1, 2]))
        text = damage.written(document)
    else:
        text, note = damage.yaml_text(file.read_text(), random, odd)
    file.write_text(text, errors="surrogatepass")
    return f"experiment.yaml: {note}"


def name_code(world: World, run: Path, random: Random) -> str:
    """Let experiment.yaml, or what it takes a part of itself from, name code that lies beside."""
    for folder in {run, world.sent, *random.sample([world.work, run.parent, run.parents[1]], 1)}:
        attacks.put_beside(world, random, folder)
    file = run / "experiment.yaml"
    document = parse_yaml(file.read_text(), "donor")
    note = put_code(world, document, random, run)
    text = damage.written(document)
    if often(random, 10):
        name = json.dumps(random.choice(attacks.code_names(world)))
        text = random.choice(
            [
                f"{text[:-1]}, 'model': {name}}}",
                f"{text[:-1]}, <<: {{model: {name}}}}}",
                f"--- {text}\n--- {{model: {name}}}\n",
                f"# model: {name}\n{text}",
                f"{text[:-1]}, model.name: {name}}}",
                f"{text[:-1]}, ? model\n: {name}}}",
            ]
        )
    file.write_text(text, errors="surrogatepass")
    if often(random, 8):
        moved = run / random.choice(["queue.yaml", "other.yaml", "evil.yaml"])
        file.rename(moved)
        file.symlink_to(moved.name)
        note += ", through a link"
    return f"code: {note}"


def put_code(world: World, document: dict[str, Any], random: Random, folder: Path) -> str:
    """Put a name of code where an experiment chooses something by name; say where."""
    code = attacks.code(world, random)
    data, training = document["data"], document["training"]
    places: dict[str, Callable[[], Any]] = {
        "data.dataset": lambda: data.update(dataset=code),
        "data.augmentations": lambda: data.update(
            augmentations=random.choice([[code], code, [{"name": "rotate", "degrees": 1}, code]])
        ),
        "data.expansion": lambda: data.update(expansion=random.choice([[[code]], [code], code, [[], [code]]])),
        "data.dataset.path": lambda: data.update(dataset={"name": random.choice(["folder", "npz"]), "path": str(code)}),
        "model": lambda: document.update(model=code),
        "model.encoder": lambda: _take_encoder(world, document, random, code),
        "training.loss": lambda: training.update(loss=code),
        "training.optimizer": lambda: training.update(optimizer=code),
        "training.schedule": lambda: training.update(schedule=code),
        "training.initialise": lambda: training.update(initialise=code),
        "contract": lambda: _take_contract(document, random, code, folder),
        "contract.dataset": lambda: document.update(contract={"dataset": code}),
        "contract.classes": lambda: document.update(contract={"dataset": "digits", "classes": [code]}),
        "experiment": lambda: document.update(experiment=code),
        "name": lambda: document.update(name=code),
        "data": lambda: document.update(data=code),
        "training": lambda: document.update(training=code),
        "a key": lambda: document.update({random.choice(attacks.code_names(world)): code}),
        "a dotted key": lambda: document.update({random.choice(["model.name", "data.dataset", "training.loss"]): code}),
    }
    place = random.choice(list(places))
    places[place]()
    return f"{place} is {str(code)[:120]}"


def _take_encoder(world: World, document: dict[str, Any], random: Random, code: Any) -> None:
    """Take the encoder of a run that names code itself, or of one that takes its encoder from here."""
    other = world.sent / "encoders" / random.choice(["auto", "a b", "experiment.yaml"])
    other.mkdir(parents=True, exist_ok=True)
    deep = random.choice(
        [str(other), f"../sent/encoders/{other.name}", str(code), "/dev/zero", "/", f"{other}/./", {"name": str(other)}]
    )
    options = {"widths": [16, 8], "hidden": [8], "encoder": deep, "freeze": random.choice([True, False])}
    document["model"] = {"name": "encoder_classifier", **options}
    inner = random.choice(
        [{"model": code}, {"data": {"dataset": code}}, {"model": {"name": "encoder_classifier", "encoder": str(other)}}]
    )
    (other / "experiment.yaml").write_text(
        damage.written({**document, "name": "auto", **inner}), errors="surrogatepass"
    )
    auto = world.donors / commands.world_name(world, "auto")
    for name in CHECKPOINTS:
        if (auto / name).is_file():
            (other / name).write_bytes((auto / name).read_bytes())


def _take_contract(document: dict[str, Any], random: Random, code: Any, folder: Path) -> None:
    """Take the contract of a file beside, which names code."""
    name = random.choice(
        [
            "evil.yaml",
            "under-20k",
            "under-20k.yaml",
            "../evil.yaml",
            "./evil.yaml",
            str(folder / "evil.yaml"),
            "experiment.yaml",
            "/dev/zero",
        ]
    )
    document["contract"] = name
    if not name.startswith("/dev") and name != "experiment.yaml":
        (folder / name).write_text(damage.written({"dataset": code, "max_epochs": 3}), errors="surrogatepass")


def damage_bytes(world: World, run: Path, random: Random) -> str:
    """Damage a file byte by byte, or put another donor's in its place."""
    file = random.choice(sorted(file for file in run.iterdir() if file.is_file()))
    if often(random, 15):
        other = world.donors / commands.world_name(world, random.choice(["auto", "tiny", "cut"])) / file.name
        file.write_bytes(other.read_bytes() if other.is_file() else b"")
        return f"{file.name} of another run"
    content, note = damage.flip(file.read_bytes(), random, random.choice([None, 64, 2000]))
    file.write_bytes(content)
    return f"{file.name}: {note}"


def remove_files(world: World, run: Path, random: Random) -> str:
    """Remove some files."""
    files = sorted(file for file in run.iterdir() if file.is_file())
    gone = random.sample(files, random.choice([1, 1, 2, len(files) - 1, len(files)]))
    for file in gone:
        file.unlink()
    return f"without {', '.join(file.name for file in gone)}"


def damage_folder(world: World, run: Path, random: Random) -> str:
    """Make the folder itself something else: a link, a loop, one of very many, one with an odd name."""
    way = random.choice(["link", "loop", "many", "deep", "name", "decoy", "crowd"])
    if way == "link":
        moved = world.root / "decoy" / "moved"
        run.rename(moved)
        run.symlink_to(moved)
    elif way == "loop":
        (run.parent / "again").symlink_to("..")
        (run / "inside").symlink_to("..")
    elif way == "many":
        for number in range(300):
            other = run.parent / f"s{number + 10}-00000000"
            other.mkdir()
            (other / "experiment.yaml").write_bytes((run / "experiment.yaml").read_bytes())
    elif way == "deep":
        deep = run
        for _ in range(60):
            deep = deep / "deep"
        deep.mkdir(parents=True)
        (deep / "experiment.yaml").write_text("name: deep\n")
    elif way == "name":
        name = (
            attacks.odd_text(world, random).replace("/", "_").replace("\0", "")[:60].encode(errors="replace").decode()
            or "x"
        )
        other = run.parent / f"{name}x"
        other.mkdir(exist_ok=True)
        for file in run.iterdir():
            (other / file.name).write_bytes(file.read_bytes())
    elif way == "decoy":
        for file in list(run.iterdir()):
            moved = world.decoy / file.name
            file.rename(moved)
            file.symlink_to(moved)
    else:
        for number in range(2000):
            (run / f"file{number}.txt").touch()
    return f"the folder: {way}"


def damage_checkpoint(world: World, run: Path, random: Random) -> str:
    """Damage the header of a safetensors file, or the numbers that it holds."""
    file = run / random.choice([name for name in CHECKPOINTS if (run / name).is_file()])
    content = file.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header, numbers = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    way = damage.pick(
        random, {"size": 2, "field": 6, "tensor": 3, "numbers": 3, "about": 3, "losses": 3, "extra": 1, "huge": 1}
    )
    note = way
    if way == "field":
        header, note = damage.fields(
            header, random, lambda: attacks.odd(world, random, named_code=False), random.choice([1, 1, 3])
        )
    elif way == "tensor":
        name = random.choice([name for name in header if name != "__metadata__"])
        changes = [
            {"dtype": random.choice(["F64", "I8", "BOOL", "BF16", "F8_E4M3", "X"])},
            {"shape": random.choice([[], [0], [2**40], [-1], [1, 2**62], [10] * 300])},
        ]
        changes += [
            {"data_offsets": random.choice([[0, 0], [0, len(numbers)], [2**63, 2**64], [5, 1], [-1, 4], [0]])},
            {"shape": list(reversed(header[name]["shape"]))},
        ]
        header[name] |= random.choice(changes)
        if often(random, 30):
            header[attacks.odd_text(world, random)[:300]] = header.pop(name)
        note = f"tensor {name}"
    elif way == "numbers":
        value = random.choice([np.nan, np.inf, -np.inf, 1e38, 0.0, 1e-45])
        filled = np.full(len(numbers) // 4, value, np.float32).tobytes()
        at = random.randrange(max(1, len(filled)))
        numbers[at:] = filled[at:] + bytes(len(numbers) - len(filled))
        note = f"numbers {value} from {at}"
    elif way == "about":
        about: Any = json.loads(header.get("__metadata__", {}).get("classlab", "{}"))
        about, note = damage.fields(about, random, lambda: attacks.odd(world, random, named_code=False))
        header["__metadata__"] = {"classlab": damage.written(about)}
    elif way == "losses":
        for name, about in header.items():
            if name != "__metadata__" and "model." not in name and about["dtype"] in ("F64", "I64", "F32"):
                first, last = about["data_offsets"]
                numbers[first:last] = random.choice([b"\xff", b"\x7f", b"\0"]) * (last - first)
    elif way == "extra":
        header |= {
            f"extra{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
            for number in range(random.choice([1, 20_000]))
        }
    text = damage.written(header).encode(errors="surrogatepass")
    if way == "huge":
        text = text[:-1] + b" " * 20_000_000 + b"}"
    length = (
        len(text) if way != "size" else random.choice([0, 1, 2**63, 2**64 - 1, 10**8, 10**8 + 1, len(text) + 1, 10**12])
    )
    file.write_bytes(struct.pack("<Q", length) + text + bytes(numbers))
    return f"{file.name}: {note}"


class Leave:
    """Pickles as a call that leaves the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.canary,)


def damage_predictions(world: World, run: Path, random: Random) -> str:
    """Write predictions.npz as a bomb, a pickle, or arrays of other kinds and sizes."""
    file = run / "predictions.npz"
    if not file.is_file():
        return damage_bytes(world, run, random)
    with np.load(file) as arrays:
        logits, labels = arrays["logits"], arrays["labels"]
    note = strange_arrays(world, file, {"logits": logits, "labels": labels}, random)
    return f"predictions.npz: {note}"


def strange_arrays(world: World, file: Path, arrays: dict[str, np.ndarray], random: Random) -> str:
    """Write an .npz file in which one array is not what it should be; say how."""
    name = random.choice(list(arrays))
    array = arrays[name]
    kinds = [
        np.float16,
        np.float64,
        np.complex128,
        np.bool_,
        np.int8,
        np.uint64,
        "<U5",
        "S3",
        object,
        "datetime64[s]",
        ">f4",
        "V4",
    ]
    ways: dict[str, Callable[[], Any]] = {
        "type": lambda: array.astype(random.choice(kinds[:-1])),
        "pickle": lambda: np.array([Leave(world.canary)], dtype=object),
        "shape": lambda: random.choice(
            [
                array[:1],
                array[:0],
                array.reshape(-1),
                array[None],
                array.T,
                array[..., None],
                np.array(0),
                np.zeros((0, 0)),
            ]
        ),
        "values": lambda: np.full_like(array, _odd_number(array.dtype, random)),
        "record": lambda: np.zeros(len(array), dtype=[("a", "i4"), ("b", "U3")]),
        "fortran": lambda: np.asfortranarray(array),
        "long": lambda: np.concatenate([array] * 50),
    }
    way = damage.pick(
        random, {**dict.fromkeys(ways, 3), "bomb": 4, "header": 8, "missing": 2, "extra": 2, "crc": 2, "zip": 3}
    )
    if way in ways:
        arrays = {**arrays, name: ways[way]()}
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return f"{way} of {name}"
    parts = {f"{key}.npy": _npy(value) for key, value in arrays.items()}
    if way == "missing":
        del parts[f"{name}.npy"]
    elif way == "extra":
        parts |= {
            random.choice(["../../decoy/thesis.tex", "/etc/x", "a" * 60_000, "x.npy", "\x1b[2J.npy", "logits"]): b"x"
        }
    elif way == "header":
        parts[f"{name}.npy"] = _strange_header(array, random)
    elif way == "bomb":
        giant = random.choice([50_000_000, 420_000_000])
        parts[f"{name}.npy"] = _npy_header(
            f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({giant},), }}"
        ) + bytes(giant)
    method = random.choice(
        [zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if way == "bomb" else method, compresslevel=1) as archive:
        for key, content in parts.items():
            archive.writestr(key, content)
        if way == "zip":
            archive.writestr(f"{name}.npy", b"twice")
    if way in ("crc", "zip"):
        content, note = damage.flip(file.read_bytes(), random)
        file.write_bytes(content)
        way += f", {note}"
    return f"{way} of {name}"


def _odd_number(kind: np.dtype, random: Random) -> Any:
    if kind.kind == "f":
        return random.choice([0, -1, 99, 1e30, np.nan, np.inf])
    limits = np.iinfo(kind)
    return random.choice([limits.min, limits.max, 10, 99])


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    content = text.encode("latin-1", "replace") + b"\n"
    size = struct.pack("<H", len(content) & 0xFFFF) if version == b"\x01\x00" else struct.pack("<I", len(content))
    return b"\x93NUMPY" + version + size + content


def _strange_header(array: np.ndarray, random: Random) -> bytes:
    text = random.choice(
        [
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**62}, {2**62}), }}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 10), }",
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30},), }}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 10.0), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000,), }",
            f"{{'descr': '<U{2**28}', 'fortran_order': False, 'shape': (1,), }}",
            "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,), }",
            "(" * 5000,
            "{" * 300,
            "__import__('os').system('true')",
            "[" * 90 + "]" * 90,
            "'" * 60_000,
            "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f4', 'shape': (1,), }",
            "{'descr': '<f4', 'fortran_order': 7, 'shape': 5, }",
            "{1: 2}",
            "",
            "9" * 5000,
            "{'descr': 'O8', 'fortran_order': True, 'shape': (), }",
        ]
    )
    version = random.choice([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"])
    return _npy_header(text, version) + array.tobytes()
