// ioredis as an application uses it (RESP2). Argument: the port on 127.0.0.1.
import Redis from "ioredis";

import { assert, check, finish } from "./check.mjs";

const client = new Redis({ port: Number(process.argv[2]), host: "127.0.0.1", maxRetriesPerRequest: 1 });

await check("SET and GET", async () => {
  assert.equal(await client.set("a", "1"), "OK");
  assert.equal(await client.get("a"), "1");
  assert.equal(await client.get("missing"), null);
});
await check("SET with options", async () => {
  assert.equal(await client.set("o", "1", "EX", 100, "NX"), "OK");
  assert.equal(await client.set("o", "2", "NX"), null);
  assert.ok((await client.ttl("o")) > 0);
});
await check("binary values", async () => {
  const value = Buffer.from([0, 13, 10, 255, 36]);
  await client.set("binary", value);
  assert.deepEqual(await client.getBuffer("binary"), value);
});
await check("MSET and MGET", async () => {
  await client.mset({ x: 1, y: 2 });
  assert.deepEqual(await client.mget("x", "missing", "y"), ["1", null, "2"]);
});
await check("a pipeline", async () => {
  const pipeline = client.pipeline();
  for (let i = 0; i < 500; i++) pipeline.incr("n");
  const replies = await pipeline.exec();
  assert.deepEqual(replies.map(([, value]) => value), Array.from({ length: 500 }, (_, i) => i + 1));
});
await check("commands at once, answered in order", async () => {
  const values = await Promise.all(Array.from({ length: 500 }, (_, i) => client.echo(String(i))));
  assert.deepEqual(values, Array.from({ length: 500 }, (_, i) => String(i)));
});
await check("an error becomes an exception", async () => {
  await client.set("text", "abc");
  await assert.rejects(client.incr("text"), /ERR value is not an integer or out of range/);
});
await check("scanStream", async () => {
  const keys = [];
  for await (const page of client.scanStream({ match: "?", count: 5 })) keys.push(...page);
  assert.deepEqual([...new Set(keys)].sort(), ["a", "n", "o", "x", "y"]);
});
await check("another database", async () => {
  const other = client.duplicate({ db: 2 });
  assert.equal(await other.get("a"), null);
  other.disconnect();
});
await check("INFO, CLIENT, CONFIG", async () => {
  assert.match(await client.info("server"), /redis_version:7/);
  assert.match(await client.client("LIST"), /addr=127\.0\.0\.1/);
  assert.deepEqual(await client.config("GET", "databases"), ["databases", "16"]);
});
await check("it comes back after it was killed", async () => {
  const victim = client.duplicate();
  await victim.ping();
  const id = await victim.client("ID");
  assert.equal(await client.client("KILL", "ID", id), 1);
  await new Promise((resolve) => victim.once("ready", resolve));
  assert.equal(await victim.get("a"), "1");
  victim.disconnect();
});
await check("QUIT", async () => assert.equal(await client.quit(), "OK"));
finish();
