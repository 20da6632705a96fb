"""XML by lxml: no entities, no network, no DTDs, no huge trees."""

from typing import TYPE_CHECKING, cast

from .xml_tree import NOT_WELL_FORMED, MalformedError, XmlElement

if TYPE_CHECKING:
    from lxml import etree


def tree(text: str) -> XmlElement:
    """The root element of the text; raises MalformedError."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        return cast("XmlElement", etree.fromstring(text.encode("utf-8"), parser))
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise MalformedError(max(line, 1), max(column, 1), _cause(error)) from None


def _cause(error: "etree.XMLSyntaxError") -> str:
    """The cause without libxml2's message, which quotes names and entities that can be parts of a secret."""
    from lxml.etree import ErrorTypes as Types

    causes = {
        Types.ERR_TAG_NAME_MISMATCH: "an end tag does not match its start tag",
        Types.ERR_TAG_NOT_FINISHED: "an element is not closed",
        Types.ERR_DOCUMENT_EMPTY: "the file is not XML",
        Types.ERR_DOCUMENT_END: "there is more than one root element",
        Types.ERR_LT_IN_ATTRIBUTE: "a value contains `<`: write &lt; instead",
        Types.ERR_NAME_REQUIRED: "a name is missing, or a value contains `&`: write &amp; instead",
        Types.ERR_ENTITYREF_SEMICOL_MISSING: "a value contains `&`: write &amp; instead",
        Types.ERR_UNDECLARED_ENTITY: "a value contains `&`: write &amp; instead",
        Types.WAR_UNDECLARED_ENTITY: "a value contains `&`: write &amp; instead",
        Types.ERR_ATTRIBUTE_REDEFINED: "an element has an attribute twice",
        Types.ERR_INVALID_CHAR: "this character is not allowed in XML",
        Types.ERR_RESERVED_XML_NAME: "there is text before the XML declaration",
    }
    return causes.get(getattr(error, "code", None) or 0, NOT_WELL_FORMED)
