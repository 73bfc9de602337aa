// ioredis' cluster client, and its plain one, through Tidegate to a Redis Cluster. Argument: the port on 127.0.0.1.
import Redis, { Cluster } from "ioredis";

import { assert, check, finish } from "./check.mjs";

const port = Number(process.argv[2]);
const cluster = new Cluster([{ host: "127.0.0.1", port }]);
const plain = new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: 1 });

await check("the cluster client takes it for a cluster", async () => {
  assert.equal(await cluster.set("io:a", "1"), "OK");
  assert.deepEqual(cluster.nodes("master").map((node) => node.options.port), [port]);
});
await check("keys of all slots", async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => cluster.set(`io:${i}`, i)));
  const values = await Promise.all(Array.from({ length: 300 }, (_, i) => cluster.get(`io:${i}`)));
  assert.deepEqual(values, Array.from({ length: 300 }, (_, i) => String(i)));
});
await check("the plain client: a pipeline over all slots", async () => {
  const pipeline = plain.pipeline();
  for (let i = 0; i < 300; i++) pipeline.incr(`io:${i}`);
  assert.deepEqual((await pipeline.exec()).map(([, value]) => value), Array.from({ length: 300 }, (_, i) => i + 1));
});
await check("MGET over slots", async () => {
  const keys = Array.from({ length: 300 }, (_, i) => `io:${i}`);
  assert.deepEqual(await plain.mget(keys), keys.map((_, i) => String(i + 1)));
});
await check("a script", async () => {
  plain.defineCommand("add", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" });
  assert.equal(await plain.add("io:script", 5), 5);
  assert.equal(await plain.add("io:script", 5), 10);
});
await check("MULTI", async () => {
  assert.deepEqual(await plain.multi().set("{m}a", 1).incr("{m}a").exec(), [[null, "OK"], [null, 2]]);
});
await check("BLPOP is served by another client", async () => {
  const other = plain.duplicate();
  const waits = other.blpop("io:queue", 5);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await plain.rpush("io:queue", "x");
  assert.deepEqual(await waits, ["io:queue", "x"]);
  other.disconnect();
});

cluster.disconnect();
plain.disconnect();
finish();
