"""Edits of a config file's text: quotes, indentation and line ends follow the neighbours; nothing else changes."""

from pathlib import Path

import pytest

from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.edits import InsertElement, Operation, RemoveAttribute, SetAttribute, text_edits
from nlbgen.nodes.config.lexer import Element
from nlbgen.nodes.config.webconfig import Document


def document(text: str) -> Document:
    return webconfig.parse(Path("web.config"), text.encode())


def edited(file: Document, *operations: Operation) -> str:
    return file.edited(text_edits(file, operations))[1].decode()


def only(parent: Element, name: str) -> Element:
    (found,) = parent.named(name)
    return found


def with_inserted(text: str, *path: str) -> str:
    """The text after an `<add>` was inserted into the element at this path below the root."""
    file = document(text)
    parent = file.root
    for name in path:
        parent = only(parent, name)
    return edited(file, InsertElement(file, parent, "add", (("key", "k"), ("value", "v"))))


ADDED = '<add key="k" value="v" />'


def test_element_ends_after_the_children_of_its_own_name() -> None:
    text = "<r><a><a/><a></a></a><b/></r>"
    outer = only(document(text).root, "a")
    assert text[outer.start : outer.end] == "<a><a/><a></a></a>"
    assert [text[child.start : child.end] for child in outer.children] == ["<a/>", "<a></a>"]


# Attributes.


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<a b='1'/>", "<a b='1' c='x\"y'/>"),
        ('<a b="1"/>', '<a b="1" c="x&quot;y"/>'),
        ("<a b=\"1\" d='2'/>", "<a b=\"1\" d='2' c='x\"y'/>"),
        ("<a d='2' b=\"1\"/>", '<a d=\'2\' b="1" c="x&quot;y"/>'),
        ("<a/>", '<a c="x&quot;y"/>'),
        ("<a />", '<a c="x&quot;y" />'),
    ],
)
def test_set_attribute_missing_takes_the_quote_of_the_last_attribute(tag: str, expected: str) -> None:
    file = document(tag)
    assert edited(file, SetAttribute(file, file.root, "c", 'x"y')) == expected


@pytest.mark.parametrize("gap", [" ", "  ", "\n    ", "\r\n\t"])
def test_set_attribute_missing_takes_the_white_space_before_the_last_attribute(gap: str) -> None:
    file = document(f'<a d="0"{gap}b="1"/>')
    assert edited(file, SetAttribute(file, file.root, "c", "2")) == f'<a d="0"{gap}b="1"{gap}c="2"/>'


@pytest.mark.parametrize("quote", ["'", '"'])
def test_set_attribute_present_keeps_its_quote(quote: str) -> None:
    file = document(f"<a b = {quote}1{quote} c='2'/>")
    value = "&quot;" if quote == '"' else '"'
    assert edited(file, SetAttribute(file, file.root, "b", '"')) == f"<a b = {quote}{value}{quote} c='2'/>"


def test_remove_attribute_removes_the_white_space_before_it() -> None:
    file = document('<a b="1"\n   c="2" d="3"/>')
    assert edited(file, RemoveAttribute(file, file.root, "c")) == '<a b="1" d="3"/>'


def test_text_edits_ignore_operations_on_other_documents() -> None:
    file, other = document('<a b="1"/>'), document('<a b="1"/>')
    assert text_edits(file, [SetAttribute(other, other.root, "b", "2")]) == []


# Elements.


@pytest.mark.parametrize("indent", ["\t", "   ", "      ", ""])
def test_insert_element_takes_the_indentation_of_its_sibling(indent: str) -> None:
    text = f"<c>\n  <s>\n{indent}<a/>\n  </s>\n</c>\n"
    assert with_inserted(text, "s") == f"<c>\n  <s>\n{indent}<a/>\n{indent}{ADDED}\n  </s>\n</c>\n"


def test_insert_element_takes_the_indentation_of_the_last_sibling() -> None:
    text = "<c>\n  <s>\n    <a/>\n\t<b/>\n  </s>\n</c>\n"
    assert with_inserted(text, "s") == f"<c>\n  <s>\n    <a/>\n\t<b/>\n\t{ADDED}\n  </s>\n</c>\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<c>|  <s>|    <a/>|  </s>|</c>", f"<c>|  <s>|    <a/>|    {ADDED}|  </s>|</c>"),
        ("<c>|  <s>|  </s>|</c>", f"<c>|  <s>|    {ADDED}|  </s>|</c>"),
        ("<c>|  <s/>|</c>", f"<c>|  <s>|    {ADDED}|  </s>|</c>"),
        ("<c>|  <s />|</c>", f"<c>|  <s>|    {ADDED}|  </s>|</c>"),
        ("<c>|  <s></s>|</c>", f"<c>|  <s>|    {ADDED}|  </s>|</c>"),
        ("<c><s/>|</c>", f"<c><s>|  {ADDED}|</s>|</c>"),
    ],
)
def test_insert_element_takes_the_line_end_of_the_file(text: str, expected: str, end: str) -> None:
    assert with_inserted(text.replace("|", end), "s") == expected.replace("|", end)


@pytest.mark.parametrize(("before", "after"), [("\n", "\r\n"), ("\r\n", "\n"), ("\r", "\n")])
def test_insert_element_takes_the_line_end_of_its_neighbour_in_a_mixed_file(before: str, after: str) -> None:
    text = f"<c>{after}  <s>{after}    <a/>{before}  </s>{after}</c>"
    expected = f"<c>{after}  <s>{after}    <a/>{before}    {ADDED}{before}  </s>{after}</c>"
    assert with_inserted(text, "s") == expected


def test_insert_element_without_any_line_end_takes_that_of_windows() -> None:
    assert with_inserted("<c><s/></c>", "s") == f"<c><s>\r\n  {ADDED}\r\n</s></c>"


@pytest.mark.parametrize("unit", ["\t", " ", "   ", "        "])
@pytest.mark.parametrize("empty", ["<s/>", "<s></s>", "<s>\n{unit}{unit}</s>"])
def test_insert_element_into_an_empty_parent_takes_the_unit_of_the_parent(unit: str, empty: str) -> None:
    text = f"<c>\n{unit}<g>\n{unit}{unit}{empty.format(unit=unit)}\n{unit}</g>\n</c>\n"
    expected = f"<c>\n{unit}<g>\n{unit}{unit}<s>\n{unit * 3}{ADDED}\n{unit}{unit}</s>\n{unit}</g>\n</c>\n"
    assert with_inserted(text, "g", "s") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<c>\n<s/>\n</c>", f"<c>\n<s>\n  {ADDED}\n</s>\n</c>"),
        ("\t<c>\n <s/>\n</c>", f"\t<c>\n <s>\n   {ADDED}\n </s>\n</c>"),
    ],
)
def test_insert_element_without_a_unit_takes_two_spaces(text: str, expected: str) -> None:
    assert with_inserted(text, "s") == expected


def test_insert_element_into_the_root_takes_two_spaces() -> None:
    assert with_inserted("<c>\n</c>\n") == f"<c>\n  {ADDED}\n</c>\n"


def test_insert_element_beside_an_end_tag_joins_the_line() -> None:
    assert with_inserted("<c>\n  <s><a/></s>\n</c>", "s") == f"<c>\n  <s><a/>{ADDED}</s>\n</c>"
    assert with_inserted("<c>\n  <s>text</s>\n</c>", "s") == f"<c>\n  <s>text{ADDED}</s>\n</c>"


def test_insert_elements_stay_in_order() -> None:
    file = document("<c>\n  <s/>\n  <t>\n    <a/>\n  </t>\n</c>\n")
    operations = [InsertElement(file, only(file.root, name), one, ()) for name in "st" for one in ("x", "y")]
    expected = "<c>\n  <s>\n    <x />\n    <y />\n  </s>\n  <t>\n    <a/>\n    <x />\n    <y />\n  </t>\n</c>\n"
    assert edited(file, *operations) == expected


def test_edits_that_overlap_are_an_internal_error() -> None:
    file = document('<a b="1"/>')
    with pytest.raises(ValueError, match="overlap"):
        file.edited([webconfig.Edit(1, 5, ""), webconfig.Edit(3, 6, "")])
