// Answers requests to the page's Python in Node.js: node run.mjs SITE REQUESTS.json ANSWERS.json
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [site, requests, answers] = process.argv.slice(2);
const module = (name) => import(pathToFileURL(join(site, name)).href);
const { loadPyodide } = await module("pyodide/pyodide.mjs");
const { startPython } = await module("python.js");
process.on("uncaughtException", (error) => {
  console.error(String(error.message).slice(-1500)); // without the line of the minified source
  process.exit(1);
});
const call = await startPython({
  loadPyodide,
  indexURL: join(site, "pyodide/"),
  archive: new Uint8Array(readFileSync(join(site, "nlbgen.zip"))),
});
const answer = ({ call: name, with: values }) => {
  try {
    return call(name, values);
  } catch (error) {
    return { crash: String(error.message).slice(-1500) };
  }
};
const asked = JSON.parse(readFileSync(requests, "utf8"));
writeFileSync(answers, JSON.stringify(asked.map(answer)));
