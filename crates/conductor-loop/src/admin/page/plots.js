// The plots of the last minutes: what was finished, how long it took, what waits. They are as long as there is something to
// show, and say at the pointer and by the keyboard what each moment was. Helpers and data are page.js's.
"use strict";

/** The longest and the shortest time that a plot shows, in seconds. */
const WINDOW_MAX = 300, WINDOW_MIN = 20;

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
    made.unshift({ at: pulses[to].at_ms, done: rate("processed"), failed: rate("failed"), p50: percentile(took, 0.5), p95: percentile(took, 0.95), waiting: backlog(pulses[to]) });
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
function pointed(id, of, x) {
  const at = view.at[id];
  if (at === undefined) return null;
  const place = typeof at === "number" ? at : of.findIndex((column) => x(column.at) >= at.x - 2);
  return of[Math.min(of.length - 1, Math.max(0, place < 0 ? of.length - 1 : place))];
}
/** The line at the column that is pointed at, and what the plot says above: of that column, else of now. */
function tell(id, of, { x, parts, box }, now, words) {
  const told = pointed(id, of, x);
  if (told) parts.push(draw("path", { class: "at", d: `M${x(told.at)},${box.top} V${box.bottom}` }));
  byId(`${id}-now`).replaceChildren(`${told ? clock(told.at) : now}`, ...words(told).map(([kind, text]) => make("b", { kind, text })));
  byId(id).replaceChildren(...parts);
}
function area(kind, points, box) {
  return [draw("path", { class: `area ${kind}`, d: `${linePath(points)} L${points[points.length - 1][0]},${box.bottom} L${points[0][0]},${box.bottom} Z` }),
    draw("path", { class: `line ${kind}`, d: linePath(points) })];
}
const short = (value) => whole.format(Math.round(value * 10) / 10);

function drawRate(of) {
  const most = niceAbove(Math.max(1, ...of.map((column) => column.done + column.failed)));
  const made = frame(byId("rate"), of, [0, most / 2, most], (value) => value / most, (tick) => (tick === 0 ? "0" : `${+tick.toFixed(1)}/s`));
  for (const [kind, value] of [["", (column) => column.done + column.failed], ["bad", (column) => column.failed]]) {
    if (kind && !of.some((column) => column.failed > 0)) continue;
    made.parts.push(...area(kind, of.map((column) => [made.x(column.at), made.y(value(column))]), made.box));
  }
  tell("rate", of, made, "now", (told) => {
    const last = told || of[of.length - 1];
    return [["p50", `${short(last.done)} done/s`], ...(last.failed || told ? [["bad", `${short(last.failed)} failed/s`]] : [])];
  });
}
/** What stands at the axis of durations, in milliseconds. */
const TIMES = [1, 10, 100, 1e3, 10e3, 60e3, 600e3, 3600e3, 36e6, 360e6];
function drawLatency(of) {
  const known = of.filter((column) => column.p50 !== null);
  const least = Math.min(36e5, ...known.map((column) => column.p50)), most = Math.max(0, ...known.map((column) => column.p95));
  const low = known.length ? Math.max(0, TIMES.findLastIndex((time) => time <= least)) : 0;
  const high = Math.min(TIMES.length - 1, Math.max(low + 3, TIMES.findIndex((time) => time >= most)));
  const ticks = TIMES.slice(low, high + 1), scale = Math.log(ticks[ticks.length - 1] / ticks[0]);
  const made = frame(byId("latency"), of, ticks, (value) => Math.log(value / ticks[0]) / scale, milliseconds);
  for (const [name, kind] of [["p95", "high"], ["p50", ""]]) {
    const points = known.map((column) => [made.x(column.at), made.y(column[name])]);
    if (points.length) made.parts.push(draw("path", { class: `line ${kind}`, d: linePath(points) }));
    if (points.length < 40) made.parts.push(...points.map(([cx, cy]) => draw("circle", { class: `dot ${kind}`, cx, cy, r: 2 })));
  }
  const end = of[of.length - 1].at, recent = view.pulses.filter((pulse) => pulse.at_ms > end - 60e3).flatMap((pulse) => pulse.took_ms);
  tell("latency", of, made, "last minute", (told) => {
    const [p50, p95] = told ? [told.p50, told.p95] : [percentile(recent, 0.5), percentile(recent, 0.95)];
    return p50 === null ? [["", "none finished"]] : [["p50", `p50 ${milliseconds(p50)}`], ["p95", `p95 ${milliseconds(p95)}`]];
  });
}
/** Milliseconds over which a trend is told. */
const TREND = 20e3;
/** How many more or fewer wait than a little ago, a second; `null`: too little is known. */
function trend() {
  const last = view.pulses[view.pulses.length - 1], first = view.pulses.find((pulse) => pulse.at_ms >= last.at_ms - TREND);
  const seconds = (last.at_ms - first.at_ms) / 1000;
  return seconds < 5 ? null : (backlog(last) - backlog(first)) / seconds;
}
const backlog = (pulse) => pulse.waiting + pulse.sighted;
function drawBacklog(of) {
  const most = niceAbove(Math.max(2, ...of.map((column) => column.waiting)));
  const made = frame(byId("backlog"), of, [0, most / 2, most], (value) => value / most, (tick) => whole.format(tick));
  made.parts.push(...area("high", of.map((column) => [made.x(column.at), made.y(column.waiting)]), made.box));
  tell("backlog", of, made, "now", (told) => {
    if (told) return [["p95", whole.format(told.waiting)]];
    const by = trend(), grows = by !== null && Math.abs(by) >= 0.05;
    return [["p95", whole.format(of[of.length - 1].waiting)], ["", by === null ? "" : grows ? `${by > 0 ? "grows" : "falls"} by ${short(Math.abs(by))}/s` : "steady"]];
  });
}
function drawPlots() {
  const of = columns();
  if (of.length === 0) return;
  drawRate(of);
  drawLatency(of);
  drawBacklog(of);
}
function watchPlots() {
  for (const id of ["rate", "latency", "backlog"]) {
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
  const observer = new ResizeObserver(drawPlots);
  for (const svg of document.querySelectorAll("figure svg")) observer.observe(svg);
}
