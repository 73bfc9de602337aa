// Lines over the last minutes, as SVG. Pointer and arrow keys read single moments.

import {WINDOW_SECONDS} from "./history.js";
import {clockTime, span} from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 58, RIGHT = 8, TOP = 8, BOTTOM = 18;
const GRID_LINES = 2;
const FIRST_SECONDS = 60;
// Stretches of the time axis that have a label.
const TICKS = {[FIRST_SECONDS]: 3, [WINDOW_SECONDS]: 5};

function add(parent, name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== "") node.textContent = text;
  parent.appendChild(node);
  return node;
}

// The next number whose half is as short as itself.
function niceMax(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return power * [1, 2, 4, 6, 8, 10].find((step) => n <= step * power * 1.0001);
}

export class TimeChart {
  // series: [{name, pick(point) -> number or null}]; format(number) -> text; floor: the least top of the axis.
  constructor({title, series, format, floor, area}) {
    Object.assign(this, {series, format, floor, area, points: [], cursor: null, now: 0, seconds: FIRST_SECONDS});
    this.element = document.createElement("figure");
    this.element.className = "chart";
    const caption = this.element.appendChild(document.createElement("figcaption"));
    const heading = caption.appendChild(document.createElement("h2"));
    heading.textContent = title;
    this.time = caption.appendChild(document.createElement("span"));
    this.time.className = "muted";
    this.readings = series.map((_, i) => {
      const reading = caption.appendChild(document.createElement("span"));
      reading.className = "reading series-" + i;
      return reading;
    });
    this.svg = add(this.element, "svg", {tabindex: 0, role: "img", "aria-label": title + ", last five minutes"});
    this.note = this.element.appendChild(document.createElement("p"));
    this.note.className = "muted";
    this.#listen();
    new ResizeObserver(() => this.#paint()).observe(this.svg);
  }

  show(points, now, note = "") {
    this.points = points;
    this.now = now;
    // A page that was just opened has little to show: it gets a scale of its own.
    const age_ms = points.length ? now - points[0].time_ms : 0;
    this.seconds = age_ms > FIRST_SECONDS * 1000 ? WINDOW_SECONDS : FIRST_SECONDS;
    this.note.textContent = note;
    this.note.hidden = note === "";
    this.#paint();
  }

  #listen() {
    this.svg.addEventListener("pointermove", (event) => {
      const width = this.svg.clientWidth - LEFT - RIGHT;
      const share = (event.clientX - this.svg.getBoundingClientRect().left - LEFT) / width;
      this.#moveTo(this.now - (1 - share) * this.seconds * 1000);
    });
    this.svg.addEventListener("pointerleave", () => this.#moveTo(null));
    this.svg.addEventListener("blur", () => this.#moveTo(null));
    this.svg.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step || this.points.length === 0) return;
      event.preventDefault();
      const at = this.cursor === null ? this.points.length - 1 : this.#indexOf(this.cursor) + step;
      this.#moveTo(this.points[Math.max(0, Math.min(this.points.length - 1, at))].time_ms);
    });
  }

  #indexOf(time_ms) {
    let best = 0;
    this.points.forEach((p, i) => {
      if (Math.abs(p.time_ms - time_ms) < Math.abs(this.points[best].time_ms - time_ms)) best = i;
    });
    return best;
  }

  #moveTo(time_ms) {
    this.cursor = time_ms;
    this.#paint();
  }

  #paint() {
    const width = this.svg.clientWidth, height = this.svg.clientHeight;
    if (width === 0) return;
    const values = this.points.flatMap((p) => this.series.map((s) => s.pick(p))).filter((v) => v !== null);
    const top = niceMax(Math.max(this.floor, ...values));
    const x = (time_ms) => LEFT + (width - LEFT - RIGHT) * (1 - (this.now - time_ms) / (this.seconds * 1000));
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren();
    for (let i = 0; i <= GRID_LINES; i++) {
      const value = top * i / GRID_LINES;
      add(this.svg, "line", {x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value)});
      add(this.svg, "text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, this.format(value));
    }
    for (let ago = this.seconds; ago >= 0; ago -= this.seconds / TICKS[this.seconds]) {
      const anchor = ago === 0 ? "end" : ago === this.seconds ? "start" : "middle";
      add(this.svg, "text", {x: x(this.now - ago * 1000), y: height - 4, "text-anchor": anchor}, ago === 0 ? "now" : span(ago));
    }
    this.series.forEach((series, i) => this.#paintLine(series, i, x, y));
    this.#paintReadings(x, height);
  }

  #paintLine(series, i, x, y) {
    for (const run of this.#runs(series)) {
      const line = run.map(([t, v], n) => (n ? "L" : "M") + x(t).toFixed(1) + " " + y(v).toFixed(1)).join("") + "h0";
      if (this.area && i === 0) {
        const [first, last] = [run[0][0], run[run.length - 1][0]];
        add(this.svg, "path", {class: "area", d: `${line}L${x(last).toFixed(1)} ${y(0)}L${x(first).toFixed(1)} ${y(0)}Z`});
      }
      add(this.svg, "path", {class: "series-" + i, d: line});
    }
  }

  // Stretches without a gap.
  #runs(series) {
    const runs = [[]];
    for (const point of this.points) {
      const value = series.pick(point);
      if (value === null) runs.push([]);
      else runs[runs.length - 1].push([point.time_ms, value]);
    }
    return runs.filter((run) => run.length > 0);
  }

  #paintReadings(x, height) {
    const last = this.points.length - 1;
    const point = this.points[this.cursor === null ? last : this.#indexOf(this.cursor)];
    this.time.textContent = this.cursor === null || !point ? "" : clockTime(point.time_ms);
    if (this.cursor !== null && point) {
      add(this.svg, "line", {class: "cursor", x1: x(point.time_ms), x2: x(point.time_ms), y1: TOP, y2: height - BOTTOM});
    }
    this.series.forEach((series, i) => {
      const value = point ? series.pick(point) : null;
      this.readings[i].textContent = series.name + " " + (value === null ? "–" : this.format(value));
    });
  }
}
