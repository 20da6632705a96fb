"""The readers of a BIG-IP's configuration: tmsh's syntax, archives, and the model."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from nlbgen.core.errors import FileError, Location
from nlbgen.generators.f5 import scf
from nlbgen.readers.detect import vendor_of
from nlbgen.readers.errors import UnreadableError
from nlbgen.readers.f5.endpoints import Endpoint, endpoint
from nlbgen.readers.f5.model import Model, model
from nlbgen.readers.f5.objects import items
from nlbgen.readers.f5.reader import read
from nlbgen.readers.tree import Configuration, Statement

GOLDEN = Path(__file__).parents[1] / "golden_f5"
FARMS = sorted(GOLDEN.glob("*/bigip.conf"))


def parsed(text: str) -> Configuration:
    return read(Path("bigip.conf"), text.encode())


def of(text: str) -> Model:
    return model(parsed(text))


def plain(statements: tuple[Statement, ...]) -> list[object]:
    return [
        [*(word.text for word in one.words), *([plain(one.block)] if one.block is not None else [])]
        for one in statements
    ]


@pytest.mark.parametrize("path", FARMS, ids=lambda path: path.parts[-2])
def test_objects_of_nlbgens_own_files_are_those_of_its_strict_reader(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    strict = {(one.kind, one.path): one for one in scf.parse(text)}
    found = {(one.kind, one.path): one for one in items(parsed(text).statements)}
    assert found.keys() == strict.keys()
    assert parsed(text).unread == ()
    for key, one in strict.items():
        for name, value in one.properties.items():
            if isinstance(value, str | int) and not isinstance(value, bool) and name != "definition":
                assert found[key].text(name) in {str(value), "none"}, (key, name)


SYNTAX = """#TMSH-VERSION: 16.1.2

ltm pool /Common/p { members { /Common/a:80 { address 10.0.0.1 } /Common/b:80 { } } monitor min 1 of { /Common/x } }
ltm data-group internal d {
    records {
        "a b" {
            data "say \\"hi\\" \\r\\n { } # x
second line"
        }
    }
    # a comment
    description a#b
}
sys dns { }
security x y {
    subjects {
        {
            name a
        }
    }
}
"""


def test_blocks_lists_quotes_and_comments_are_read() -> None:
    found = parsed(SYNTAX)
    assert plain(found.statements) == [
        [
            *("ltm", "pool", "/Common/p"),
            [
                ["members", [["/Common/a:80", [["address", "10.0.0.1"]]], ["/Common/b:80", []]]],
                ["monitor", "min", "1", "of", [["/Common/x"]]],
            ],
        ],
        [
            *("ltm", "data-group", "internal", "d"),
            [
                ["records", [["a b", [["data", 'say "hi" \\r\\n { } # x\nsecond line']]]]],
                ["description", "a#b"],
            ],
        ],
        ["sys", "dns", []],
        ["security", "x", "y", [["subjects", [["", [["name", "a"]]]]]]],
    ]
    assert [(one.text, one.location.line) for one in found.comments] == [("TMSH-VERSION: 16.1.2", 1), ("a comment", 11)]
    data = found.statements[1].inside[0].inside[0]
    assert (data.words[0].location, data.words[0].quoted) == (Location("bigip.conf", 6, 9), True)
    assert found.unread == ()


RULES = """ltm rule /Common/r {
    when HTTP_REQUEST {
        # it's a "comment; with { both }
        if { [HTTP::uri] eq "\\}" } { pool /Common/x }
}
}
ltm pool /Common/p { }
ltm rule /Common/broken {
when HTTP_REQUEST {
    log local0. "{"
}
}
ltm pool /Common/q { }
"""


def test_irule_is_kept_as_it_is_and_the_objects_after_it_are_found() -> None:
    found = parsed(RULES)
    assert [one.words[2].text for one in found.statements] == ["/Common/r", "/Common/p", "/Common/broken", "/Common/q"]
    body = found.statements[0].inside[0].words[0]
    assert body.text == RULES.partition("r {")[2].partition("}\nltm pool")[0]
    assert body.location == Location("bigip.conf", 1, 21)
    assert [(one.location.line, one.reason) for one in found.unread] == [(8, "the braces of this program do not match")]


@pytest.mark.parametrize(
    "text, line, column",
    [
        ("ltm pool a {\n  x {\n }\n", 1, 1),
        ("ltm pool a {\n}\n}\n", 3, 1),
        ('ltm pool a {\n description "x\n}\n', 2, 14),
        ("{ }\n", 1, 1),
        ("ltm rule a {\n when X {\n", 1, 12),
        ("a {" * 80, 1, 195),
    ],
)
def test_broken_file_is_refused_at_its_location(text: str, line: int, column: int) -> None:
    with pytest.raises(UnreadableError) as error:
        parsed(text)
    assert error.value.problems[0].location == Location("bigip.conf", line, column)


def test_declaration_of_as3_is_refused_with_what_to_give_instead() -> None:
    with pytest.raises(UnreadableError, match="declaration of AS3"):
        parsed('{"class": "AS3"}')


@pytest.mark.parametrize("path", FARMS, ids=lambda path: path.parts[-2])
def test_vendor_is_found_by_content(path: Path) -> None:
    assert vendor_of(path.read_bytes()) == "f5"


def test_vendor_of_an_archive_is_found_by_content() -> None:
    found = [vendor_of(one) for one in (archive(UCS), gzip.compress(archive(UCS)), b"Salted__abc")]
    assert found == ["f5", "f5", "f5"]


def test_line_outside_of_all_objects_is_reported() -> None:
    found = parsed("ltm pool\nltm pool a { }")
    assert [(one.location.line, one.reason) for one in found.unread] == [(1, "a line outside of all objects")]


def test_file_without_a_last_newline_and_with_windows_line_ends_is_read() -> None:
    assert plain(parsed("sys dns {\r\n  x y\r\n}\r\n# end").statements) == [["sys", "dns", [["x", "y"]]]]


# Archives


def archive(files: dict[str, bytes], *, link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("config/bigip.conf")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return stream.getvalue()


UCS = {
    "SPEC-Manifest": b"x",
    "config/bigip.conf": b"ltm pool /Common/p { }\n",
    "./config/bigip_base.conf": b"sys dns { }\n",
    "config/partitions/Web/bigip.conf": b"ltm pool /Web/p { }\n",
    "config/../../etc/bigip.conf": b"broken {",
    "etc/bigip.conf": b"broken {",
}


@pytest.mark.parametrize("packed", [archive(UCS), gzip.compress(archive(UCS))], ids=["tar", "gzip"])
def test_archive_is_read_without_unpacking_it(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read(Path("a.ucs"), packed)
    assert [(one.location.file, one.words[-1].text) for one in found.statements] == [
        ("a.ucs/config/bigip.conf", "/Common/p"),
        ("a.ucs/config/bigip_base.conf", "dns"),
        ("a.ucs/config/partitions/Web/bigip.conf", "/Web/p"),
    ]
    assert found.lines["a.ucs/config/bigip_base.conf"] == ("sys dns { }", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content, message",
    [
        (b"Salted__abc", "encrypted"),
        (gzip.compress(archive(UCS))[:200], "not an intact archive"),
        (b"\x1f\x8bgarbage", "not an intact archive"),
        (gzip.compress(b"text"), "not an intact archive"),
        (archive({"x": b""}), "no config/bigip.conf"),
        (archive({}, link="/etc/passwd"), "no config/bigip.conf"),
    ],
    ids=["encrypted", "truncated", "damaged", "no tar", "other files", "a link"],
)
def test_archive_that_cannot_be_read_is_an_error(content: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read(Path("a.ucs"), content)


@pytest.mark.parametrize("limit", ["LARGEST", "LARGEST_ARCHIVE"])
def test_archive_has_limits(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"nlbgen.readers.f5.ucs.{limit}", 10)
    with pytest.raises(FileError, match="has more than 0 MB"):
        read(Path("a.ucs"), gzip.compress(archive(UCS)))


# Names of members


@pytest.mark.parametrize(
    "text, found",
    [
        ("/Common/10.0.0.1:443", ("10.0.0.1", "", 443)),
        ("/Web/10.0.0.1%2:https", ("10.0.0.1", "2", 443)),
        ("10.0.0.1:any", ("10.0.0.1", "", 0)),
        ("/Common/2001:db8::1.443", ("2001:db8::1", "", 443)),
        ("/Common/2001:db8::1%3.https", ("2001:db8::1", "3", 443)),
        ("2001:db8::1", ("2001:db8::1", "", 0)),
        ("/Common/node-1:pcsync-https", ("node-1", "", 8443)),
        ("/Common/node.example:strange", ("node.example", "", None)),
        ("node", ("node", "", 0)),
        ("0.0.0.0:*", ("0.0.0.0", "", 0)),
    ],
)
def test_name_is_split_into_host_route_domain_and_port(text: str, found: tuple[str, str, int | None]) -> None:
    assert endpoint(text) == Endpoint(*found)


# The model

FARM = """
ltm node /Common/n1 { address 10.0.0.1%1 }
ltm pool /Common/web {
    members {
        /Common/n1:https { session user-disabled priority-group 2 }
        /Common/10.0.0.2:443 {
            ratio 3
        }
        /Common/n3:0 { fqdn { name n3.example } }
    }
    monitor /Common/https and mine
}
ltm pool copies { members { 10.9.9.9:80 { } } monitor min 1 of { a b } }
ltm pool ruled { }
ltm pool policy { }
ltm profile tcp base { idle-timeout 900 defaults-from /Common/tcp }
ltm profile tcp child { defaults-from base }
ltm profile tcp lost { defaults-from /Common/gone }
ltm profile tcp loop { defaults-from loop }
ltm profile http h { defaults-from http }
ltm profile client-ssl s { defaults-from /Common/clientssl-secure }
ltm persistence cookie c { }
ltm rule r {
when HTTP_REQUEST {
    # pool commented
    if { 1 } { pool ruled } else { pool $variable }
}
}
ltm policy pol { rules { x { actions { 0 { forward select pool policy } 1 { log } } } } }
ltm virtual v {
    clone-pools { copies { context clientside } }
    destination 10.1.0.1%1:https
    fallback-persistence source_addr
    persist { c { default yes } }
    policies { pol { } gone { } }
    pool web
    profiles { child { context clientside } h { } /Common/websocket s }
    rules { r other }
    source-address-translation { type automap }
}
ltm virtual old { destination 10.1.0.1:80 disabled pool none snat automap persist none
}
ltm virtual v6 {
    destination 2001:db8::1.443
    disabled
    snat automap
}
"""


def test_virtual_server_has_its_pools_profiles_and_persistence() -> None:
    first, _, third = of(FARM).virtuals
    assert first.destination == Endpoint("10.1.0.1", "1", 443)
    assert first.pools == ("/Common/web", "/Common/policy")
    assert first.rule_pools == ("/Common/ruled",)
    assert [(one.path, one.kind, one.context) for one in first.profiles] == [
        ("/Common/child", "ltm profile tcp", "clientside"),
        ("/Common/h", "ltm profile http", "all"),
        ("/Common/websocket", "ltm profile websocket", "all"),
        ("/Common/s", "ltm profile client-ssl", "all"),
    ]
    assert first.persistence == ("/Common/c", "/Common/source_addr")
    assert (first.snat, first.enabled, third.snat, third.enabled) == ("automap", True, "automap", False)
    assert first.of_kind("websocket")[0].item is None
    assert first.rules == ("/Common/r", "/Common/other")


def test_members_have_addresses_ports_and_states() -> None:
    pool = of(FARM).pools["/Common/web"]
    assert [(one.address, one.endpoint.port, one.enabled, one.priority, one.ratio) for one in pool.members] == [
        ("10.0.0.1", 443, False, 2, 1),
        ("10.0.0.2", 443, True, 0, 3),
        ("", 0, True, 0, 1),
    ]
    assert pool.monitors == ("/Common/https", "/Common/mine")
    assert of(FARM).pools["/Common/copies"].monitors == ("/Common/a", "/Common/b")


def test_values_are_inherited_down_to_the_built_in_objects() -> None:
    found = of(FARM)
    values = {
        one.path.rpartition("/")[2]: found.effective(one, "idle-timeout") for one in found.of_kind("ltm profile tcp")
    }
    assert values == {"base": "900", "child": "900", "lost": None, "loop": None}
    assert found.effective(found.of_kind("ltm profile http")[0], "insert-xforwarded-for") == "disabled"
    assert found.effective(found.of_kind("ltm profile client-ssl")[0], "ciphers") == "ecdhe:rsa:!sslv3:!rc4:!exp:!des"
    assert found.effective(found.of_kind("ltm persistence cookie")[0], "secure") == "enabled"
    first = found.virtuals[0]
    assert found.value(first.profiles[0], "idle-timeout") == "900"
    assert found.value(first.profiles[2], "masking") is None
    assert found.named("ltm profile", "/Common/h") is not None
    assert found.named("ltm monitor", "/Common/h") is None


def test_parents_in_a_circle_end_with_each_object_once() -> None:
    text = "ltm profile tcp a { defaults-from b }\nltm profile tcp b { defaults-from a idle-timeout 60 }\n"
    found = of(text)
    first, second = found.of_kind("ltm profile tcp")
    assert [one.path for one in found.parents(first)] == ["/Common/a", "/Common/b"]
    assert (found.effective(first, "idle-timeout"), found.effective(second, "nagle")) == ("60", None)


def test_a_profile_that_inherits_from_none_has_the_built_in_values() -> None:
    found = of("ltm profile tcp /Common/tcp { defaults-from none }\n")
    assert found.effective(found.of_kind("ltm profile tcp")[0], "idle-timeout") == "300"


def test_properties_before_a_block_on_one_line_are_split() -> None:
    found = of(
        "ltm pool p { load-balancing-mode ratio-member members { a:80 b:80 { ratio 2 session user-disabled } } }\n"
        "ltm pool q { slow-ramp-time 0 monitor min 1 of { m n } }\n"
        "ltm pool r { slow-ramp-time 0 monitor m and n and o }\n"
        "ltm virtual v { destination 10.0.0.1:443 disabled profiles { http tcp { context all } } rules { x } }\n"
    )
    first, second, third = found.pools.values()
    assert first.item.text("load-balancing-mode") == "ratio-member"
    assert [(one.endpoint.host, one.ratio, one.enabled) for one in first.members] == [("a", 1, True), ("b", 2, False)]
    assert (second.item.text("slow-ramp-time"), second.monitors) == ("0", ("/Common/m", "/Common/n"))
    assert (third.item.text("slow-ramp-time"), len(third.monitors)) == ("0", 3)
    virtual = found.virtuals[0]
    assert (virtual.destination.port, virtual.enabled, virtual.rules) == (443, False, ("/Common/x",))
    assert [(one.path, one.context) for one in virtual.profiles] == [("/Common/http", "all"), ("/Common/tcp", "all")]


@pytest.mark.parametrize(
    ("block", "snat"),
    [
        ("{ type automap }", "automap"),
        ("{\n pool none\n type none\n}", "none"),
        ("{\n pool /Common/s\n type snat\n}", "snat"),
        ("{ }", ""),
    ],
)
def test_type_of_the_address_translation_is_without_its_pool(block: str, snat: str) -> None:
    text = f"ltm virtual v {{\n fallback-persistence\n source-address-translation {block}\n}}\n"
    found = of(text).virtuals[0]
    assert (found.snat, found.persistence) == (snat, ())


@pytest.mark.parametrize("path", FARMS, ids=lambda path: path.parts[-2])
def test_each_golden_farm_has_a_virtual_server_with_members(path: Path) -> None:
    found = of(path.read_text(encoding="utf-8"))
    pools = [found.pools[name] for one in found.virtuals for name in one.pools]
    assert any(member.endpoint.port for pool in pools for member in pool.members)


@pytest.mark.alone
@pytest.mark.no_cover
def test_ten_megabytes_are_read_in_three_seconds() -> None:
    import time

    example = (Path(__file__).parents[2] / "outputs/example/f5/bigip.conf").read_bytes()
    content = example * (10 * 1024**2 // len(example) + 1)
    before = time.process_time()
    read(Path("bigip.conf"), content)
    assert time.process_time() - before < 3
