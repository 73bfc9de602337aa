// Checks of the JavaScript clients: one line each, "ok …" or "FAIL …", and the exit status at the end.
import assert from "node:assert/strict";

let failed = false;

export async function check(what, body) {
  try {
    await body();
    console.log(`ok ${what}`);
  } catch (error) {
    failed = true;
    console.log(`FAIL ${what}: ${String(error.message).split("\n").join(" ")}`);
  }
}

export function finish() {
  process.exitCode = failed ? 1 : 0;
}

// A client that hangs must not hang the tests.
setTimeout(() => {
  console.log("FAIL finished within 60 s");
  process.exit(1);
}, 60000).unref();

export { assert };
