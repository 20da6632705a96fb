"""The error of a file that its program would refuse, or that nlbgen cannot read."""

from ..core.errors import Location, Problem, ProblemsError


class UnreadableError(ProblemsError):
    """A configuration cannot be read; each problem has the location in the file."""

    @classmethod
    def at(cls, location: Location, message: str, hint: str = "") -> "UnreadableError":
        """One problem at one location."""
        return cls([Problem(location, "", message, hint)])
