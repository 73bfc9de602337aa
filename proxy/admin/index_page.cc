#include "proxy/admin/index_page.h"

namespace tidegate {

const std::string_view kIndexHtml = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidegate</title>
<link rel="stylesheet" href="admin.css">
<script src="admin.js" defer></script>
</head>
<body>
<header>
<h1>Tidegate <small id="version"></small></h1>
<p id="state" role="status">loading</p>
<nav><a href="metrics">metrics</a> <a href="config">config</a> <a href="stats">stats</a>
<a href="healthz">healthz</a> <a href="readyz">readyz</a></nav>
</header>
<main>
<section><h2>Now</h2><dl id="now"></dl></section>
<section><h2>Keys</h2>
<table><thead><tr><th>database</th><th>keys</th><th>with expiry</th></tr></thead>
<tbody id="databases"></tbody></table></section>
<section><h2>Workers</h2>
<table><thead><tr><th>worker</th><th>clients</th><th>requests/s</th><th>busy</th>
<th>longest turn</th></tr></thead><tbody id="workers"></tbody></table></section>
<section><h2>Commands</h2>
<table><thead><tr><th>command</th><th>calls/s</th><th>calls</th><th>mean time</th><th>failed</th>
<th>rejected</th></tr></thead><tbody id="commands"></tbody></table></section>
</main>
<noscript><p>The figures need JavaScript; <a href="stats">stats</a> has them as JSON.</p></noscript>
</body>
</html>
)html";

const std::string_view kIndexStyle = R"css(:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1 { margin: 0; font-size: 1.6rem; }
h1 small { font-size: 0.9rem; font-weight: normal; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 0.3rem; }
nav a { margin-right: 0.8rem; }
dl { display: grid; gap: 0.6rem; margin: 0;
     grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
dl div { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px;
         padding: 0.4rem 0.6rem; }
dt { font-size: 0.8rem; opacity: 0.75; }
dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.15rem 0.6rem;
         border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
th:first-child, td:first-child { text-align: left; }
)css";

const std::string_view kIndexScript = R"js("use strict";
const PERIOD_MS = 2000;
const element = (id) => document.getElementById(id);
const count = (n) => Math.round(n).toLocaleString("en");
const percent = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(1) + " %" : "–");

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return (unit ? n.toFixed(1) : n) + " " + units[unit];
}

function duration(seconds) {
  if (seconds >= 1) return seconds.toFixed(2) + " s";
  if (seconds >= 1e-3) return (seconds * 1e3).toFixed(2) + " ms";
  return (seconds * 1e6).toFixed(1) + " µs";
}

function span(seconds) {
  const days = Math.floor(seconds / 86400);
  return (days ? days + " d " : "") + new Date(seconds * 1000).toISOString().substring(11, 19);
}

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) line.appendChild(document.createElement("td")).textContent = cell;
  return line;
}

function figure([name, value]) {
  const box = document.createElement("div");
  box.appendChild(document.createElement("dt")).textContent = name;
  box.appendChild(document.createElement("dd")).textContent = value;
  return box;
}

function figures(now, rate, delta) {
  const hits = delta("hits") || 0, misses = delta("misses") || 0;
  const limit = now.memory.limit_bytes;
  return [
    ["requests/s", rate("requests")],
    ["clients", count(now.connections.current) + " of " + count(now.connections.max)],
    ["hit ratio", percent(hits, hits + misses)],
    ["keys", count(now.databases.reduce((sum, db) => sum + db.keys, 0))],
    ["data", bytes(now.memory.used_bytes) + (limit ? " of " + bytes(limit) : "")],
    ["resident memory", bytes(now.memory.resident_bytes)],
    ["received/s", bytes(Number(rate("received_bytes", true)))],
    ["sent/s", bytes(Number(rate("sent_bytes", true)))],
    ["errors/s", rate("error_replies")],
    ["expired/s", rate("expired")],
    ["evicted/s", rate("evicted")],
    ["processor", percent(delta("cpu_seconds") || 0, delta("uptime_seconds"))],
    ["waiting clients", count(now.connections.suspended)],
    ["refused clients", count(now.connections.rejected)],
    ["uptime", span(now.uptime_seconds)],
  ];
}

function show(now, before) {
  const seconds = before ? now.uptime_seconds - before.uptime_seconds : 0;
  const delta = (name) => (before ? now[name] - before[name] : 0);
  const per = (amount) => (seconds > 0 ? amount / seconds : 0);
  const rate = (name, raw) => (raw ? Math.round(per(delta(name))) : count(per(delta(name))));
  element("version").textContent = now.version;
  element("state").textContent = now.state;
  element("now").replaceChildren(...figures(now, rate, delta).map(figure));
  element("databases").replaceChildren(
    ...now.databases.map((db) => row(["db " + db.db, count(db.keys), count(db.with_expiry)])));
  element("workers").replaceChildren(...now.workers.map((worker, i) => {
    const old = before && before.workers[i] ? before.workers[i] : worker;
    return row([i, count(worker.connections), count(per(worker.requests - old.requests)),
                percent(worker.busy_seconds - old.busy_seconds, seconds),
                duration(worker.loop_turn_max_seconds)]);
  }));
  const old = before ? before.commands : [];
  const known = new Map(old.map((command) => [command.name, command.calls]));
  const busiest = (command) => command.calls - (known.get(command.name) || 0);
  now.commands.sort((a, b) => busiest(b) - busiest(a) || b.calls - a.calls);
  element("commands").replaceChildren(...now.commands.map((command) => row([
    command.name, before ? count(per(busiest(command))) : "0", count(command.calls),
    command.calls ? duration(command.seconds / command.calls) : "–",
    count(command.failed), count(command.rejected)])));
}

let before = null;
async function refresh() {
  try {
    const answer = await fetch("stats", {cache: "no-store"});
    if (!answer.ok) throw new Error("status " + answer.status);
    const now = await answer.json();
    if (before && now.uptime_seconds < before.uptime_seconds) before = null;
    show(now, before);
    before = now;
  } catch (error) {
    element("state").textContent = "no answer: " + error.message;
  }
  setTimeout(refresh, PERIOD_MS);
}
refresh();
)js";

}  // namespace tidegate
