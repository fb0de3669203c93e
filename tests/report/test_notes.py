"""The author's own words stand where their headings say, and a heading that is none of the report's is refused."""

import pytest

from classlab.drawing.blocks import Section, Words
from classlab.errors import UserError
from classlab.report.notes import with_notes

SECTIONS = (Section("Verdict", (Words("Kept."),)), Section("Question and method", (Words("What."),)))
NOTES = """Why I did this.

It was set.

# conclusion
It works.

## Verdict ##
I expected
less.

- one
- two
"""


def test_words_stand_where_their_headings_say(tmp_path):
    (tmp_path / "notes.md").write_text(NOTES)
    found = with_notes(SECTIONS, tmp_path / "notes.md")
    assert {section.title: [block.text for block in section.blocks] for section in found} == {
        "Introduction": ["Why I did this.", "It was set."],
        "Verdict": ["I expected less.", "• one", "• two", "Kept."],
        "Question and method": ["What."],
        "Conclusions": ["It works."],
    }
    assert [section.title for section in found][-1] == "Conclusions"


def test_a_heading_that_is_none_of_the_report_s_is_refused(tmp_path):
    (tmp_path / "notes.md").write_text("# Verdikt\nx\n")
    with pytest.raises(
        UserError, match=r"notes.md, line 1: the report has no section 'Verdikt'; did you mean Verdict\?"
    ):
        with_notes(SECTIONS, tmp_path / "notes.md")
    with pytest.raises(UserError, match="there is no file"):
        with_notes(SECTIONS, tmp_path / "none.md")
