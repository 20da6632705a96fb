"""ObservedValue a node's files: encodings, doors shut, ASP.NET's way with settings; one test for each trap."""

# ruff: noqa: E501  # the samples are lines of config files

import codecs
from pathlib import Path

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes.config import effective as configs
from nlbgen.nodes.config.effective import Config, webconfig
from nlbgen.nodes.config.lexer import decoded, encoded

PLAIN = '<?xml version="1.0"?>\r\n<configuration>\r\n  <appSettings>\r\n    <add key="a" value="é"/>\r\n  </appSettings>\r\n</configuration>\r\n'


def parse(text: str | bytes, name: str = "web.config") -> Config:
    raw = text.encode() if isinstance(text, str) else text
    return Config(webconfig.parse(Path(name), raw))


def refused(text: str | bytes, name: str = "web.config") -> str:
    with pytest.raises(NodeError) as error:
        parse(text, name)
    return f"{error.value.message}\n{error.value.hint}"


def settings(inside: str) -> Config:
    return parse(f"<configuration><appSettings>{inside}</appSettings></configuration>")


# Encodings.


@pytest.mark.parametrize(
    ("codec", "mark", "declared"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", codecs.BOM_UTF8, "utf-8"),
        ("utf-8", codecs.BOM_UTF8, ""),
        ("utf-8", b"", ""),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-16-le", codecs.BOM_UTF16_LE, ""),
        ("utf-16-le", b"", "utf-16"),
        ("latin-1", b"", "iso-8859-1"),
        ("cp1252", b"", "Windows-1252"),
        ("shift_jis", b"", "shift_jis"),
    ],
)
def test_reads_and_writes_back_every_usual_encoding(codec, mark, declared):
    letter = "ア" if codec == "shift_jis" else "é"
    text = PLAIN.replace("é", letter)
    text = text.replace('"1.0"', f'"1.0" encoding="{declared}"') if declared else text
    raw = mark + text.encode(codec)
    config = parse(raw)
    entry = config.app.get("a")
    assert entry is not None
    assert entry.value == letter
    attribute = entry.element.attributes["value"]
    edit = webconfig.Edit(attribute.value_start, attribute.value_end, encoded("ü€", '"', config.main.codec))
    _tree, new = config.main.edited([edit])
    assert new == raw.replace(letter.encode(codec), encoded("ü€", '"', codec).encode(codec))
    again = parse(new).app.get("a")
    assert again is not None
    assert again.value == "ü€"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff\xfe\0\0" + "<a/>".encode("utf-32-le"), "UTF-32"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "cannot be edited"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "is unknown"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "bytes are not UTF-16"),
        (codecs.BOM_UTF16_LE + '<?xml version="1.0" encoding="utf-8"?><a/>'.encode("utf-16-le"), "bytes are UTF-16"),
        (codecs.BOM_UTF8 + b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "byte order mark"),
        (b'<a b="\xff"/>', "byte 7 is not utf-8"),
        (b"", "is empty"),
        (b"  \n ", "is empty"),
    ],
)
def test_refuses_what_is_not_the_text_it_says(raw, said):
    assert said in refused(raw)


# Hostile files.


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE configuration SYSTEM "file:///etc/passwd"><configuration/>',
        '<?xml version="1.0"?>\n<!-- c --><!DOCTYPE c [<!ENTITY a "b">]><configuration/>',
        '<!DOCTYPE c [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;">]><configuration a="&b;"/>',
    ],
)
def test_a_doctype_is_refused(text):
    assert "DOCTYPE" in refused(text)


def test_a_doctype_inside_a_comment_is_no_doctype():
    assert parse("<!-- <!DOCTYPE a> --><configuration><system.web><machineKey/></system.web></configuration>")


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "web.config"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(NodeError, match="209715200 bytes"):
        webconfig.read(path)


def test_deep_nesting_is_refused():
    refused("<a>" * 5000 + "</a>" * 5000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<configuration a="sec&ret;x"/>', "&amp;"),
        ('<configuration a="sec&ret"/>', "&amp;"),
        ('<configuration a="top"secret"/>', "not well-formed"),
        ("<configuration><secret></configuration>", "does not match"),
        ('<configuration a="sec<ret"/>', "&lt;"),
    ],
)
def test_errors_show_the_place_and_no_content(text, said):
    shown = refused(text)
    assert said in shown
    assert shown.startswith("web.config:1:")
    assert "ret" not in shown.replace("correct", "")


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(NodeError, match="cannot be read") as error:
        webconfig.read(tmp_path / "web.config")
    assert "config" in str(error.value.hint)


def test_another_root_is_refused():
    assert "<html>" in refused("<html/>")


# Values.


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a&lt;&gt;&amp;&quot;&apos;b", "a<>&\"'b"),
        ("&#65;&#x42;", "AB"),
        ("a\r\nb\nc\td", "a b c d"),
        ("&#13;&#10;&#9;", "\r\n\t"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_values_are_read_as_xml_says(raw, value):
    assert decoded(raw) == value


@pytest.mark.parametrize("value", ["", "a", "<&>\"'", "\t\n\r", "a  b", "é€😀", "&amp;"])
@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("codec", ["utf-8", "ascii", "cp1252"])
def test_values_survive_the_way_there_and_back(value, quote, codec):
    raw = encoded(value, quote, codec)
    assert quote not in raw
    assert decoded(raw.encode(codec).decode(codec)) == value


@pytest.mark.parametrize("value", ["\0", "\x1f", "\ud800", "\uffff"])
def test_what_xml_cannot_hold_is_refused_without_showing_it(value):
    with pytest.raises(ValueError, match="XML cannot hold") as error:
        encoded(f"secret{value}", '"')
    assert "secret" not in str(error.value)


# ASP.NET's reading.


def test_of_equal_keys_the_last_one_counts():
    config = settings('<add key="k" value="1"/><add key="K" value="2"/>')
    entry = config.app.get("k")
    assert entry is not None
    assert (entry.value, entry.copies) == ("2", 2)


def test_clear_and_remove_drop_what_stands_before():
    config = settings(
        '<add key="a" value="1"/><add key="b" value="1"/><clear/><add key="c" value="1"/><remove key="C"/>'
    )
    assert config.app.names() == []


def test_commented_out_copies_do_not_count():
    config = settings('<!-- <add key="a" value="old"/> --><add key="a" value="new"/><!-- <add key="a" value="x"/> -->')
    assert config.app.value("a") == "new"


def test_cdata_and_instructions_do_not_count():
    config = settings('<![CDATA[<add key="a" value="1"/>]]><?x <add key="b" value="1"/>?><add key="c" value="1"/>')
    assert config.app.names() == ["c"]


def test_several_on_a_line_any_order_of_attributes_and_any_quotes():
    config = settings("<add value='1' key='a'/><add\n key = \"b\"\n value='>'/>")
    assert (config.app.value("A"), config.app.value("b")) == ("1", ">")


@pytest.mark.parametrize(
    "text",
    [
        "<configuration><AppSettings/></configuration>",
        "<configuration><appSettings><Add key='a' value='b'/></appSettings></configuration>",
        "<configuration><appSettings><add Key='a' value='b'/></appSettings></configuration>",
        "<configuration><system.web><machinekey/></system.web></configuration>",
    ],
)
def test_the_case_of_names_counts(text):
    assert "case-sensitive" in refused(text)


def test_a_section_twice_is_refused_with_both_places():
    text = (
        "<configuration>\n<system.web><machineKey/></system.web>\n"
        '<location path="."><system.web><machineKey/></system.web></location>\n</configuration>'
    )
    shown = refused(text)
    assert "web.config:3:" in shown
    assert "web.config:2:" in shown


@pytest.mark.parametrize("path", ["", ' path="."', ' path="" inheritInChildApplications="false"'])
def test_a_location_of_the_application_itself_counts(path):
    config = parse(
        f"<configuration><location{path}><system.web><machineKey a='b'/></system.web></location></configuration>"
    )
    section = config.section("system.web/machineKey")
    assert section is not None
    assert section.element.get("a") == "b"


def test_a_machine_key_for_a_path_is_refused():
    shown = refused(
        "<configuration><location path='api'><system.web><machineKey/></system.web></location></configuration>"
    )
    assert "whole application" in shown


def test_app_settings_of_another_path_do_not_count():
    config = parse(
        "<configuration><location path='api'><appSettings><add key='a' value='1'/></appSettings></location></configuration>"
    )
    assert config.app.get("a") is None


# Other files.


def make(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_config", ".config")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "web.config"


def test_config_source_is_followed_in_any_case(tmp_path):
    path = make(
        tmp_path,
        web_config="<configuration><appSettings configSource='Conf\\App.config'/></configuration>",
        conf__app_config="<appSettings><add key='EncryptionKey' value='1'/></appSettings>",
    )
    config = configs.load(path)
    assert config.app.value("EncryptionKey") == "1"
    assert len(config.documents) == 2


def test_file_comes_after_the_section_itself(tmp_path):
    path = make(
        tmp_path,
        web_config="<configuration><appSettings file='user.config'><add key='EncryptionKey' value='1'/></appSettings></configuration>",
        user_config="<appSettings><add key='encryptionkey' value='2'/></appSettings>",
    )
    entry = configs.load(path).app.get("EncryptionKey")
    assert entry is not None
    assert entry.value == "2"
    assert entry.document.path.name == "user.config"


def test_a_missing_file_is_taken_for_missing_and_said(tmp_path):
    path = make(
        tmp_path,
        web_config="<configuration><appSettings file='user.config'><add key='apiKey' value='1'/></appSettings></configuration>",
    )
    config = configs.load(path)
    assert config.app.value("apiKey") == "1"
    assert "user.config" in config.notes[0]


@pytest.mark.parametrize(
    "source", ["..\\x.config", "C:\\x.config", "\\\\srv\\x.config", "/etc/passwd", "a/../../x", "."]
)
def test_nothing_outside_the_folder_is_read(tmp_path, source):
    path = make(tmp_path, web_config=f"<configuration><appSettings configSource='{source}'/></configuration>")
    with pytest.raises(NodeError, match="outside the folder"):
        configs.load(path)


def test_no_link_leads_out_of_the_folder(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "x.config"
    outside.write_text("<appSettings/>", encoding="utf-8")
    path = make(inside, web_config="<configuration><appSettings configSource='x.config'/></configuration>")
    (inside / "x.config").symlink_to(outside)
    with pytest.raises(NodeError, match="points outside"):
        configs.load(path)


def test_a_missing_config_source_is_an_error(tmp_path):
    path = make(tmp_path, web_config="<configuration><appSettings configSource='x.config'/></configuration>")
    with pytest.raises(NodeError, match="does not exist"):
        configs.load(path)


def test_a_config_source_with_another_root_is_an_error(tmp_path):
    path = make(
        tmp_path,
        web_config="<configuration><appSettings configSource='x.config'/></configuration>",
        x_config="<connectionStrings/>",
    )
    with pytest.raises(NodeError, match="requires <appSettings>"):
        configs.load(path)


# Which file.

STUB = "<configuration><system.webServer><aspNetCore processPath='dotnet'/></system.webServer></configuration>"
CORE = (
    "<configuration><configSections><section name='system.web' type='System.Configuration.IgnoreSection'/></configSections>"
    "<system.web><machineKey decryptionKey='A'/></system.web></configuration>"
)


def test_the_file_with_the_settings_is_found_by_content(tmp_path):
    stub = make(tmp_path, web_config=STUB)
    core = tmp_path / "UiPath.Orchestrator.dll.config"
    core.write_text(CORE, encoding="utf-8")
    for named in (stub, core, tmp_path):
        config = configs.load(named)
        assert config.path == core
        assert config.kind == "core"


def test_a_stub_alone_is_refused(tmp_path):
    with pytest.raises(NodeError, match="none of an Orchestrator's settings"):
        configs.load(make(tmp_path, web_config=STUB))


def test_a_renamed_core_file_is_known_by_content(tmp_path):
    path = tmp_path / "copy-of-node-1.xml"
    path.write_text(CORE, encoding="utf-8")
    assert configs.load(path).kind == "core"


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(NodeError, match="contains neither"):
        configs.load(tmp_path)
