// A panel: a heading, a line of summary, a note in place of rows that are not there, and a table whose rows stay the
// same elements from reading to reading, so that focus, selection and scroll position survive. All text is set as text.

import {percent, visible} from "./format.js";

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

// What a cell may be: text, or one of these. Each has fill(td), which is called when `same` has changed.
export const chips = (list) => ({
  same: JSON.stringify(list),
  fill: (td) => td.replaceChildren(...list.map(([text, tone]) => element("span", "chip " + (tone || ""), visible(text)))),
});

export const share = (value) => ({
  same: String(value),
  fill: (td) => {
    const box = element("span", "share");
    const meter = element("meter");
    meter.max = 1;
    meter.value = value || 0;
    meter.setAttribute("aria-hidden", "true");
    box.append(meter, element("span", "", percent(value)));
    td.replaceChildren(box);
  },
});

export class Panel {
  // columns: [{name, kind, cell(row) -> text or one of the above}]; kind: "", "text", "text key", "text wrap" …
  // key(row): what makes it the same row next time. detail(row): an element to show below it, or null.
  constructor({id, title, half, columns, key, empty, search, detail, actions}) {
    Object.assign(this, {id, columns, key, empty, search, detail, actions});
    this.rows = new Map();
    this.open = new Set();
    this.element = element("section", half ? "panel half" : "panel");
    this.element.id = id;
    this.element.tabIndex = -1;
    const header = this.element.appendChild(element("header"));
    header.append(element("h2", "", title), this.summary = element("span", "summary"));
    this.note = this.element.appendChild(element("p", "note"));
    this.scroll = this.element.appendChild(element("div", "scroll"));
    const table = this.scroll.appendChild(element("table"));
    const head = table.appendChild(element("thead")).appendChild(element("tr"));
    for (const column of columns) head.append(element("th", column.kind, column.name));
    if (actions) head.append(element("th", "actions", ""));
    for (const cell of head.children) cell.scope = "col";
    this.body = table.appendChild(element("tbody"));
    this.element.setAttribute("aria-label", title);
    this.sayNothing("loading");
  }

  // Instead of rows.
  sayNothing(note) {
    this.rows.clear();
    this.body.replaceChildren();
    this.summary.textContent = "";
    this.#showNote(note);
  }

  show(list, {summary = "", filter = "", note = ""} = {}) {
    const wanted = filter.toLowerCase();
    const shown = list.filter((row) => !wanted || this.search(row).toLowerCase().includes(wanted));
    setText(this.summary, summary);
    if (list.length === 0) this.#showNote(note || this.empty);
    else this.#showNote(shown.length === 0 ? `None of ${list.length} rows matches the filter.` : note);
    this.scroll.hidden = shown.length === 0;
    const seen = new Set();
    let place = this.body.firstChild;
    for (const row of shown) {
      const key = this.key(row);
      if (seen.has(key)) continue;
      seen.add(key);
      const entry = this.rows.get(key) || this.#newRow(key);
      this.#fill(entry, row);
      for (const tr of [entry.tr, entry.more]) {
        if (tr === null) continue;
        if (tr === place) place = place.nextSibling;
        else this.body.insertBefore(tr, place);
      }
    }
    for (const [key, entry] of this.rows) {
      if (seen.has(key)) continue;
      entry.tr.remove();
      if (entry.more) entry.more.remove();
      this.rows.delete(key);
      this.open.delete(key);
    }
  }

  #showNote(note) {
    setText(this.note, note);
    this.note.hidden = note === "";
    this.scroll.hidden = this.rows.size === 0 && note !== "";
  }

  #newRow(key) {
    const entry = {tr: element("tr"), more: null, cells: [], row: null};
    for (const column of this.columns) {
      const td = entry.tr.appendChild(element("td", column.kind));
      td.dataset.label = column.name;
      entry.cells.push({td, same: null});
    }
    if (this.actions) {
      const td = entry.tr.appendChild(element("td", "actions"));
      for (const [name, act] of this.actions) {
        const button = td.appendChild(element("button", "", name));
        button.type = "button";
        button.addEventListener("click", () => act(entry.row, button));
      }
      if (this.detail) this.#addToggle(td, key, entry);
    }
    this.rows.set(key, entry);
    return entry;
  }

  #addToggle(td, key, entry) {
    const button = td.appendChild(element("button", "", "Who"));
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const opens = !this.open.has(key);
      if (opens) this.open.add(key);
      else this.open.delete(key);
      button.setAttribute("aria-expanded", String(opens));
      if (opens) {
        entry.more = element("tr", "detail");
        entry.more.appendChild(element("td")).colSpan = this.columns.length + 1;
        entry.tr.after(entry.more);
        this.#fillDetail(entry);
      } else {
        entry.more.remove();
        entry.more = null;
      }
    });
  }

  #fill(entry, row) {
    entry.row = row;
    this.columns.forEach((column, i) => {
      const cell = entry.cells[i];
      const value = column.cell(row);
      if (typeof value === "string") setText(cell.td, value);
      else if (cell.same !== value.same) value.fill(cell.td);
      cell.same = typeof value === "string" ? null : value.same;
      cell.td.classList.toggle("none", value === "–");
    });
    if (entry.more) this.#fillDetail(entry);
  }

  #fillDetail(entry) {
    entry.more.firstChild.replaceChildren(this.detail(entry.row));
  }
}

// Rows of equal columns without a table: the first one is the heading.
export function grid(className, rows) {
  const box = element("div", className);
  rows.forEach((cells, i) => {
    for (const cell of cells) box.append(element("span", i === 0 ? "head" : "", visible(cell)));
  });
  return box;
}
