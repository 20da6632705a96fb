"""Whether a text is well-formed XML, and its tree: by lxml, or by the standard library's expat where lxml is missing.

Both readers accept the same texts and return equal trees: no entities but XML's own five, no DTD, nothing is loaded
from elsewhere, and the same limits. Python in a web page has no lxml.
"""

from importlib.util import find_spec

from .xml_tree import XmlElement


def tree(text: str) -> XmlElement:
    """The root element of the text; raises MalformedError."""
    if find_spec("lxml") is None:
        from .xml_expat import tree as parsed
    else:
        from .xml_lxml import tree as parsed
    return parsed(text)
