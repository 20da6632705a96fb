"""The XDT transform: namespaces, locators, and changes of the root of a file that `configSource` names."""

from pathlib import Path

from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.edits import InsertElement, RemoveAttribute, SetAttribute
from nlbgen.nodes.config.webconfig import Document
from nlbgen.nodes.prepare import xdt

XDT = f'xmlns:xdt="{xdt.NAMESPACE}"'


def document(text: str) -> Document:
    return webconfig.parse(Path("web.config"), text.encode())


def texts(file: Document, *operations: InsertElement | RemoveAttribute | SetAttribute) -> list[object]:
    return [tag["text"] for tag in xdt.tags(operations, file.root)]


def test_tags_keep_the_namespace_of_the_root() -> None:
    file = document('<configuration xmlns="urn:x"><a/></configuration>')
    (child,) = file.root.children
    insert = InsertElement(file, child, "add", (("key", "k"),))
    assert texts(file, insert) == [
        f'configuration xmlns="urn:x" {XDT}',
        "a",
        'add key="k" xdt:Locator="Match(key)" xdt:Transform="InsertIfMissing" /',
        "/a",
        "/configuration",
    ]


def test_tags_duplicate_key_is_located_by_xpath() -> None:
    file = document('<c><s><add key="k" value="1"/><add key="k" value="2"/></s></c>')
    second = file.root.children[0].children[1]
    path = "XPath(/*[local-name()='c']/*[local-name()='s']/*[local-name()='add'][2])"
    assert texts(file, SetAttribute(file, second, "value", "3"))[2] == (
        f'add xdt:Locator="{path}" value="3" xdt:Transform="SetAttributes(value)" /'
    )


def test_tags_attributes_of_the_root_are_set() -> None:
    file = document('<machineKey a="1" b="2"/>')
    assert texts(file, SetAttribute(file, file.root, "a", "3")) == [
        f'machineKey {XDT} a="3" xdt:Transform="SetAttributes(a)" /'
    ]


def test_tags_removed_attribute_of_the_root_replaces_it() -> None:
    file = document('<machineKey a="1" b="2" c="3"/>')
    changes = (SetAttribute(file, file.root, "a", "4"), RemoveAttribute(file, file.root, "b"))
    assert texts(file, *changes) == [f'machineKey {XDT} a="4" c="3" xdt:Transform="Replace" /']


def test_tags_removed_attribute_has_a_transform_of_its_own() -> None:
    file = document('<c><machineKey a="1" b="2"/></c>')
    (section,) = file.root.children
    assert texts(file, RemoveAttribute(file, section, "b"))[1] == 'machineKey xdt:Transform="RemoveAttributes(b)" /'


def test_tags_new_section_is_inserted_once() -> None:
    file = document("<configuration><system.web/></configuration>")
    (web,) = file.root.children
    insert = InsertElement(file, web, "machineKey", (("decryption", "AES"),))
    assert texts(file, insert)[2] == 'machineKey decryption="AES" xdt:Transform="InsertIfMissing" /'
