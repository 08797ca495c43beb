// The page of conductor-loop: asks the read-only API and renders what it says as text. Nothing is ever markup here: every
// string goes through textContent, and the page's policy forbids anything else.
"use strict";

const byId = (id) => document.getElementById(id);
/** Rows asked for at first, and at most; of what failed lately and what waits, where everything is shown. */
const PAGE_ROWS = 50, ROWS_MAX = 1000, LATELY_ROWS = 5, WAITING_ROWS = 12;
/** The failures whose causes are counted. */
const CAUSES_OF = 200;
/** Milliseconds after which an idle page asks again, because what is "in the last hour" passes. */
const STALE = 30e3;
const HOUR = 3600e3;
/** Milliseconds between two answers to the same search for text, which may read all outcomes. */
const SEARCH_EVERY = 3e3;
/** Parts of a search, each of which reads half a million outcomes at most. */
const SEARCH_PARTS = 4;
const STATES = ["all", "waiting", "running", "done", "failed"];
const view = {
  state: "all", text: "", want: PAGE_ROWS, parts: [], more: false, paused: false, list: "#",
  pulses: [], status: null, asked: 0, drawn: 0, searched: 0, owes: false, seen: null, at: {}, lines: new Map(), causes: {},
};
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
/** The failures of the last hour; no more than so many are counted. */
const failedLately = ({ failed_last_hour: count }) => `${whole.format(count)}${count >= ROWS_MAX ? "+" : ""}`;
/** What a tab says of itself among others. */
function title() {
  const { status } = view, intent = view.of && view.shown;
  const says = byId("state").className.includes("lost") ? "connection lost" : intent ? `${intent.state} ${intent.seq === null ? "" : intent.seq}`.trim()
    : !status ? "" : !status.ready ? "not ready" : status.failed_last_hour ? `${failedLately(status)} failed` : "";
  const text = says ? `${says} \u00b7 conductor-loop` : "conductor-loop";
  if (document.title !== text) document.title = text;
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
  title();
}

// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
/** A moment: the time alone if it was today. */
function stamp(at) {
  const date = new Date(at), today = new Date().toDateString() === date.toDateString();
  return today ? clock(at) : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
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
  return ms < 1000 ? `${short(ms)} ms` : ms < 60e3 ? `${short(ms / 1000)} s` : ms < 600e3 ? `${short(ms / 60e3)} min` : span(ms / 1000);
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
/** An age that goes on by itself: see `tick`. */
const age = (at) => make("time", { text: ago(at), title: `${at}`, datetime: at, "data-ago": "" });
function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
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
  const tiles = [
    ["waiting", whole.format(status.waiting + status.sighted), oldest, listPlace("waiting", "")],
    ["running", whole.format(status.active), `of ${plural(status.workers, "worker")}`, listPlace("running", "")],
    ["failed in 1 h", failedLately(status), `${whole.format(status.failed)} in all`, listPlace("failed", "1h"), status.failed_last_hour > 0],
    ["done", whole.format(status.processed), status.duplicates ? plural(status.duplicates, "duplicate") : "", listPlace("done", "")],
    status.held.some((one) => one.target === "*") ? ["held", "all", "every target", null]
      : ["held", whole.format(status.held.length), status.held.length === 1 ? "target" : "targets", null],
    ["free space", bytes(status.free_bytes), "", null],
  ];
  const tile = ([label, value, note, to, alert]) => make(to ? "a" : "div", { kind: alert ? "tile alert" : "tile", ...(to ? { href: to } : {}) },
    make("span", { text: label }), make("b", { text: value }), make("small", { text: note }));
  update(byId("tiles"), JSON.stringify(tiles), ...tiles.map(tile));
  byId("held").hidden = status.held.length === 0;
  const held = status.held.slice(0, 12).map((one) => make("li", { kind: "copy" }, `${one.target === "*" ? "everything" : one.target}${one.note ? `: ${one.note}` : ""} (since ${stamp(one.since)}, by user ${one.uid}) `,
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

// The table.

function row(intent) {
  const of = intent.seq === null ? intent.file : String(intent.seq), late = isLate(intent);
  const sign = JSON.stringify([intent, late]), old = view.lines.get(of);
  // A line that says the same stays the same element: what is marked or focused in it stays so.
  if (old && old.sign === sign) return old;
  const link = make("a", { text: intent.file, href: detailPlace(of) });
  const others = intent.others ? [button(`+${whole.format(intent.others)} more`, () => go("waiting", intent.target),
    { kind: "chip", title: `All that wait of ${intent.target}` })] : [];
  const target = intent.target ? [make("a", { text: intent.target, href: listPlace("all", intent.target), title: `All intents of ${intent.target}` })] : [];
  const quiet = intent.state === "done" ? make("span", { kind: "soft", text: intent.correlation_id || "" }) : ` ${intent.reason.text}`;
  const line = make("tr", { kind: "intent" },
    make("td", { kind: `state ${intent.state}${late ? " lately" : ""}`, text: intent.state }),
    make("td", { kind: "number", text: intent.seq === null ? "" : String(intent.seq) }),
    make("td", { kind: "name" }, ...target),
    make("td", { kind: "name file", title: intent.file }, link),
    make("td", { kind: "when" }, ...(intent.at ? [age(intent.at)] : [])),
    make("td", { kind: "number", text: [milliseconds(intent.duration_ms), ...(intent.attempts > 1 ? [`${intent.attempts} starts`] : [])].join(", ") }),
    make("td", { kind: "reason", title: intent.reason.text }, make("div", {}, ...others,
      make("span", { kind: "word", text: intent.error_code ? `${intent.error_code} ${intent.reason.word}` : intent.reason.word }), quiet)),
    make("td", { kind: "copy" }, make("div", {}, ...commandsOf(intent))));
  line.addEventListener("click", (event) => {
    if (!event.target.closest("a") && getSelection().isCollapsed) location.hash = detailPlace(of);
  });
  return Object.assign(line, { sign, of });
}
/** Puts these elements into a parent in this order, and moves none that is at its place. */
function arrange(parent, wanted) {
  const stay = new Set(wanted);
  for (const child of [...parent.children]) if (!stay.has(child)) child.remove();
  wanted.forEach((child, at) => { if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] || null); });
}
/** A part of the list: its heading, what its failures are about, and what to press for all of it. */
function partOf({ kind, title: text, count, rows, all, causes = [] }, old) {
  const body = old || make("tbody", { kind }), sign = JSON.stringify([text, count, all, causes]);
  let head = body.head;
  if (text && (!head || head.sign !== sign)) {
    const chips = causes.map(([code, word, times]) => {
      const chip = button("", () => go("failed", code ? `${code} 1h` : "1h"), { kind: "chip", title: `All that failed${code ? ` with ${code}` : ""} in the last hour` });
      chip.append(make("span", { kind: "word", text: code ? `${code} ${word}` : word }), ` ${whole.format(times)}`);
      return chip;
    });
    const more = all ? [button("show all", () => go(...all))] : [];
    head = Object.assign(make("tr", { kind: "section" }, make("th", { colspan: "8", scope: "rowgroup", text },
      make("small", { text: count }), ...chips, ...more)), { sign });
    body.head = head;
  }
  arrange(body, [...(text ? [head] : []), ...rows.map(row)]);
  return body;
}
function drawRows() {
  const table = byId("rows"), parts = view.parts.filter((part) => part.rows.length > 0);
  const focused = table.contains(document.activeElement) ? document.activeElement : null;
  const bodies = new Map([...table.tBodies].map((body) => [body.className, body]));
  arrange(table, [table.tHead, ...parts.map((part) => partOf(part, bodies.get(part.kind)))]);
  view.lines = new Map([...table.querySelectorAll("tr.intent")].map((line) => [line.of, line]));
  if (focused && document.activeElement !== focused) refocus(focused);
  table.hidden = parts.length === 0;
  byId("none").hidden = parts.length > 0;
  byId("more").hidden = !view.more || view.want >= ROWS_MAX || parts.length === 0;
  if (parts.length === 0) drawNone();
}
/** Focuses what was focused: the element, or the one of the same intent that took its place. */
function refocus(element) {
  if (element.isConnected) return element.focus({ preventScroll: true });
  const line = element.closest("tr"), now = line && view.lines.get(line.of);
  if (!now) return undefined;
  const place = [...line.querySelectorAll("a, button")].indexOf(element);
  return [...now.querySelectorAll("a, button")][place]?.focus({ preventScroll: true });
}
/** What to do where there is nothing to see. */
function drawNone() {
  const { status } = view, isNew = status.last_seq === 0 && status.sighted === 0;
  if (!isNew) {
    const text = view.more ? "No intent of this kind among the newest; older ones were not searched. A target or a code narrows the search." : "No intent of this kind.";
    return update(byId("none"), text, make("p", { text }), button("Show all", () => go("all", "")));
  }
  const lines = [`printf '%s' '{"intent_type": "scaling", "target": "web", "namespace": "default", "replicas": 3}' > intent-web.json`,
    command(["submit", "--wait", "intent-web.json"])].filter((line) => line);
  update(byId("none"), lines.join(), make("h2", { text: "No intent yet" }),
    make("p", { text: `Write one, and hand it in, on the machine of the daemon and as a user who may write ${status.handoff}:` }),
    ...lines.map((line) => make("div", { kind: "command copy" }, make("pre", { text: line }), button("copy", () => copy(line)))));
}
/** The words of the search as the API asks for them: a code, an age, a target, else a part of a file's name or correlation id; in "" always that. */
function wordsOf(text) {
  const asked = {}, rest = [];
  for (const one of text.split(/\s+/).filter(Boolean)) {
    const length = /^(\d+)(s|m|min|h|d|w)$/.exec(one);
    if (/^".+"$/.test(one)) rest.push(one.slice(1, -1));
    else if (/^[Ee]\d{3}$/.test(one)) asked.code = one.toUpperCase();
    else if (length) asked.since = new Date(Date.now() - length[1] * { s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 }[length[2]] * 1000).toISOString();
    else if (one.includes("/")) asked.target = one;
    else rest.push(one);
  }
  return rest.length ? { ...asked, text: rest.join(" ") } : asked;
}
/** The rows of a selection. A search that ended at the daemon's bound goes on behind it, a few times. */
async function askForList(rest, { words = wordsOf(view.text), parts = SEARCH_PARTS } = {}) {
  const { intents, more, next_before: before } = await askFor(`/api/v1/intents?${new URLSearchParams({ ...rest, ...words })}`);
  if (before === null || intents.length >= rest.limit || parts === 1) return { intents, more };
  const older = await askForList({ ...rest, limit: rest.limit - intents.length, before }, { words, parts: parts - 1 });
  return { intents: intents.concat(older.intents), more: older.more };
}
/** What failed lately, and how often for which cause. Asked for when there is another failure, because it is long. */
async function lately(status) {
  const sign = [status.failed_last_hour, status.failed].join();
  if (view.causes.sign === sign && Date.now() - view.causes.at < STALE) return view.causes;
  const since = new Date(Date.now() - HOUR).toISOString();
  const { intents, more } = status.failed_last_hour ? await askForList({ state: "failed", since, limit: CAUSES_OF }) : { intents: [], more: false };
  const times = new Map();
  for (const { error_code: code, reason } of intents) times.set(code, [code, reason.word, (times.get(code) || [0, 0, 0])[2] + 1]);
  const most = [...times.values()].sort((one, other) => other[2] - one[2]).slice(0, 5);
  view.causes = { sign, at: Date.now(), rows: intents, more, causes: most.length > 1 || intents.length > LATELY_ROWS ? most : [] };
  return view.causes;
}
/** What runs and what failed lately first; then what waits, a row for each target; then what is finished. */
async function loadAll() {
  const { status } = view;
  const unfinished = await askForList({ state: "running,waiting", by: "target", limit: WAITING_ROWS + status.active });
  const late = await lately(status);
  // Apart from each other: many that failed lately are no reason to show none that is done.
  const done = await askForList({ state: "done", limit: view.want });
  const before = late.rows.length ? { before: Math.min(...late.rows.map((intent) => intent.seq)) } : {};
  const failedBefore = await askForList({ state: "failed", limit: view.want, ...before });
  const finished = done.intents.concat(failedBefore.intents.filter((intent) => !isLate(intent))).sort((one, other) => other.seq - one.seq);
  const [running, waiting] = ["running", "waiting"].map((state) => unfinished.intents.filter((intent) => intent.state === state));
  view.more = done.more || failedBefore.more || finished.length > view.want;
  return [
    { kind: "running", title: "Running", count: whole.format(running.length), rows: running },
    { kind: "lately", title: "Failed in the last hour", count: `${failedLately(status)}${late.more ? `, causes of the newest ${CAUSES_OF}` : ""}`, rows: late.rows.slice(0, LATELY_ROWS),
      causes: late.causes, all: late.rows.length > LATELY_ROWS && ["failed", "1h"] },
    { kind: "waiting", title: "Waiting", count: `${whole.format(status.waiting + status.sighted)}, by target`, rows: waiting, all: unfinished.more && ["waiting", ""] },
    { kind: "finished", title: "Finished", count: `${whole.format(status.processed)} done`, rows: finished.slice(0, view.want) },
  ];
}
async function loadRows() {
  const mine = ++view.asked;
  Object.assign(view, { searched: Date.now(), owes: false });
  let parts;
  if (view.state === "all" && !view.text) {
    parts = await loadAll();
  } else {
    const states = view.state === "all" ? {} : { state: view.state };
    const listing = await askForList({ ...states, ...(view.text ? {} : { by: "target" }), limit: view.want });
    if (mine === view.asked) view.more = listing.more;
    parts = [{ kind: "found", rows: listing.intents }];
  }
  if (mine !== view.asked) return;
  view.parts = parts;
  drawRows();
}
function drawStates() {
  const press = (state) => button(state, () => go(state, view.text), { "aria-pressed": String(view.state === state) });
  update(byId("states"), view.state, ...STATES.map(press));
}

// Places: what is shown stands in the address, so that it can be sent to somebody, and gone back to.

const detailPlace = (of) => `#/${encodeURIComponent(of)}`;
function listPlace(state, text) {
  const words = new URLSearchParams({ ...(state === "all" ? {} : { state }), ...(text ? { q: text } : {}) });
  return `#${words}`;
}
/** The words of a text as the search takes them for nothing else. */
const asText = (text) => (text || "").split(/\s+/).filter(Boolean).map((one) => `"${one}"`).join(" ");
function go(state, text) {
  view.want = PAGE_ROWS;
  location.hash = listPlace(state, text);
  refresh();
}
/** Takes over what the address says; returns the intent that it names, if any. */
function placed() {
  const place = location.hash.replace(/^#/, "");
  if (place.startsWith("/")) {
    try { return decodeURIComponent(place.slice(1)); } catch { return place.slice(1); }
  }
  const words = new URLSearchParams(place), state = words.get("state");
  view.state = STATES.includes(state) ? state : "all";
  view.text = words.get("q") || "";
  view.list = place ? `#${place}` : "#";
  // Not while it is typed in: the address follows the words there.
  if (document.activeElement !== byId("search")) byId("search").value = view.text;
  drawStates();
  return "";
}

async function route(isLive) {
  const of = placed();
  const before = view.of;
  view.of = of;
  byId("detail").hidden = !of;
  for (const part of ["intents", "glance"]) byId(part).hidden = Boolean(of);
  byId("held").hidden = Boolean(of) || !view.status.held.length;
  if (!of) {
    if (before) drawPlots();
    view.owes = Boolean(isLive && view.text && Date.now() - view.searched < SEARCH_EVERY);
    return view.owes || (isLive && view.paused) ? undefined : loadRows();
  }
  // Until it is there, and where it is not, nothing of the one before stands below its name.
  if (of !== before) drawName(of);
  const shown = await askFor(`/api/v1/intents/${encodeURIComponent(of)}`);
  if (view.of !== of) return undefined;
  view.shown = shown.intent;
  return drawDetail(shown);
}

// Keeping up.

let refreshing = null;
/** Asks anew; what is asked for meanwhile is asked once more at the end. `isLive`: nobody asked, so a paused list stays. */
function refresh(isLive = false) {
  if (refreshing) {
    refreshing.again = true;
    refreshing.isLive &&= isLive;
    return refreshing.done;
  }
  const mine = { again: false, isLive };
  refreshing = mine;
  mine.done = (async () => {
    do {
      const live = mine.isLive;
      Object.assign(mine, { again: false, isLive: true });
      try {
        showStatus(await askFor("/api/v1/status"));
        await route(live);
        view.drawn = Date.now();
        notice("");
      } catch (error) {
        failed(error);
      }
      title();
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
  // Nobody sees it: what is shown is asked for when somebody does.
  if (document.hidden) return;
  const now = view.pulses[view.pulses.length - 1];
  if (!view.of) drawPlots();
  tick();
  const totals = (pulse) => pulse && [pulse.ready, pulse.processed, pulse.failed, pulse.active, pulse.waiting, pulse.sighted].join();
  const busy = now && now.waiting + now.active + now.sighted > 0;
  // A finished intent that is being read does not change under the reader's eyes.
  const reading = view.of && view.shown && ["done", "failed"].includes(view.shown.state);
  if (name === "history" || (!reading && (busy || view.owes || totals(now) !== totals(last))) || Date.now() - view.drawn > STALE) refresh(true);
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
  typing = setTimeout(() => {
    view.want = PAGE_ROWS;
    // Each letter is no place of its own to go back to.
    history.replaceState(null, "", listPlace(view.state, byId("search").value.trim()));
    refresh();
  }, 200);
});
byId("more").addEventListener("click", () => { view.want = Math.min(ROWS_MAX, view.want + PAGE_ROWS); refresh(); });
function pause(paused) {
  view.paused = paused;
  byId("pause").textContent = paused ? "Resume" : "Pause";
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").title = paused ? `The list is as it was at ${clock(Date.now())}` : "Keeps the list as it is, to read and mark it";
  if (!paused) refresh();
}
byId("pause").addEventListener("click", () => pause(!view.paused));
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(true); });
window.addEventListener("hashchange", () => { refresh().then(() => {
  const detail = byId("detail");
  if (detail.hidden) return byId("rows").querySelector(`a[href="${CSS.escape(view.left || "#")}"]`)?.focus({ preventScroll: true });
  view.left = location.hash;
  detail.focus({ preventScroll: true });
  // Its beginning is what is read first, wherever the list was scrolled to.
  return scrollTo(0, 0);
}); });

// Keys, as in other pages of this kind; none changes anything but what is seen.

/** To the next line of the list, or to the next intent of it. */
function move(by) {
  const links = [...byId("rows").querySelectorAll("td.file a")];
  const at = view.of ? links.findIndex((link) => link.getAttribute("href") === location.hash)
    : links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const link = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  if (!link) return;
  if (view.of) location.hash = link.getAttribute("href");
  else link.focus();
}
const KEYS = {
  "/": () => { if (view.of) location.hash = view.list; setTimeout(() => byId("search").focus()); },
  j: () => move(1), k: () => move(-1), p: () => pause(!view.paused), "?": () => byId("keys").showModal(),
  Escape: () => { if (view.of) location.hash = view.list; else if (location.hash.length > 1) go("all", ""); },
  ...Object.fromEntries(STATES.map((state, at) => [String(at + 1), () => go(state, view.text)])),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.target.closest("input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("keys").addEventListener("click", () => byId("keys").close());
watchPlots();
refresh();
listen();
