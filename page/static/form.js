// The form, made from the JSON Schema of the spec: each field changes one value of farm.yaml.

const SECTIONS = ["farm", "orchestrator", "frontend", "nodes", "balancer", "stores", "keys", "haproxy", "nginx", "zen", "f5", "accept"];
const OPEN = new Set(["orchestrator", "frontend", "nodes"]);
const UNTITLED = new Set(["version"]);

export const dotted = (path) =>
  path.reduce((text, step) => (typeof step === "number" ? `${text}[${step}]` : text ? `${text}.${step}` : step), "");

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
};

/** The schema without the alternative null, and whether null was one. */
const plain = (schema) => {
  const choices = (schema.anyOf ?? schema.oneOf ?? []).filter((one) => one.type !== "null");
  return choices.length === 1 ? { ...schema, ...choices[0], description: schema.description } : schema;
};

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const at = (data, path) => path.reduce((value, step) => (value === null || value === undefined ? undefined : value[step]), data);
const asText = (value) => (Array.isArray(value) ? value.join(", ") : value === null || value === undefined ? "" : String(value));

export class Form {
  /** `edit({how, path, ...})` changes the text; it is called when a field was changed. */
  constructor(root, schema, edit) {
    this.root = root;
    this.schema = schema;
    this.edit = edit;
    this.fields = new Map();
  }

  /** Show the data; fields are made again only if the structure changed, so that the focus stays. */
  show(data) {
    const shape = JSON.stringify(data, (key, value) => (key === "name" || (value && typeof value === "object") ? value : 0));
    if (shape !== this.shape) this.build(data, shape);
    for (const { path, input } of this.fields.values()) {
      if (input === document.activeElement && input.dataset.changed) continue;
      const value = at(data, path);
      input.value = isObject(value) ? "" : asText(value);
      if (isObject(value)) input.placeholder = "see farm.yaml";
    }
  }

  /** Mark the fields of the problems; the others lose their marks. */
  mark(problems) {
    const byPath = new Map();
    for (const problem of problems) if (!byPath.has(problem.path)) byPath.set(problem.path, problem);
    for (const [name, { input, wrong }] of this.fields) {
      const problem = byPath.get(name);
      wrong.replaceChildren(...coded(problem ? `${problem.message}${problem.hint ? ` (${problem.hint})` : ""}` : ""));
      if (problem?.severity === "error") input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }

  /** Move the focus to the field of a problem, if it has one. */
  focus(name) {
    const found = this.fields.get(name);
    if (!found) return false;
    for (let node = found.input.parentElement; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    found.input.focus();
    return true;
  }

  build(data, shape) {
    const focused = document.activeElement?.id;
    const inside = this.root.contains(document.activeElement);
    const open = new Map([...this.root.querySelectorAll("details")].map((one) => [one.dataset.path, one.open]));
    this.shape = shape;
    this.fields.clear();
    const names = Object.keys(this.schema.properties).filter((name) => !UNTITLED.has(name));
    const ordered = [...SECTIONS.filter((name) => names.includes(name)), ...names.filter((name) => !SECTIONS.includes(name))];
    this.root.replaceChildren(...ordered.map((name) => this.part([name], this.schema.properties[name], data)));
    for (const one of this.root.querySelectorAll("details")) {
      const before = open.get(one.dataset.path);
      if (before !== undefined) one.open = before;
    }
    if (inside) (document.getElementById(focused) ?? this.root.querySelector("summary")).focus();
  }

  part(path, given, data) {
    const schema = plain(given);
    if (schema.type === "object" && schema.properties) return this.group(path, schema, data);
    if (schema.type === "array" && plain(schema.items ?? {}).type === "object") return this.list(path, schema, data);
    return this.field(path, schema);
  }

  group(path, schema, data) {
    const parts = Object.entries(schema.properties).map(([name, one]) => this.part([...path, name], one, data));
    const help = schema.description ? [element("span", { class: "help" }, ...coded(schema.description))] : [];
    const box = element("details", { "data-path": dotted(path) }, element("summary", {}, path.at(-1)));
    box.append(element("div", { class: "field" }, ...help), ...parts);
    box.open = path.length === 1 && OPEN.has(path[0]);
    return box;
  }

  list(path, schema, data) {
    const items = at(data, path) ?? [];
    const one = plain(schema.items);
    const box = element("details", { "data-path": dotted(path) }, element("summary", {}, `${path.at(-1)} (${items.length})`));
    box.append(...items.map((item, index) => this.item(path, one, item, index, items.length, data)));
    const name = path.at(-1).replace(/s$/, "");
    const add = element("button", { type: "button", id: `add-${dotted(path)}`, onclick: () => this.add(path, items) }, `Add ${name}`);
    box.append(add);
    box.open = path.length === 1 && OPEN.has(path[0]);
    return box;
  }

  item(path, schema, item, index, count, data) {
    const title = item?.name ?? `${path.at(-1)} ${index + 1}`;
    const own = [...path, index];
    const button = (text, label, disabled, onclick) =>
      element("button", { type: "button", id: `${text}-${dotted(own)}`, "aria-label": `${label} ${title}`, disabled, onclick }, text);
    const head = element("div", { class: "head" }, element("strong", {}, title));
    head.append(
      button("Up", "Move up", index === 0, () => this.edit({ how: "move", path, index, to: index - 1 })),
      button("Down", "Move down", index === count - 1, () => this.edit({ how: "move", path, index, to: index + 1 })),
      button("Remove", "Remove", false, () => this.edit({ how: "remove", path: own })),
    );
    const names = Object.keys(schema.properties);
    const always = names.filter((name) => ["name", "address", "state"].includes(name) || schema.required?.includes(name));
    const rest = element("details", { "data-path": dotted(own) }, element("summary", {}, "More"));
    rest.append(...names.filter((name) => !always.includes(name)).map((name) => this.part([...own, name], schema.properties[name], data)));
    return element("div", { class: "item" }, head, ...always.map((name) => this.part([...own, name], schema.properties[name], data)), rest);
  }

  add(path, items) {
    const number = items.length + 1;
    const last = String(items.at(-1)?.address ?? "");
    const next = last.replace(/(\d+)$/, (digits) => String(Number(digits) + 1));
    const value = path[0] === "nodes" ? { name: `orch-${number}`, address: next && next !== last ? next : "10.20.0.11" } : {};
    this.edit({ how: "add", path, value });
  }

  field(path, schema) {
    const name = dotted(path);
    const id = `field-${name}`;
    const choices = schema.enum ?? (schema.type === "boolean" ? [true, false] : null);
    const input = choices ? this.choice(choices) : element("input", { type: "text" });
    input.id = id;
    const shown = schema.default ?? schema.examples?.[0];
    if (!choices && shown !== undefined && !isObject(shown)) input.placeholder = asText(shown);
    const wrong = element("p", { class: "wrong", id: `wrong-${name}` });
    input.setAttribute("aria-describedby", `help-${name} wrong-${name}`);
    input.addEventListener("input", () => (input.dataset.changed = "yes"));
    input.addEventListener("change", () => this.changed(path, schema, input));
    const fallback = schema.default !== undefined && !isObject(schema.default) ? ` Default: ${asText(schema.default) || "none"}.` : "";
    const help = element("span", { class: "help", id: `help-${name}` }, ...coded(`${schema.description ?? ""}${fallback}`.trim()));
    this.fields.set(name, { path, input, wrong });
    return element("div", { class: "field" }, element("label", { for: id }, path.at(-1)), help, input, wrong);
  }

  choice(values) {
    const options = values.map((value) => element("option", { value: String(value) }, String(value)));
    return element("select", {}, element("option", { value: "" }, "(default)"), ...options);
  }

  changed(path, schema, input) {
    delete input.dataset.changed;
    const text = input.value.trim();
    if (text === "") this.edit({ how: "remove", path });
    else this.edit({ how: "set", path, value: typed(schema, text) });
  }
}

/** The value that a text stands for; a text that is no such value stays a text, and the check names it. */
function typed(schema, text) {
  const kinds = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].map((one) => one.type);
  if (schema.type === "array") return text.split(",").map((part) => typed(plain(schema.items ?? {}), part.trim()));
  if (schema.type === "boolean" && /^(true|false)$/.test(text)) return text === "true";
  if (kinds.includes("integer") && /^-?\d{1,15}$/.test(text)) return Number(text);
  return text;
}

/** A text as nodes; what stands in backticks becomes code. */
export const coded = (text) => text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));

export { element };
