// Libraries that are made of scripts: locks and rate limits. Argument: the port on 127.0.0.1.
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import Redlock from "redlock";

import { assert, check, finish } from "./check.mjs";

const client = new Redis(Number(process.argv[2]), "127.0.0.1");

await check("redlock: one at a time has the lock", async () => {
  const redlock = new Redlock([client], { retryCount: 200, retryDelay: 10 });
  let inside = 0;
  let most = 0;
  const turns = Array.from({ length: 10 }, async () => {
    const lock = await redlock.lock("lock:a", 5000);
    most = Math.max(most, ++inside);
    await client.incr("lock:turns");
    inside--;
    await lock.unlock();
  });
  await Promise.all(turns);
  assert.equal(most, 1);
  assert.equal(await client.get("lock:turns"), "10");
});
await check("redlock: a lock is extended, and given back once", async () => {
  const redlock = new Redlock([client], { retryCount: 0 });
  const lock = await redlock.lock("lock:b", 1000);
  await assert.rejects(() => redlock.lock("lock:b", 1000));
  const longer = await lock.extend(5000);
  assert.ok((await client.pttl("lock:b")) > 1000);
  await longer.unlock();
  await assert.rejects(() => longer.unlock());
  assert.equal(await client.exists("lock:b"), 0);
});
await check("rate-limiter-flexible: five of ten get through", async () => {
  const limiter = new RateLimiterRedis({ storeClient: client, points: 5, duration: 100 });
  const tries = await Promise.allSettled(Array.from({ length: 10 }, () => limiter.consume("somebody")));
  assert.equal(tries.filter((one) => one.status === "fulfilled").length, 5);
  const left = await limiter.get("somebody");
  assert.equal(left.consumedPoints, 10);
});
await check("ioredis: a command of one's own, by its SHA1", async () => {
  client.defineCommand("addTo", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  assert.deepEqual(await Promise.all([client.addTo("sum", 2), client.addTo("sum", 3)]), [2, 5]);
  await client.script("FLUSH");
  assert.equal(await client.addTo("sum", 1), 6);
  const replies = await client.multi().addTo("sum", 4).get("sum").exec();
  assert.deepEqual(replies, [[null, 10], [null, "10"]]);
});

client.disconnect();
finish();
