"""Reading a node's files: encodings, hostile files, and settings as ASP.NET reads them."""

# ruff: noqa: E501  # the samples are lines of config files

import codecs
import re
from pathlib import Path

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes.config import effective as configs
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.config.lexer import decoded, encoded, scan
from nlbgen.spec.orchestrator import protection_tool
from nlbgen.spec.units import Version

PLAIN = '<?xml version="1.0"?>\r\n<configuration>\r\n  <appSettings>\r\n    <add key="a" value="é"/>\r\n  </appSettings>\r\n</configuration>\r\n'


def parse(text: str | bytes, name: str = "web.config") -> Config:
    raw = text.encode() if isinstance(text, str) else text
    return Config(webconfig.parse(Path(name), raw))


def refused(text: str | bytes, name: str = "web.config") -> str:
    with pytest.raises(NodeError) as error:
        parse(text, name)
    assert error.value.message.startswith(f"{name}:")
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
def test_webconfig_common_encodings_survive_an_edit(codec: str, mark: bytes, declared: str) -> None:
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
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "cannot edit"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "unknown encoding"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "bytes are not UTF-16"),
        (codecs.BOM_UTF16_LE + '<?xml version="1.0" encoding="utf-8"?><a/>'.encode("utf-16-le"), "bytes are UTF-16"),
        (codecs.BOM_UTF8 + b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "byte order mark"),
        (b'<a b="\xff"/>', "byte 7 is not utf-8"),
        (b"", "is empty"),
        (b"  \n ", "is empty"),
    ],
)
def test_webconfig_wrong_encoding_is_an_error(raw: str, said: str) -> None:
    assert said in refused(raw)


def test_webconfig_bytes_that_python_would_change_are_an_error() -> None:
    assert "nlbgen cannot edit this cp932 text" in refused(b'<?xml version="1.0" encoding="cp932"?><a b="\x87\x90"/>')


# Hostile files.


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('<!DOCTYPE configuration SYSTEM "file:///etc/passwd"><configuration/>', "1:1"),
        ('<?xml version="1.0"?>\n<!-- c --><!DOCTYPE c [<!ENTITY a "b">]><configuration/>', "2:11"),
        ('<!DOCTYPE c [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;">]><configuration a="&b;"/>', "1:1"),
    ],
)
def test_webconfig_doctype_is_an_error_at_its_location(text: str, place: str) -> None:
    assert refused(text).startswith(f"web.config:{place}: the file has a DOCTYPE")


def test_webconfig_doctype_inside_a_comment_is_accepted() -> None:
    assert parse("<!-- <!DOCTYPE a> --><configuration><system.web><machineKey/></system.web></configuration>")


def test_webconfig_huge_file_is_an_error_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "web.config"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(NodeError, match="209715200 bytes"):
        webconfig.read(path)


def test_file_with_too_many_tags_is_refused() -> None:
    assert "tags; the limit for a config file is" in refused(b"<a>" + b"<b/>" * webconfig.MAX_TAGS + b"</a>")


def test_webconfig_too_many_bytes_is_an_error() -> None:
    assert "is larger than" in refused(b" " * (webconfig.MAX_BYTES + 1))
    assert "is empty" in refused(b" " * webconfig.MAX_BYTES)


def test_webconfig_unreadable_path_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="cannot be read") as error:
        webconfig.read(tmp_path)
    assert error.value.hint == "check its permissions"


def test_webconfig_deep_nesting_is_an_error() -> None:
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
def test_webconfig_syntax_error_shows_the_location_and_no_content(text: str, said: str) -> None:
    shown = refused(text)
    assert said in shown
    assert re.match(r"web\.config:1:\d+: ", shown)
    assert "ret" not in shown.replace("correct", "")


def test_webconfig_missing_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="cannot be read") as error:
        webconfig.read(tmp_path / "web.config")
    assert "config" in str(error.value.hint)


def test_config_other_root_is_an_error_with_the_names_of_the_files() -> None:
    said = refused("<html/>")
    assert "the root element is <html>, not <configuration>" in said
    assert "web.config or UiPath.Orchestrator.dll.config" in said


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
def test_decoded_follows_xml(raw: str, value: str) -> None:
    assert decoded(raw) == value


@pytest.mark.parametrize("value", ["", "a", "<&>\"'", "\t\n\r", "a  b", "é€😀", "&amp;"])
@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("codec", ["utf-8", "ascii", "cp1252"])
def test_encoded_value_decodes_to_itself(value: str, quote: str, codec: str) -> None:
    raw = encoded(value, quote, codec)
    assert quote not in raw
    assert decoded(raw.encode(codec).decode(codec)) == value


@pytest.mark.parametrize("value", ["\0", "\x1f", "\ud800", "\uffff"])
def test_encoded_forbidden_character_raises_without_the_value(value: str) -> None:
    with pytest.raises(ValueError, match="XML does not allow") as error:
        encoded(f"secret{value}", '"')
    assert "secret" not in str(error.value)


def test_scan_nested_elements_of_one_name_are_separate() -> None:
    root = scan("<r><a><a></a><a/><c/></a><b/></r>")
    assert [child.name for child in root.children] == ["a", "b"]
    assert [child.name for child in root.children[0].children] == ["a", "a", "c"]


# ASP.NET's reading.


def test_settings_equal_keys_last_one_wins() -> None:
    config = settings('<add key="k" value="1"/><add key="K" value="2"/>')
    entry = config.app.get("k")
    assert entry is not None
    assert (entry.value, entry.copies) == ("2", 2)


def test_settings_clear_and_remove_drop_earlier_entries() -> None:
    config = settings(
        '<add key="a" value="1"/><add key="b" value="1"/><clear/><add key="c" value="1"/><remove key="C"/>'
    )
    assert config.app.names() == []


def test_settings_ignore_comments() -> None:
    config = settings('<!-- <add key="a" value="old"/> --><add key="a" value="new"/><!-- <add key="a" value="x"/> -->')
    assert config.app.value("a") == "new"


def test_settings_ignore_cdata_and_processing_instructions() -> None:
    config = settings('<![CDATA[<add key="a" value="1"/>]]><?x <add key="b" value="1"/>?><add key="c" value="1"/>')
    assert config.app.names() == ["c"]


def test_settings_accept_any_order_quotes_and_lines() -> None:
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
def test_config_name_in_another_case_is_an_error(text: str) -> None:
    assert "case-sensitive" in refused(text)


def test_config_duplicate_section_is_an_error_with_both_locations() -> None:
    text = (
        "<configuration>\n<system.web><machineKey/></system.web>\n"
        '<location path="."><system.web><machineKey/></system.web></location>\n</configuration>'
    )
    shown = refused(text)
    assert "web.config:3:" in shown
    assert "web.config:2:" in shown


@pytest.mark.parametrize("path", ["", ' path="."', ' path="" inheritInChildApplications="false"'])
def test_config_location_of_the_application_is_read(path: str) -> None:
    config = parse(
        f"<configuration><location{path}><system.web><machineKey a='b'/></system.web></location></configuration>"
    )
    section = config.section("system.web/machineKey")
    assert section is not None
    assert section.element.get("a") == "b"


def test_config_machine_key_for_a_path_is_an_error() -> None:
    shown = refused(
        "<configuration><location path='api'><system.web><machineKey/></system.web></location></configuration>"
    )
    assert "whole application" in shown


def test_config_other_sections_for_a_path_are_accepted() -> None:
    config = parse(
        "<configuration><location path='api'><system.web/><system.web><authorization/></system.web></location>"
        "<system.web><machineKey a='b'/></system.web></configuration>"
    )
    section = config.section("system.web/machineKey")
    assert section is not None
    assert section.element.get("a") == "b"


def test_settings_ignore_unknown_elements_and_elements_without_a_key() -> None:
    config = settings('<other/><add value="1"/><add key="a" value="2"/>')
    assert config.app.value("a") == "2"
    assert config.app.names() == ["", "a"]


def test_config_app_settings_of_another_path_are_ignored() -> None:
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


def test_config_source_is_read_in_any_case(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings configSource='Conf\\App.config'/></configuration>",
        conf__app_config="<appSettings><add key='EncryptionKey' value='1'/></appSettings>",
    )
    config = configs.load(path)
    assert config.app.value("EncryptionKey") == "1"
    assert len(config.documents) == 2


def test_app_settings_file_overrides_the_section(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings file='user.config'><add key='EncryptionKey' value='1'/></appSettings></configuration>",
        user_config="<appSettings><add key='encryptionkey' value='2'/></appSettings>",
    )
    entry = configs.load(path).app.get("EncryptionKey")
    assert entry is not None
    assert entry.value == "2"
    assert entry.document.path.name == "user.config"


def test_app_settings_missing_file_adds_a_note(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings file='user.config'><add key='apiKey' value='1'/></appSettings></configuration>",
    )
    config = configs.load(path)
    assert config.app.value("apiKey") == "1"
    assert (
        "user.config, which does not exist here. nlbgen assumes that the node does not have this file either"
        in config.notes[0]
    )


def test_app_settings_file_outside_the_folder_is_an_error_at_the_attribute(tmp_path: Path) -> None:
    path = make(tmp_path, web_config="<configuration><appSettings file='..\\user.config'/></configuration>")
    with pytest.raises(NodeError, match=r"web\.config:1:29: file points outside the folder"):
        configs.load(path)


@pytest.mark.parametrize(
    "source", ["..\\x.config", "C:\\x.config", "\\\\srv\\x.config", "/etc/passwd", "a/../../x", "."]
)
def test_config_source_outside_the_folder_is_an_error(tmp_path: Path, source: str) -> None:
    path = make(tmp_path, web_config=f"<configuration><appSettings configSource='{source}'/></configuration>")
    with pytest.raises(NodeError, match="outside the folder"):
        configs.load(path)


def test_config_source_symlink_out_of_the_folder_is_an_error(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "x.config"
    outside.write_text("<appSettings/>", encoding="utf-8")
    path = make(inside, web_config="<configuration><appSettings configSource='x.config'/></configuration>")
    (inside / "x.config").symlink_to(outside)
    with pytest.raises(NodeError, match="points outside"):
        configs.load(path)


def test_config_source_missing_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path, web_config="<configuration><appSettings configSource='x.config'/></configuration>")
    with pytest.raises(NodeError, match="does not exist"):
        configs.load(path)


def test_config_source_with_another_root_is_an_error(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings configSource='x.config'/></configuration>",
        x_config="<connectionStrings/>",
    )
    with pytest.raises(NodeError, match="requires <appSettings>"):
        configs.load(path)


def test_config_source_beside_content_is_an_error(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings configSource='x.config'><clear/></appSettings></configuration>",
        x_config="<appSettings/>",
    )
    with pytest.raises(NodeError, match="both a configSource and content"):
        configs.load(path)


def test_config_encrypted_source_is_an_error_with_the_command_that_decrypts_it(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><secureAppSettings configSource='secure.config'/><system.web><machineKey/></system.web></configuration>",
        secure_config="<secureAppSettings configProtectionProvider='P'><EncryptedData/></secureAppSettings>",
    )
    with pytest.raises(NodeError, match=r"secure\.config:1:1: .*is encrypted") as error:
        configs.load(path).require_open(configs.SECURE)
    assert str(error.value.hint).endswith('aspnet_regiis -pd "secureAppSettings" -site "UiPath Orchestrator" -app "/"')


def test_app_settings_encrypted_file_is_an_error(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        web_config="<configuration><appSettings file='user.config'/></configuration>",
        user_config="<appSettings><EncryptedData/></appSettings>",
    )
    with pytest.raises(NodeError, match="is encrypted"):
        configs.load(path)


# Which file.

STUB = "<configuration><system.webServer><aspNetCore processPath='dotnet'/></system.webServer></configuration>"
CORE = (
    "<configuration><configSections><section name='system.web' type='System.Configuration.IgnoreSection'/></configSections>"
    "<system.web><machineKey decryptionKey='A'/></system.web></configuration>"
)


def test_load_finds_the_file_with_the_settings(tmp_path: Path) -> None:
    stub = make(tmp_path, web_config=STUB)
    core = tmp_path / "UiPath.Orchestrator.dll.config"
    core.write_text(CORE, encoding="utf-8")
    for named in (stub, core, tmp_path):
        config = configs.load(named)
        assert config.path == core
        assert config.kind == "core"


STUB_WITH_KEYS = (
    "<configuration><location path='.'><system.webServer><aspNetCore processPath='dotnet'/></system.webServer></location>"
    "<system.web><machineKey decryptionKey='B'/></system.web></configuration>"
)


def test_load_web_config_of_iis_with_the_keys_of_iis_manager_reads_the_file_beside_it(tmp_path: Path) -> None:
    stub = make(tmp_path, web_config=STUB_WITH_KEYS)
    core = tmp_path / "UiPath.Orchestrator.dll.config"
    core.write_text(CORE, encoding="utf-8")
    config = configs.load(stub)
    assert (config.path, config.web_config_of_iis) == (core, stub)
    assert config.notes == [
        f"{stub}: is the web.config of IIS; the settings were read from {core.name} in the same folder"
    ]
    assert configs.load(core).web_config_of_iis is None


@pytest.mark.parametrize("text", [STUB, STUB_WITH_KEYS])
def test_load_web_config_of_iis_alone_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(NodeError, match=r"web\.config of IIS: it only starts Orchestrator, and has no") as error:
        configs.load(make(tmp_path, web_config=text))
    assert (
        error.value.hint
        == "give the path of UiPath.Orchestrator.dll.config: from 2020.10 on, the settings are in that file"
    )


def test_load_file_without_settings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="no setting of an Orchestrator"):
        configs.load(make(tmp_path, web_config="<configuration><system.webServer/></configuration>"))


FIRST_TOOL = "UiPath.Orchestrator.Setup.ProtectedConfiguration.Console.exe"
CLI = "UiPath.Orchestrator.Cli.exe protected-configuration"
ARGUMENTS = '-pd "secureAppSettings" -site "UiPath Orchestrator" -app "/"'


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("2020.10", f"{FIRST_TOOL} {ARGUMENTS}"),
        ("20.10.8", f"{FIRST_TOOL} {ARGUMENTS}"),
        ("2021.10", f"{CLI} {ARGUMENTS}"),
        ("2024.10", f"{CLI} {ARGUMENTS}"),
        (None, f"{CLI} {ARGUMENTS} (in 2020.10 the tool is {FIRST_TOOL})"),
    ],
)
def test_encrypted_section_names_the_tool_of_the_version(tmp_path: Path, version: str | None, command: str) -> None:
    path = tmp_path / "UiPath.Orchestrator.dll.config"
    encrypted = "<secureAppSettings><EncryptedData/></secureAppSettings>"
    path.write_text(CORE.replace("<system.web>", f"{encrypted}<system.web>"), encoding="utf-8")
    config = configs.load(path, core_tool=None if version is None else protection_tool(Version(version)))
    with pytest.raises(NodeError, match="is encrypted") as error:
        config.require_open(configs.SECURE)
    hint = "decrypt the section on that node, then copy the file again. The command for an elevated prompt: "
    assert error.value.hint == f"{hint}{command}"


def test_load_stub_beside_another_file_without_settings_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "UiPath.Orchestrator.dll.config").write_text("<configuration/>", encoding="utf-8")
    with pytest.raises(NodeError, match="has no setting of Orchestrator"):
        configs.load(make(tmp_path, web_config=STUB))


def test_load_without_permission_is_an_error_and_the_path_counts_as_existing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(NodeError, match="Permission denied") as error:
        configs.load(tmp_path / "web.config")
    assert error.value.hint == "check the permissions of the folder"
    assert configs.is_there(tmp_path / "web.config")


def test_load_renamed_core_file_is_core(tmp_path: Path) -> None:
    path = tmp_path / "copy-of-node-1.xml"
    path.write_text(CORE, encoding="utf-8")
    assert configs.load(path).kind == "core"


@pytest.mark.parametrize(
    ("name", "inside", "kind"),
    [
        ("web.config", "", "classic"),
        ("UiPath.Orchestrator.dll.config", "", "core"),
        ("UiPath.Orchestrator.dll.config", "<system.webServer/>", "classic"),
    ],
)
def test_config_kind_follows_the_section_for_iis_before_the_name(name: str, inside: str, kind: str) -> None:
    assert parse(f"<configuration>{inside}</configuration>", name).kind == kind


def test_load_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="contains neither"):
        configs.load(tmp_path)
