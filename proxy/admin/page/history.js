// Rates and quantiles out of counters that only rise: the readings of the last minutes, and what changed between two.

import {isNumber} from "./format.js";

export const WINDOW_SECONDS = 300;
// A quantile of one second of a quiet server would be a quantile of three requests.
const QUANTILE_SECONDS = 5;

const changed = (now, before) => (isNumber(now) && isNumber(before) && now >= before ? now - before : 0);

// Counts of a histogram, all classes added up. Null: the server has none.
function countsOf(stats) {
  if (!Array.isArray(stats.latency) || stats.latency.length === 0) return null;
  const bounds = stats.latency[0].bounds_seconds;
  const counts = new Array(bounds.length + 1).fill(0);
  for (const one of stats.latency) one.counts.forEach((n, i) => { counts[Math.min(i, bounds.length)] += n; });
  return {bounds, counts};
}

// Where in its bucket the quantile lies is guessed: in proportion. Null: nothing was counted.
export function quantile(q, bounds, counts) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total <= 0) return null;
  let left = q * total;
  for (let i = 0; i < counts.length; i++) {
    if (left <= counts[i] && counts[i] > 0) {
      const low = i === 0 ? 0 : bounds[i - 1];
      return i < bounds.length ? low + (bounds[i] - low) * left / counts[i] : low;
    }
    left -= counts[i];
  }
  return bounds[bounds.length - 1];
}

export class History {
  constructor() {
    this.readings = [];
    this.points = [];
  }

  // `stats` of /stats, at `time_ms` by this browser's clock.
  add(stats, time_ms) {
    const last = this.readings[this.readings.length - 1];
    if (last && stats.uptime_seconds < last.stats.uptime_seconds) this.readings = [];
    this.readings.push({time_ms, stats, counts: countsOf(stats)});
    this.points.push({time_ms, requests: this.perSecond((s) => s.requests), ...this.#latency()});
    const oldest = time_ms - WINDOW_SECONDS * 1000;
    while (this.readings[0].time_ms < oldest) this.readings.shift();
    while (this.points[0].time_ms < oldest) this.points.shift();
  }

  // While there was no answer the lines have a gap.
  addGap(time_ms) {
    this.points.push({time_ms, requests: null, p50: null, p99: null});
  }

  get latest() { return this.readings[this.readings.length - 1]; }
  get hasLatency() { return Boolean(this.latest && this.latest.counts); }

  // The reading about `seconds` before the latest one; undefined: there is none.
  before(seconds = 2) {
    const wanted = this.latest.time_ms - seconds * 1000;
    const earlier = this.readings.slice(0, -1);
    return earlier.filter((r) => r.time_ms <= wanted).pop() || earlier[0];
  }

  delta(pick, seconds) {
    const before = this.before(seconds);
    return before ? changed(pick(this.latest.stats), pick(before.stats)) : null;
  }

  // Null until there are two readings.
  perSecond(pick, seconds) {
    const before = this.before(seconds);
    if (!before) return null;
    const passed = this.latest.stats.uptime_seconds - before.stats.uptime_seconds;
    return passed > 0 ? changed(pick(this.latest.stats), pick(before.stats)) / passed : null;
  }

  #latency() {
    const now = this.latest.counts;
    const before = this.before(QUANTILE_SECONDS);
    if (!now || !before || !before.counts) return {p50: null, p99: null};
    const counts = now.counts.map((n, i) => changed(n, before.counts.counts[i]));
    return {p50: quantile(0.5, now.bounds, counts), p99: quantile(0.99, now.bounds, counts)};
  }
}
