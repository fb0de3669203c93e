"""How much work a workbook may ask for: counted in steps, so that the same workbook always gets as far."""


class WorkSpent(Exception):
    """All the work that is allowed has been done."""


class Meter:
    """Counts work down. One step takes about 0.4 microseconds."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed

    def spend(self, steps: int) -> None:
        """Count steps that are about to be taken. Raises WorkSpent where fewer are left, and at every call after."""
        if steps > self.left:
            self.left = 0
            raise WorkSpent
        self.left -= steps

    def part(self, share: float) -> "Meter":
        """Return a meter of its own for a share of what is left, so that one task leaves something for the next."""
        taken = int(self.left * share)
        self.left -= taken
        return Meter(taken)

    def up_to(self, steps: int) -> "Meter":
        """Return a meter of its own for so many steps, or for what is left."""
        taken = min(steps, self.left)
        self.left -= taken
        return Meter(taken)

    def give_back(self, part: "Meter") -> None:
        """Take back what a part did not need."""
        self.left += part.left
        part.left = 0
