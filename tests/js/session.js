"use strict";
// One SignalR session with Microsoft's own client: node session.js '{"generation": "classic", "url": ..., ...}'.
// Prints one line of JSON: {"ok": true, "transport": ..., "echo": ..., "where": {...}, "push": ...} or {"ok": false, "error": ...}.
// With "reconnect", the classic client loses its connection and continues it with the same token.

const LIMIT_MS = 20000;

function finish(result) {
  process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(result.ok ? 0 : 1));
}

function fail(error) {
  finish({ ok: false, error: String((error && error.message) || error) });
}

async function classic({ url, transport, hub, reconnect }) {
  const { JSDOM } = require("jsdom");
  const { window } = new JSDOM("<!doctype html><title>t</title>", { url, pretendToBeVisual: true });
  global.window = window;
  global.document = window.document;
  global.navigator = window.navigator;
  window.EventSource = require("eventsource");
  window.jQuery = window.$ = global.jQuery = global.$ = require("jquery");
  require("signalr");

  const connection = window.$.hubConnection(`${url}/signalr`, { useDefaultPath: false });
  const proxy = connection.createHubProxy(hub);
  const pushes = [];
  let next = () => {};
  proxy.on("message", (text) => {
    pushes.push(text);
    next();
  });
  const push = async () => {
    while (!pushes.length) await new Promise((resolve) => (next = resolve));
    return pushes.shift();
  };
  let reconnecting = false;
  await new Promise((resolve, reject) => {
    connection.error((error) => reconnecting || reject(error));
    connection.start({ transport }).done(resolve).fail(reject);
  });
  const invoke = (...words) =>
    new Promise((resolve, reject) => proxy.invoke(...words).done(resolve).fail(reject));
  const echo = await invoke("Echo", "hello ☃");
  const where = await invoke("Where");
  const unknown = await invoke("NoSuchMethod").then(() => "", (error) => error.message);
  await invoke("Broadcast", "to all");
  const toAll = await push();
  await invoke("Join", "robots");
  await invoke("Tell", "robots", "to the group");
  const toGroup = await push();
  const id = connection.id;
  const used = connection.transport.name;
  let afterReconnect = "";
  if (reconnect) {
    const reconnected = new Promise((resolve) => connection.reconnected(resolve));
    reconnecting = true;
    connection.transport.lostConnection(connection); // what the client's own monitor calls after missed keep-alives
    await reconnected;
    await invoke("Tell", "robots", "after the reconnect");
    afterReconnect = await push();
  }
  const sameId = connection.id === id;
  connection.stop();
  const protocol = connection.clientProtocol;
  return { transport: used, echo, where, unknown, push: toAll, toGroup, afterReconnect, sameId, protocol };
}

async function core({ url, path, transport, skipNegotiation, stateful }) {
  const signalr = require("@microsoft/signalr");
  const builder = new signalr.HubConnectionBuilder()
    .withUrl(url + path, {
      transport: signalr.HttpTransportType[transport],
      skipNegotiation: Boolean(skipNegotiation),
    })
    .configureLogging(signalr.LogLevel.None);
  const connection = (stateful ? builder.withStatefulReconnect() : builder).build();
  const pushed = new Promise((resolve) => connection.on("message", resolve));
  await connection.start();
  const echo = await connection.invoke("Echo", "hello ☃");
  const where = await connection.invoke("Where");
  const unknown = await connection.invoke("NoSuchMethod").then(() => "", (error) => error.message);
  await connection.send("Broadcast", "to all");
  const push = await pushed;
  await connection.stop();
  return { transport, echo, where, unknown, push };
}

const ask = JSON.parse(process.argv[2]);
setTimeout(() => fail("time-out"), LIMIT_MS);
process.on("unhandledRejection", fail);
(ask.generation === "classic" ? classic(ask) : core(ask)).then(
  (result) => finish({ ok: true, ...result }),
  fail,
);
