// The tables of the page: which columns each has, and how the server's answers become their rows.

import {Panel, chips, grid, share} from "./table.js";
import {bytes, clockTime, copyableKey, count, duration, isNumber, NOTHING, percent, rate, ratio, since, visible} from "./format.js";

const number = (name, cell) => ({name, kind: "", cell});
const text = (name, cell, kind = "text") => ({name, kind, cell});

const TONES = {"write-hot": "warn", "miss-hot": "bad", "byte-hot": "warn", "predicted": ""};

async function copy(row, button) {
  const wanted = copyableKey(row.key, row.key_base64);
  try {
    await navigator.clipboard.writeText(wanted);
    button.textContent = "Copied";
  } catch {
    // Without HTTPS there is no clipboard, on other addresses than localhost.
    const area = document.createElement("textarea");
    area.value = wanted;
    document.body.append(area);
    area.select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Not copied";
    area.remove();
    button.focus();
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

const place = (row) => row.cluster + (row.db ? " db " + row.db : "");
const keyOf = (row) => JSON.stringify([row.cluster, row.db, row.key_base64 || row.key, row.type]);

function whoAsks(row) {
  const clients = row.clients || [];
  if (clients.length === 0) return grid("who", [["No client is known yet."]]);
  const lines = clients.map((c) => [c.address || NOTHING, c.name || NOTHING, c.user || NOTHING, rate(c.rate) + "/s"]);
  return grid("who", [["address", "name", "user", "requests"], ...lines]);
}

export const hot = new Panel({
  id: "hot", title: "Hot keys", key: keyOf, detail: whoAsks, actions: [["Copy", copy]],
  empty: "No key is hot: none takes an outstanding share of the traffic.",
  search: (row) => [row.key, row.cluster, ...(row.classes || []), ...(row.clients || []).flatMap((c) => [c.address, c.name, c.user])].join(" "),
  columns: [
    text("key", (row) => visible(row.key), "text key"),
    text("class", (row) => chips((row.classes || []).map((name) => [name, TONES[name] || ""])), "text wrap"),
    number("share", (row) => share(row.share)),
    number("reads/s", (row) => rate(row.reads)),
    number("writes/s", (row) => rate(row.writes)),
    number("misses/s", (row) => rate(row.misses)),
    number("bytes/s", (row) => bytes(row.reply_bytes)),
    text("where", (row) => visible(place(row))),
    number("hot for", (row) => since(row.since_ms, row.at_ms)),
    text("what is done", (row) => (row.actions && row.actions.length ? visible(row.actions.join(", ")) : "watched"), "text wrap"),
  ],
});

export const big = new Panel({
  id: "big", title: "Big keys", key: keyOf, actions: [["Copy", copy]],
  empty: "No big key was seen.",
  search: (row) => [row.key, row.cluster, row.type, row.source].join(" "),
  columns: [
    text("key", (row) => visible(row.key), "text key"),
    text("level", (row) => chips([row.big ? ["big", "bad"] : ["warn", "warn"]])),
    text("type", (row) => row.type || NOTHING),
    number("size", (row) => bytes(row.bytes)),
    number("elements", (row) => count(row.elements)),
    number("sent/s", (row) => bytes(row.bytes_per_second)),
    text("where", (row) => visible(place(row))),
    text("found by", (row) => row.source || NOTHING),
    number("seen", (row) => (row.seen_ms ? since(row.seen_ms, row.at_ms) + " ago" : NOTHING)),
  ],
});

export const routes = new Panel({
  id: "routes", title: "Hit ratio by route", half: true, key: (row) => row.route + "\n" + row.cluster,
  empty: "There are no routes.", search: (row) => row.route + " " + row.cluster,
  columns: [
    text("route", (row) => visible(row.route), "text key"),
    text("cluster", (row) => visible(row.cluster)),
    number("requests/s", (row) => rate(row.rate)),
    number("last minute", (row) => ratio(row.recent_hits, row.recent_hits + row.recent_misses)),
    number("since the start", (row) => ratio(row.hits, row.hits + row.misses)),
  ],
});

export const nodes = new Panel({
  id: "nodes", title: "Nodes", key: (row) => row.cluster + "\n" + row.node,
  empty: "There are no upstream clusters: all keys are in the built-in engine.", search: (row) => [row.cluster, row.node, row.role, row.health[0]].join(" "),
  columns: [
    text("node", (row) => visible(row.node), "text key"),
    text("cluster", (row) => visible(row.cluster)),
    text("role", (row) => row.role || NOTHING),
    text("health", (row) => chips([row.health]), "text wrap"),
    number("requests/s", (row) => rate(row.rate)),
    number("errors", (row) => count(row.errors)),
    number("in flight", (row) => count(row.in_flight)),
    number("p50", (row) => duration(row.p50_seconds || NaN)),
    number("p99", (row) => duration(row.p99_seconds || NaN)),
  ],
});

export const slowlog = new Panel({
  id: "slow", title: "Slow commands", key: (row) => String(row.id),
  empty: "The slow log is empty.", search: (row) => [row.client, row.name, row.node, ...row.command].join(" "),
  columns: [
    number("when", (row) => clockTime(row.time_ms)),
    number("took", (row) => duration(row.duration_us / 1e6)),
    text("command", (row) => visible(row.command.join(" ")), "text command"),
    text("client", (row) => visible([row.client, row.name].filter(Boolean).join(" ")), "text wrap"),
    text("node", (row) => visible(row.node || NOTHING)),
  ],
});

export const commands = new Panel({
  id: "commands", title: "Commands", half: true, key: (row) => row.name,
  empty: "No command was called yet.", search: (row) => row.name,
  columns: [
    text("command", (row) => row.name),
    number("calls/s", (row) => rate(row.rate)),
    number("calls", (row) => count(row.calls)),
    number("mean time", (row) => (row.calls ? duration(row.seconds / row.calls) : NOTHING)),
    number("failed", (row) => count(row.failed)),
    number("rejected", (row) => count(row.rejected)),
  ],
});

export const workers = new Panel({
  id: "workers", title: "Workers", half: true, key: (row) => String(row.index),
  empty: "There are no workers.", search: (row) => "worker " + row.index,
  columns: [
    text("worker", (row) => String(row.index)),
    number("clients", (row) => count(row.connections)),
    number("requests/s", (row) => rate(row.rate)),
    number("busy", (row) => percent(row.busy)),
    number("longest turn", (row) => duration(row.loop_turn_max_seconds)),
  ],
});

export const databases = new Panel({
  id: "databases", title: "Keys of the engine", half: true, key: (row) => String(row.db),
  empty: "There are no databases.", search: (row) => "db " + row.db,
  columns: [
    text("database", (row) => "db " + row.db),
    number("keys", (row) => count(row.keys)),
    number("with expiry", (row) => count(row.with_expiry)),
  ],
});

// In the order of the page; the number keys go to them.
export const PANELS = [hot, big, nodes, routes, databases, slowlog, commands, workers];

export function hotSummary(answer) {
  const parts = [`${rate(answer.reads)} reads/s, ${rate(answer.writes)} writes/s`];
  if (isNumber(answer.top10_share)) parts.push(`the top ten take ${percent(answer.top10_share)}`);
  if (answer.refused > 0) parts.push(`${count(answer.refused)} refused: more are hot than fit`);
  return parts.join("; ");
}

function healthOf(node, known) {
  if (known && known.drained) return ["drained", "warn"];
  if (known && !known.usable) return [known.why_not || "not usable", "bad"];
  if (node.breakers_open > 0) return ["breaker open", "bad"];
  if (node.connections === 0 && node.connect_failures > 0) return ["no connection", "bad"];
  return node.connections === 0 ? ["idle", ""] : ["ok", "good"];
}

// Rows of /clusters. `before`: the same of an earlier answer, by key, for rates; `seconds`: between them.
export function nodeRows(answer, before, seconds) {
  const rows = [];
  for (const cluster of answer.clusters) {
    const known = new Map(((cluster.topology || {}).nodes || []).map((node) => [node.node, node]));
    for (const node of cluster.nodes) {
      const row = {...node, cluster: cluster.name + (cluster.leaving ? " (leaving)" : "")};
      row.role = (known.get(node.node) || {}).role;
      row.health = healthOf(node, known.get(node.node));
      row.errors = node.error_replies + node.refused + node.lost + node.timeouts + node.protocol_errors;
      const old = before.get(nodes.key(row));
      row.rate = old && seconds > 0 ? Math.max(0, node.requests - old.requests) / seconds : NaN;
      rows.push(row);
    }
  }
  return rows;
}
