// The page of conductor-loop: asks the read-only API and renders what it says as text. Nothing is ever markup here: every
// string goes through textContent, and the page's policy forbids anything else.
"use strict";

const byId = (id) => document.getElementById(id);
/** Rows asked for at first, and at most; of what failed lately and what waits, where everything is shown. */
const PAGE_ROWS = 50, ROWS_MAX = 1000, LATELY_ROWS = 5, WAITING_ROWS = 12;
/** The longest and the shortest time that a plot shows, in seconds. */
const WINDOW_MAX = 300, WINDOW_MIN = 20;
const HOUR = 3600e3;
const STATES = ["all", "waiting", "running", "done", "failed"];
const view = { state: "all", text: "", want: PAGE_ROWS, parts: [], more: false, pulses: [], status: null, asked: 0, seen: null, at: {} };
let token = sessionStorage.getItem("token") || "";
let tokenGiven = () => {};

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
function button(text, press, rest = {}) {
  const made = make("button", { text, type: "button", ...rest });
  made.addEventListener("click", (event) => { event.stopPropagation(); press(made); });
  return made;
}

// Asking. Three things go wrong with a token or a connection, and each says which.

const NO_TOKEN = "This daemon asks for a token: the text in the file of its --token-file.";
const WRONG_TOKEN = "That token is wrong: the daemon refused it. It has to be the text in the file of its --token-file.";
class TokenError extends Error {}
class LostError extends Error {}

async function ask(path, options = {}) {
  const sent = token;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: sent ? { authorization: `Bearer ${sent}` } : {}, cache: "no-store" });
  } catch {
    throw new LostError("The daemon cannot be reached: it was stopped, or the connection is gone. This page asks again.");
  }
  if (answer.status === 401) throw new TokenError(sent ? WRONG_TOKEN : NO_TOKEN);
  byId("token").hidden = true;
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    const error = body && body.error;
    throw new Error(error ? `${error.text}. ${error.advice}` : `the daemon answered ${answer.status}`);
  }
  return answer;
}
const askFor = async (path) => (await ask(path)).json();

function badge(kind, text) {
  byId("state").className = `badge ${kind}`;
  if (byId("state").textContent !== text) byId("state").textContent = text;
}
function notice(text) {
  byId("notice").hidden = !text;
  byId("notice").firstElementChild.textContent = text || "";
}
function failed(error) {
  if (error instanceof TokenError) {
    const isWrong = error.message === WRONG_TOKEN;
    byId("token").hidden = false;
    byId("token").className = isWrong ? "wrong" : "";
    byId("token-why").textContent = error.message;
    badge("not-ready", isWrong ? "wrong token" : "no token");
    return notice("");
  }
  if (error instanceof LostError) lost();
  notice(error.message);
}
function lost() {
  const since = view.seen ? `, last seen at ${clock(view.seen)}` : "";
  badge("lost", `connection lost${since}`);
}

// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
function span(seconds) {
  if (seconds < 1) return "now";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}
function milliseconds(ms) {
  if (ms === null || ms === undefined) return "";
  const short = (value) => (value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value)));
  return ms < 1000 ? `${short(ms)} ms` : ms < 120e3 ? `${short(ms / 1000)} s` : span(ms / 1000);
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
const plural = (count, one) => `${whole.format(count)} ${one}${count === 1 ? "" : "s"}`;
const isLate = (intent) => intent.state === "failed" && Date.now() - Date.parse(intent.at) < HOUR;

// Commands, which the page does not run but hands over.

/** A word as a shell takes it; `null`: a name that no shell should be given. */
function word(text) {
  if (/^[A-Za-z0-9_.\/:@%+=-]+$/.test(text)) return text;
  return /^[\x20-\x7e]+$/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : null;
}
function command(words) {
  const all = words.map(word).concat(view.status ? ["-handoff", word(view.status.handoff)] : []);
  return all.includes(null) ? null : `conductor-loop ${all.join(" ")}`;
}
let saying = 0;
function say(text, code) {
  byId("said").replaceChildren(text, make("code", { text: code }));
  byId("said").hidden = false;
  clearTimeout(saying);
  saying = setTimeout(() => { byId("said").hidden = true; }, 6000);
}
/** Without a secure context a page has no clipboard; then the text is marked for the user to copy. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied: ", text);
  } catch {
    say("Copy this: ", text);
    getSelection().selectAllChildren(byId("said").lastChild);
  }
}
function copyButton(name, words) {
  const text = command(words);
  return text ? [button(name, () => copy(text), { title: text, "aria-label": `copy: ${text}` })] : [];
}
/** What acts on an intent. */
function commandsOf(intent) {
  const of = intent.seq === null ? intent.file : String(intent.seq);
  const acts = intent.state === "done" ? [["show", of]] : [["explain", of]];
  if (intent.state === "failed") acts.push(["retry", of]);
  else if (intent.state !== "done" && intent.target) {
    const release = intent.reason.advice.includes("--all") ? ["release", "--all"] : ["release", intent.target];
    acts.push(intent.reason.word === "held" ? release : ["hold", intent.target]);
  }
  return acts.flatMap(([act, on]) => copyButton(act, [act, on]));
}

// State of the loop: badge, tiles, held targets.

function showStatus(status) {
  view.status = status;
  view.seen = Date.now();
  badge(status.ready ? "ready" : "not-ready", status.ready ? "ready" : `not ready: ${status.not_ready.join(", ")}`);
  const up = status.started_at ? `, up ${span((Date.now() - Date.parse(status.started_at)) / 1000)}` : "";
  byId("about").textContent = `${status.handoff} · ${status.porch_path}, ${status.mode} · ${status.version}${up}`;
  byId("about").title = byId("about").textContent;
  const oldest = status.oldest_waiting_s === null ? "" : `oldest ${span(Math.max(1, status.oldest_waiting_s))}`;
  const lately = status.failed_last_hour;
  const tiles = [
    ["waiting", whole.format(status.waiting + status.sighted), oldest],
    ["running", whole.format(status.active), `of ${plural(status.workers, "worker")}`],
    ["failed in 1 h", `${whole.format(lately)}${lately >= ROWS_MAX ? "+" : ""}`, `${whole.format(status.failed)} in all`, lately > 0],
    ["done", whole.format(status.processed), status.duplicates ? `${plural(status.duplicates, "duplicate")}` : ""],
    status.held.some((one) => one.target === "*") ? ["held", "all", "every target"]
      : ["held", whole.format(status.held.length), status.held.length === 1 ? "target" : "targets"],
    ["free space", bytes(status.free_bytes), ""],
  ];
  byId("tiles").replaceChildren(...tiles.map(([label, value, note, alert]) => make("div", { kind: alert ? "tile alert" : "tile" },
    make("span", { text: label }), make("b", { text: value }), make("small", { text: note }))));
  byId("held").hidden = status.held.length === 0;
  const held = status.held.slice(0, 12).map((one) => make("li", { kind: "copy" }, `${one.target === "*" ? "everything" : one.target}${one.note ? `: ${one.note}` : ""} (since ${new Date(one.since).toLocaleString("en-GB")}, by user ${one.uid}) `,
    ...copyButton("release", ["release", one.target === "*" ? "--all" : one.target])));
  const rest = status.held.length > 12 ? [make("li", { text: `and ${status.held.length - 12} more` })] : [];
  update(byId("held"), JSON.stringify(held.map((one) => one.textContent)), make("b", { text: "Held" }), make("ul", {}, ...held, ...rest));
}

/** Replaces what an element holds, unless it holds that already: what is focused or marked stays. */
function update(element, sign, ...children) {
  if (element.sign === sign) return;
  element.sign = sign;
  element.replaceChildren(...children);
}

// Plots of the last minutes: as long as there is something to show.

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
/** The smallest of 1, 2, 5, 10, 20 ... that is not below. */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((nice) => nice >= value * 0.999);
}
function percentile(counts, share) {
  const sorted = [...counts].sort(([one], [other]) => one - other);
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
  for (const [bound, count] of sorted) {
    left -= count;
    if (left <= 1e-9) return bound;
  }
  return null;
}
/** The pulses as columns of equal length: rates, and percentiles of what was finished in each. */
function columns() {
  const pulses = view.pulses;
  if (pulses.length < 2) return [];
  const step = Math.max(1, Math.ceil(pulses.length / 100)), made = [];
  for (let to = pulses.length - 1; to >= 1; to -= step) {
    const from = Math.max(0, to - step), took = pulses.slice(from + 1, to + 1).flatMap((pulse) => pulse.took_ms);
    const seconds = Math.max(0.2, (pulses[to].at_ms - pulses[from].at_ms) / 1000);
    const rate = (name) => Math.max(0, pulses[to][name] - pulses[from][name]) / seconds;
    made.unshift({ at: pulses[to].at_ms, done: rate("processed"), failed: rate("failed"), p50: percentile(took, 0.5), p95: percentile(took, 0.95) });
  }
  return made;
}
function frame(svg, of, ticks, place, unit) {
  const width = svg.clientWidth || 300, height = svg.clientHeight || 100;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const box = { left: 44, right: width - 6, top: 9, bottom: height - 17 };
  const end = of[of.length - 1].at;
  const length = Math.min(WINDOW_MAX, Math.max(WINDOW_MIN, Math.ceil((end - of[0].at) / 1000)));
  const x = (at) => box.right - (box.right - box.left) * ((end - at) / 1000 / length);
  const y = (value) => box.bottom - (box.bottom - box.top) * Math.min(1, Math.max(0, place(value)));
  const parts = ticks.flatMap((tick) => [draw("path", { class: "grid", d: `M${box.left},${y(tick)} H${box.right}` }),
    draw("text", { x: box.left - 5, y: y(tick) + 3.5, "text-anchor": "end" }, unit(tick))]);
  for (const [share, anchor] of [[1, "start"], [0.5, "middle"], [0, "end"]]) {
    const text = share === 0 ? clock(end) : `-${length < 120 ? `${Math.round(length * share)} s` : `${+(length * share / 60).toFixed(1)} min`}`;
    parts.push(draw("text", { x: x(end - length * share * 1000), y: height - 3, "text-anchor": anchor }, text));
  }
  return { x, y, parts, box };
}
const linePath = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" L")}`;

/** Which column the pointer or the keyboard is at, if any. */
function pointed(id, of, x, box) {
  const at = view.at[id];
  if (at === undefined) return null;
  const place = typeof at === "number" ? at : of.findIndex((column) => x(column.at) >= at.x - 2);
  return of[Math.min(of.length - 1, Math.max(0, place < 0 ? of.length - 1 : place))];
}
function drawRate(of) {
  const svg = byId("rate"), most = niceAbove(Math.max(1, ...of.map((column) => column.done + column.failed)));
  const { x, y, parts, box } = frame(svg, of, [0, most / 2, most], (value) => value / most, (tick) => (tick === 0 ? "0" : `${+tick.toFixed(1)}/s`));
  for (const [kind, value] of [["", (column) => column.done + column.failed], ["bad", (column) => column.failed]]) {
    const points = of.map((column) => [x(column.at), y(value(column))]);
    if (kind && !of.some((column) => column.failed > 0)) continue;
    parts.push(draw("path", { class: `area ${kind}`, d: `${linePath(points)} L${box.right},${box.bottom} L${points[0][0]},${box.bottom} Z` }),
      draw("path", { class: `line ${kind}`, d: linePath(points) }));
  }
  const told = pointed("rate", of, x, box), last = told || of[of.length - 1];
  if (told) parts.push(draw("path", { class: "at", d: `M${x(told.at)},${box.top} V${box.bottom}` }));
  const rate = (value) => whole.format(Math.round(value * 10) / 10);
  byId("rate-now").replaceChildren(`${told ? clock(told.at) : "now"}  `, make("b", { kind: "p50", text: `${rate(last.done)} done/s` }),
    ...(last.failed || told ? ["  ", make("b", { kind: "bad", text: `${rate(last.failed)} failed/s` })] : []));
  svg.replaceChildren(...parts);
}
function drawLatency(of) {
  const svg = byId("latency"), known = of.filter((column) => column.p50 !== null);
  const powers = known.flatMap((column) => [Math.floor(Math.log10(column.p50)), Math.ceil(Math.log10(column.p95))]);
  const low = Math.min(0, ...powers), high = Math.max(low + 3, ...powers);
  const ticks = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at)).filter((_, at) => high - low < 5 || (high - at) % 2 === 0);
  const { x, y, parts, box } = frame(svg, of, ticks, (value) => (Math.log10(value) - low) / (high - low), milliseconds);
  for (const [name, kind] of [["p95", "high"], ["p50", ""]]) {
    const points = known.map((column) => [x(column.at), y(column[name])]);
    if (points.length) parts.push(draw("path", { class: `line ${kind}`, d: linePath(points) }));
    if (points.length < 40) parts.push(...points.map(([cx, cy]) => draw("circle", { class: `dot ${kind}`, cx, cy, r: 2 })));
  }
  const told = pointed("latency", of, x, box);
  if (told) parts.push(draw("path", { class: "at", d: `M${x(told.at)},${box.top} V${box.bottom}` }));
  const end = of[of.length - 1].at, recent = view.pulses.filter((pulse) => pulse.at_ms > end - 60e3).flatMap((pulse) => pulse.took_ms);
  const [p50, p95] = told ? [told.p50, told.p95] : [percentile(recent, 0.5), percentile(recent, 0.95)];
  byId("latency-now").replaceChildren(`${told ? clock(told.at) : "last minute"}  `, ...(p50 === null ? ["none finished"]
    : [make("b", { kind: "p50", text: `p50 ${milliseconds(p50)}` }), "  ", make("b", { kind: "p95", text: `p95 ${milliseconds(p95)}` })]));
  svg.replaceChildren(...parts);
}
function drawPlots() {
  const of = columns();
  if (of.length === 0) return;
  drawRate(of);
  drawLatency(of);
}
for (const id of ["rate", "latency"]) {
  const svg = byId(id), point = (at) => { view.at[id] = at; drawPlots(); };
  svg.addEventListener("pointermove", (event) => point({ x: event.clientX - svg.getBoundingClientRect().left }));
  svg.addEventListener("pointerleave", () => point(undefined));
  svg.addEventListener("blur", () => point(undefined));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], last = columns().length - 1;
    if (!step) return;
    event.preventDefault();
    point(Math.min(last, Math.max(0, (typeof view.at[id] === "number" ? view.at[id] : last) + step)));
  });
}
new ResizeObserver(drawPlots).observe(byId("plots"));

// The table.

function row(intent) {
  const of = intent.seq === null ? intent.file : String(intent.seq);
  const link = make("a", { text: intent.file, href: `#/${encodeURIComponent(of)}` });
  const others = intent.others ? [button(`+${whole.format(intent.others)} more`, () => {
    byId("search").value = intent.target;
    Object.assign(view, { state: "waiting", text: intent.target, want: PAGE_ROWS });
    drawStates(); refresh();
  }, { kind: "more", title: `All that wait of ${intent.target}` })] : [];
  const line = make("tr", { kind: "intent" },
    make("td", { kind: `state ${intent.state}${isLate(intent) ? " lately" : ""}`, text: intent.state }),
    make("td", { kind: "number", text: intent.seq === null ? "" : String(intent.seq) }),
    make("td", { kind: "name", text: intent.target || "", title: intent.target || "" }),
    make("td", { kind: "name file", title: intent.file }, link),
    make("td", { kind: "number", text: intent.at ? ago(intent.at) : "", title: intent.at || "" }),
    make("td", { kind: "number", text: [milliseconds(intent.duration_ms), ...(intent.attempts > 1 ? [`${intent.attempts} starts`] : [])].join(", ") }),
    make("td", { kind: "reason", title: intent.reason.text }, make("div", {}, ...others,
      make("span", { kind: "word", text: intent.error_code ? `${intent.error_code} ${intent.reason.word}` : intent.reason.word }),
      intent.state === "done" ? "" : ` ${intent.reason.text}`)),
    make("td", { kind: "copy" }, ...commandsOf(intent)));
  line.addEventListener("click", () => { location.hash = `#/${encodeURIComponent(of)}`; });
  return line;
}
/** A part of the list: its heading, and what to press for all of it. */
function partOf({ kind, title, count, rows, all }) {
  const more = all ? [button("show all", () => choose(all))] : [];
  const head = title ? [make("tr", { kind: "section" }, make("th", { colspan: "8", scope: "rowgroup", text: title }, make("small", { text: count }), ...more))] : [];
  return make("tbody", { kind }, ...head, ...rows.map(row));
}
function choose(state) {
  Object.assign(view, { state, want: PAGE_ROWS });
  drawStates();
  refresh();
}
function drawRows() {
  const table = byId("rows"), parts = view.parts.filter((part) => part.rows.length > 0);
  const focused = document.activeElement && table.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...table.querySelectorAll("a, button")].indexOf(focused);
  table.replaceChildren(table.tHead, ...parts.map(partOf));
  if (focused) [...table.querySelectorAll("a, button")][place]?.focus();
  table.hidden = parts.length === 0;
  byId("none").hidden = parts.length > 0;
  byId("more").hidden = !view.more || view.want >= ROWS_MAX;
  if (parts.length === 0) drawNone();
}
/** What to do where there is nothing to see. */
function drawNone() {
  const { status } = view, isNew = status.last_seq === 0 && status.sighted === 0;
  if (!isNew) {
    const back = button("Show all", () => { byId("search").value = ""; view.text = ""; choose("all"); });
    return update(byId("none"), "kind", make("p", { text: "No intent of this kind." }), back);
  }
  const lines = [`printf '%s' '{"intent_type": "scaling", "target": "web", "namespace": "default", "replicas": 3}' > intent-web.json`,
    command(["submit", "--wait", "intent-web.json"])].filter((line) => line);
  update(byId("none"), lines.join(), make("h2", { text: "No intent yet" }),
    make("p", { text: `Write one, and hand it in, on the machine of the daemon and as a user who may write ${status.handoff}:` }),
    ...lines.map((line) => make("div", { kind: "command copy" }, make("pre", { text: line }), button("copy", () => copy(line)))));
}
function query(rest) {
  const words = new URLSearchParams(rest);
  if (view.text) words.set(view.text.includes("/") ? "target" : "text", view.text);
  return `/api/v1/intents?${words}`;
}
/** What runs and what failed lately first; then what waits, a row for each target; then what is finished. */
async function loadAll() {
  const { status } = view, since = new Date(Date.now() - HOUR).toISOString();
  const unfinished = await askFor(query({ state: "running,waiting", by: "target", limit: WAITING_ROWS + status.active }));
  const lately = status.failed_last_hour ? await askFor(query({ state: "failed", since, limit: LATELY_ROWS })) : { intents: [] };
  const finished = await askFor(query({ state: "done,failed", limit: view.want }));
  const [running, waiting] = ["running", "waiting"].map((state) => unfinished.intents.filter((intent) => intent.state === state));
  view.more = finished.more;
  return [
    { kind: "running", title: "Running", count: whole.format(running.length), rows: running },
    { kind: "lately", title: "Failed in the last hour", count: whole.format(status.failed_last_hour), rows: lately.intents, all: lately.more && "failed" },
    { kind: "waiting", title: "Waiting", count: `${whole.format(status.waiting + status.sighted)}, by target`, rows: waiting, all: unfinished.more && "waiting" },
    { kind: "finished", title: "Finished", count: `${whole.format(status.processed)} done`, rows: finished.intents.filter((intent) => !isLate(intent)) },
  ];
}
async function loadRows() {
  const mine = ++view.asked;
  let parts;
  if (view.state === "all" && !view.text) {
    parts = await loadAll();
  } else {
    const states = view.state === "all" ? {} : { state: view.state };
    const listing = await askFor(query({ ...states, ...(view.text ? {} : { by: "target" }), limit: view.want }));
    if (mine === view.asked) view.more = listing.more;
    parts = [{ kind: "found", rows: listing.intents }];
  }
  if (mine !== view.asked) return;
  view.parts = parts;
  drawRows();
}
function drawStates() {
  byId("states").replaceChildren(...STATES.map((state) => button(state, () => choose(state), { "aria-pressed": String(view.state === state) })));
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
  const close = button("Back to the list", () => { location.hash = ""; });
  const facts = [
    ["State", intent.state], ["Reason", intent.error_code ? `${intent.error_code} ${intent.reason.word}` : intent.reason.word], ["Says", intent.reason.text],
    ["What to do", intent.reason.advice], ["Target", intent.target], ["Asked for", asked(shown.asked)],
    ["Given reason", shown.asked && shown.asked.reason], ["Source", shown.asked && shown.asked.source],
    ["Correlation id", intent.correlation_id], ["Starts", String(intent.attempts)], ["Filed as", intent.archived_as],
    ["Repeats", intent.duplicate_of === null ? null : `number ${intent.duplicate_of}`],
    ["Run by", shown.porch_path && `${shown.porch_path}, ${shown.mode}`], ["SHA-256", intent.sha256],
    ["Signed by", shown.proof.signed_by && `key ${shown.proof.signed_by}, and the status is genuine`], ["Unproven", shown.proof.missing.join("; ")],
    ["Warning", (shown.not_as_filed || []).join("; ")],
  ].filter(([, value]) => value);
  const list = make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
  const moments = shown.timeline.map((moment) => make("li", {}, make("time", { text: moment.at.replace("T", " ").replace(/(\.\d{3})\d*/, "$1"), datetime: moment.at }), moment.what));
  const entries = shown.proof.entries.map((entry) => make("li", {}, make("time", { text: entry.at.replace("T", " ").replace(/(\.\d{3})\d*/, "$1"), datetime: entry.at }), `entry ${entry.number}: ${entry.event} by ${entry.actor}${entry.recovered ? " (made again)" : ""}`));
  const text = (value) => (value ? [make("pre", { text: value })] : []);
  const others = shown.same_name.map((other) => make("li", {}, make("a", { href: `#/${other.seq}`, text: `number ${other.seq}` }), `: ${other.state}, ${other.reason.word}, ${other.at ? ago(other.at) : ""}`));
  byId("detail").replaceChildren(
    make("div", { kind: "top" }, make("h2", { text: intent.seq === null ? intent.file : `${intent.file}, number ${intent.seq}` }),
      make("div", { kind: "copy" }, ...commandsOf(intent)), close),
    list,
    ...part("Timeline", ...(moments.length ? [make("ol", { kind: "timeline" }, ...moments)] : [])),
    ...part("Audit trail", ...(entries.length ? [make("ol", { kind: "timeline" }, ...entries)] : [])),
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
  const shown = await askFor(`/api/v1/intents/${encodeURIComponent(of)}`);
  drawDetail(shown);
  view.shown = shown.intent.state;
}

// Keeping up.

let refreshing = null;
/** Asks anew; what is asked for meanwhile is asked once more at the end. */
function refresh() {
  if (refreshing) {
    refreshing.again = true;
    return refreshing.done;
  }
  const mine = { again: false };
  refreshing = mine;
  mine.done = (async () => {
    do {
      mine.again = false;
      try {
        showStatus(await askFor("/api/v1/status"));
        await route();
        notice("");
      } catch (error) {
        failed(error);
      }
    } while (mine.again);
    refreshing = null;
  })();
  return mine.done;
}
function onEvent(name, data) {
  const value = JSON.parse(data);
  const last = view.pulses[view.pulses.length - 1];
  view.pulses = (name === "history" ? value : view.pulses.concat([value])).slice(-WINDOW_MAX);
  view.seen = Date.now();
  const now = view.pulses[view.pulses.length - 1];
  drawPlots();
  const totals = (pulse) => pulse && [pulse.ready, pulse.processed, pulse.failed, pulse.active, pulse.waiting, pulse.sighted].join();
  const busy = now && now.waiting + now.active + now.sighted > 0;
  // A finished intent that is being read does not change under the reader's eyes.
  const reading = location.hash && ["done", "failed"].includes(view.shown);
  if (name === "history" || (!reading && (busy || totals(now) !== totals(last)))) refresh();
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
      lost();
    } catch (error) {
      if (error instanceof TokenError) {
        failed(error);
        // Each refusal is logged by the daemon: no other try before another token.
        await new Promise((resolve) => { tokenGiven = resolve; });
        continue;
      }
      if (error instanceof LostError) failed(error);
      lost();
    }
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
  }
}
byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token-value").value.trim();
  sessionStorage.setItem("token", token);
  refresh();
  tokenGiven();
});
let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { Object.assign(view, { text: byId("search").value.trim(), want: PAGE_ROWS }); refresh(); }, 200);
});
byId("more").addEventListener("click", () => { view.want = Math.min(ROWS_MAX, view.want + PAGE_ROWS); refresh(); });
window.addEventListener("hashchange", () => { refresh().then(() => {
  const detail = byId("detail"), { top } = detail.getBoundingClientRect();
  if (detail.hidden) return;
  detail.focus({ preventScroll: true });
  // Its beginning is what is read first, wherever the list was scrolled to.
  if (top < 48 || top > innerHeight / 2) detail.scrollIntoView();
}); });
drawStates();
refresh();
listen();
