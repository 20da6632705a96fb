// A text in the fragment of a link: deflated, in base64 for URLs. Browsers do not send fragments to servers.

const LIMIT = 1 << 20;

export async function packed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let raw = "";
  for (const byte of bytes) raw += String.fromCharCode(byte);
  return btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Rejects a fragment that is no such text, or whose text is longer than 1 MiB. */
export async function unpacked(fragment) {
  const raw = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(raw, (char) => char.charCodeAt(0));
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > LIMIT) throw new Error("the text in the link is too long");
  }
}

/** The bytes of a file in base64. */
export async function encoded(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let raw = "";
  for (let index = 0; index < bytes.length; index += 32768) raw += String.fromCharCode(...bytes.subarray(index, index + 32768));
  return btoa(raw);
}
