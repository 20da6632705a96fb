"""The environment variables whose values the file itself sets."""

from collections.abc import Mapping

from ..tree import Word


class Variables:
    """The values that `setenv` and `presetenv` gave so far; all others come from HAProxy's environment."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    @property
    def known(self) -> Mapping[str, str]:
        """The values by name."""
        return self._values

    def note(self, words: tuple[Word, ...]) -> None:
        """Take over what a statement does to variables; statements of other kinds do nothing."""
        name, names = words[0].text, [word.text for word in words[1:]]
        if name == "setenv" and len(names) > 1:
            self._values[names[0]] = names[1]
        elif name == "presetenv" and len(names) > 1:
            self._values.setdefault(names[0], names[1])
        elif name == "unsetenv":
            for one in names:
                self._values.pop(one, None)
        elif name == "resetenv":
            self._values = {one: value for one, value in self._values.items() if one in names}
