// The page of conductor-loop: asks the read-only API and renders what it says as text. Nothing is ever markup here: every
// string goes through textContent, and the page's policy forbids anything else.
"use strict";

const byId = (id) => document.getElementById(id);
const PAGE_ROWS = 50;
const STATES = ["all", "waiting", "running", "done", "failed"];
const view = { state: "all", text: "", rows: [], nextBefore: null, pulses: [], status: null, asked: 0, changed: true };
let token = sessionStorage.getItem("token") || "";

/** An element with text and attributes. */
function make(tag, { text, kind, title, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  if (title) element.title = title;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

async function ask(path, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  byId("token").hidden = answer.status !== 401;
  if (answer.status === 401) throw new Error("a token is needed");
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    const error = body && body.error;
    throw new Error(error ? `${error.text}. ${error.advice}` : `the daemon answered ${answer.status}`);
  }
  return answer;
}

function notice(text) {
  byId("notice").hidden = !text;
  byId("notice").firstElementChild.textContent = text || "";
}

// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
function span(seconds) {
  if (seconds < 1) return "now";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}
function milliseconds(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1).replace(/\.0$/, "") : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
function bytes(count) {
  if (count === null) return "-";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${count < 10 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}
function ago(at) {
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  return seconds < 1 ? "now" : `${span(seconds)} ago`;
}

// State of the loop: badge and tiles.

function showStatus(status) {
  view.status = status;
  const badge = byId("state");
  badge.className = `badge ${status.ready ? "ready" : "not-ready"}`;
  badge.textContent = status.ready ? "ready" : `not ready: ${status.not_ready.join(", ")}`;
  const up = status.started_at ? `, up ${span((Date.now() - Date.parse(status.started_at)) / 1000)}` : "";
  byId("about").textContent = `${status.handoff} · ${status.porch_path}, ${status.mode}, ${status.workers} workers · ${status.version}${up}`;
  const tiles = [
    ["waiting", whole.format(status.waiting + status.sighted)],
    ["oldest waiting", status.oldest_waiting_s === null ? "-" : span(Math.max(1, status.oldest_waiting_s))],
    ["running", whole.format(status.active)],
    ["done", whole.format(status.processed)],
    ["failed", whole.format(status.failed), status.failed > 0],
    ["free space", bytes(status.free_bytes)],
  ];
  if (status.held.length) tiles.push(["held targets", whole.format(status.held.length), true, status.held.map((h) => `${h.target}: ${h.note}`).join("\n")]);
  byId("tiles").replaceChildren(...tiles.map(([label, value, alert, title]) =>
    make("div", { kind: alert ? "tile alert" : "tile", title }, make("b", { text: value }), make("span", { text: label }))));
}

// Plots of the last five minutes.

function differences(pulses, each) {
  return pulses.slice(1).map((now, at) => each(pulses[at], now));
}

function plot(id, values) {
  const svg = byId(id);
  const top = Math.max(...values, 1e-9);
  const step = 300 / 299;
  const start = 300 - (values.length - 1) * step;
  const points = values.map((value, at) => `${(start + at * step).toFixed(1)},${(62 - 58 * (value / top)).toFixed(1)}`);
  const path = (kind, d) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
    element.setAttribute("class", kind);
    element.setAttribute("d", d);
    return element;
  };
  if (points.length < 2) return svg.replaceChildren();
  svg.replaceChildren(path("area", `M${start},62 L${points.join(" L")} L300,62 Z`), path("line", `M${points.join(" L")}`));
}

function drawPlots() {
  const rates = differences(view.pulses, (before, now) => {
    const seconds = Math.max(0.2, (now.at_ms - before.at_ms) / 1000);
    return Math.max(0, now.processed + now.failed - before.processed - before.failed) / seconds;
  });
  let last = 0;
  const latencies = differences(view.pulses, (before, now) => {
    const count = now.timed - before.timed;
    if (count > 0) last = (now.timed_ms - before.timed_ms) / count;
    return last;
  });
  plot("rate", rates);
  plot("latency", latencies);
  byId("rate-now").textContent = rates.length ? whole.format(Math.round(rates[rates.length - 1] * 10) / 10) : "";
  byId("latency-now").textContent = last ? milliseconds(last) : "";
}

// The table.

function query(before) {
  const words = new URLSearchParams({ limit: String(PAGE_ROWS) });
  if (view.state !== "all") words.set("state", view.state);
  if (view.text) words.set(view.text.includes("/") ? "target" : "text", view.text);
  if (before) words.set("before", String(before));
  return `/api/v1/intents?${words}`;
}

function row(intent) {
  const of = intent.seq === null ? intent.file : String(intent.seq);
  const link = make("a", { text: intent.file, href: `#/${encodeURIComponent(of)}` });
  const cells = [
    make("td", { kind: `state ${intent.state}`, text: intent.state }),
    make("td", { kind: "number", text: intent.seq === null ? "" : String(intent.seq) }),
    make("td", { text: intent.target || "" }),
    make("td", { kind: "file" }, link),
    make("td", { kind: "number", text: intent.at ? ago(intent.at) : "", title: intent.at || "" }),
    make("td", { kind: "number", text: intent.attempts > 1 ? `${intent.attempts} starts` : "" }),
    make("td", { kind: "number", text: milliseconds(intent.duration_ms) }),
    make("td", { kind: "reason" }, make("span", { kind: "word", text: intent.error_code ? `${intent.error_code} ${intent.reason.word}` : intent.reason.word }),
      intent.state === "done" ? "" : ` ${intent.reason.text}`),
  ];
  const line = make("tr", {}, ...cells);
  line.addEventListener("click", () => { location.hash = `#/${encodeURIComponent(of)}`; });
  return line;
}

function drawRows() {
  byId("rows").replaceChildren(...view.rows.map(row));
  byId("none").hidden = view.rows.length > 0;
  byId("more").hidden = view.nextBefore === null;
}

async function loadRows() {
  const mine = ++view.asked;
  const listing = await (await ask(query(null))).json();
  if (mine !== view.asked) return;
  view.rows = listing.intents;
  view.nextBefore = listing.next_before;
  drawRows();
}

async function loadOlder() {
  const listing = await (await ask(query(view.nextBefore))).json();
  view.rows = view.rows.concat(listing.intents);
  view.nextBefore = listing.next_before;
  drawRows();
}

function drawStates() {
  byId("states").replaceChildren(...STATES.map((state) => {
    const button = make("button", { text: state, type: "button", "aria-pressed": String(view.state === state) });
    button.addEventListener("click", () => { view.state = state; drawStates(); refresh(); });
    return button;
  }));
}

// One intent.

function diffLines(text) {
  const kind = (line) => line.startsWith("@@") ? "at" : line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : "";
  return text.split("\n").map((line) => make("span", { kind: kind(line), text: `${line}\n` }));
}

function part(title, ...children) {
  return children.length ? [make("h2", { text: title }), ...children] : [];
}

function drawDetail(shown) {
  const { intent } = shown;
  const close = make("button", { text: "Back to the list", type: "button" });
  close.addEventListener("click", () => { location.hash = ""; });
  const facts = [
    ["State", intent.state], ["Reason", intent.error_code ? `${intent.error_code} ${intent.reason.word}` : intent.reason.word], ["Says", intent.reason.text],
    ["What to do", intent.reason.advice], ["Target", intent.target], ["Asked for", asked(shown.asked)],
    ["Given reason", shown.asked && shown.asked.reason], ["Source", shown.asked && shown.asked.source],
    ["Correlation id", intent.correlation_id], ["Starts", String(intent.attempts)], ["Filed as", intent.archived_as],
    ["Repeats", intent.duplicate_of === null ? null : `number ${intent.duplicate_of}`],
    ["Run by", shown.porch_path && `${shown.porch_path}, ${shown.mode}`], ["SHA-256", intent.sha256],
    ["Warning", (shown.not_as_filed || []).join("; ")],
  ].filter(([, value]) => value);
  const list = make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
  const moments = shown.timeline.map((moment) => make("li", {}, make("time", { text: moment.at.replace("T", " ").replace(/(\.\d{3})\d*/, "$1"), datetime: moment.at }), moment.what));
  const text = (value) => (value ? [make("pre", { text: value })] : []);
  const others = shown.same_name.map((other) => make("li", {}, make("a", { href: `#/${other.seq}`, text: `number ${other.seq}` }), `: ${other.state}, ${other.reason.word}, ${other.at ? ago(other.at) : ""}`));
  byId("detail").replaceChildren(
    make("div", { kind: "top" }, make("h2", { text: intent.seq === null ? intent.file : `${intent.file}, number ${intent.seq}` }), close),
    list,
    ...part("Timeline", ...(moments.length ? [make("ol", { kind: "timeline" }, ...moments)] : [])),
    ...part("Change of the package", ...(shown.diff ? [make("pre", {}, ...diffLines(shown.diff))] : [])),
    ...part("Error log", ...text(shown.error_log)),
    ...part("Output of porch", ...text(shown.error_log ? "" : shown.output)),
    ...part("Intent", ...text(shown.content)),
    ...part("Others of this name", ...(others.length ? [make("ul", {}, ...others)] : [])),
  );
}

function asked(what) {
  if (!what) return null;
  const to = what.replicas === undefined || what.replicas === null ? "" : ` to ${what.replicas}`;
  return `${what.kind}${to}, priority ${what.priority}`;
}

async function route() {
  const of = decodeURIComponent(location.hash.replace(/^#\/?/, ""));
  byId("detail").hidden = !of;
  byId("intents").hidden = Boolean(of);
  if (!of) return loadRows();
  const shown = await (await ask(`/api/v1/intents/${encodeURIComponent(of)}`)).json();
  drawDetail(shown);
  view.shown = shown.intent.state;
}

// Keeping up.

async function refresh() {
  try {
    showStatus(await (await ask("/api/v1/status")).json());
    await route();
    notice("");
  } catch (error) {
    notice(error.message);
  }
}

function onEvent(name, data) {
  const value = JSON.parse(data);
  const last = view.pulses[view.pulses.length - 1];
  view.pulses = (name === "history" ? value : view.pulses.concat([value])).slice(-300);
  const now = view.pulses[view.pulses.length - 1];
  drawPlots();
  const totals = (pulse) => pulse && [pulse.ready, pulse.processed, pulse.failed, pulse.active, pulse.waiting, pulse.sighted].join();
  const busy = now && now.waiting + now.active + now.sighted > 0;
  // A finished intent that is being read does not change under the reader's eyes.
  const reading = location.hash && ["done", "failed"].includes(view.shown);
  if (!reading && (busy || totals(now) !== totals(last) || name === "history")) refresh();
}

/** Server-sent events by fetch, because an EventSource cannot carry a token. */
async function listen() {
  for (;;) {
    try {
      const answer = await ask("/api/v1/events");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          const field = (name) => (lines.find((line) => line.startsWith(`${name}: `)) || "").slice(name.length + 2);
          onEvent(field("event"), field("data"));
        }
      }
    } catch (error) {
      notice(error.message === "Failed to fetch" ? "The daemon cannot be reached. This page asks again." : error.message);
    }
    byId("state").className = "badge lost";
    byId("state").textContent = "connection lost";
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
  }
}

byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token-value").value.trim();
  sessionStorage.setItem("token", token);
  refresh();
});
let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { view.text = byId("search").value.trim(); refresh(); }, 200);
});
byId("more").addEventListener("click", () => { loadOlder().catch((error) => notice(error.message)); });
window.addEventListener("hashchange", () => { refresh().then(() => { if (!byId("detail").hidden) byId("detail").focus(); }); });
drawStates();
refresh();
listen();
