// Starts Python, with nlbgen in it, and calls its functions. The page's worker uses it, and so do the tests in Node.js.

const HOME = "/home/pyodide";
const LIBRARY = "/lib/nlbgen";

/** Returns `call(name, arguments)`; `loadPyodide`, its folder and the bytes of nlbgen.zip come from the caller. */
export async function startPython({ loadPyodide, indexURL, archive, progress = () => {} }) {
  progress("Starting Python");
  const python = await loadPyodide({ indexURL, env: { HOME, PYTHONDONTWRITEBYTECODE: "1" }, checkAPIVersion: false });
  progress("Unpacking nlbgen");
  const content = await archive;
  python.unpackArchive(content, "zip", { extractDir: LIBRARY });
  progress("Loading nlbgen");
  const bridge = python.runPython(`
import os, sys
sys.path.insert(0, ${JSON.stringify(LIBRARY)})
os.chdir(${JSON.stringify(HOME)})
from nlbgen.page import bridge
bridge.call
`);
  return (name, values = {}) => JSON.parse(bridge(JSON.stringify({ call: name, with: values })));
}
