"""The report: what a run was asked, what it did and what may be said of it, as a document worth handing in."""
