"""Copies: pairs of hand-ins that are more alike than two trainings are, with the evidence and how likely by chance.

Weights: the cosine of two networks' weights, which for independent seeds is near 0 and for an average of two near 0.7.
Answers: what two networks say of the same test images beyond what the class of each image explains. Permuting neurons,
or scaling them through ReLU or batch norm, does not change the answers, and a little more training hardly does.
"""

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# docs/class.md has what 1,000 honest pairs gave.
WEIGHTS_ALIKE = 0.5
ANSWERS_ALIKE = 0.985
FEWEST_WEIGHTS = 200  # of which a cosine says something
SAMPLED_WEIGHTS = 20_000
CURVE_EPOCHS = 3  # whose losses are the same to the last digit
SHINGLE = 8  # words that follow each other
SHARED_SHINGLES = 20


@dataclass(frozen=True)
class Traits:
    """What a run is compared by. weights: float32 (n,), sampled. answers: float32 (images, classes), (0, 0) of none.

    shapes: the network's. labels: of the images. curve: the train losses as text. words: digests of the report's text.
    """

    student: str
    run: str
    seed: int | None
    wanted_seed: int
    shapes: str
    digest: str
    weights: np.ndarray
    answers: np.ndarray
    labels: np.ndarray
    curve: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True)
class Likeness:
    """Two hand-ins that are alike, or one with another's seed. by_chance: in words."""

    first: str
    second: str
    run: str
    kind: str
    evidence: str
    by_chance: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return vars(self)


def find(traits: Sequence[Traits], seeds: Mapping[str, int], seeds_differ: bool = True) -> list[Likeness]:
    """Return every likeness in a class. seeds: of each student. seeds_differ: whether each has a seed of their own."""
    found = []
    rare = _rare_words(traits)
    residuals = {id(part): _beyond_labels(part) for part in traits}
    for first, second in itertools.combinations(traits, 2):
        if first.student == second.student or first.run != second.run:
            continue
        found += _of_text(first, second, rare)
        if not seeds_differ and first.seed == second.seed and first.shapes == second.shapes:
            continue  # the same experiment and seed give the same bytes, so that nothing follows from them
        found += _of_networks(first, second, residuals[id(first)], residuals[id(second)])
        found += _of_curves(first, second)
    return found + (_foreign_seeds(traits, seeds) if seeds_differ else [])


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of two vectors, 0 where there is none."""
    if first.shape != second.shape or not first.size:
        return 0.0
    a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    length = math.sqrt(float(a @ a) * float(b @ b))
    value = float(a @ b) / length if length > 0 else 0.0
    return value if math.isfinite(value) else 0.0


def weights_by_chance(value: float, count: int) -> float:
    """Return a bound on how likely two random directions of `count` dimensions have a cosine so far from 0.

    2 exp(-n c² / 2), by the concentration of measure on the sphere (Ball, 1997, lemma 2.2, both caps).
    """
    return min(1.0, 2 * math.exp(-count * value * value / 2))


def words_of(html: str) -> frozenset[str]:
    """Return digests of every eight words that follow each other in a page's text."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>|<[^>]{0,2000}>", " ", html, flags=re.DOTALL)
    words = re.findall(r"[^\W_]+", text.lower())[:50_000]
    return frozenset(
        hashlib.blake2b(" ".join(words[at : at + SHINGLE]).encode(), digest_size=8).hexdigest()
        for at in range(len(words) - SHINGLE + 1)
    )


def _beyond_labels(part: Traits) -> np.ndarray:
    """Return the answers without their mean over the images of each class, which any network learns."""
    left = part.answers.astype(np.float64)
    for label in np.unique(part.labels) if left.size else ():
        rows = part.labels == label
        left[rows] -= left[rows].mean(0)
    return left


def _of_networks(first: Traits, second: Traits, left: np.ndarray, right: np.ndarray) -> list[Likeness]:
    pair = (first.student, second.student, first.run)
    if first.digest == second.digest and first.digest:
        return [Likeness(*pair, "the same weights", "every weight is the same", "impossible with two seeds")]
    alike = cosine(first.weights, second.weights) if first.shapes == second.shapes else 0.0
    if alike > WEIGHTS_ALIKE and first.weights.size >= FEWEST_WEIGHTS:
        likely = weights_by_chance(alike, first.weights.size)
        chance = f"below {max(likely, 1e-300):.0e} for two independent trainings"
        return [
            Likeness(
                *pair, "nearly the same weights", f"cosine of the weights {alike:.3f}, of two seeds near 0", chance
            )
        ]
    answers = cosine(left, right)
    if answers > ANSWERS_ALIKE:
        evidence = f"answers to {len(left)} test images, beyond their classes, correlate {answers:.4f}"
        chance = "no model gives it; the pairs of the class that are not alike say how rare it is"
        return [Likeness(*pair, "the same answers by other weights", evidence, chance)]
    return []


def _of_curves(first: Traits, second: Traits) -> list[Likeness]:
    same = sum(a == b for a, b in zip(first.curve, second.curve, strict=False))
    if same < CURVE_EPOCHS:
        return []
    evidence = f"the training loss is the same to the last digit in {same} epochs"
    return [Likeness(first.student, second.student, first.run, "the same curve", evidence, "impossible with two seeds")]


def _foreign_seeds(traits: Sequence[Traits], seeds: Mapping[str, int]) -> list[Likeness]:
    owners = {seed: student for student, seed in seeds.items()}
    found = []
    for part in traits:
        owner = owners.get(part.seed) if part.seed is not None else None
        if owner is not None and owner != part.student:
            evidence = f"trained with seed {part.seed}, which is {owner}'s"
            found.append(
                Likeness(part.student, owner, part.run, "another student's seed", evidence, "1 in 1,000 million")
            )
    return found


def _rare_words(traits: Sequence[Traits]) -> frozenset[str]:
    """Return what stands in few reports: what classlab itself writes stands in all of them."""
    counts = Counter(word for part in traits for word in part.words)
    most = max(2, len({part.student for part in traits}) // 20)
    return frozenset(word for word, count in counts.items() if count <= most)


def _of_text(first: Traits, second: Traits, rare: frozenset[str]) -> list[Likeness]:
    shared = len(first.words & second.words & rare)
    fewer = min(len(first.words & rare), len(second.words & rare))
    if shared < SHARED_SHINGLES or shared < 0.3 * fewer:
        return []
    evidence = f"{shared} runs of {SHINGLE} words stand in both reports and in hardly any other"
    chance = "not computed; read both"
    return [Likeness(first.student, second.student, first.run, "the same text", evidence, chance)]
