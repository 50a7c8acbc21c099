// The live part of the page: charts from /status.json, updated once a second. The server renders
// the tables; the script fetches the page again and replaces them.
"use strict";

const INTERVAL = 1000; // ms
const PATIENCE = 5000; // ms, timeout of a request
const HISTORY = 180; // s shown in a chart
const SHORTEST = 30; // s, the shortest span of a chart
const WINDOW = 10; // s, over which quantiles of turns are taken
const SAMPLES_BEYOND = 10; // a quantile needs this many samples beyond it
const COLOURS = 6;
const SVG = "http://www.w3.org/2000/svg";

const samples = []; // {time, status}, oldest first, for HISTORY seconds
const charts = new Map();

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function digits(value) {
  return value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

function duration(seconds) {
  if (seconds === null) return "–";
  for (const [limit, factor, unit] of [[999.5e-6, 1e6, "µs"], [0.9995, 1e3, "ms"]])
    if (seconds < limit) return `${digits(seconds * factor)} ${unit}`;
  return `${digits(seconds)} s`;
}

function count(value) {
  return value === null ? "–" : digits(value);
}

// Axes: the place of a value (0 bottom, 1 top), and the labels of the grid lines.
function linearAxis(values) {
  const most = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  const top = [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((candidate) => candidate >= most);
  return { place: (value) => value / top, ticks: [0, top / 2, top] };
}

function logarithmicAxis(values) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(1e-4, ...positive)));
  const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(1e-3, ...positive))));
  const ticks = [];
  for (let power = low; power <= high; power++) ticks.push(Number(`1e${power}`));
  return {
    place: (value) => (value > 0 ? Math.max(0, (Math.log10(value) - low) / (high - low)) : 0),
    ticks,
  };
}

// A chart: its <figure>, and series by name, each with points [time, value or null] and a fixed
// colour.
class Chart {
  constructor(parent, title, unit, axis, text) {
    Object.assign(this, { axis, text, series: new Map() });
    this.svg = drawn("svg", { role: "img", "aria-label": title });
    this.key = element("ul", { class: "key" });
    parent.append(element("figure", {},
      element("figcaption", {}, title, " ", element("small", {}, unit)), this.svg, this.key));
  }

  add(name, time, value) {
    if (!this.series.has(name)) {
      if (!value) return; // a series starts with its first value
      this.series.set(name, { colour: `s${this.series.size % COLOURS}`, points: [] });
    }
    this.series.get(name).points.push([time, value]);
  }

  forget(before) {
    for (const { points } of this.series.values())
      while (points.length && points[0][0] < before) points.shift();
  }

  draw(now, span) {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width === 0) return;
    const left = 52, right = 4, top = 6, bottom = 18;
    const all = [...this.series.values()].flatMap(({ points }) => points.map((point) => point[1]));
    const axis = this.axis(all.filter((value) => value !== null));
    const x = (time) => left + (1 - (now - time) / span) * (width - left - right);
    const y = (value) => height - bottom - axis.place(value) * (height - top - bottom);
    const parts = [];
    for (const tick of axis.ticks) {
      const at = y(tick);
      parts.push(drawn("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }),
        drawn("text", { class: "tick", x: left - 6, y: at + 4, "text-anchor": "end" }, this.text(tick)));
    }
    parts.push(
      drawn("text", { class: "tick", x: left, y: height - 3 }, `${Math.round(span)} s ago`),
      drawn("text", { class: "tick", x: width - right, y: height - 3, "text-anchor": "end" }, "now"));
    for (const { colour, points } of this.series.values()) {
      let path = "", pen = "M";
      for (const [time, value] of points) {
        if (value !== null) path += `${pen}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = value === null ? "M" : "L";
      }
      parts.push(drawn("path", { class: `curve ${colour}`, d: path }));
    }
    this.svg.replaceChildren(...parts);
    this.key.replaceChildren(...[...this.series].map(([name, { colour, points }]) =>
      element("li", {}, element("i", { class: colour }), `${name} `,
        element("b", {}, this.text(points.length ? points[points.length - 1][1] : null)))));
  }
}

function chart(parent, title, unit, axis, text) {
  if (!charts.has(title))
    charts.set(title, new Chart(document.getElementById(parent), title, unit, axis, text));
  return charts.get(title);
}

// A quantile, in seconds, of one thread's turns between two samples, from cumulative counts; null
// if there are too few.
function turnQuantile(bounds, before, after, quantile) {
  const total = after.turn_seconds.count - before.turn_seconds.count;
  if (total * (1 - quantile) < SAMPLES_BEYOND) return null;
  let lower = 0;
  for (let i = 0; i < bounds.length; i++) {
    const upTo = after.turn_buckets[i] - before.turn_buckets[i];
    if (upTo >= quantile * total) {
      const share = (quantile * total - lower) / (upTo - lower);
      return i === 0 ? bounds[0] : bounds[i - 1] * (bounds[i] / bounds[i - 1]) ** share;
    }
    lower = upTo;
  }
  return bounds[bounds.length - 1];
}

function meanBetween(before, after) {
  const made = after.count - (before ? before.count : 0);
  return made > 0 ? (after.sum - (before ? before.sum : 0)) / made : null;
}

function total(handshakes, results) {
  return Object.values(handshakes).reduce((sum, version) =>
    sum + results.reduce((inner, result) => inner + version[result], 0), 0);
}

function chartRates(old, sample) {
  const elapsed = sample.time - old.time;
  const handshakes = chart("charts", "Handshakes", "a second, by version and outcome", linearAxis, count);
  for (const [version, results] of Object.entries(sample.status.handshakes))
    for (const [result, value] of Object.entries(results))
      handshakes.add(version === "none" ? result : `${version} ${result}`, sample.time,
        (value - old.status.handshakes[version][result]) / elapsed);
  const signatures = chart("charts", "Signatures", "a second, by algorithm and backend", linearAxis, count);
  const signing = chart("charts", "Signing time", "mean, in the backend", logarithmicAxis, duration);
  const queue = chart("charts", "Queue time", "mean, before the backend", logarithmicAxis, duration);
  for (const row of sample.status.signatures) {
    const name = `${row.algorithm} ${row.backend}`;
    const before = old.status.signatures.find((other) =>
      other.algorithm === row.algorithm && other.backend === row.backend);
    signatures.add(name, sample.time, (row.count - (before ? before.count : 0)) / elapsed);
    signing.add(name, sample.time, meanBetween(before?.sign_seconds, row.sign_seconds));
    queue.add(name, sample.time, meanBetween(before?.queue_seconds, row.queue_seconds));
  }
}

function chartConnections(old, sample) {
  const { connections, keys } = sample.status;
  const times = chart("charts", "Handshake time", "mean, from accept to done", logarithmicAxis, duration);
  times.add("all versions", sample.time,
    meanBetween(old.status.handshake_seconds, sample.status.handshake_seconds));
  const levels = chart("charts", "Connections", "now", linearAxis, count);
  levels.add("established", sample.time, connections.established);
  levels.add("handshaking", sample.time, connections.handshaking);
  levels.add("waiting for a signature", sample.time, keys.pending);
}

function chartTurns(sample) {
  const from = samples.find(({ time }) => time >= sample.time - WINDOW - 0.5);
  sample.status.threads.forEach((thread, i) => {
    const turns = chart("turns", `Thread ${thread.thread}`, "", logarithmicAxis, duration);
    for (const [name, quantile] of [["P50", 0.5], ["P99", 0.99], ["P99.9", 0.999]])
      turns.add(name, sample.time, turnQuantile(sample.status.turn_bucket_seconds,
        from.status.threads[i], thread, quantile));
  });
}

function showTiles(old, sample) {
  const elapsed = sample.time - old.time;
  const { status } = sample;
  const done = ["full", "resumed"], failed = ["failed", "timeout", "aborted", "shed"];
  const rate = (results) =>
    (total(status.handshakes, results) - total(old.status.handshakes, results)) / elapsed;
  const signed = (of) => of.signatures.reduce((sum, row) => sum + row.count, 0);
  const tiles = [
    ["handshakes", count(rate(done)), "/s"],
    ["handshakes failed", count(rate(failed)), "/s"],
    ["signatures", count((signed(status) - signed(old.status)) / elapsed), "/s"],
    ["CPU", count(100 * (status.process.cpu_seconds - old.status.process.cpu_seconds) / elapsed), "% of a core"],
    ["connections", count(status.connections.established + status.connections.handshaking), ""],
    ["key process", status.keys.held_by !== "immured" ? "none"
      : `${status.keys.connected} / ${status.workers}`, "loops"],
  ];
  document.getElementById("tiles").replaceChildren(...tiles.map(([name, value, unit]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, " ", element("small", {}, unit)))));
}

function take(status) {
  const sample = { time: performance.now() / 1000, status };
  const old = samples[samples.length - 1];
  if (old && (old.status.pid !== status.pid || old.status.worker_started !== status.worker_started))
    samples.length = 0; // a new worker, which counts from zero
  samples.push(sample);
  while (samples[0].time < sample.time - HISTORY) samples.shift();
  if (samples.length < 2) return;
  chartRates(old, sample);
  chartConnections(old, sample);
  chartTurns(sample);
  showTiles(old, sample);
  const span = Math.max(SHORTEST, sample.time - samples[0].time);
  for (const each of charts.values()) {
    each.forget(sample.time - HISTORY);
    each.draw(sample.time, span);
  }
}

async function showTables() {
  const text = await (await fetch("./" + location.search, { signal: AbortSignal.timeout(PATIENCE) })).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const id of ["summary", "tables"]) {
    const shown = document.getElementById(id);
    const scrolled = [...shown.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    shown.replaceChildren(...page.getElementById(id).children);
    shown.querySelectorAll(".scroll").forEach((each, i) => { each.scrollLeft = scrolled[i] ?? 0; });
  }
}

async function turn() {
  const state = document.getElementById("state");
  try {
    if (!document.hidden) {
      const response = await fetch("status.json", { signal: AbortSignal.timeout(PATIENCE) });
      document.getElementById("live").hidden = false;
      take(await response.json());
      await showTables();
      state.textContent = "live: once a second";
      state.className = "";
    }
  } catch (error) {
    state.textContent = `no answer since ${new Date().toLocaleTimeString()}; trying again`;
    state.className = "lost";
  }
  setTimeout(turn, INTERVAL);
}

const way = document.getElementById("way");
way.textContent = location.protocol === "https:"
  ? "This page came to you through immure-proxy: the figures are of the server that served it."
  : "This page came directly from the admin listener.";
way.hidden = false;
turn();
