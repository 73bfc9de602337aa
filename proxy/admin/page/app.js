// The page for people: asks the server for its figures once a second and shows them. It only reads. All that comes
// from outside becomes text nodes, never markup, so that a key or a client's name may hold anything.

import {TimeChart} from "./chart.js";
import {History} from "./history.js";
import {bytes, clockTime, count, duration, percent, rate, ratio, span} from "./format.js";
import {PANELS, big, commands, databases, hot, hotSummary, nodeRows, nodes, routes, slowlog, workers} from "./panels.js";

const PERIOD_MS = 1000;
const SLOW_PERIOD_MS = 3000;
const ANSWER_MS_MAX = 4000;
const STALE_MS = 4000;
const RATE_SECONDS = 60;

const element = (id) => document.getElementById(id);
const history = new History();
const state = {paused: false, filter: "", answered_ms: 0, failure: "", answers: {}};

const requestsChart = new TimeChart({
  title: "Requests per second", format: rate, floor: 1, area: true,
  series: [{name: "requests/s", pick: (p) => p.requests}],
});
const latencyChart = new TimeChart({
  title: "Latency", format: duration, floor: 1e-5,
  series: [{name: "p50", pick: (p) => p.p50}, {name: "p99", pick: (p) => p.p99}],
});

function tiles(stats) {
  const per = (pick) => history.perSecond(pick, 5);
  const hits = history.delta((s) => s.hits, 5), misses = history.delta((s) => s.misses, 5);
  const limit = stats.memory.limit_bytes;
  return [
    ["requests/s", rate(per((s) => s.requests))],
    ["clients", count(stats.connections.current), "of " + count(stats.connections.max)],
    ["engine hit ratio", ratio(hits, hits + misses)],
    ["engine keys", count(stats.databases.reduce((sum, db) => sum + db.keys, 0))],
    ["data", bytes(stats.memory.used_bytes), limit ? "of " + bytes(limit) : ""],
    ["resident", bytes(stats.memory.resident_bytes)],
    ["processor", percent(per((s) => s.cpu_seconds))],
    ["received/s", bytes(per((s) => s.received_bytes))],
    ["sent/s", bytes(per((s) => s.sent_bytes))],
    ["errors/s", rate(per((s) => s.error_replies))],
    ["evicted/s", rate(per((s) => s.evicted))],
    ["expired/s", rate(per((s) => s.expired))],
    ["waiting clients", count(stats.connections.suspended)],
    ["refused clients", count(stats.connections.rejected)],
  ];
}

function showTiles(stats) {
  const box = element("tiles");
  tiles(stats).forEach(([name, value, more], i) => {
    const tile = box.children[i] || box.appendChild(document.createElement("div"));
    if (!tile.firstChild) tile.append(document.createElement("dt"), document.createElement("dd"));
    tile.firstChild.textContent = name;
    tile.lastChild.replaceChildren(value);
    if (more) tile.lastChild.append(" ", Object.assign(document.createElement("small"), {textContent: more}));
  });
}

// Only changes: screen readers say each.
function showState(text, tone) {
  const chip = element("state");
  if (chip.textContent !== text) chip.textContent = text;
  chip.className = "chip " + tone;
}

function showStats(stats) {
  element("version").textContent = stats.version;
  showState(stats.state, stats.state === "ready" ? "good" : "warn");
  element("uptime").textContent = "up " + span(stats.uptime_seconds);
  showTiles(stats);
  const options = {filter: state.filter};
  const find = (list, name) => (list || []).find((one) => one.name === name);
  const rated = stats.commands.map((c) => ({...c, rate: history.perSecond((s) => (find(s.commands, c.name) || {calls: 0}).calls, 5)}));
  rated.sort((a, b) => b.rate - a.rate || b.calls - a.calls);
  commands.show(rated, options);
  workers.show(stats.workers.map((w, index) => ({
    ...w, index, rate: history.perSecond((s) => s.workers[index]?.requests, 5), busy: history.perSecond((s) => s.workers[index]?.busy_seconds, 5),
  })), options);
  databases.show(stats.databases, options);
  if (stats.routes) routes.show(routeRows(stats.routes), options);
  else routes.sayNothing("Not available: this server does not count by route.");
}

function routeRows(list) {
  return list.map((route, i) => ({
    ...route,
    rate: history.perSecond((s) => s.routes?.[i]?.requests, 5),
    recent_hits: history.delta((s) => s.routes?.[i]?.hits, RATE_SECONDS),
    recent_misses: history.delta((s) => s.routes?.[i]?.misses, RATE_SECONDS),
  }));
}

function showKeys(panel, answer, summary) {
  if (answer.enabled === false) return panel.sayNothing("Switched off in the configuration.");
  panel.show(answer.keys.map((row) => ({...row, at_ms: answer.at_ms})), {summary, filter: state.filter});
}

let nodesBefore = new Map();
function showNodes(answer) {
  nodes.show(answer.rows, {filter: state.filter});
}

// path; how often; what makes of the answer what is shown; what shows it; whose panel it is.
const SOURCES = [
  {path: "hotkeys", period_ms: PERIOD_MS, panel: hot, show: (answer) => showKeys(hot, answer, hotSummary(answer))},
  {path: "bigkeys", period_ms: SLOW_PERIOD_MS, panel: big,
   show: (answer) => showKeys(big, answer, `${count(answer.big)} big of ${count(answer.listed)} listed`)},
  {path: "clusters", period_ms: SLOW_PERIOD_MS, panel: nodes, show: showNodes, take: (answer, seconds) => {
    answer.rows = nodeRows(answer, nodesBefore, seconds);
    nodesBefore = new Map(answer.rows.map((row) => [nodes.key(row), row]));
  }},
  {path: "slowlog", period_ms: SLOW_PERIOD_MS, panel: slowlog, show: (answer) => slowlog.show(answer.entries, {filter: state.filter})},
];

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX)});
  if (!answer.ok) throw Object.assign(new Error("status " + answer.status), {status: answer.status});
  return answer.json();
}

function reasonOf(error) {
  if (error.status === 401 || error.status === 403) return "not allowed (" + error.message + ")";
  if (error.name === "TimeoutError") return "it takes too long to answer";
  return error.status ? error.message : "it cannot be reached";
}

async function pollStats() {
  const begin = Date.now();
  try {
    history.add(await ask("stats"), begin);
    state.answered_ms = Date.now();
    state.failure = "";
  } catch (error) {
    state.failure = reasonOf(error);
    history.addGap(begin);
  }
  draw();
  setTimeout(pollStats, Math.max(0, PERIOD_MS - (Date.now() - begin)));
}

async function poll(source) {
  const begin = Date.now();
  let next_ms = source.period_ms;
  try {
    const answer = await ask(source.path);
    if (source.take) source.take(answer, (begin - source.asked_ms) / 1000);
    source.asked_ms = begin;
    state.answers[source.path] = answer;
    source.missing = "";
  } catch (error) {
    // What the server does not have is asked for again, now and then: it may be another one by then.
    if (error.status === 404) {
      source.missing = "Not available: this server does not offer it.";
      next_ms = 10 * SLOW_PERIOD_MS;
    } else if (!state.answers[source.path]) {
      source.missing = "No answer: " + reasonOf(error) + ".";
    }
  }
  if (!state.paused) showSource(source);
  setTimeout(() => poll(source), Math.max(0, next_ms - (Date.now() - begin)));
}

// An answer of another form than this page knows must not stop the rest of it.
function showSource(source) {
  if (source.missing) return source.panel.sayNothing(source.missing);
  const answer = state.answers[source.path];
  if (!answer) return;
  try {
    source.show(answer);
  } catch (error) {
    source.panel.sayNothing("Not available: the answer is not understood (" + error.message + ").");
  }
}

function showBanner() {
  const banner = element("banner");
  const age_ms = Date.now() - state.answered_ms;
  const stale = state.answered_ms > 0 && age_ms > STALE_MS;
  document.documentElement.classList.toggle("stale", stale);
  banner.classList.toggle("calm", !stale && !state.failure);
  let text = "";
  if (state.failure && state.answered_ms === 0) text = "No answer from the server: " + state.failure + ".";
  else if (stale) text = `Stale: no answer for ${span(age_ms / 1000)}${state.failure ? ", " + state.failure : ""}. The figures are those of ${clockTime(state.answered_ms)}.`;
  else if (state.paused) text = `Paused at ${clockTime(state.paused_ms)}. Lines go on being recorded.`;
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = text === "";
  if (stale || (state.failure && state.answered_ms === 0)) {
    showState("no answer", "bad");
  }
}

function draw() {
  showBanner();
  if (state.paused) return;
  const now = Date.now();
  requestsChart.show(history.points, now);
  latencyChart.show(history.points, now, history.latest && !history.hasLatency ? "Not available: this server does not give latencies here; see metrics." : "");
  if (history.latest && !state.failure) showStats(history.latest.stats);
}

function redrawAll() {
  draw();
  SOURCES.forEach(showSource);
}

function setPaused(paused) {
  state.paused = paused;
  state.paused_ms = Date.now();
  element("pause").textContent = paused ? "Go on" : "Pause";
  element("pause").setAttribute("aria-pressed", String(paused));
  if (paused) showBanner();
  else redrawAll();
}

const THEMES = ["system", "light", "dark"];
function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  element("theme").textContent = "Theme: " + theme;
  state.theme = theme;
  try {
    localStorage.setItem("tidegate-theme", theme);
  } catch {
    // Storage is switched off: until the next load then.
  }
}

function storedTheme() {
  try {
    const theme = localStorage.getItem("tidegate-theme");
    return THEMES.includes(theme) ? theme : "system";
  } catch {
    return "system";
  }
}

const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length]);

function goTo(panel) {
  panel.element.scrollIntoView();
  panel.element.focus({preventScroll: true});
}

const SHORTCUTS = [
  {key: "p", text: "pause, go on", act: () => setPaused(!state.paused)},
  {key: "/", text: "filter the rows of all tables", act: () => element("filter").focus()},
  {key: "t", text: "light, dark, or as the system", act: nextTheme},
  {key: "?", text: "this list", act: () => element("shortcuts").showModal()},
  ...PANELS.map((panel, i) => ({key: String(i + 1), text: "go to " + panel.element.getAttribute("aria-label"), act: () => goTo(panel)})),
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || element("shortcuts").open) return;
  if (event.target === element("filter")) {
    if (event.key !== "Escape") return;
    element("filter").value = "";
    state.filter = "";
    element("filter").blur();
    redrawAll();
    return;
  }
  const shortcut = SHORTCUTS.find((one) => one.key === event.key);
  if (!shortcut) return;
  event.preventDefault();
  shortcut.act();
}

function describeShortcuts() {
  const described = [...SHORTCUTS, {key: "Esc", text: "clear the filter"}, {key: "← →", text: "on a chart: read single moments"}];
  for (const {key, text} of described) {
    const term = document.createElement("dt");
    term.appendChild(document.createElement("kbd")).textContent = key;
    const what = document.createElement("dd");
    what.textContent = text;
    element("shortcut-list").append(term, what);
  }
}

function begin() {
  setTheme(storedTheme());
  element("charts").append(requestsChart.element, latencyChart.element);
  element("panels").append(...PANELS.map((panel) => panel.element));
  describeShortcuts();
  element("pause").addEventListener("click", () => setPaused(!state.paused));
  element("theme").addEventListener("click", nextTheme);
  element("help").addEventListener("click", () => element("shortcuts").showModal());
  element("filter").addEventListener("input", (event) => {
    state.filter = event.target.value.trim();
    redrawAll();
  });
  document.addEventListener("keydown", onKey);
  pollStats();
  for (const source of SOURCES) poll(source);
  setInterval(showBanner, PERIOD_MS);
}

begin();
