// ioredis through Tidegate to a redis-server. Argument: the port on 127.0.0.1.
import Redis from "ioredis";

import { assert, check, finish } from "./check.mjs";

const client = new Redis({ port: Number(process.argv[2]), host: "127.0.0.1", maxRetriesPerRequest: 1 });

await check("SET and GET", async () => {
  assert.equal(await client.set("a", "1"), "OK");
  assert.equal(await client.get("a"), "1");
});
await check("hashes and lists", async () => {
  assert.equal(await client.hset("ih", { a: 1, b: 2 }), 2);
  assert.deepEqual(await client.hgetall("ih"), { a: "1", b: "2" });
  assert.equal(await client.rpush("il", 1, 2, 3), 3);
  assert.deepEqual(await client.lrange("il", 0, -1), ["1", "2", "3"]);
});
await check("a pipeline", async () => {
  const pipeline = client.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.incr("in");
  const replies = await pipeline.exec();
  assert.deepEqual(replies.map(([, value]) => value), Array.from({ length: 1000 }, (_, i) => i + 1));
});
await check("commands of both places at once, answered in order", async () => {
  const values = await Promise.all(
    Array.from({ length: 600 }, (_, i) => (i % 3 ? client.getset("ig", String(i)).then(() => String(i)) : client.echo(String(i)))),
  );
  assert.deepEqual(values, Array.from({ length: 600 }, (_, i) => String(i)));
});
await check("an error becomes an exception", async () => {
  await client.set("text", "abc");
  await assert.rejects(client.incr("text"), /ERR value is not an integer or out of range/);
});
await check("another database", async () => {
  const other = client.duplicate({ db: 2 });
  assert.equal(await other.get("a"), null);
  other.disconnect();
});

client.disconnect();
finish();
