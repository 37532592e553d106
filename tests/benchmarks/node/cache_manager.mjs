// Runs cache-manager, the cache library of the seed project, with the same options: in memory, with a time to live.
// Requests and responses have the same format as in `worker.py`.
import { createInterface } from "node:readline";
import { createCache } from "cache-manager";

const TTL = 30 * 60 * 1000; // milliseconds, as for conversations
const SEED_READS = 1000;
const cache = createCache({ ttl: TTL });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const respond = (response) => process.stdout.write(JSON.stringify(response) + "\n");
const next = async () => JSON.parse((await lines.next()).value ?? "null");
const seconds = (began) => Number(process.hrtime.bigint() - began) / 1e9;

const { dataset, seconds: duration } = await next();
const keys = dataset.hot_rows.map((pk) => `conversations:value:${pk}`);
for (const key of keys) await cache.set(key, { ...dataset.value });

async function timed(passes) {
  const began = process.hrtime.bigint();
  for (let pass = 0; pass < passes; pass++) for (const key of keys) await cache.get(key);
  return seconds(began);
}

const measures = {
  async value() {
    let passes = 1000; // enough for the JIT compiler to optimise
    for (await timed(passes); (await timed(passes)) < duration / 2; ) passes *= 2;
    return { seconds: (await timed(passes)) / (passes * keys.length) };
  },
  async seed() {
    await cache.del(keys[0]);
    const began = process.hrtime.bigint();
    let loads = 0;
    for (let read = 0; read < SEED_READS; read++) {
      if (await cache.get(keys[0])) continue;
      loads++; // a load costs nothing, because there is no database
      await cache.set(keys[0], dataset.value);
    }
    return { seconds: seconds(began), queries: loads / SEED_READS, hits: 1 - loads / SEED_READS };
  },
};

respond({ read: "" });
for (let request = await next(); request; request = await next()) respond(await measures[request.measure]());
