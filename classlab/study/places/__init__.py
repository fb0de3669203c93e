"""Places: where the runs of a study are trained. A place is one file here with one function, found by its name.

    def train(jobs: Sequence[Job], processes: int, log: Path) -> Iterator[Event | None]

It trains the jobs that it is given, in their order as far as it can, and yields what happens, see runs.events; None
where for a while nothing did. What goes wrong with one job is an event, Failed, and ends that job alone. Whoever stops
listening stops the place, which leaves every run so that it can be resumed. processes: how many runs may train at
the same time. log: a file for what is said on the way, for people.

A study names its place by the file's name: place: one by one means one_by_one.py.
"""
