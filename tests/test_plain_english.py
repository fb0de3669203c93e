"""Plain English: no sentence that a user reads is over 30 words, and none uses a coinage for what has a word."""

import re
from collections.abc import Iterable, Iterator

import pytest

from tests import prose
from tests.prose import Sentence

MOST_WORDS = 30
CONTRIBUTING = prose.ROOT / "CONTRIBUTING.md"
GLOSSARY = prose.ROOT / "docs" / "glossary.md"


def coinages() -> dict[str, str]:
    """Return the coinages that stand in CONTRIBUTING.md, each with the word to use instead."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    rows = re.search(r"\| not \| but \|\n\|---\|---\|\n((?:\|.*\|\n)+)", text)
    assert rows, "CONTRIBUTING.md has no table of words, | not | but |"
    pairs = (row.strip("|").split("|") for row in rows[1].splitlines())
    return {phrase.strip(): instead.strip() for phrases, instead in pairs for phrase in phrases.split(",")}


def words_of_the_list(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield each use of a coinage, with the word to use instead."""
    known = coinages()
    pattern = re.compile(r"\b(" + "|".join(re.escape(phrase) for phrase in known) + r")\b", re.IGNORECASE)
    for sentence in sentences:
        # A comma does not make another phrase of it: "told, not judged" is on the list as "told not judged".
        for found in pattern.finditer(sentence.text.replace(",", "")):
            yield f"{found[0]!r}, write {known[found[0].lower()]!r}: {sentence}"


def long_ones(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield each sentence of too many words."""
    for sentence in sentences:
        if (count := prose.count_words(sentence.text)) > MOST_WORDS:
            yield f"{count} words: {sentence}"


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    # The list itself holds the coinages.
    listed = set(prose.in_table(CONTRIBUTING, "not | but"))
    found = [sentence for sentence in prose.sentences() if sentence not in listed]
    assert len(found) > 10_000  # a reader that finds nothing would refuse nothing
    return found


def test_no_sentence_is_over_30_words(sentences):
    assert list(long_ones(sentences)) == []


def test_no_coinage_stands_where_the_field_has_a_word(sentences):
    assert list(words_of_the_list(sentences)) == []


def test_every_place_that_a_user_reads_is_looked_at(sentences):
    kinds = {sentence.file.suffix for sentence in sentences}
    assert kinds == {".md", ".py", ".html", ".js", ".yaml"}
    files = {sentence.file.relative_to(prose.ROOT).as_posix() for sentence in sentences}
    assert {
        "README.md",
        "docs/statistics.md",
        "classlab/cli/run_command.py",
        "classlab/contract.py",
        "classlab/ui/pages/runs.html",
        "classlab/ui/scripts/runs.js",
        "classlab/experiments/mnist-20k.yaml",
    } <= files


EXAMPLES = [
    (".md", "First one. Second\none, `a b`.\n\n    code is not prose\n", ["First one.", "Second one, CODE."]),
    (".md", "```\ncode\n```\n| a cell | another one |\n|---|---|\n", ["a cell", "another one"]),
    (".md", "- an item\n  goes on\n- See [a link](https://there.example/x).\n", ["an item goes on", "See a link."]),
    (
        ".py",
        '"""What.\nIt is:\n\n    x  a table\n    y  of names\n"""\n',
        ["What.", "It is:", "x a table", "y of names"],
    ),
    (".py", 'raise Error(f"{path} is long: {listing(a, \'b c d\')}" " so")\n', ["CODE is long: CODE so", "b c d"]),
    (".py", 'def f():\n    """Public one."""\ndef _g():\n    """Private one."""\n', ["Public one."]),
    (".html", "<p>Some <b>bold</b> text</p>{% if x %}<p>{{ value }} it</p>{% endif %}", ["Some bold text", "CODE it"]),
    (".html", '<input placeholder="type it here"><script>var a = "not this one"</script>', ["type it here"]),
    (".js", 'say(`${name} is here`); // not this one\nsay("and this one")', ["CODE is here", "and this one"]),
    (".yaml", "# What it does.\n#   --set a=b\nname: it\nquestion: Is it so?\n", ["What it does.", "Is it so?"]),
]


@pytest.mark.parametrize(("ending", "text", "expected"), EXAMPLES)
def test_sentences_are_found(tmp_path, ending, text, expected):
    file = tmp_path / f"file{ending}"
    file.write_text(text, encoding="utf-8")
    assert [sentence.text for sentence in prose.READERS[ending](file)] == expected


def test_words_are_counted_fairly():
    assert prose.count_words("99.4 % of 10,000 images − one CODE.") == 6
    (name,) = list(long_ones([Sentence(CONTRIBUTING, 1, "word " * 31)]))
    assert name.startswith("31 words: CONTRIBUTING.md:1: word")
    assert list(long_ones([Sentence(CONTRIBUTING, 1, "word " * 30)])) == []


def test_a_coinage_is_found_with_the_word_to_use_instead():
    (found,) = list(words_of_the_list([Sentence(CONTRIBUTING, 1, "9 are Told, and not judged.")]))
    assert found.startswith("'Told and not judged', write 'not judged': CONTRIBUTING.md:1: ")


def test_the_glossary_is_in_order_and_defines_each_term_once():
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    terms = [line.removeprefix("**").partition("**")[0] for line in lines if line.startswith("**")]
    assert len(terms) >= 60
    assert terms == sorted(set(terms), key=str.lower)
    assert "docs/glossary.md" in (prose.ROOT / "README.md").read_text(encoding="utf-8")
