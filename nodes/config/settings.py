"""Settings as ASP.NET reads them: sections, their effective `<add>` elements, and the section for new ones."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...core.errors import Location
from .lexer import Element
from .webconfig import Document


@dataclass(frozen=True, slots=True)
class ConfigSection:
    """One section: the element with its content, and the file of this element."""

    name: str
    document: Document
    element: Element
    protected: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective `<add>`: the last one of equal keys."""

    key: str
    element: Element
    document: Document
    value_name: str
    copies: int = 1
    """The number of `<add>` elements with this key."""

    @property
    def value(self) -> str:
        """The value; empty if the element has none."""
        return self.element.get(self.value_name) or ""

    @property
    def location(self) -> Location:
        """The location of its `<add>`."""
        return self.document.location(self.element.start)


@dataclass(slots=True)
class Settings:
    """The settings of one section by their lower-case keys, and the section for new ones."""

    home: ConfigSection | None
    key_name: str
    value_name: str
    found: dict[str, Element] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    dropped_later: set[str] = field(default_factory=set)
    overlay: ConfigSection | None = None
    """The section in the file that `file=` names."""

    def get(self, key: str) -> Setting | None:
        """The setting with this key, in any case, or None."""
        folded = key.lower()
        element = self.found.get(folded)
        if element is None or self.home is None:
            return None
        over = self.overlay is not None and element.markup is self.overlay.element.markup
        document = self.overlay.document if over and self.overlay is not None else self.home.document
        written = element.get(self.key_name) or ""
        return Setting(written, element, document, self.value_name, self.repeated.get(folded, 1))

    def entries(self) -> Iterator[Setting]:
        """All settings, in the order of the files."""
        return filter(None, map(self.get, self.found))

    def names(self) -> list[str]:
        """The lower-case keys of all settings."""
        return list(self.found)

    def value(self, key: str) -> str | None:
        """The value of a setting, or None if it does not exist."""
        entry = self.get(key)
        return None if entry is None else entry.value

    def home_of(self, key: str) -> ConfigSection | None:
        """The section in which a new setting with this key takes effect."""
        if self.overlay is not None and {"*", key.lower()} & self.dropped_later:
            return self.overlay
        return self.home
