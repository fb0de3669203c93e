"""The reader's own code that leaves with a script: their files, carried along as they are, and their imports."""

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from classlab import own_code
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.runs.preparation import names_in


def readers_files(experiment: Experiment) -> dict[str, bytes]:
    """Return the reader's files that an experiment takes code from, and their neighbours, by their paths in the folder.

    The dataset's are left out, for its images go along. Raises UserError for code that asks for classlab itself, for
    code in an installed module, and for two files of one name.
    """
    found: dict[str, bytes] = {}
    for name in names(experiment):
        contents = own_code.contents(name)
        if not contents:
            raise UserError(
                f"{name.rpartition(':')[0]} is an installed module, and a script carries files along; name its file: "
                "file.py:Name"
            )
        for place, (path, content) in enumerate(contents.items()):
            path = f"{module_of(name)}.py" if place == 0 else path
            _check(path, content)
            if found.setdefault(path, content) != content:
                raise UserError(f"the experiment takes code from two files called {path}; give one another name")
    return found


def names(experiment: Experiment) -> list[str]:
    """Return the names of the reader's own code that training needs."""
    document = experiment.model_dump(mode="json")
    document["data"]["dataset"] = None
    document["contract"] = None
    written = set(names_in(document))
    every = [experiment.model, experiment.training.loss, experiment.training.optimizer, experiment.training.schedule,
             experiment.training.initialise, *experiment.data.augmentations,
             *(choice for part in experiment.data.expansion for choice in part)]  # fmt: skip
    # The names as the experiment holds them: those of a finished run know its copy of the code.
    kept = {choice.name: choice.name for choice in every}
    return sorted((kept[name] for name in written if own_code.is_own_code(name)), key=str)


def module_of(name: str) -> str:
    """Return what the file of `file.py:Name` is imported as."""
    stem = re.sub(r"\W", "_", Path(name.rpartition(":")[0].replace("\\", "/")).stem)
    return stem if stem.isidentifier() else f"m_{stem}"


def attribute_of(name: str) -> str:
    """Return `file.Name`, as a script that imports the file says it."""
    return f"{module_of(name)}.{name.rpartition(':')[2]}"


def script_name(experiment: str, files: Mapping[str, bytes]) -> str:
    """Return the script's name without .py: the experiment's, unless something that is imported has it."""
    stem = re.sub(r"\W", "_", experiment)
    taken = {Path(path).parts[0].removesuffix(".py") for path in files} | {"torch", "numpy", *sys.stdlib_module_names}
    return f"train_{stem}" if stem in taken else stem


def _check(path: str, content: bytes) -> None:
    for node in ast.walk(ast.parse(content)):
        sources = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        sources += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if any(source.partition(".")[0] == "classlab" for source in sources):
            raise UserError(f"{path} imports classlab, so that it cannot leave: a script needs torch and numpy alone")
        if isinstance(node, ast.ImportFrom) and node.level > path.count("/"):
            raise UserError(
                f"{path} imports a neighbour by `from .{node.module or ''} import`, which works in a package alone; "
                "a script lies beside it: leave the dot out, and train again"
            )
