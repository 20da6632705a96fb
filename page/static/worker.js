// Runs Python beside the page, so that the page stays usable: messages {id, name, values} in, {id, answer} out.
import { loadPyodide } from "./pyodide/pyodide.mjs";
import { startPython } from "./python.js";

const fetched = async (name) => {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};

const started = startPython({
  loadPyodide,
  indexURL: new URL("pyodide/", import.meta.url).href,
  archive: fetched("nlbgen.zip"),
  progress: (step) => postMessage({ progress: step }),
});
started.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error.message ?? error) }),
);

onmessage = async ({ data: { id, name, values } }) => {
  try {
    const call = await started;
    postMessage({ id, answer: call(name, values) });
  } catch (error) {
    const last = String(error.message ?? error).trim().split("\n").pop();
    const message = `internal error (a bug in nlbgen): ${last}`;
    postMessage({ id, answer: { error: { message, hint: "change the last edit, or reload the page" } } });
  }
};
