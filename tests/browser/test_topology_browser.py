"""The pictures as a browser draws them: text stays in its box, Mermaid's own code reads and draws the flowchart."""

import html
import json
import re
from pathlib import Path

import pytest

from nlbgen.export.topology import picture as topology
from nlbgen.spec.load import Spec, load

from .conftest import Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow]

HERE = Path(__file__).parent
FARMS = [*sorted(HERE.glob("farms/*.yaml")), HERE.parents[1] / "examples" / "farm.yaml"]
EXAMPLE = FARMS[-1]
STATES = HERE / "farms" / "states.yaml"

OUTSIDE = """
const outside = [];
const sheet = document.documentElement.getBoundingClientRect();
const within = (inner, outer, room) => inner.left >= outer.left - room && inner.right <= outer.right + room
  && inner.top >= outer.top - room && inner.bottom <= outer.bottom + room;
for (const text of document.querySelectorAll("text")) {
  const frame = text.closest("g") && text.closest("g").querySelector("rect, circle");
  if (!within(text.getBoundingClientRect(), sheet, 0)) outside.push("sheet: " + text.textContent);
  if (frame && !within(text.getBoundingClientRect(), frame.getBoundingClientRect(), 0))
    outside.push("box: " + text.textContent);
}
const texts = [...document.querySelectorAll("text")];
for (const [number, one] of texts.entries()) for (const other of texts.slice(number + 1)) {
  const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (across > 1 && down > 4) outside.push("overlap: " + one.textContent + " / " + other.textContent);
}
const boxes = [...document.querySelectorAll(".box > rect:first-of-type")];
for (const label of document.querySelectorAll(".hop-name, .hop-line")) for (const box of boxes) {
  const a = label.getBoundingClientRect(), b = box.getBoundingClientRect();
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (across > 0 && down > 0)
    outside.push("label in a box: " + label.textContent);
}
return outside;
"""
"""What leaves the sheet or its box, or lies on another text."""


@pytest.fixture(params=FARMS, ids=lambda path: path.stem)
def spec(request: pytest.FixtureRequest) -> Spec:
    return load(request.param)


@pytest.mark.parametrize("font", ["", "DejaVu Sans", "Liberation Sans"])
def test_svg_text_fits_its_box(spec: Spec, browser: Browser, tmp_path: Path, font: str) -> None:
    path = tmp_path / "topology.svg"
    drawn = topology.draw(spec, "svg").decode()
    path.write_text(drawn.replace("font-family: system-ui,", f'font-family: "{font}",') if font else drawn)
    browser.open(path)
    assert browser.run(OUTSIDE) == []
    assert browser.complaints() == []
    assert browser.asked_for() == [path.as_uri()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_svg_text_has_enough_contrast(browser: Browser, tmp_path: Path, dark: bool) -> None:
    """At least 4.5 to 1, WCAG 2's level AA for small text."""
    path = tmp_path / "topology.svg"
    path.write_bytes(topology.draw(load(STATES), "svg"))
    browser.open(path, dark=dark)
    pairs = browser.run("""
      const colour = (element) => getComputedStyle(element).fill;
      const sheet = document.querySelector(".sheet");
      return [...document.querySelectorAll("text")].map((text) => {
        const group = text.closest("g");
        const behind = group ? group.querySelector("rect, circle") : sheet;
        return [text.textContent, colour(text), colour(behind)];
      });""")
    assert len(pairs) > 20
    weak = {text: round(contrast(front, back), 2) for text, front, back in pairs if contrast(front, back) < 4.5}
    assert weak == {}


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_svg_in_an_img_element_follows_the_theme(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "topology.svg").write_bytes(topology.draw(load(EXAMPLE), "svg"))
    page = tmp_path / "page.html"
    page.write_text('<!DOCTYPE html><title>t</title><img src="topology.svg" alt="Topology">')
    shots = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        assert browser.run("const image = document.images[0]; return image.complete && image.naturalWidth") > 1000
        assert browser.complaints() == []
        shots.append(browser.find("img").screenshot_as_png)
    assert shots[0] != shots[1]


def test_mermaid_renders_the_flowchart(spec: Spec, browser: Browser, tmp_path: Path) -> None:
    """Mermaid's own parser takes it, and what its renderer shows is what the boxes say, letter by letter."""
    page = tmp_path / "mermaid.html"
    code = browser.package("@mermaid-js/tiny/dist/mermaid.tiny.js").as_uri()
    page.write_text(
        f'<!DOCTYPE html><meta charset=utf-8><title>t</title><div id=out></div><script src="{code}"></script>'
    )
    browser.open(page)
    chart = topology.draw(spec, "mermaid").decode()
    found = browser.wait_for(f"""
      const chart = {json.dumps(chart)};
      mermaid.initialize({{startOnLoad: false, securityLevel: "strict"}});
      mermaid.parse(chart)
        .then((said) => mermaid.render("drawn", chart).then(({{svg}}) => {{
          document.getElementById("out").innerHTML = svg;
          const lines = (label) => [...label.querySelectorAll("p, foreignObject div")].slice(-1)
            .map((text) => text.innerHTML.replaceAll("<wbr>", "").split(/<br ?\\/?>/));
          done({{type: said.diagramType, labels: [...document.querySelectorAll(".node .label")].map((l) => lines(l)[0]),
                title: document.querySelector("#out svg title").textContent}});
        }}))
        .catch((error) => done({{type: String(error && error.message || error), labels: []}}));""")
    assert found["type"].startswith("flowchart")
    assert found["title"] == f"Topology of the farm {spec.farm.farm}"
    shown = {tuple(html.unescape(line) for line in label) for label in found["labels"]}
    picture = topology.picture(spec.farm)
    boxes = [*picture.clients, picture.frontend, *picture.balancers, *picture.nodes, *(s.box for s in picture.stores)]
    for box in boxes:
        title = f"{box.title}: {box.state}" if box.state else box.title
        mark = [f"({box.mark.number}) {topology.DOUBTS[box.mark.doubt].lower()}"] if box.mark else []
        assert (title, *box.lines, *mark) in shown
