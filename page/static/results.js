// The results in tabs: the files of each vendor, nodes and runbook, topology, differences, lint.
import { coded, element } from "./form.js";
import { encoded } from "./share.js";

const FIXED = [["nodes", "Nodes"], ["topology", "Topology"], ["difference", "Difference"], ["lint", "Lint"]];
const MAX_SHOWN = 20000;

export class Results {
  constructor(tabs, panel, { call, spec, changed }) {
    Object.assign(this, { tabs, panel, call, spec, changed });
    this.tab = "haproxy";
    this.chosen = new Map();
    this.vendors = [];
    this.before = new Map();
    this.pasted = "";
    this.valid = false;
    this.pending = 0;
    tabs.addEventListener("keydown", (event) => this.key(event));
  }

  /** Mark the panel as busy until the work is done: what it shows then is of the current text and tab. */
  async during(work) {
    this.panel.setAttribute("aria-busy", String(++this.pending > 0));
    try {
      return await work();
    } finally {
      this.panel.setAttribute("aria-busy", String(--this.pending > 0));
    }
  }

  /** Render the text and show the current tab; the last rendered files stay for the difference. */
  async show(text) {
    const { vendors } = await this.call("render", { text });
    for (const file of this.files()) this.before.set(file.path, file.text);
    const changed = JSON.stringify(vendors) !== JSON.stringify(this.vendors);
    if (changed && this.vendors.length) this.last = this.before;
    this.before = new Map();
    this.vendors = vendors;
    this.valid = true;
    await this.draw();
  }

  invalid() {
    this.valid = false;
    this.head();
    if (this.tab === "lint") return;
    this.panel.replaceChildren(element("p", {}, "farm.yaml has errors. The results appear when they are corrected."));
  }

  files() {
    return this.vendors.flatMap((vendor) => vendor.files);
  }

  /** The row of tabs. A tab stays the same element, so that a click during a rendering is not lost. */
  head() {
    const names = [...this.vendors.map((vendor) => [vendor.name, vendor.title, vendor.problems.length > 0]), ...FIXED];
    const tabs = names.map(([name, title, refused]) => this.head_of(name, title, refused));
    const same = tabs.length === this.tabs.children.length && tabs.every((tab, at) => tab === this.tabs.children[at]);
    if (!same) this.tabs.replaceChildren(...tabs);
    this.panel.setAttribute("aria-labelledby", `tab-${this.tab}`);
  }

  head_of(name, title, refused) {
    const chosen = name === this.tab;
    const tab = document.getElementById(`tab-${name}`) ?? element("button", {
      type: "button",
      role: "tab",
      id: `tab-${name}`,
      "aria-controls": "panel",
      onclick: () => this.choose(name),
    }, title, element("span", { class: "refused" }));
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    const said = refused ? " refused" : "";
    if (tab.lastChild.textContent !== said) tab.lastChild.textContent = said;
    return tab;
  }

  key(event) {
    const names = [...this.tabs.children].map((tab) => tab.id.slice(4));
    const at = names.indexOf(this.tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(names[(to + names.length) % names.length]);
  }

  choose(name) {
    this.tab = name;
    this.head();
    document.getElementById(`tab-${name}`).focus();
    return this.draw();
  }

  async draw() {
    this.head();
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const vendor = this.vendors.find((one) => one.name === this.tab);
    if (!this.valid && this.tab !== "lint") return this.invalid();
    await this.during(async () => {
      const made = await (vendor ? this.vendor(vendor) : this[this.tab]()).catch((error) => [
        element("p", { class: "absent" }, `${error.message}${error.hint ? ` What to do: ${error.hint}` : ""}`),
      ]);
      if (turn === this.turn) this.panel.replaceChildren(...made);
    });
  }

  // Vendors

  async vendor(vendor) {
    const made = [element("h3", {}, vendor.called)];
    if (vendor.problems.length) {
      made.push(element("p", {}, "No configuration: this farm requests what it cannot do."), this.problems(vendor.problems));
      return made;
    }
    made.push(element("p", { class: "sum" }, ...coded(`Not checked by the vendor's program: \`nlbgen render ${vendor.name}\` does it where the program is installed.`)));
    made.push(...(await this.shown(vendor.files, vendor.name)));
    if (vendor.limitations.length) made.push(element("h3", {}, "What it does instead"), this.limitations(vendor.limitations));
    return made;
  }

  problems(problems) {
    const items = problems.map((problem) => element("li", { class: "note" },
      element("p", {}, ...coded(`${problem.path}: ${problem.message}`)),
      element("p", {}, ...coded(`What to do: ${problem.hint}`)),
      element("code", {}, problem.id)));
    return element("ul", { class: "findings" }, ...items);
  }

  limitations(limitations) {
    const cell = (name, text) => element(name, name === "th" ? { scope: "row" } : {}, text);
    const rows = limitations.map((one) => element("tr", {}, cell("th", one.title), cell("td", one.reason), cell("td", one.fallback)));
    const head = element("thead", {}, element("tr", {}, ...["Cannot", "Because", "So"].map((word) => element("th", { scope: "col" }, word))));
    return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "What it does instead" }, element("table", {}, head, element("tbody", {}, ...rows)));
  }

  /** The choice of a file, its buttons, and its highlighted text. */
  async shown(files, key) {
    if (!files.length) return [];
    const file = files.find((one) => one.path === this.chosen.get(key)) ?? files[0];
    const select = element("select", { "aria-label": "File", id: `file-${key}` }, ...files.map((one) => element("option", { value: one.path }, one.path)));
    select.value = file.path;
    select.addEventListener("change", async () => {
      this.chosen.set(key, select.value);
      await this.draw();
      document.getElementById(`file-${key}`)?.focus();
    });
    const copy = element("button", { type: "button", onclick: () => navigator.clipboard.writeText(file.text) }, "Copy");
    const save = element("button", { type: "button", onclick: () => saved(file) }, "Download");
    return [element("div", { class: "tools" }, select, copy, save), await this.code(file)];
  }

  async code(file) {
    const { lines } = await this.call("highlight", { path: file.path, text: file.text });
    const inside = element("code");
    for (const [code, reason] of lines.slice(0, MAX_SHOWN)) {
      const line = element("span", { class: "line", title: reason || undefined });
      line.innerHTML = code; // escaped by the report's highlighter
      inside.append(line);
    }
    return element("pre", { class: "code", tabindex: "0", role: "group", "aria-label": file.path }, inside);
  }

  // The other tabs

  async nodes() {
    const found = await this.call("nodes", { text: this.spec() });
    const made = [element("h3", {}, "Files for the nodes")];
    if (found.absent) {
      made.push(element("p", {}, `No files: ${found.absent}. The keys in a node's file stay in this browser and are not shown.`));
      made.push(...found.missing.map((name) => this.chooser(name)));
    }
    made.push(...found.notes.map((note) => element("p", {}, note)), ...(await this.shown(found.files, "nodes")));
    if (found.runbook) {
      const prose = element("div", { class: "prose" });
      prose.innerHTML = found.runbook; // rendered without HTML, links and images
      made.push(element("h3", {}, "Runbook"), prose);
    }
    return made;
  }

  chooser(name) {
    const input = element("input", { type: "file", "aria-label": `Choose ${name}` });
    input.addEventListener("change", async () => {
      await this.call("keep", { name, content: await encoded(input.files[0]) });
      this.changed();
    });
    return element("p", {}, element("label", { class: "button" }, `Choose ${name}`, input));
  }

  async topology() {
    const found = await this.call("topology", { text: this.spec() });
    const picture = element("div", { class: "picture scroll", tabindex: "0", role: "group", "aria-label": "Picture of the farm" });
    picture.innerHTML = found.svg; // escaped by the template
    const marks = found.marks.map((mark) => element("li", { value: String(mark.number) }, ...coded(`${mark.doubt}: ${mark.text}`)));
    return [picture, ...(marks.length ? [element("h3", {}, "Single points of failure, and what to verify"), element("ol", { class: "marks" }, ...marks)] : [])];
  }

  async difference() {
    const files = this.files();
    const file = files.find((one) => one.path === this.chosen.get("difference")) ?? files[0];
    const select = element("select", { "aria-label": "File", id: "file-difference" }, ...files.map((one) => element("option", { value: one.path }, one.path)));
    select.value = file.path;
    select.addEventListener("change", () => this.chosen.set("difference", select.value) && this.draw());
    const area = element("textarea", { id: "pasted", spellcheck: "false" });
    area.value = this.pasted;
    area.addEventListener("change", () => {
      this.pasted = area.value;
      this.draw();
    });
    const before = this.pasted || this.last?.get(file.path) || "";
    const { lines } = before ? await this.call("diff", { before, after: file.text, path: file.path }) : { lines: null };
    const words = lines === null ? "Change farm.yaml, or paste a file: there is nothing to compare with." : lines.length ? "" : "No difference.";
    const label = element("label", { for: "pasted" }, "The file that is in use now (empty: the result before the last change)");
    const made = [element("div", { class: "tools" }, select), label, area, element("p", {}, words)];
    if (lines?.length) made.push(compared(lines));
    return made;
  }

  /** The tab for a configuration that nlbgen did not write. */
  async lint(file) {
    if (file) {
      this.linted = { name: file.name, found: await this.call("lint", { name: file.name, content: await encoded(file) }) };
      return this.choose("lint");
    }
    const input = element("input", { type: "file", "aria-label": "Choose a configuration" });
    input.addEventListener("change", () => this.lint(input.files[0]).catch((error) => this.panel.append(element("p", { class: "absent" }, `${error.message} ${error.hint ?? ""}`))));
    const made = [
      element("p", {}, "The findings of nlbgen lint about a configuration that you have. It stays in this browser."),
      element("p", {}, element("label", { class: "button" }, "Choose a configuration", input)),
    ];
    if (!this.linted) return made;
    const { name, found } = this.linted;
    made.push(element("h3", {}, `${name}: ${found.findings.length} findings`));
    const items = found.findings.map((one) => element("li", { class: one.severity },
      element("p", {}, ...coded(`Line ${one.line}: ${one.message}`)), element("p", {}, ...coded(one.why)), element("p", {}, ...coded(`Instead: ${one.instead}`)),
      element("pre", {}, one.source), element("code", {}, one.id)));
    made.push(element("ul", { class: "findings" }, ...items));
    if (found.unread) made.push(element("p", {}, `${found.unread} parts were not understood, so that no rule knows them.`));
    return made;
  }
}

function compared(lines) {
  const inside = element("code");
  for (const text of lines) {
    const kind = text.startsWith("+") ? "add" : text.startsWith("-") ? "remove" : "";
    inside.append(element("span", { class: `line ${kind}` }, text));
  }
  return element("pre", { class: "code", tabindex: "0", role: "group", "aria-label": "Difference" }, inside);
}

function saved(file) {
  const link = element("a", { download: file.path.split("/").at(-1), href: URL.createObjectURL(new Blob([file.text])) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
