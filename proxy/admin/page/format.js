// Figures and keys as people read them. Pure functions: no document here.

export const NOTHING = "–";

export const isNumber = (n) => typeof n === "number" && Number.isFinite(n);

export function count(n) {
  return isNumber(n) ? Math.round(n).toLocaleString("en") : NOTHING;
}

// 0.42, 7.3, 61, 12,345: as many digits as help.
export function rate(n) {
  if (!isNumber(n)) return NOTHING;
  if (n === 0 || n >= 100) return count(n);
  return n < 1 ? n.toFixed(2) : n.toFixed(1);
}

export function percent(share) {
  return isNumber(share) ? (100 * share).toFixed(1) + " %" : NOTHING;
}

export function ratio(part, whole) {
  return whole > 0 ? percent(part / whole) : NOTHING;
}

export function bytes(n) {
  if (!isNumber(n)) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return (unit ? n.toFixed(1) : Math.round(n)) + " " + units[unit];
}

export function duration(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds >= 1) return seconds.toFixed(2) + " s";
  if (seconds >= 1e-3) return (seconds * 1e3).toFixed(2) + " ms";
  const micros = seconds * 1e6;
  return micros.toFixed(micros > 0 && micros < 10 ? 1 : 0) + " µs";
}

// A length of time in one unit or two: 12 s, 3 min, 2 h 5 min, 4 d 3 h.
export function span(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}

// How long before `now` a moment was, both in Unix milliseconds. Clocks differ: never negative.
export function since(ms, now) {
  return isNumber(ms) && ms > 0 ? span((now - ms) / 1000) : NOTHING;
}

export function clockTime(ms) {
  if (!isNumber(ms)) return NOTHING;
  const two = (n) => String(n).padStart(2, "0");
  const date = new Date(ms);
  return two(date.getHours()) + ":" + two(date.getMinutes()) + ":" + two(date.getSeconds());
}

const ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: "\\\"", 92: "\\\\"};

function quoteBytes(raw) {
  let text = "\"";
  for (const byte of raw) {
    if (ESCAPES[byte]) text += ESCAPES[byte];
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += "\\x" + byte.toString(16).padStart(2, "0");
  }
  return text + "\"";
}

// What "copy" gives: the key itself where a shell and redis-cli take it as it is, else quoted so that redis-cli
// reads the same bytes.
export function copyableKey(shown, base64) {
  if (typeof base64 !== "string") return shown;
  const raw = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  try {
    const text = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(raw);
    if (text !== "" && !/[\s"'\\\p{C}]/u.test(text)) return text;
  } catch {
    // No UTF-8.
  }
  return quoteBytes(raw);
}

// Text that a screen shows as it is: what would turn the writing direction, or show nothing, is written out.
export function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
}
