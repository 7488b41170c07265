"use strict";
// Everything that calls hold is set as text, never as markup.
const PARTICIPANTS = ["Asterisk", "ingest", "application", "command"];
const LEFT = 90, GAP = 250, TOP = 40, ROW = 22, CHARACTER = 7;
const STATE_MILLISECONDS = 2000, ENDED_MILLISECONDS = 10000, MAX_STEPS = 1000;
const x = Object.fromEntries(PARTICIPANTS.map((name, index) => [name, LEFT + GAP * index]));
const width = LEFT * 2 + GAP * (PARTICIPANTS.length - 1);
const byId = (id) => document.getElementById(id);
const linked = new URLSearchParams(location.search);
let source = null, shown = "", server = linked.get("server") ?? "", begunAt = 0, steps = 0, waiting = null, seen = new Set();

function element(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function cell(row, content) {
  const made = row.insertCell();
  if (content instanceof Node) made.append(content); else made.textContent = content;
}

function showChecks(checks) {
  byId("checks").replaceChildren(...Object.entries(checks).map(([name, result]) => {
    const item = document.createElement("li");
    item.className = result === "ok" ? "ok" : "failed";
    item.textContent = result === "ok" ? `✓ ${name}` : `✗ ${name}: ${result}`;
    return item;
  }));
}

function opening(dialogId) {
  const open = document.createElement("button");
  open.textContent = dialogId;
  open.addEventListener("click", () => watch(dialogId));
  return open;
}

function showDialogs(state) {
  const body = document.createElement("tbody");
  body.id = "dialogs";
  for (const dialog of state.dialogs) {
    const row = body.insertRow();
    if (dialog.dialog_id === shown) row.className = "shown";
    cell(row, opening(dialog.dialog_id));
    for (const name of ["application", "state", "events"]) cell(row, dialog[name]);
    cell(row, dialog.channels.join(" "));
  }
  byId("dialogs").replaceWith(body);
  const more = state.found > state.dialogs.length ? `, the newest ${state.dialogs.length} shown` : "";
  byId("count").textContent = `${state.found} of ${state.total} dialogs${more}`;
}

function showEnded(ended) {
  const body = document.createElement("tbody");
  body.id = "ended";
  for (const call of ended.calls) {
    const row = body.insertRow();
    if (call.dialog_id === shown) row.className = "shown";
    cell(row, new Date(call.ended_at * 1000).toISOString().slice(0, 19).replace("T", " "));
    cell(row, call.seconds.toFixed(1));
    for (const name of ["caller", "called", "application", "why"]) cell(row, call[name]);
    cell(row, opening(call.dialog_id));
  }
  byId("ended").replaceWith(body);
  const more = ended.found > ended.calls.length ? `, the newest ${ended.calls.length} shown` : "";
  byId("ended-count").textContent = `${ended.found} of ${ended.total} calls, times in UTC${more}`;
}

async function asked(path, parameters) {
  const answer = await fetch(`console/${path}?${new URLSearchParams({...parameters, server})}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return JSON.parse(text);
}

async function refreshEnded() {
  const before = server, find = byId("find").value;
  try {
    const ended = await asked("ended", {find});
    if (before === server && find === byId("find").value) showEnded(ended);
  } catch (error) {
    if (before !== server) return;
    byId("ended").replaceChildren();
    byId("ended-count").textContent = error.message;
  }
}

function showServers(state) {
  const choice = byId("servers");
  choice.hidden = state.servers.length === 1 && state.servers[0] === state.server_id;
  if (choice.options.length !== state.servers.length) {
    choice.replaceChildren(...state.servers.map((name) => new Option(name)));
  }
  choice.value = state.server_id;
  byId("server").textContent = `${state.server_id} · ${state.version}`;
}

async function refresh() {
  try {
    const asked = server;
    const find = encodeURIComponent(byId("find").value);
    const answer = await fetch(`console/state?find=${find}&server=${encodeURIComponent(asked)}`);
    const text = await answer.text();
    if (asked !== server) return;
    // 404: another console has the server that a link names, and this one tells which it has.
    if (!answer.ok && answer.status !== 404) return showChecks({console: text});
    const state = JSON.parse(text);
    showServers(state);
    showChecks(state.checks);
    showDialogs(state);
  } catch (error) {
    showChecks({ingest: "does not answer"});
  }
}

function watch(dialogId) {
  if (source) source.close();
  shown = dialogId; begunAt = 0; steps = 0; waiting = []; seen = new Set();
  byId("ladder").hidden = false;
  byId("dialog").textContent = dialogId;
  byId("note").textContent = "Looking for what was kept.";
  const drawing = byId("steps");
  drawing.replaceChildren();
  for (const name of PARTICIPANTS) {
    drawing.append(element("text", {x: x[name], y: 20, "text-anchor": "middle"}, name));
    drawing.append(element("line", {class: "line", x1: x[name], x2: x[name], y1: 28, y2: "100%"}));
  }
  resize();
  source = new EventSource(`console/copies?dialog=${encodeURIComponent(dialogId)}&server=${encodeURIComponent(server)}`);
  source.addEventListener("message", (event) => take(dialogId, JSON.parse(event.data)));
  source.addEventListener("error", () => { byId("note").textContent = "The stream is interrupted."; });
  showKept(dialogId);
  refresh();
}

// Steps that come live wait for those that were kept, which are older and may have them, too.
function take(dialogId, step) {
  if (dialogId !== shown) return;
  if (waiting) { waiting.push(step); return; }
  add(step);
  if (step.kind === "end") explain(dialogId);
}

async function showKept(dialogId) {
  let drawn = {steps: [], why: ""};
  try { drawn = await asked("ladder", {dialog: dialogId}); } catch (error) { /* Live steps only. */ }
  if (dialogId !== shown) return;
  byId("note").textContent = drawn.steps.length ? "Watching." : "Watching from now on.";
  const held = waiting;
  waiting = null;
  for (const step of [...drawn.steps, ...held]) add(step);
}

// What was kept from the call's beginning tells better why it has ended.
async function explain(dialogId) {
  try {
    const drawn = await asked("ladder", {dialog: dialogId});
    if (dialogId === shown && drawn.why) byId("note").textContent = `The dialog has ended: ${drawn.why}.`;
  } catch (error) { /* The note tells that it has ended. */ }
}

function resize() {
  const height = TOP + ROW * (steps + 1);
  const drawing = byId("steps");
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", height);
}

function add(step) {
  const identity = `${step.kind} ${step.at}`;
  if (seen.has(identity)) return;
  seen.add(identity);
  if (step.kind === "end") {
    source.close();
    byId("note").textContent = `${step.text[0].toUpperCase()}${step.text.slice(1)}.`;
  }
  if (steps >= MAX_STEPS) {
    source.close();
    byId("note").textContent = `More than ${MAX_STEPS} steps: use ari-proxy ladder.`;
    return;
  }
  begunAt = begunAt || step.at;
  const y = TOP + ROW * steps++;
  const row = element("g", {class: "step"});
  row.append(element("text", {class: "time", x: 4, y: y + 4}, (step.at - begunAt).toFixed(3)));
  if (step.source === null) {
    row.append(element("text", {x: width / 2, y: y + 4, "text-anchor": "middle"}, step.text));
  } else {
    const begin = x[step.source], end = x[step.target], sign = Math.sign(end - begin);
    const length = Math.floor(Math.abs(end - begin) / CHARACTER) - 2;
    const text = step.text.length > length ? `${step.text.slice(0, length - 1)}…` : step.text;
    const classes = ["arrow"];
    if (step.kind === "response") classes.push("answer");
    if (step.failed) classes.push("failed");
    row.append(element("text", {x: (begin + end) / 2, y, "text-anchor": "middle"}, text));
    row.append(element("line", {class: classes.join(" "), x1: begin, x2: end, y1: y + 5, y2: y + 5}));
    const tip = `${end},${y + 5} ${end - 7 * sign},${y + 1} ${end - 7 * sign},${y + 9}`;
    row.append(element("polygon", {class: "head", points: tip}));
    row.append(element("title", {}, step.text));
  }
  byId("steps").append(row);
  resize();
}

// The address stays a link to what is shown.
function choose() {
  const find = byId("find").value;
  history.replaceState(null, "", `?${new URLSearchParams({...(server && {server}), ...(find && {find})})}`);
  refresh();
  refreshEnded();
}

byId("find").addEventListener("input", choose);
byId("servers").addEventListener("change", () => { server = byId("servers").value; choose(); });
byId("find").value = linked.get("find") ?? "";
refresh();
refreshEnded();
setInterval(refresh, STATE_MILLISECONDS);
setInterval(refreshEnded, ENDED_MILLISECONDS);
