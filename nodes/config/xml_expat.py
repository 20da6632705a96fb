"""XML by the standard library's expat, with what lxml refuses: no DTD, no entities of a document, no huge trees.

A location is that of expat, which can be some characters before that of lxml. Of letters outside the basic plane, which
XML 1.0 allows in names since its fifth edition, expat allows none, and it does not check `xml:id`: no config file has
either.
"""

import re
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .xml_tree import NOT_WELL_FORMED, MalformedError, XmlElement

MAX_DEPTH: Final = 256
"""Nested elements, as in libxml2 without `huge_tree`."""
MAX_NAME: Final = 50_000
"""Bytes of a name, as in libxml2 without `huge_tree`."""

_OTHER_VERSION: Final = re.compile(r"<\?xml\s+version\s*=\s*[\"'](?!1\.[0-9]+[\"'])")
_AMPERSAND: Final = "a value contains `&`: write &amp; instead"
_CHARACTER: Final = "this character is not allowed in XML"
_CAUSES: Final = {
    expat.errors.codes[message]: cause
    for message, cause in (
        (expat.errors.XML_ERROR_TAG_MISMATCH, "an end tag does not match its start tag"),
        (expat.errors.XML_ERROR_NO_ELEMENTS, "an element is not closed"),
        (expat.errors.XML_ERROR_SYNTAX, "the file is not XML"),
        (expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT, "there is more than one root element"),
        (expat.errors.XML_ERROR_UNDEFINED_ENTITY, _AMPERSAND),
        (expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE, "an element has an attribute twice"),
        (expat.errors.XML_ERROR_BAD_CHAR_REF, _CHARACTER),
        (expat.errors.XML_ERROR_MISPLACED_XML_PI, "there is text before the XML declaration"),
    )
}
_UNCLOSED: Final = expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN]
_INVALID: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


class _Reader:
    """One parser of expat that fills a tree and refuses what lxml refuses."""

    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._depth = 0
        self.parser = expat.ParserCreate("utf-8", "}")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._tree.data
        self.parser.StartDoctypeDeclHandler = self._doctype

    def root(self) -> Element:
        """The root element, after the last byte."""
        return self._tree.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH or any(len(one.encode()) > MAX_NAME for one in (name, *attributes)):
            raise self._refusal()
        self._tree.start(_named(name), {_named(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(_named(name))

    def _doctype(self, *_declared: object) -> None:
        raise self._refusal()

    def _refusal(self) -> MalformedError:
        return MalformedError(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1, NOT_WELL_FORMED)


def tree(text: str) -> XmlElement:
    """The root element of the text; raises MalformedError."""
    if _OTHER_VERSION.match(text):
        raise MalformedError(1, 1, NOT_WELL_FORMED)
    reader = _Reader()
    raw = text.encode("utf-8")
    try:
        reader.parser.Parse(raw, True)
        return reader.root()
    except expat.ExpatError as error:
        if error.code == _UNCLOSED:  # expat names the start of the token that does not end
            raise MalformedError(*_end_of(text), NOT_WELL_FORMED) from None
        cause = _cause(error.code, raw, reader.parser.ErrorByteIndex)
        raise MalformedError(error.lineno, error.offset + 1, cause) from None


def _named(name: str) -> str:
    """A name as lxml writes it: expat writes the namespace without the opening brace."""
    return f"{{{name}" if "}" in name else name


def _end_of(text: str) -> tuple[int, int]:
    """The line and column after the last character."""
    lines = re.split(r"\r\n|\r|\n", text)
    return len(lines), len(lines[-1]) + 1


def _cause(code: int, raw: bytes, at: int) -> str:
    """The cause, from expat's code and the bytes around the error, without any of them."""
    if code != _INVALID:
        return _CAUSES.get(code, NOT_WELL_FORMED)
    if re.match(rb"[\x00-\x1f]|\xef\xbf[\xbe\xbf]", raw[at : at + 3]):
        return _CHARACTER
    before = raw[:at]
    if re.search(rb"&\w*$", before):
        return _AMPERSAND
    in_value = raw[at : at + 1] == b"<" and re.search(rb"=\s*(?:\"[^\"<]*|'[^'<]*)$", before)
    return "a value contains `<`: write &lt; instead" if in_value else NOT_WELL_FORMED
