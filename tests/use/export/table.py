"""A table of runs × formats: images given the same class, and the largest difference of a logit.

python -m tests.use.export.table runs/*/s0-* --formats onnx pt2
"""

import argparse
import tempfile
import time

import classlab as cl
from classlab.errors import Refused, UserError
from classlab.use.export.export import FORMATS, export


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("runs", nargs="+")
    reader.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    asked = reader.parse_args()
    print("| run | parameters | format | same class | largest difference | allowed | seconds |")
    print("|---|---|---|---|---|---|---|")
    for folder in asked.runs:
        run = cl.load_run(folder, trust=True)
        for to in asked.formats:
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as out:
                try:
                    proof = export(run, to, out).proof
                except (UserError, Refused) as error:
                    print(
                        f"| {run.experiment.name} | {run.summary['parameters']:,} | {to} | {error} | | | |", flush=True
                    )
                    continue
            same = "reconstructs" if proof.agreeing is None else f"{proof.agreeing:,} of {proof.images:,}"
            figures = f"{proof.largest:.1e} | {proof.allowed:.1e} | {time.perf_counter() - started:.1f}"
            print(f"| {run.experiment.name} | {run.summary['parameters']:,} | {to} | {same} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
