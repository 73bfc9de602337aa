// BullMQ's queues through Tidegate: scripts by their SHA1, blocking pops, streams of events, transactions.
// Argument: the port on 127.0.0.1.
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";

import { assert, check, finish } from "./check.mjs";

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
// One slot of a Redis Cluster: its scripts want all keys of a queue together.
const prefix = "{bull}";
const JOBS = 200;

const queue = new Queue("jobs", { connection, prefix });
queue.setMaxListeners(JOBS + 10);
const events = new QueueEvents("jobs", { connection, prefix });
await events.waitUntilReady();
const results = new Map();
const worker = new Worker("jobs", async (job) => job.data.n * 2, { connection, prefix, concurrency: 10 });
worker.on("completed", (job, result) => results.set(job.data.n, result));

await check("each job is done once, and its event comes", async () => {
  const jobs = await queue.addBulk(Array.from({ length: JOBS }, (_, n) => ({ name: "double", data: { n } })));
  const replies = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 10_000)));
  assert.deepEqual(replies, Array.from({ length: JOBS }, (_, n) => n * 2));
  // The worker hears of its last job's end a moment later than the events do.
  for (let i = 0; i < 100 && results.size < JOBS; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(results.size, JOBS);
});
await check("a job that waits", async () => {
  const begin = Date.now();
  const job = await queue.add("double", { n: 1000 }, { delay: 300 });
  assert.equal(await job.waitUntilFinished(events, 10_000), 2000);
  assert.ok(Date.now() - begin >= 290, "it ran too early");
});
await check("a job that comes while nobody has any wakes the worker at once", async () => {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const begin = Date.now();
  const job = await queue.add("double", { n: 5 });
  assert.equal(await job.waitUntilFinished(events, 10_000), 10);
  assert.ok(Date.now() - begin < 1000, "it took " + (Date.now() - begin) + " ms");
});
await check("a parent runs after its children", async () => {
  const flow = new FlowProducer({ connection, prefix });
  const tree = await flow.add({
    name: "double", queueName: "jobs", data: { n: 1 },
    children: [{ name: "double", queueName: "jobs", data: { n: 2 } }, { name: "double", queueName: "jobs", data: { n: 3 } }],
  });
  assert.equal(await tree.job.waitUntilFinished(events, 10_000), 2);
  assert.deepEqual(Object.values(await tree.job.getChildrenValues()).sort(), [4, 6]);
  await flow.close();
});
await check("counts", async () => {
  const counts = await queue.getJobCounts("completed", "failed", "wait", "active", "delayed");
  assert.deepEqual(counts, { completed: JOBS + 5, failed: 0, wait: 0, active: 0, delayed: 0 });
});

await worker.close();
await events.close();
await queue.close();
finish();
