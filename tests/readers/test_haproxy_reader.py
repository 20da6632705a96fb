"""haproxy.cfg: words and locations as the real HAProxy reads them, sections, branches, and placed errors."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from nlbgen.core.errors import FileError, UsageError
from nlbgen.readers import load
from nlbgen.readers.errors import UnreadableError
from nlbgen.readers.haproxy.keywords import SECTION_DIRECTIVES
from nlbgen.readers.haproxy.model import model
from nlbgen.readers.haproxy.reader import SECTIONS, read, read_text, read_together

ROOT = Path(__file__).resolve().parents[2]

WORDS = [
    (r"a\ b", ["a b"]),
    ('"c # d"', ["c # d"]),
    ("'e \"f # g'", ['e "f # g']),
    (r"h\#i j#k", ["h#i", "j"]),
    (r'"x\"y"', ['x"y']),
    (r"'it'\'s", ["it's"]),
    (r"\x41\t|", ["A\t|"]),
    ('"${FOO}" ${FOO} "$FOO"', ["a b", "${FOO}", "a b"]),
    ('"<${LIST[*]}>"', ["<x", "y", "z>"]),
    (r'"\$FOO" \$x', ["$FOO", r"\$x"]),
    (r"a\1b \z", [r"a\1b", r"\z"]),
    (r'"a\ b" "\#" "a\'b"', ["a b", "#", "a'b"]),
    (r"'\x41' 'a\b'", [r"\x41", r"a\b"]),
    ("\"a'b\" x'y'z", ["a'b", "xyz"]),
    (r'a\"b "tab\there"', ['a"b', "tab\there"]),
    ("%[src] %{+Q}r a,b(c)", ["%[src]", "%{+Q}r", "a,b(c)"]),
]
"""Words behind `description`, and what HAProxy makes of them; FOO is `a b`, LIST is `x y z`."""
HEAD = 'global\n  setenv FOO "a b"\n  presetenv LIST "x y z"\n'


def words(line: str) -> list[str]:
    return list(read_text(f"{HEAD}  description {line}\n", "x").statements[0].inside[-1].arguments)


@pytest.mark.parametrize("line, expected", WORDS)
def test_words_are_split_and_unquoted(line: str, expected: list[str]) -> None:
    assert words(line) == expected


@pytest.mark.haproxy
@pytest.mark.every_build
def test_words_are_those_that_haproxy_dumps(haproxy_dump: str, tmp_path: Path) -> None:
    """`haproxy -dC` prints the words of each line, joined by spaces, before it runs `setenv`."""
    path = tmp_path / "x.cfg"
    path.write_text(HEAD + "".join(f"  description {line}\n" for line, _words in WORDS), encoding="utf-8")
    done = subprocess.run(
        [haproxy_dump, "-dC", "-c", "-f", str(path)],
        env={**os.environ, "FOO": "a b", "LIST": "x y z"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    dumped = [line.strip() for line in done.stdout.splitlines() if line.startswith("\tdescription")]
    assert dumped[: len(WORDS)] == [" ".join(["description", *expected]).strip() for _line, expected in WORDS]


@pytest.fixture(scope="session", params=["haproxy-3.0", "haproxy-3.4"])
def haproxy_dump(request: pytest.FixtureRequest) -> str:
    """The versions in `.programs` that have `-dC`."""
    program = ROOT / ".programs" / "bin" / request.param
    if not program.exists():
        pytest.skip(f"{request.param} is not installed")
    return str(program)


def test_locations_are_those_of_the_first_character() -> None:
    statement = read_text('frontend x\n\tbind "127.0.0.1:80"  name a\\ b # c\n', "f").statements[0].inside[0]
    assert [tuple(word.location) for word in statement.words] == [("f", 2, 2), ("f", 2, 7), ("f", 2, 23), ("f", 2, 28)]
    assert [word.quoted for word in statement.words] == [False, True, False, False]


def test_comments_know_whether_they_are_alone() -> None:
    comments = read_text('# a\nglobal ## b\n  log "#" # c\n', "f").comments
    assert [(one.text, one.location.line, one.location.column, one.alone) for one in comments] == [
        ("a", 1, 1, True),
        ("b", 2, 8, False),
        ("c", 3, 11, False),
    ]


def test_sections_begin_at_any_indentation_and_end_where_the_next_begins() -> None:
    read_one = read_text("  global\nmaxconn 1\n  listen a :80\n      mode http\n", "f")
    assert [[word.text for word in one.words] for one in read_one.statements] == [["global"], ["listen", "a", ":80"]]
    assert [[inner.name for inner in one.inside] for one in read_one.statements] == [["maxconn"], ["mode"]]


def test_windows_lines_are_read() -> None:
    assert read_text("global\r\n  maxconn 1\r\n", "f").statements[0].inside[0].arguments == ("1",)


BRANCHES = """global
.if 0
  maxconn 1
.elif defined(X)
  maxconn 2
.else
  maxconn 3
.endif
.if true
  maxconn 4
.else
  maxconn 5
.endif
.if !1
  maxconn 6
.if defined(Y)
  maxconn 7
.endif
.endif
"""


def test_statements_of_excluded_branches_are_not_read() -> None:
    inside = read_text(BRANCHES, "f").statements[0].inside
    assert [one.arguments[0] for one in inside if one.name == "maxconn"] == ["2", "3", "4"]


def test_variables_that_the_file_unsets_stay_as_they_are_written() -> None:
    text = 'global\n setenv A 1\n unsetenv A\n setenv B 2\n resetenv C\n presetenv D 3\n description "$A $B $D"\n'
    assert read_text(text, "f").statements[0].inside[-1].arguments == ("$A $B 3",)


@pytest.mark.parametrize(
    "text, error",
    [
        ('global\n log "x\n', 'f:2:6: the quote " has no end'),
        ("global\n log 'x\n", "f:2:6: the quote ' has no end"),
        ("global\n log \\xZZ\n", "f:2:6: \\x needs two hexadecimal digits"),
        ('global\n log "$1"\n', "f:2:7: $ within double quotes needs the name of a variable"),
        ('global\n log "${A"\n', "f:2:7: $ within double quotes needs the name of a variable"),
        ("mode http\n", "f:1:1: mode stands before the first section"),
        ("global\n.if 1\n", "f:2:1: .if has no .endif"),
        ("global\n.endif\n", "f:2:1: .endif has no .if before it"),
        ("global\n.if 1\n.else\n.else\n.endif\n", "f:4:1: .else has no .if before it"),
        ("global\n.unless 1\n", "f:2:1: .unless is not a directive of HAProxy"),
    ],
)
def test_errors_are_placed(text: str, error: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        read_text(text, "f")
    assert str(raised.value).startswith(error)


@pytest.mark.haproxy
def test_haproxy_refuses_what_the_reader_refuses(tmp_path: Path) -> None:
    for number, line in enumerate(('log "x', "log \\xZZ", 'log "$1"', 'log "${A"', ".endif", ".unless 1")):
        path = tmp_path / f"{number}.cfg"
        path.write_text(f"global\n {line}\n", encoding="utf-8")
        done = subprocess.run(
            ["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False, timeout=30
        )
        assert f"[{path}:2]" in done.stderr, line


def test_what_is_not_understood_is_listed() -> None:
    text = "frontend x\n frobnicate 1\n use_backend %[req.hdr(host)]\nresolvers r\n anything\n"
    places = [(one.location.line, one.location.column) for one in read_text(text, "f").unread]
    assert places == [(2, 2), (3, 14), (5, 2)]


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_unknown_directives_are_listed_in_every_section(section: str) -> None:
    reasons = [one.reason for one in read_text(f"{section} x\n nosuch 1\n", "f").unread]
    assert reasons == [f"HAProxy 2.0 to 3.4 have no directive nosuch in {section}"]


@pytest.mark.haproxy
@pytest.mark.every_build
def test_every_directive_that_haproxy_lists_is_known(haproxy_dump: str) -> None:
    """`haproxy -dKcfg` lists the registered directives of sections, those of proxies below `listen`."""
    done = subprocess.run(
        [haproxy_dump, "-dKcfg", "-c", "-f", os.devnull], capture_output=True, text=True, check=False, timeout=30
    )
    section, unknown, seen = "", [], 0
    for line in done.stdout.splitlines():
        if line[:1].isalpha():
            section = line.strip()
        elif line.startswith("\t") and line[1:2] != "\t" and section in SECTION_DIRECTIVES:
            seen += 1
            if (word := line.split()[0]) not in SECTION_DIRECTIVES[section]:
                unknown.append(f"{section}: {word}")
    assert seen > 100
    assert unknown == []


# Several files


def test_sections_of_several_files_are_in_their_order_and_keep_their_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.cfg", tmp_path / "b.cfg"
    found = read_together([(first, b"global\n setenv A 1 # c\n nosuch\n"), (second, b'defaults\n description "$A"\n')])
    assert [(one.name, one.location.file) for one in found.statements] == [
        ("global", str(first)),
        ("defaults", str(second)),
    ]
    assert found.statements[1].inside[0].arguments == ("1",)
    assert [one.location.file for one in found.unread] == [str(first)]
    assert (len(found.comments), [*found.lines]) == (1, [str(first), str(second)])


PARTS = {"sections": ("global\n", " maxconn 5\n"), "branches": ("global\n.if 1\n", "defaults\n.endif\n")}


@pytest.mark.haproxy
@pytest.mark.parametrize("name", PARTS)
def test_sections_and_branches_end_with_their_file_as_in_haproxy(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / "a.cfg", tmp_path / "b.cfg"]
    for path, text in zip(paths, PARTS[name], strict=True):
        path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(paths[0]), "-f", str(paths[1])],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "out of section" in done.stderr or "non-terminated" in done.stderr, done.stderr
    with pytest.raises(UnreadableError):
        read_together([(path, path.read_bytes()) for path in paths])


@pytest.mark.haproxy
def test_a_folder_has_the_files_that_haproxy_reads_in_its_order(tmp_path: Path) -> None:
    for name in ("10-b.cfg", "2-a.cfg", "B.cfg", "a.cfg", ".hidden.cfg", "x.txt", "noext"):
        (tmp_path / name).write_text(f"global\n nosuch-{name} 1\n", encoding="utf-8")
    (tmp_path / "folder.cfg").mkdir()
    (tmp_path / "folder.cfg" / "z.cfg").write_text("global\n nosuch-z 1\n", encoding="utf-8")
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(tmp_path)], capture_output=True, text=True, check=False, timeout=30
    )
    reported = re.findall(r"unknown keyword '(\S+)'", done.stderr)
    found = load.read_together([tmp_path])
    assert [one.inside[0].name for one in found.statements] == reported
    assert reported == ["nosuch-10-b.cfg", "nosuch-2-a.cfg", "nosuch-B.cfg", "nosuch-a.cfg"]


def test_a_defaults_section_applies_to_the_files_after_it(tmp_path: Path) -> None:
    (tmp_path / "1.cfg").write_text("defaults\n mode http\n", encoding="utf-8")
    (tmp_path / "2.cfg").write_text("backend b\n server a 10.0.0.1:80\n", encoding="utf-8")
    assert [one.mode for one in model(load.read_together([tmp_path])).proxies] == ["http"]
    assert [one.mode for one in model(load.read_together([tmp_path / "2.cfg", tmp_path / "1.cfg"])).proxies] == ["tcp"]


def test_what_cannot_be_read_together_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { listen 80; } }\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--together is for HAProxy, but this is a configuration of nginx"):
        load.read_together([tmp_path / "nginx.conf"])
    (tmp_path / "bigip.conf").write_text("ltm pool /Common/p {\n}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="a configuration of f5"):
        load.read_together([tmp_path / "bigip.conf"])
    with pytest.raises(UsageError, match=r"has no \*.cfg file"):
        load.read_together([tmp_path])


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        load.read_together([tmp_path])


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "golden").glob("*/haproxy/haproxy.cfg")), ids=str)
def test_rendered_configurations_are_understood(path: Path) -> None:
    assert read(path, path.read_bytes()).unread == ()


def test_bytes_that_are_not_utf_8_are_kept() -> None:
    found = read(Path("x"), b"global\n description \xff\n")
    assert found.statements[0].inside[0].arguments == ("\udcff",)


@pytest.mark.alone
def test_ten_megabytes_are_read_in_three_seconds() -> None:
    one = (ROOT / "outputs" / "example" / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    text = one * (10_000_000 // len(one) + 1)
    begin = time.process_time()
    found = read_text(text, "f")
    assert time.process_time() - begin < 3
    assert len(found.statements) > 1000


def test_a_byte_order_mark_is_an_error_with_its_fix() -> None:
    with pytest.raises(UnreadableError, match="byte order mark") as caught:
        read_text("\ufeffglobal\n    daemon\n", "f")
    assert "UTF-8" in str(caught.value.problems[0].hint)
