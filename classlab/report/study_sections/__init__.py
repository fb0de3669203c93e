"""The sections of a study's report, one file each; every one has `section(result)`."""
