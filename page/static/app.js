// The page: farm.yaml as a form and as a text, its findings, and what each vendor gets. Python runs in worker.js.
import { Form, coded } from "./form.js";
import { Results } from "./results.js";
import { encoded, packed, unpacked } from "./share.js";

const find = (id) => document.getElementById(id);
const text = find("text");
const state = { python: false, busy: 0, valid: false, problems: [], last: "" };

// Python

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let number = 0;

function call(name, values = {}) {
  return new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    worker.postMessage({ id: number, name, values });
  }).then((answer) => {
    if (answer.error) throw answer.error;
    return answer.value;
  });
}

worker.onmessage = ({ data }) => {
  if (data.progress) status(`${data.progress} …`);
  else if (data.ready) ready();
  else if (data.failed) status(`Python cannot start: ${data.failed}. Reload the page, or use the command line.`, true);
  else {
    waiting.get(data.id).resolve(data.answer);
    waiting.delete(data.id);
  }
};
worker.onerror = (event) => status(`Python cannot start: ${event.message ?? "the browser refused its files"}`, true);

function ready() {
  state.python = true;
  performance.mark("nlbgen-python");
  status("Ready");
  changed();
}

function status(message, failed = false) {
  find("status").textContent = message;
  find("status").classList.toggle("failed", failed);
}

function shownError(error) {
  status(error.message ? `${error.message}${error.hint ? ` What to do: ${error.hint}` : ""}` : String(error), true);
}

// The text

let form;
const results = new Results(find("tabs"), find("panel"), { call, spec: () => text.value, changed: () => changed() });

/** Check the text, and render it if it is valid; a later change makes an earlier one void. */
async function changed() {
  numbered();
  if (state.python) await results.during(checked);
}

async function checked() {
  const turn = ++state.busy;
  const now = text.value;
  try {
    const found = await call("check", { text: now });
    if (turn !== state.busy) return;
    state.valid = found.valid;
    state.problems = found.problems;
    if (found.data) form.show(found.data);
    form.mark(found.problems);
    findings();
    if (found.valid) await results.show(now);
    else results.invalid();
    if (turn !== state.busy) return;
    for (const id of ["bundle", "report"]) find(id).disabled = !found.valid;
    status(found.valid ? `Rendered. Digest ${found.digest.slice(0, 16)}` : "Not rendered: farm.yaml has errors");
    performance.mark("nlbgen-rendered");
    document.body.dataset.turn = String(turn);
  } catch (error) {
    shownError(error);
  }
}

const queue = [];
let editing = Promise.resolve();

/** Apply a change of the form to the text; before Python is ready, changes wait. */
function edit(change) {
  queue.push(change);
  editing = editing.then(async () => {
    try {
      const asked = queue.shift();
      const made = await call("edit", { text: text.value, ...asked });
      text.value = made.text;
      await changed();
    } catch (error) {
      shownError(error);
    }
  });
}

function numbered() {
  const marks = new Map(state.problems.map((problem) => [problem.line, problem.severity]).reverse());
  const count = text.value.split("\n").length;
  const lines = Array.from({ length: count }, (_, index) => {
    const line = document.createElement("b");
    line.textContent = String(index + 1);
    if (marks.has(index + 1)) line.className = marks.get(index + 1);
    return line;
  });
  find("lines").replaceChildren(...lines);
  find("lines").scrollTop = text.scrollTop;
}

// Findings

function findings() {
  const errors = state.problems.filter((problem) => problem.severity === "error").length;
  const warnings = state.problems.length - errors;
  const counted = (count, word) => (count ? [`${count} ${word}${count === 1 ? "" : "s"}`] : []);
  find("counts").textContent = [...counted(errors, "error"), ...counted(warnings, "warning")].join(", ") || "No problems.";
  find("findings").replaceChildren(...state.problems.slice(0, 200).map(finding));
  numbered();
}

function finding(problem) {
  const item = document.createElement("li");
  item.className = problem.severity;
  const place = document.createElement("button");
  place.type = "button";
  place.textContent = `Line ${problem.line}${problem.path ? `, ${problem.path}` : ""}`;
  place.addEventListener("click", () => form.focus(problem.path) || goTo(problem.line, problem.column));
  const words = document.createElement("p");
  words.replaceChildren(...coded(problem.message));
  item.append(place, words);
  if (problem.hint) {
    const hint = document.createElement("p");
    hint.replaceChildren(...coded(`What to do: ${problem.hint}`));
    item.append(hint);
  }
  if (problem.id) item.append(explanation(problem.id));
  return item;
}

function explanation(id) {
  const known = started.explained[id];
  const shown = document.createElement(known ? "button" : "code");
  shown.textContent = id;
  if (!known) return shown;
  shown.type = "button";
  shown.addEventListener("click", () => {
    find("h-explained").textContent = id;
    find("explanation").innerHTML = known; // written by the build, from the documentation
    find("explained").showModal();
  });
  return shown;
}

function goTo(line, column) {
  const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  text.focus();
  text.setSelectionRange(before + column - 1, before + column - 1);
  text.scrollTop = Math.max(0, (line - 8) * 19.5);
}

// Files

function load(content, message) {
  text.value = content;
  state.problems = [];
  status(message);
  changed();
}

async function open(file) {
  if (/\.ya?ml$/i.test(file.name)) return load(await file.text(), `Opened ${file.name}`);
  if (/\.(cfg|conf)$/i.test(file.name)) return results.lint(file);
  const made = await call("starter", { name: `inputs/orch-1/${file.name}`, content: await encoded(file) });
  load(made.text, ["A farm.yaml from the node's file. Replace the names and addresses that it cannot know.", ...made.notes].join(" "));
}

function download(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function bundle() {
  const made = await call("bundle", { text: text.value });
  const bytes = Uint8Array.from(atob(made.content), (char) => char.charCodeAt(0));
  download(made.name, bytes, "application/gzip");
  status(`${made.name}: SHA-256 ${made.digest}`);
}

async function report() {
  const made = await call("report", { text: text.value });
  download(made.name, made.text, "text/html");
}

/** Only a valid text becomes a link: then every secret in it is a reference, not a value. */
async function link() {
  if (!state.valid) return status("No link: correct the errors first. A link is only made of a valid farm.yaml.", true);
  const url = new URL(location.href);
  url.hash = `spec=${await packed(text.value)}`;
  history.replaceState(null, "", url);
  const copied = await navigator.clipboard.writeText(url.href).then(() => true, () => false);
  status(`${copied ? "The link is copied" : "The link is in the address bar"}. It holds the text of farm.yaml with its comments.`);
}

const guarded = (action) => (...given) => Promise.resolve(action(...given)).catch(shownError);

find("example").addEventListener("click", () => load(started.example, "The example"));
find("open").addEventListener("change", guarded(async (event) => {
  const [file] = event.target.files;
  if (file) await open(file);
  event.target.value = "";
}));
find("bundle").addEventListener("click", guarded(bundle));
find("report").addEventListener("click", guarded(report));
find("link").addEventListener("click", guarded(link));
find("close").addEventListener("click", () => find("explained").close());
find("form").addEventListener("submit", (event) => event.preventDefault());
text.addEventListener("scroll", () => (find("lines").scrollTop = text.scrollTop));
let pause;
text.addEventListener("input", () => {
  numbered();
  clearTimeout(pause);
  pause = setTimeout(changed, 150);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", guarded(async (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) await open(file);
}));

// Start

const started = await (await fetch("start.json")).json();
find("about").textContent = `${started.version}: one farm.yaml, the configurations of four load balancers. Nothing leaves this browser.`;
form = new Form(find("form"), started.schema, edit);
results.explained = started.explained;
form.show(started.data);
text.value = started.example;
const shared = new URLSearchParams(location.hash.slice(1)).get("spec");
if (shared) {
  text.value = await unpacked(shared).catch(() => started.example);
}
numbered();
performance.mark("nlbgen-form");
if (state.python) changed();
if ("serviceWorker" in navigator && location.protocol !== "file:") navigator.serviceWorker.register("sw.js").catch(() => {});
