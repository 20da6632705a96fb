"""Settings as ASP.NET collects them: sections, the `<add>` elements that count in them, and where a new one goes."""

from dataclasses import dataclass, field

from .lexer import Element
from .webconfig import Document


@dataclass(frozen=True, slots=True)
class ConfigSection:
    """One section: the element that holds its content, and the file that this stands in."""

    name: str
    document: Document
    element: Element
    protected: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """One `<add>` that counts: of equal keys the last one."""

    key: str
    element: Element
    document: Document
    value_name: str
    copies: int = 1
    """How many `<add>` of this key stand in the file."""

    @property
    def value(self) -> str:
        """What it says; nothing where it has no value."""
        return self.element.get(self.value_name) or ""


@dataclass(slots=True)
class Settings:
    """The settings of one section by their folded keys, and where a new one goes."""

    home: ConfigSection | None
    key_name: str
    value_name: str
    found: dict[str, Element] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    dropped_later: set[str] = field(default_factory=set)
    overlay: ConfigSection | None = None
    """The section of the file that `file=` names."""

    def get(self, key: str) -> Setting | None:
        """The setting of this key, in any case of letters."""
        folded = key.lower()
        element = self.found.get(folded)
        if element is None or self.home is None:
            return None
        over = self.overlay is not None and element.markup is self.overlay.element.markup
        document = self.overlay.document if over and self.overlay is not None else self.home.document
        written = element.get(self.key_name) or ""
        return Setting(written, element, document, self.value_name, self.repeated.get(folded, 1))

    def names(self) -> list[str]:
        """The folded keys of all settings."""
        return list(self.found)

    def value(self, key: str) -> str | None:
        """What the setting says, or None where there is none."""
        entry = self.get(key)
        return None if entry is None else entry.value

    def home_of(self, key: str) -> ConfigSection | None:
        """The section that a new setting of this key counts in."""
        if self.overlay is not None and {"*", key.lower()} & self.dropped_later:
            return self.overlay
        return self.home
