// node-redis as an application uses it. Arguments: the port on 127.0.0.1, and 2 or 3 for the protocol.
import { createClient, RESP_TYPES } from "redis";

import { assert, check, finish } from "./check.mjs";

const RESP = Number(process.argv[3]);
const client = createClient({ RESP, socket: { port: Number(process.argv[2]), host: "127.0.0.1" } });
client.on("error", (error) => console.log(`FAIL connection: ${error.message}`));
await client.connect();

await check("SET and GET", async () => {
  assert.equal(await client.set("a", "1"), "OK");
  assert.equal(await client.get("a"), "1");
  assert.equal(await client.get("missing"), null);
});
await check("SET with options", async () => {
  assert.equal(await client.set("o", "1", { EX: 100, NX: true }), "OK");
  assert.equal(await client.set("o", "2", { NX: true }), null);
  assert.ok((await client.ttl("o")) > 0);
  assert.equal(await client.set("o", "3", { GET: true, KEEPTTL: true }), "1");
});
await check("binary values", async () => {
  const value = Buffer.from([0, 13, 10, 255, 36]);
  await client.set("binary", value);
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  assert.deepEqual(await bytes.get("binary"), value);
});
await check("MSET and MGET", async () => {
  await client.mSet({ x: "1", y: "2" });
  assert.deepEqual(await client.mGet(["x", "missing", "y"]), ["1", null, "2"]);
});
await check("commands at once, answered in order", async () => {
  const values = await Promise.all(Array.from({ length: 1000 }, () => client.incr("n")));
  assert.deepEqual(values, Array.from({ length: 1000 }, (_, i) => i + 1));
});
await check("an error becomes an exception", async () => {
  await client.set("text", "abc");
  await assert.rejects(client.incr("text"), /ERR value is not an integer or out of range/);
});
await check("scanIterator", async () => {
  const keys = [];
  for await (const page of client.scanIterator({ MATCH: "?", COUNT: 5 })) keys.push(...page);
  assert.deepEqual([...new Set(keys)].sort(), ["a", "n", "o", "x", "y"]);
});
await check("maps: CONFIG GET, HELLO", async () => {
  assert.equal((await client.configGet("databases")).databases, "16");
  const hello = await client.hello(RESP);
  assert.equal(hello.proto, RESP);
  assert.equal(hello.mode, "standalone");
});
await check("arrays of arrays: BITFIELD, COMMAND INFO", async () => {
  assert.deepEqual(await client.bitField("bf", [{ operation: "INCRBY", encoding: "u8", offset: 0, increment: 3 }]), [3]);
  const [get] = await client.commandInfo(["GET"]);
  assert.equal(get.arity, 2);
});
await check("INFO", async () => assert.match(await client.info("server"), /redis_version:7/));
await check("another database", async () => {
  const other = client.duplicate({ database: 2 });
  await other.connect();
  assert.equal(await other.get("a"), null);
  other.destroy();
});
await check("LCS with indexes", async () => {
  await client.mSet({ l1: "ohmytext", l2: "mynewtext" });
  const reply = await client.lcsIdx("l1", "l2", { MINMATCHLEN: 4 });
  assert.equal(Number(reply.len), 6);
});
await check("close", async () => client.close());
finish();
