"""Numbers in, numbers and plain words out: intervals, tests and the sentences that say what may be believed.

Accuracies are fractions (0.9943) and so are their differences; sentences speak in per cent and points.
docs/statistics.md explains each of these to a student.
"""

from classlab.statistics.intervals import (
    ACCURACY,
    LOSS,
    Estimate,
    Scale,
    no_better_than_chance,
    one_more_run,
    over_seeds,
    wilson,
)
from classlab.statistics.paired_tests import (
    Comparison,
    Disagreement,
    Equivalence,
    Variant,
    compare,
    equivalence,
    holm,
    mcnemar,
    seeds_needed,
    variant,
)

__all__ = [
    "ACCURACY",
    "LOSS",
    "Comparison",
    "Disagreement",
    "Equivalence",
    "Estimate",
    "Scale",
    "Variant",
    "compare",
    "equivalence",
    "holm",
    "mcnemar",
    "no_better_than_chance",
    "one_more_run",
    "over_seeds",
    "seeds_needed",
    "variant",
    "wilson",
]
