"""The two XML readers accept the same texts and return equal trees: lxml, and the standard library's expat."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes.config import webconfig, xml_expat, xml_lxml, xml_reader
from nlbgen.nodes.config.encoding import EncodingError, decode
from nlbgen.nodes.config.xml_tree import MalformedError, XmlElement
from tests.hostile.test_mutated_files import damaged
from tests.nodes import corpus

TESTS = Path(__file__).parents[1]
FAULTS = [
    *('<a b="1<2"/>', '<a b="1&2"/>', '<a b="&foo;"/>', '<a b="x&"/>', '<a b="1&#0;"/>', '<a b="1" b="2"/>'),
    *("<a><b></a>", "<a>", "<a", "<a/><b/>", ' <?xml version="1.0"?><a/>', "<a>\x01</a>", '<a b="\x01"/>', "hello"),
    *("<a b=1/>", '<a b="top"secret"/>', "<a:b/>", "<a>&x;</a>", "<a>&amp</a>", "<a>]]></a>", '<a b="x', "<1/>"),
    *("<a><!-- x -- y --></a>", "<a><![CDATA[x</a>", '<a b="1"c="2"/>', "<a>\ufffe</a>", "<a></a>text", "</a>"),
    *('<a xmlns:x="u" x:b="1" xmlns:y="u" y:b="2"/>', '<a b="&#x110000;"/>', '<a xmlns:x=""/>', '<a b="&lt"/>'),
    *('<?xml version="2.0"?><a/>', "<?xml?><a/>", "<a><b/", "<a></b>", "<a>x</a>\0", "<a><!-- ", "<?x ", "<a b></a>"),
    *('<a =""/>', "<a><?Xml ?></a>", f"<{'a' * 60_000}/>", '<a xmlns:xml="q"/>', "<:a/>", '<a b:c="1"/>', "<a><<</a>"),
    *("<a>" * 257 + "</a>" * 257, "<!DOCTYPE a><a/>", '<!DOCTYPE a [<!ENTITY x "1">]><a>&x;</a>'),
]
GOOD = [
    *("<é/>", "<a></a >", "<a/>\n\n", "<a>\U00020000</a>", '<a xmlns="x"><c xmlns=""/></a>', "<a><![CDATA[]]]]></a>"),
    *('<?xml version="1.1"?><a/>', '<?xml version="1.0" encoding="utf-16"?><a/>', '<a xml:space="x"/>'),
    *('<a x:b="1" xmlns:x="u"/>', '<a b=" 1\n2\t3&#10;4&#x9;"/>', "<a>" * 256 + "</a>" * 256),
    "<a><!-- c --><?p q?><b/></a>",
]


def texts() -> Iterator[str]:
    """Every XML file of the tests' farms and of the made-up install folders, with each of their faults."""
    for path in sorted([*TESTS.glob("golden*/**/*.config"), *TESTS.glob("golden*/**/*.xml")]):
        try:
            yield decode(path.read_bytes()).text
        except EncodingError:
            continue
    for version in corpus.VERSIONS.values():
        for fault in (None, *corpus.FAULTS):
            files = corpus.healthy(version)
            if fault is not None and version.name in fault.versions:
                fault.change(files, version)
            yield from (text for name, text in files.items() if name.endswith(".config"))


def shape(element: XmlElement) -> list[object]:
    return [element.tag, dict(element.attrib), [shape(child) for child in element]]


def outcome(tree: Callable[[str], XmlElement], text: str) -> list[object] | int:
    """The tree, or the line of the error."""
    try:
        return shape(tree(text))
    except MalformedError as error:
        return error.line


def test_both_readers_return_the_same_trees_and_lines_for_the_corpus_and_damaged_files() -> None:
    chance = random.Random(5)
    known = sorted(set(texts()))
    assert len(known) > 100
    lines = 0
    for text in known:
        for one in (text, *(damaged(text.encode(), chance).decode("utf-8", "ignore") for _ in range(6))):
            expected, found = outcome(xml_lxml.tree, one), outcome(xml_expat.tree, one)
            if re.search(r"<!DOCTYPE", one):  # `webconfig` refuses it before either reader sees it
                continue
            assert isinstance(found, int) is isinstance(expected, int), one
            if isinstance(expected, int):
                lines += 1
            else:
                assert found == expected
    assert lines > 100


@pytest.mark.parametrize("text", GOOD)
def test_both_readers_return_the_same_tree(text: str) -> None:
    assert outcome(xml_expat.tree, text) == outcome(xml_lxml.tree, text)
    assert not isinstance(outcome(xml_expat.tree, text), int)


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: text[:30])
def test_expat_refuses_what_lxml_refuses_with_no_other_cause(text: str) -> None:
    """Of two known causes for one fault, both are true; otherwise one reader knows none."""
    with pytest.raises(MalformedError) as by_expat:
        xml_expat.tree(text)
    if "<!DOCTYPE" not in text:  # `webconfig` refuses it before either reader sees it
        with pytest.raises(MalformedError) as by_lxml:
            xml_lxml.tree(text)
        assert by_expat.value.line == by_lxml.value.line
    assert by_expat.value.column >= 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('<a b="1<2"/>', "&lt;"),
        ('<a b="1&2"/>', "&amp;"),
        ('<a b="&foo;"/>', "&amp;"),
        ('<a b="1" b="2"/>', "twice"),
        ("<a><b></a>", "does not match"),
        ("<a>", "not closed"),
        ("<a/><b/>", "more than one root"),
        ("hello", "not XML"),
        ("<a>\x01</a>", "not allowed"),
        ('<a b="1&#0;"/>', "not allowed"),
        (' <?xml version="1.0"?><a/>', "before the XML declaration"),
        ("<a b=<1/>", "not well-formed"),
    ],
)
def test_both_readers_name_the_same_cause(text: str, cause: str) -> None:
    for reader in (xml_lxml, xml_expat):
        with pytest.raises(MalformedError, match=cause):
            reader.tree(text)


def test_without_lxml_expat_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_reader, "find_spec", lambda _name: None)
    assert type(xml_reader.tree("<a/>")).__module__ == "xml.etree.ElementTree"
    with pytest.raises(NodeError, match=r"web\.config:2:3: an end tag does not match"):
        webconfig.parse(Path("web.config"), b"<a>\n</b>")


def test_with_lxml_lxml_reads() -> None:
    assert "lxml" in type(xml_reader.tree("<a/>")).__module__
