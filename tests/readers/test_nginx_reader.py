"""The reader of nginx.conf beside the real NGINX: the same words, the same errors in the same lines."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbgen.core.errors import Location
from nlbgen.readers.detect import vendor_of
from nlbgen.readers.errors import UnreadableError
from nlbgen.readers.nginx.reader import read
from nlbgen.readers.tree import Configuration, Statement
from tests.conftest import Programs

ECHO = re.compile(r'open\(\) "(.*)" failed \(2: No such file or directory\) in ', re.DOTALL)
UNEXPECTED = re.compile(r"in [^ ]*/nginx\.conf:(\d+)$", re.MULTILINE)


def parsed(text: str | bytes, name: str = "nginx.conf") -> Configuration:
    return read(Path(name), text.encode() if isinstance(text, str) else text)


def plain(statements: tuple[Statement, ...]) -> list[object]:
    """The words of each statement, and of its block."""
    return [
        [*(word.text for word in one.words), *([plain(one.block)] if one.block is not None else [])]
        for one in statements
    ]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory, find_nginx: str) -> "Verdict":
    return Verdict(find_nginx, tmp_path_factory.mktemp("nginx"))


class Verdict:
    """What the real program prints about a text."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder = program, folder

    def __call__(self, text: str | bytes, *, prefix: str = "/p/") -> str:
        path = self.folder / "nginx.conf"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        arguments = ["-t", "-q", "-e", "stderr", "-c", str(path), "-p", prefix]
        done = subprocess.run([self.program, *arguments], capture_output=True, check=False, timeout=60)
        return done.stderr.decode("utf-8", "replace")


WORDS = [
    "plain",
    "a#b",
    "a}b",
    "a'b\"c",
    "${name}x",
    "$",
    "a$",
    r"a\ b",
    r"a\;b",
    r"a\{b",
    r"a\"b",
    r"\#a",
    r"a\tb",
    r"a\nb",
    r"a\\b",
    r"a\$b\d",
    '"a b;{}#c"',
    '"a\\"b\'c"',
    "'a\\'b\"c'",
    "'a\\\\'",
    '"a\nb"',
    r'"\d+\.\t"',
    "(a",
    "ä→b",
    '"ä b"',
    r"a\\\"b",
    "^~",
    "a${b",
    "${{b",
]


@pytest.mark.nginx
@pytest.mark.parametrize("word", WORDS)
def test_word_is_the_one_that_nginx_reads(word: str, verdict: Verdict) -> None:
    """`include` of a file that does not exist prints the name as NGINX read it."""
    text = f"include /none/{word};\n" if word[0] not in "\"'" else f"include {word[0]}/none/{word[1:]};\n"
    found = ECHO.search(verdict(text))
    assert found
    assert parsed(text).statements[0].arguments == (found[1],)


@pytest.mark.nginx
@settings(max_examples=60)
@given(st.text(alphabet="ab \\\"'#;{}$()\n\tn/", max_size=14))
def test_any_text_is_read_or_refused_as_by_nginx(verdict: Verdict, text: str) -> None:
    """NGINX reports the first directive that it does not know, or an error of the syntax with its line."""
    whole = f"{text}\n"
    answer = verdict(whole)
    try:
        read_ = parsed(whole).statements
    except UnreadableError as error:
        if "unknown directive" not in answer:
            assert "[emerg]" in answer
            assert error.problems[0].location.line <= int(UNEXPECTED.findall(answer)[-1])
        return
    if not read_:
        assert 'no "events" section' in answer
    else:
        first = re.search(r'unknown directive "(.*)" in ', answer, re.DOTALL)
        assert first, answer
        assert first[1] == read_[0].name


TRICKY = {
    "no semicolon": ("user a\n", 1, 1),
    "brace without a directive": ("{\n}\n", 1, 1),
    "semicolon only": ("events {}\n ;\n", 2, 2),
    "closed twice": ("events {}\n}\n", 2, 1),
    "never closed": ("events {\n", 1, 1),
    "quote without an end": ('events {}\nuser "a;\n', 2, 6),
    "after quotes": ('events {}\nuser "a"b;\n', 2, 9),
    "brace after words": ("events { user a }\n", 1, 17),
    "comment after quotes": ('user "a"#;\n', 1, 9),
    "long word": (f"events {{}}\nuser {'a' * 4096};\n", 2, 6),
    "long comment": (f"events {{}}\n#{'a' * 4096}\n", 2, 1),
}


@pytest.mark.nginx
@pytest.mark.parametrize("name", TRICKY)
def test_broken_file_is_refused_at_its_location(name: str, verdict: Verdict) -> None:
    text, line, column = TRICKY[name]
    with pytest.raises(UnreadableError) as error:
        parsed(text)
    assert error.value.problems[0].location == Location("nginx.conf", line, column)
    assert "[emerg]" in verdict(text)


@pytest.mark.parametrize("name", ["nginx-1.18", "nginx-1.26", "nginx-1.30"])
def test_other_versions_read_words_and_refuse_files_alike(name: str, programs: Programs, tmp_path: Path) -> None:
    path, program = tmp_path / "nginx.conf", programs.named(name).path

    def answer(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        command = [program, "-t", "-q", "-c", str(path), "-p", f"{tmp_path}/", "-g", "error_log stderr;"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        return done.stderr.decode("utf-8", "replace")

    for word in WORDS:
        text = f"include /none/{word};\n" if word[0] not in "\"'" else f"include {word[0]}/none/{word[1:]};\n"
        found = ECHO.search(answer(text))
        assert found, word
        assert parsed(text).statements[0].arguments == (found[1],)
    for case, (text, _, _) in TRICKY.items():
        assert "[emerg]" in answer(text), case


@pytest.mark.nginx
@pytest.mark.parametrize("size", [4095, 4094])
def test_longest_word_is_accepted_by_both(size: int, verdict: Verdict) -> None:
    text = f"user {'a' * size};\n"
    assert len(parsed(text).statements[0].arguments[0]) == size
    assert "too long parameter" not in verdict(text)


@pytest.mark.nginx
def test_byte_order_mark_is_reported_because_nginx_refuses_it(verdict: Verdict) -> None:
    text = b"\xef\xbb\xbfuser a;\n"
    assert "unknown directive" in verdict(text)
    found = parsed(text)
    assert plain(found.statements) == [["user", "a"]]
    assert found.statements[0].location == Location("nginx.conf", 1, 1)
    assert [one.location for one in found.unread] == [Location("nginx.conf", 1, 1)]


def test_bytes_that_are_not_utf8_are_reported() -> None:
    found = parsed(b"user a;\nuser x\xffy;\n")
    assert found.unread[0].location == Location("nginx.conf", 2, 7)
    assert found.statements[1].arguments == ("x\ufffdy",)


def test_windows_line_ends_change_nothing() -> None:
    found = parsed("events {\r\n  use epoll; # c\r\n}\r\n")
    assert plain(found.statements) == [["events", [["use", "epoll"]]]]
    assert found.comments[0].text == "c"
    assert found.lines["nginx.conf"][1] == "  use epoll; # c"


def test_each_word_has_its_location() -> None:
    found = parsed('a  "b c"\n  d {\n\te ä f; # g\n}\n# h')
    assert [(word.text, *word.location[1:], word.quoted) for word in found.statements[0].words] == [
        ("a", 1, 1, False),
        ("b c", 1, 4, True),
        ("d", 2, 3, False),
    ]
    assert [word.location.column for word in found.statements[0].inside[0].words] == [2, 4, 6]
    assert [(one.text, *one.location[1:], one.alone) for one in found.comments] == [
        ("g", 3, 9, False),
        ("h", 5, 1, True),
    ]


LUA = """
location /a {
    content_by_lua_block {
        local a = "}" -- }
        --[[ } ]] local b = [==[ }} ]] ]==]
        if x then ngx.say('{\\'}') end { }
    }
    set_by_lua_block $x { return {1} }
    access_by_lua 'return 1;';
}
"""


def test_lua_is_kept_as_it_is_and_reported() -> None:
    found = parsed(LUA)
    inner = found.statements[0].inside
    assert [one.name for one in inner] == ["content_by_lua_block", "set_by_lua_block", "access_by_lua"]
    assert inner[0].words[1].text == LUA.partition("_block {")[2].partition("\n    }\n    set")[0] + "\n    "
    assert inner[1].arguments == ("$x", " return {1} ")
    assert [one.location.line for one in found.unread] == [3, 8, 9]


@pytest.mark.parametrize("code", ["return {", "[[ }", "--[[ }", '"}'])
def test_lua_without_an_end_is_refused(code: str) -> None:
    with pytest.raises(UnreadableError, match="Lua code") as error:
        parsed(f"location / {{\n content_by_lua_block {{ {code}")
    assert error.value.problems[0].location == Location("nginx.conf", 2, 23)


def test_lua_directive_without_a_block_is_a_directive() -> None:
    assert plain(parsed("content_by_lua_block x;").statements) == [["content_by_lua_block", "x"]]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "golden").glob("*/nginx/nginx.conf")), ids=lambda path: path.parts[-3]
)
def test_vendor_is_found_by_content(path: Path) -> None:
    assert vendor_of(path.read_bytes()) == "nginx"


@pytest.mark.parametrize(
    "text", [LUA, "server { listen 80; }", "upstream a {\n  server b;\n}\n", "# configuration file /a:\nuser a;\n"]
)
def test_vendor_of_a_part_is_found_by_content(text: str) -> None:
    assert vendor_of(text.encode()) == "nginx"


# Includes.


def test_includes_are_followed_in_order_and_only_inside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "conf.d").mkdir(parents=True)
    (tmp_path / "secret.conf").write_text("secret 1;")
    for name in ("b.conf", "a.conf", ".hidden.conf", "c.txt"):
        (folder / "conf.d" / name).write_text(
            f"# in {name}\nname {name};\ninclude conf.d/c.txt;\n" if "txt" not in name else "text x;"
        )
    (folder / "conf.d" / "z.conf").symlink_to(tmp_path / "secret.conf")
    (folder / "folder.d").mkdir()
    main = folder / "nginx.conf"
    main.write_text(
        f"http {{\n include conf.d/*.conf;\n include {folder}/conf.d/a.conf;\n include ../secret.conf;\n"
        f" include {tmp_path}/*.conf;\n include missing.conf;\n include none/*.conf;\n include ../*.conf;\n"
        f" include {folder}/conf.d/a*;\n include folder.d;\n include conf.d/**.txt;\n}}\n"
    )
    found = read(main, main.read_bytes())
    names = [one.arguments[0] if one.name != "include" else "include" for one in found.statements[0].inside]
    assert names == [
        *("include", "a.conf", "include", "x", "b.conf", "include", "x"),
        *("include", "a.conf", "include", "x"),
        *("include", "include", "include", "include", "include"),
        *("include", "a.conf", "include", "x", "include", "include", "x"),
    ]
    assert [one.location.line for one in found.unread] == [2, 4, 5, 6, 8, 10]
    assert all(str(tmp_path / "secret.conf") not in name for name in found.lines)
    assert [one.text for one in found.comments] == ["in a.conf", "in b.conf"]
    assert found.statements[0].inside[1].location == Location(str(folder / "conf.d" / "a.conf"), 2, 1)


def test_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    main = tmp_path / "nginx.conf"
    main.write_text("include a.conf;")
    (tmp_path / "a.conf").write_text("\n include a.conf;")
    with pytest.raises(UnreadableError, match="includes itself") as error:
        read(main, main.read_bytes())
    assert error.value.problems[0].location == Location(str(tmp_path / "a.conf"), 2, 2)


def test_included_file_with_half_a_block_is_refused(tmp_path: Path) -> None:
    main = tmp_path / "nginx.conf"
    main.write_text("http { include a.conf; }")
    (tmp_path / "a.conf").write_text("server {")
    with pytest.raises(UnreadableError, match="no end"):
        read(main, main.read_bytes())


def test_too_many_blocks_inside_each_other_are_refused() -> None:
    with pytest.raises(UnreadableError, match="64 blocks"):
        parsed("a {" * 100 + "}" * 100)


def test_too_many_includes_are_refused(tmp_path: Path) -> None:
    """Each file includes the next one twice."""
    for number in range(20):
        (tmp_path / f"{number}.conf").write_text(f"include {number + 1}.conf;" * 2)
    main = tmp_path / "0.conf"
    with pytest.raises(UnreadableError, match="10000 includes"):
        read(main, main.read_bytes())


def test_included_files_have_a_common_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlbgen.readers.nginx.files.LIMIT", 10)
    (tmp_path / "a.conf").write_text("aa 1;")
    (tmp_path / "b.conf").write_text("bb 22222;")
    main = tmp_path / "nginx.conf"
    main.write_text("include a.conf; include b.conf;")
    found = read(main, main.read_bytes())
    assert [one.name for one in found.statements] == ["include", "aa", "include"]
    assert "b.conf" in found.unread[0].reason


@pytest.mark.parametrize("name", ['"a\0b"', '"a\0*"', '""', '"**"'])
def test_strange_name_of_an_include_is_reported_or_nothing(name: str, tmp_path: Path) -> None:
    main = tmp_path / "nginx.conf"
    found = read(main, f"include {name};".encode())
    assert [one.location.line for one in found.unread] == ([1] if "**" not in name else [])


@pytest.mark.nginx
def test_output_of_nginx_dash_capital_t_is_read_like_its_files(tmp_path: Path, find_nginx: str) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("server { listen 127.0.0.1:18080; }\n")
    (tmp_path / "types").write_text("types { text/html html; }\n")
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log stderr;\nevents {{}}\nhttp {{\n include types;\n include conf.d/*.conf;\n}}\n"
    )
    done = subprocess.run([find_nginx, "-T", "-q", "-c", str(main)], capture_output=True, check=False, timeout=60)
    dump = read(Path("dump.txt"), done.stdout)
    assert plain(dump.statements) == plain(read(main, main.read_bytes()).statements)
    assert dump.unread == ()
    listen = next(one for one in dump.walk() if one.name == "listen")
    line = dump.lines["dump.txt"][listen.location.line - 1]
    assert line[listen.location.column - 1 :].startswith("listen 127")


def test_output_of_nginx_without_a_file_reports_it() -> None:
    text = "# configuration file /etc/nginx/nginx.conf:\ninclude a/*.conf;\ninclude b.conf;\n\n"
    text += "# configuration file /etc/nginx/a/x.conf:\nx 1;\n"
    found = parsed(text)
    assert [one.name for one in found.statements] == ["include", "x", "include"]
    assert [one.location.line for one in found.unread] == [3]
    assert "/etc/nginx/b.conf" in found.unread[0].reason


@pytest.mark.alone
@pytest.mark.no_cover
def test_ten_megabytes_are_read_in_three_seconds() -> None:
    example = (Path(__file__).parents[2] / "outputs/example/nginx/nginx.conf").read_bytes()
    content = example * (10 * 1024**2 // len(example) + 1)
    before = time.process_time()
    read(Path("nginx.conf"), content)
    assert time.process_time() - before < 3
