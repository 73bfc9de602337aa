// node-redis through Tidegate, whatever is behind it. Arguments: the port on 127.0.0.1, 2 or 3 for the protocol, and
// "cluster" when its cluster client shall be tried too.
import { createClient, createCluster, defineScript } from "redis";

import { assert, check, finish } from "./check.mjs";

const url = `redis://127.0.0.1:${process.argv[2]}`;
const RESP = Number(process.argv[3]);
const scripts = {
  add: defineScript({
    SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    NUMBER_OF_KEYS: 1,
    parseCommand: (parser, key, by) => {
      parser.pushKey(key);
      parser.push(String(by));
    },
    transformReply: (reply) => Number(reply),
  }),
};
const client = createClient({ url, RESP, scripts });
client.on("error", (error) => console.log(`FAIL connection: ${error.message}`));
await client.connect();
await client.flushAll();

const upTo = (count) => Array.from({ length: count }, (_, i) => i);

await check("commands at once over all keys", async () => {
  assert.deepEqual(await Promise.all(upTo(300).map((i) => client.incr(`no:${i}`))), Array(300).fill(1));
});
await check("MGET of many", async () => {
  assert.deepEqual(await client.mGet(upTo(300).map((i) => `no:${i}`)), Array(300).fill("1"));
});
await check("scanIterator", async () => {
  const keys = new Set();
  for await (const page of client.scanIterator({ MATCH: "no:*", COUNT: 50 })) page.forEach((key) => keys.add(key));
  assert.equal(keys.size, 300);
});
await check("scripts by their SHA1, at every node", async () => {
  assert.deepEqual(await Promise.all(upTo(100).map((i) => client.add(`no:s:${i}`, i))), upTo(100));
});
await check("a script without keys", async () => {
  assert.equal(await client.eval("return ARGV[1]", { arguments: ["x"] }), "x");
});
await check("scriptLoad and evalSha", async () => {
  const sha = await client.scriptLoad("return KEYS[1]");
  for (const i of upTo(30)) assert.equal(await client.evalSha(sha, { keys: [`no:${i}`] }), `no:${i}`);
});
await check("functions", async () => {
  const library = "#!lua name=no\nredis.register_function('no_get', function(keys) return redis.call('GET', keys[1]) end)";
  assert.equal(await client.functionLoad(library, { REPLACE: true }), "no");
  for (const i of upTo(30)) assert.equal(await client.fCall("no_get", { keys: [`no:${i}`], arguments: [] }), "1");
  await client.functionDelete("no");
});
await check("MULTI", async () => {
  const replies = await client.multi().set("{no}a", 1).incr("{no}a").hSet("{no}h", { a: 1 }).hGetAll("{no}h").exec();
  assert.deepEqual(JSON.parse(JSON.stringify(replies)), ["OK", 2, 1, { a: "1" }]);
});
await check("pub/sub", async () => {
  const listener = client.duplicate();
  await listener.connect();
  const heard = new Promise((resolve) => listener.subscribe("no:news", (text, channel) => resolve([channel, text])).then(() => client.publish("no:news", "x")));
  assert.deepEqual(await heard, ["no:news", "x"]);
  assert.deepEqual({ ...(await client.pubSubNumSub(["no:news"])) }, { "no:news": 1 });
  listener.destroy();
});
await check("BLPOP is served by another client", async () => {
  const other = client.duplicate();
  await other.connect();
  const waits = other.blPop("no:queue", 5);
  await client.rPush("no:queue", "x");
  assert.deepEqual({ ...(await waits) }, { key: "no:queue", element: "x" });
  other.destroy();
});
if (process.argv[4] === "cluster") {
  const cluster = createCluster({ rootNodes: [{ url }], defaults: { RESP } });
  cluster.on("error", (error) => console.log(`FAIL cluster connection: ${error.message}`));
  await cluster.connect();
  await check("createCluster: keys of all slots", async () => {
    await Promise.all(upTo(300).map((i) => cluster.set(`nc:${i}`, i)));
    assert.deepEqual(await Promise.all(upTo(300).map((i) => cluster.get(`nc:${i}`))), upTo(300).map(String));
  });
  await check("createCluster: MULTI", async () => {
    assert.deepEqual(await cluster.multi().set("{nc}a", 1).incr("{nc}a").exec(), ["OK", 2]);
  });
  await check("createCluster: a script", async () => {
    assert.equal(await cluster.eval("return redis.call('GET', KEYS[1])", { keys: ["nc:7"], arguments: [] }), "7");
  });
  await check("createCluster: pub/sub", async () => {
    const heard = new Promise((resolve) => cluster.subscribe("nc:news", resolve).then(() => cluster.publish("nc:news", "x")));
    assert.equal(await heard, "x");
  });
  await cluster.close();
}

client.destroy();
finish();
