"""The commands. This is imported first of all of them: a command that tells how long it took counts from here."""

import time

BEGAN = time.monotonic()
