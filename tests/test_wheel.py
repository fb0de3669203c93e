"""The wheel: what it holds, and a run from it without the sources, in a folder and a locale that give no help."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import classlab

REPOSITORY = Path(__file__).parents[1]
NOT_SHIPPED = ("tests/", "docs/", "benchmarks/", ".ci/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the files that git tracks, built as anybody builds it but without fetching the build's tools."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (REPOSITORY / name).is_file() and not name.startswith(NOT_SHIPPED):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    words = ["wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q", "-w", str(place), "."]
    subprocess.run([sys.executable, "-m", "pip", *words], cwd=source, check=True, capture_output=True)
    (built,) = place.glob("*.whl")
    return built, source


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel):
    built, source = wheel
    with zipfile.ZipFile(built) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {file.relative_to(source).as_posix() for file in (source / "classlab").rglob("*") if file.is_file()}
    assert names == package


def test_its_version_is_the_packages_and_the_citations(wheel):
    assert wheel[0].name.split("-")[1] == classlab.__version__
    assert YAML(typ="safe").load(REPOSITORY / "CITATION.cff")["version"] == classlab.__version__


def test_a_run_with_its_report_and_pdf_from_the_wheel(wheel, tmp_path):
    place = tmp_path / "Übung für Zoë"
    venv.create(place / "env", with_pip=False)
    scheme = sysconfig.get_paths(vars={"base": str(place / "env"), "platbase": str(place / "env")})
    packages = Path(scheme["purelib"])
    python = Path(scheme["scripts"]) / Path(sys.executable).name
    words = ["--python", str(python), "install", "--no-deps", "--no-index", "--disable-pip-version-check", "-q"]
    subprocess.run([sys.executable, "-m", "pip", *words, str(wheel[0])], check=True, capture_output=True)
    # What classlab depends on is that of this environment, whose own sources are not found so.
    installed = [found for found in sys.path if Path(found).name == "site-packages"]
    (packages / "needed.pth").write_text("\n".join(installed), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LANG", "LC_CTYPE")}
    environment |= {"LC_ALL": "C", "PYTHONWARNINGS": "error::EncodingWarning"}
    where = subprocess.run([python, "-c", "import classlab; print(ascii(classlab.__file__))"], capture_output=True,
                           text=True, check=True, env=environment, cwd=tmp_path)  # fmt: skip
    assert ascii(str(packages))[1:-1] in where.stdout
    words = ["run", "digits-quick", "--report", "--pdf", "--set", "training.epochs=1", "--set", "contract={}"]
    command = Path(scheme["scripts"]) / "classlab"
    done = subprocess.run([command, *words], cwd=place, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    (run,) = (place / "runs").glob("*/*")
    assert (run / "report.html").is_file() and (run / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_source_archive_holds_what_builds_the_same_wheel(wheel, tmp_path):
    built, source = wheel
    words = [
        sys.executable,
        "-c",
        "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])",
    ]
    subprocess.run([*words, str(tmp_path)], cwd=source, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(built) as archive:
        needed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert needed | {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith(NOT_SHIPPED) or name.endswith(".pyc")]


def test_the_hashed_requirements_are_the_constraints():
    def versions(file, separator):
        lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
        pairs = (line.partition(separator)[0].split("==") for line in lines if not line.startswith("#"))
        return {re.sub("[-_.]+", "-", name.lower()): version for name, version in pairs}

    pinned, hashed = versions("constraints.txt", "\n"), versions("requirements-dev.txt", " ")
    assert {name: pinned.get(name) for name in hashed} == hashed and len(hashed) > 100
