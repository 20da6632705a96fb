"""Plans of generated configs: only the desired settings change, and ASP.NET reads them from the result.

A reference reader on another parser (expat) than the code under test verifies the result.
"""

import re
from pathlib import Path
from xml.parsers import expat

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nlbgen.core import templating
from nlbgen.nodes import planning
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import APP, MACHINE_KEY, SECURE, SESSION_STATE, Config
from nlbgen.nodes.config.encoding import decode
from nlbgen.nodes.config.lexer import decoded, encoded
from nlbgen.nodes.fingerprints import Fingerprints
from nlbgen.nodes.prepare import xdt
from nlbgen.nodes.values import DesiredSetting, plain
from nlbgen.spec.model import Node

NODE = Node(name="orch-1", address="10.0.0.1")
KEYS = ("EncryptionKey", "quartz.jobStore.clustered", "LoadBalancer.UseRedis", "apiKey", "A.B")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=12
)


# The reference: expat's events to settings, as ASP.NET reads them.


class Reference:
    """What ASP.NET reads: settings by folded key, attributes of the two sections."""

    def __init__(self, raw: bytes) -> None:
        self.settings: dict[str, dict[str, str]] = {APP: {}, SECURE: {}}
        self.sections: dict[str, dict[str, str]] = {}
        self.events: list[object] = []
        self._path: list[str] = []
        encoded_text = decode(raw)
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CommentHandler = lambda text: self.events.append(("comment", text))
        parser.ProcessingInstructionHandler = lambda *what: self.events.append(what)
        text = re.sub(r"^<\?xml.*?\?>", "", encoded_text.text, flags=re.DOTALL)
        parser.Parse(text.encode("utf-8"), True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        path = "/".join([*self._path, name])
        self._path.append("" if name == "location" and attributes.get("path") in {None, "", "."} else name)
        path = re.sub(r"//+", "/", path)
        self.events.append(("start", path, tuple(sorted(attributes.items()))))
        match path.split("/"):
            case ["configuration", ("appSettings" | "secureAppSettings") as section, "add"]:
                self.settings[section][attributes.get("key", "").lower()] = attributes.get("value", "")
            case ["configuration", ("appSettings" | "secureAppSettings") as section, "remove"]:
                self.settings[section].pop(attributes.get("key", "").lower(), None)
            case ["configuration", ("appSettings" | "secureAppSettings") as section, "clear"]:
                self.settings[section].clear()
            case ["configuration", "system.web", ("machineKey" | "sessionState") as section]:
                self.sections[f"system.web/{section}"] = attributes

    def _end(self, name: str) -> None:
        self._path.pop()
        self.events.append(("end", name))

    def expected(self, desired: list[DesiredSetting]) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
        settings_ = {name: dict(values) for name, values in self.settings.items()}
        sections = {name: dict(values) for name, values in self.sections.items()}
        for setting in desired:
            if setting.section in settings_:
                assert setting.value is not None
                settings_[setting.section][setting.key.lower()] = setting.value.reveal()
            elif setting.value is None:
                sections.setdefault(setting.section, {}).pop(setting.key, None)
            else:
                sections.setdefault(setting.section, {})[setting.key] = setting.value.reveal()
        return settings_, sections


# The generator.


@st.composite
def attribute(draw: st.DrawFn, name: str, value: str) -> str:
    quote = draw(st.sampled_from("\"'"))
    space = draw(st.sampled_from(["", "", " ", "\n"]))
    raw = encoded(value, quote)
    if draw(st.booleans()):
        raw = raw.replace(">", "&gt;").replace("e", "&#101;")
    return f"{name}{space}={space}{quote}{raw}{quote}"


@st.composite
def tag(draw: st.DrawFn, /, name: str, **values: str) -> str:
    attributes = [draw(attribute(key, value)) for key, value in values.items()]
    gap = draw(st.sampled_from([" ", "  ", "\n      ", "\t"]))
    head = "".join(gap + one for one in draw(st.permutations(attributes)))
    return draw(st.sampled_from([f"<{name}{head}/>", f"<{name}{head} />", f"<{name}{head}></{name}>"]))


@st.composite
def setting(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from([*KEYS, *(key.upper() for key in KEYS), "Other", "é"]))
    kind = draw(st.sampled_from(["add"] * 12 + ["remove", "clear", "bare"]))
    if kind == "clear":
        return "<clear/>"
    if kind == "remove":
        return draw(tag("remove", key=key))
    return draw(tag("add", key=key)) if kind == "bare" else draw(tag("add", key=key, value=draw(TEXT)))


NOISE = st.sampled_from(
    ["<!-- <add key='apiKey' value='commented'/> -->", "<!--\n  several lines\n-->", "<?pi <add key='apiKey'/>?>", ""]
)


@st.composite
def section(draw: st.DrawFn, name: str, depth: int, items: st.SearchStrategy[str]) -> str:
    if draw(st.integers(0, 7)) == 0:
        return draw(st.sampled_from([f"<{name}/>", f"<{name} />", f"<{name}></{name}>"]))
    step = draw(st.sampled_from(["  ", "\t", "    "]))
    gap = st.sampled_from(["\n" + step * (depth + 1)] * 6 + ["", " ", "  \n\n" + step * (depth + 1)])
    inside = "".join(draw(gap) + draw(st.one_of(items, NOISE)) for _ in range(draw(st.integers(0, 6))))
    return f"<{name}>{inside}{draw(st.sampled_from([chr(10) + step * depth] * 4 + ['', ' ']))}</{name}>"


@st.composite
def machine(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(["decryptionKey", "validationKey", "decryption", "x"]), unique=True))
    return draw(tag("machineKey", **{name: draw(TEXT) for name in names}))


@st.composite
def config_bytes(draw: st.DrawFn) -> bytes:
    web = "<system.web>\n    <compilation/>" + (f"\n    {draw(machine())}  " if draw(st.booleans()) else "")
    web += f"\n{draw(st.sampled_from(['  ', '']))}</system.web>"
    if draw(st.booleans()):
        web = f'<location path="."{draw(st.sampled_from(["", " a=" + chr(39) + chr(39)]))}>\n{web}</location>'
    parts = [
        draw(section(APP, 1, setting())),
        draw(section(SECURE, 1, setting())),
        web,
        draw(st.sampled_from(["<runtime><!-- </runtime> --><a/></runtime>", "<x><x/></x>", "<nlog b='>'/>", ""])),
    ]
    body = "".join(f"\n  {part}" for part in draw(st.permutations(parts)))
    codec, mark, declared = draw(
        st.sampled_from(
            [
                ("utf-8", b"", ""),
                ("utf-8", b"\xef\xbb\xbf", '<?xml version="1.0" encoding="utf-8"?>\n'),
                ("utf-16-le", b"\xff\xfe", '<?xml version="1.0" encoding="utf-16"?>\n'),
                ("ascii", b"", "<?xml version='1.0' encoding='us-ascii'?>\n"),
            ]
        )
    )
    text = f"{declared}<configuration>{body}\n</configuration>{draw(st.sampled_from(['', chr(10), '  ' + chr(10)]))}"
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    if codec == "ascii":
        text = "".join(
            char if char.isascii() else f"&#{ord(char)};" for char in re.sub(r"[^\x00-\x7f]+(?=[^<]*-->)", "", text)
        )
    return mark + text.encode(codec)


@st.composite
def wanted(draw: st.DrawFn) -> list[DesiredSetting]:
    desired = [
        DesiredSetting(draw(st.sampled_from([APP, SECURE])), key, plain(draw(TEXT)))
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True))
    ]
    machine_names = draw(st.lists(st.sampled_from(["decryptionKey", "validationKey", "decryption"]), unique=True))
    desired += [
        DesiredSetting(MACHINE_KEY, name, draw(st.one_of(st.none(), TEXT.map(plain)))) for name in machine_names
    ]
    session_names = draw(st.lists(st.sampled_from(["mode", "sqlConnectionString"]), unique=True))
    return desired + [DesiredSetting(SESSION_STATE, name, plain(draw(TEXT))) for name in session_names]


def planned(raw: bytes, desired: list[DesiredSetting]) -> planning.NodePlan:
    config = Config(webconfig.parse(Path("web.config"), raw))
    return planning.plan_node(NODE, config, desired, Fingerprints("pepper"))


def result(raw: bytes, plan: planning.NodePlan) -> bytes:
    return plan.files[0][1] if plan.files else raw


def canonical_sections(reference: Reference) -> dict[str, dict[str, str]]:
    return {name: values for name, values in reference.sections.items() if values}


def expected_sections(sections: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {name: values for name, values in sections.items() if values}


# The properties.


@settings(max_examples=150)
@given(config_bytes(), wanted())
def test_plan_any_config_changes_only_the_desired_settings(raw: bytes, desired: list[DesiredSetting]) -> None:
    before = Reference(raw)
    plan = planned(raw, desired)
    after = Reference(result(raw, plan))
    expected, sections = before.expected(desired)
    assert after.settings == expected
    assert canonical_sections(after) == expected_sections(sections)
    assert planned(result(raw, plan), desired).changes == ()


@settings(max_examples=150)
@given(config_bytes(), wanted())
def test_plan_any_config_keeps_all_other_bytes(raw: bytes, desired: list[DesiredSetting]) -> None:
    plan = planned(raw, desired)
    new = result(raw, plan)
    old_text, new_text = decode(raw), decode(new)
    assert (old_text.mark, old_text.codec) == (new_text.mark, new_text.codec)
    # Remove the new parts of the plan from the new text, one by one: the old text must remain.
    position = 0
    rest = ""
    text = new_text.text
    for edit in sorted(_edits(plan)):
        kept = old_text.text[position : edit.start]
        assert text.startswith(kept)
        text = text[len(kept) :]
        assert text.startswith(edit.text)
        text = text[len(edit.text) :]
        rest += kept + old_text.text[edit.start : edit.end]
        position = edit.end
    assert rest + text == old_text.text
    for edit in _edits(plan):
        _check_small(old_text.text, edit)


def _edits(plan: planning.NodePlan) -> list[webconfig.Edit]:
    from nlbgen.nodes.config.edits import text_edits

    return text_edits(plan.config.main, plan.operations)


def _check_small(text: str, edit: webconfig.Edit) -> None:
    """What an edit replaces is the inside of one value, one attribute, or the end of an empty element."""
    old = text[edit.start : edit.end]
    inside = "<" not in old and text[edit.start - 1] in "\"'" and text[edit.end] in "\"'"
    whole = re.fullmatch(r"\s+[^\s=]+\s*=\s*(\"[^\"]*\"|'[^']*')", old)
    assert old == "" or inside or whole or re.fullmatch(r"\s*/?>|\s*", old)


@settings(max_examples=100)
@given(config_bytes(), wanted())
def test_plan_any_config_diff_has_only_changed_lines(raw: bytes, desired: list[DesiredSetting]) -> None:
    plan = planned(raw, desired)
    old, new = decode(raw).text, decode(result(raw, plan)).text
    kept = [line for number, line in enumerate(LINE.split(old)) if number not in _touched(old, plan)]
    lines = iter(LINE.split(new))
    assert all(line in lines for line in kept)  # in this order


LINE = re.compile(r"\r\n|\r|\n")


def _touched(text: str, plan: planning.NodePlan) -> set[int]:
    """The numbers of the lines that hold a changed value or attribute; whole new lines touch none."""
    numbers = set[int]()
    for edit in _edits(plan):
        whole_lines = edit.start == edit.end and LINE.search(edit.text[-2:]) is not None
        if not whole_lines:
            first = len(LINE.findall(text[: edit.start]))
            numbers |= set(range(first, first + len(LINE.findall(text[edit.start : edit.end])) + 1))
    return numbers


@settings(max_examples=100)
@given(config_bytes(), wanted())
def test_xdt_any_config_equals_the_plan(raw: bytes, desired: list[DesiredSetting]) -> None:
    plan = planned(raw, desired)
    lines = templating.render(
        "nodes/transform.config.j2",
        {"header": ["test"], "tags": xdt.tags(plan.operations, plan.config.main.root)},
    )
    once = transformed(raw, lines)
    assert shape(once) == shape(tree_of(result(raw, plan)))
    assert shape(transformed(etree.tostring(once), lines)) == shape(once)


# XDT, by its documentation, on lxml's XPath.

XDT = f"{{{xdt.NAMESPACE}}}"

Step = tuple[list[etree._Element], str, etree._Element]
"""The located elements, the transformation, and its element."""


def tree_of(raw: bytes) -> etree._Element:
    text = re.sub(r"^<\?xml.*?\?>", "", decode(raw).text, flags=re.DOTALL)
    return etree.fromstring(
        text.encode("utf-8"), etree.XMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    )


def shape(element: etree._Element) -> object:
    return (element.tag, tuple(sorted(element.attrib.items())), tuple(shape(child) for child in element))


def transformed(raw: bytes, transform: bytes) -> etree._Element:
    source = tree_of(raw)
    steps: list[Step] = []
    root = etree.fromstring(transform, etree.XMLParser(remove_comments=True))
    _collect(root, [source], steps)
    for targets, what, element in steps:
        name, _paren, arguments = what.partition("(")
        given = ((str(key), str(value)) for key, value in element.attrib.items())
        values = {key: value for key, value in given if not key.startswith(XDT)}
        for target in targets:
            if name == "InsertIfMissing":
                target.append(etree.Element(element.tag, values))
            elif name == "SetAttributes":
                for key in arguments.rstrip(")").split(","):
                    target.set(key, values[key])
            elif name == "RemoveAttributes":
                for key in arguments.rstrip(")").split(","):
                    target.attrib.pop(key, "")
            else:
                raise AssertionError(what)
    return source


def _collect(parent: etree._Element, found: list[etree._Element], steps: list[Step]) -> None:
    for element in parent:
        what = element.get(f"{XDT}Transform")
        if what == "InsertIfMissing":
            assert len(found) == 1
            if not _located(element, found):
                steps.append((found, what, element))
            continue
        targets = _located(element, found)
        assert len(targets) == 1, etree.tostring(element)
        if what is not None:
            steps.append((targets, what, element))
        _collect(element, targets, steps)


def _located(element: etree._Element, found: list[etree._Element]) -> list[etree._Element]:
    locator = element.get(f"{XDT}Locator", "")
    children = [child for one in found for child in one if child.tag == element.tag]
    if locator.startswith("XPath("):
        matches = found[0].getroottree().xpath(locator[len("XPath(") : -1])
        assert isinstance(matches, list)
        return [match for match in matches if isinstance(match, etree._Element)]
    if locator.startswith("Match("):
        name = locator[len("Match(") : -1]
        return [child for child in children if child.get(name) == element.get(name)]
    assert not locator
    return children


# Values.


@given(TEXT, st.sampled_from(["utf-8", "ascii", "cp1252", "utf-16-le"]), st.sampled_from("\"'"))
def test_encoded_any_value_decodes_to_itself(value: str, codec: str, quote: str) -> None:
    raw = encoded(value, quote, codec).encode(codec).decode(codec)
    assert decoded(raw) == value
    parsed = etree.fromstring(f"<a b={quote}{raw}{quote}/>")
    assert parsed.get("b") == value


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_config_any_bytes_parse_or_raise_node_error(raw: bytes) -> None:
    from nlbgen.core.errors import NodeError

    for content in (raw, b"<configuration>" + raw + b"</configuration>"):
        try:
            Config(webconfig.parse(Path("web.config"), content))
        except NodeError as error:
            assert error.message
