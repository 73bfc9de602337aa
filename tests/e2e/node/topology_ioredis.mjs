// ioredis through Tidegate, whatever is behind it. Argument: the port on 127.0.0.1.
import Redis from "ioredis";

import { assert, check, finish } from "./check.mjs";

const client = new Redis({ port: Number(process.argv[2]), host: "127.0.0.1", maxRetriesPerRequest: 1 });
await client.flushall();

await check("a pipeline over all keys", async () => {
  const pipeline = client.pipeline();
  for (let i = 0; i < 300; i++) pipeline.incr(`io:${i}`);
  assert.deepEqual((await pipeline.exec()).map(([, value]) => value), Array(300).fill(1));
});
await check("MGET and DEL of many", async () => {
  const keys = Array.from({ length: 300 }, (_, i) => `io:${i}`);
  assert.deepEqual(await client.mget(keys), Array(300).fill("1"));
  assert.equal(await client.del(keys), 300);
});
await check("scripts by their SHA1, at every node", async () => {
  client.defineCommand("add", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" });
  const values = await Promise.all(Array.from({ length: 100 }, (_, i) => client.add(`io:s:${i}`, i)));
  assert.deepEqual(values, Array.from({ length: 100 }, (_, i) => i));
});
await check("scripts in a pipeline", async () => {
  const pipeline = client.pipeline();
  for (let i = 0; i < 100; i++) pipeline.add(`io:s:${i}`, 1);
  assert.deepEqual((await pipeline.exec()).map(([, value]) => value), Array.from({ length: 100 }, (_, i) => i + 1));
});
await check("a script without keys", async () => assert.equal(await client.eval("return ARGV[1]", 0, "x"), "x"));
await check("MULTI", async () => {
  assert.deepEqual(await client.multi().set("{io}a", 1).incr("{io}a").add("{io}b", 4).exec(), [[null, "OK"], [null, 2], [null, 4]]);
});
await check("scanStream", async () => {
  const keys = new Set();
  for await (const page of client.scanStream({ match: "io:s:*", count: 20 })) page.forEach((key) => keys.add(key));
  assert.equal(keys.size, 100);
});
await check("pub/sub", async () => {
  const listener = client.duplicate();
  await listener.subscribe("io:news");
  const heard = new Promise((resolve) => listener.once("message", (channel, text) => resolve([channel, text])));
  await client.publish("io:news", "x");
  assert.deepEqual(await heard, ["io:news", "x"]);
  assert.deepEqual(await client.pubsub("NUMSUB", "io:news"), ["io:news", 1]);
  listener.disconnect();
});
await check("BLPOP is served by another client", async () => {
  const other = client.duplicate();
  const waits = other.blpop("io:queue", 5);
  await client.rpush("io:queue", "x");
  assert.deepEqual(await waits, ["io:queue", "x"]);
  other.disconnect();
});

client.disconnect();
finish();
