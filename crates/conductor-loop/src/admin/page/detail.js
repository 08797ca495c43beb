// One intent: what is wrong and what to do about it first, then its whole story. Helpers and data are page.js's.
"use strict";

function diffLines(text) {
  const kind = (line) => line.startsWith("@@") ? "at" : line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : "";
  return text.split("\n").map((line) => make("span", { kind: kind(line), text: `${line}\n` }));
}
function part(title, ...children) {
  return children.length ? [make("h2", { text: title }), ...children] : [];
}
/** A text of the daemon's, with what it quotes as code. */
const quoted = (text) => text.split("`").map((piece, at) => (at % 2 ? make("code", { text: piece }) : piece));

/** Moments, each with the time since the one before; the day where it is another than before. */
function moments(of) {
  const line = ({ at, what }, place) => {
    const before = place ? of[place - 1].at : null, date = at.slice(0, 10), passed = before ? Date.parse(at) - Date.parse(before) : 0;
    const day = before && before.slice(0, 10) === date ? [] : [make("li", { kind: "day", text: `${date}, UTC` })];
    return [...day, make("li", {}, make("time", { text: at.slice(11, 23).replace(/Z$/, ""), datetime: at, title: `${new Date(at)}` }),
      make("span", { text: what }), make("small", { text: passed >= 1 ? `+${milliseconds(passed)}` : "" }))];
  };
  return of.length ? [make("ol", { kind: "timeline" }, ...of.flatMap(line))] : [];
}
/** Where the time went: waiting before the first start, running, waiting between starts. */
function lengths({ intent, timeline, runs: ended }) {
  const runs = intent.state === "running" ? [...ended, { began_at: intent.at }] : ended;
  if (!runs.length || !timeline.length) return [];
  const began = Date.parse(timeline[0].at), ran = runs.reduce((sum, run) => sum + (run.took_ms || 0), 0);
  const end = ["done", "failed"].includes(intent.state) ? Date.parse(timeline[timeline.length - 1].at) : Date.now();
  const waited = Math.max(0, Date.parse(runs[0].began_at) - began), other = Math.max(0, end - began - waited - ran);
  const of = [["waited", waited, "waiting"], [`ran${runs.length > 1 ? ` in ${runs.length} starts` : ""}`, ran, "running"]];
  if (intent.state === "running") of[1] = ["runs", other + ran, "running"];
  else if (other > 500) of.push([runs.length > 1 ? "between and after" : "after", other, "rest"]);
  const all = of.reduce((sum, [, length]) => sum + length, 0) || 1;
  const bar = of.map(([, length, kind]) => draw("rect", { class: kind, height: 6, rx: 1 })).reduce((made, rect, at) => {
    const width = Math.max(0.5, of[at][1] / all * 100);
    rect.setAttribute("x", `${made.x}%`);
    rect.setAttribute("width", `${Math.min(width, 100 - made.x)}%`);
    return { x: Math.min(99.5, made.x + width), rects: [...made.rects, rect] };
  }, { x: 0, rects: [] });
  const svg = draw("svg", { "aria-hidden": "true" });
  svg.append(...bar.rects);
  return [make("div", { kind: "lengths" }, svg, make("p", {}, ...of.map(([text, length, kind]) => make("span", { kind, text: `${text} ${milliseconds(length)}` }))))];
}
function factsOf({ intent, asked, porch_path: porch, mode, proof, not_as_filed: changed }) {
  const to = (text, href) => text && make("a", { text, href });
  const what = asked && `${asked.kind}${asked.replicas === undefined || asked.replicas === null ? "" : ` to ${asked.replicas}`}, priority ${asked.priority}`;
  const facts = [
    ["Target", to(intent.target, listPlace("all", intent.target))], ["Asked for", what],
    ["Given reason", asked && asked.reason], ["Source", asked && asked.source],
    ["Correlation id", to(intent.correlation_id, listPlace("all", asText(intent.correlation_id)))], ["Starts", String(intent.attempts)],
    ["Filed as", intent.archived_as], ["Repeats", intent.duplicate_of === null ? null : to(`number ${intent.duplicate_of}`, `#/${intent.duplicate_of}`)],
    ["Run by", porch && `${porch}, ${mode}`], ["SHA-256", intent.sha256],
    ["Signed by", proof.signed_by && `key ${proof.signed_by}, and the status is genuine`], ["Unproven", proof.missing.join("; ")],
    ["Warning", (changed || []).join("; ")],
  ].filter(([, value]) => value);
  return make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", {}, value)]));
}
const back = () => make("a", { kind: "back", text: "Back to the list", href: view.list });
function drawName(of) {
  view.shown = null;
  update(byId("detail"), of, make("div", { kind: "top" }, back(), make("h2", { text: /^\d+$/.test(of) ? `number ${of}` : of })));
}
function drawDetail(shown) {
  const { intent } = shown, kind = `${intent.state}${intent.state === "failed" ? " lately" : ""}`;
  const entries = shown.proof.entries.map((entry) => ({ at: entry.at, what: `entry ${entry.number}: ${entry.event} by ${entry.actor}${entry.recovered ? " (made again)" : ""}` }));
  const text = (value) => (value ? [make("pre", { text: value })] : []);
  const others = shown.same_name.map((other) => make("li", {}, make("a", { href: `#/${other.seq}`, text: `number ${other.seq}` }), `: ${other.state}, ${other.reason.word}, ${other.at ? ago(other.at) : ""}`));
  const code = intent.error_code ? make("a", { kind: "word", text: `${intent.error_code} ${intent.reason.word}`, href: listPlace(intent.state, intent.error_code), title: `All that ${intent.state} with ${intent.error_code}` })
    : make("span", { kind: "word", text: intent.reason.word });
  update(byId("detail"), JSON.stringify([shown, view.list, intent.state === "running" && Date.now()]),
    make("div", { kind: "top" }, back(), make("h2", { text: intent.seq === null ? intent.file : `${intent.file}, number ${intent.seq}` }),
      make("div", { kind: "copy" }, ...commandsOf(intent))),
    make("div", { kind: `why ${intent.state}` }, make("p", {}, make("b", { kind: `state ${kind}`, text: intent.state }), " ", code, ` ${intent.reason.text}`),
      ...(["", "Nothing."].includes(intent.reason.advice) ? [] : [make("p", { kind: "advice" }, make("b", { text: "What to do" }), " ", ...quoted(intent.reason.advice))])),
    make("div", { kind: "story" },
      make("div", { kind: "said" },
        ...part("Output of porch", ...text(shown.output)),
        ...part("Change of the package", ...(shown.diff ? [make("pre", {}, ...diffLines(shown.diff))] : [])),
        ...part("Intent", ...text(shown.content)),
        ...part("Error log", ...text(shown.error_log)),
        ...part("Others of this name", ...(others.length ? [make("ul", {}, ...others)] : []))),
      make("div", { kind: "facts" }, ...part("Timeline", ...lengths(shown), ...moments(shown.timeline)), ...part("Facts", factsOf(shown)),
        ...part("Audit trail", ...moments(entries)))));
}
