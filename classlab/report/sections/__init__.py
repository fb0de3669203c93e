"""The sections of a report, one file each: `section(run)` returns a Section, or None where it has nothing to say."""
