import assert from "node:assert/strict";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { type ParsedConfig, parseConfig } from "#pkg/config";
import { ConfigReader } from "#pkg/config-reader";
import { silentLog } from "#pkg/log/testing";

// `.ci/run` gives this only the processor time that nobody else wants.
const limit = { timeout: 1_800_000 };
const pools = (count: number) =>
  `address-pools:\n${Array.from({ length: count }, (_, i) => `- {name: p${i}, protocol: layer2, addresses: [10.${i >> 8}.${i & 255}.0/28]}\n`).join("")}`;

/** One pool, of ranges that need 222 CIDRs each. */
function manyCidrs(ranges: number): string {
  const range = (net: string) => `"${net}::1-${net}:ffff:ffff:ffff:ffff:ffff:ffff:fffe"`;
  const addresses = Array.from({ length: ranges }, (_, i) => range((0x1000 + i).toString(16)));
  return `address-pools: [{name: a, protocol: bgp, addresses: [${addresses}]}]`;
}

function read(reader: ConfigReader, text: string): Promise<ParsedConfig> {
  return new Promise((resolve) => reader.read(text, resolve));
}

const long: { name: string; text: string }[] = [
  { name: "1,000 pools", text: pools(1_000) },
  { name: "1,000 pools that overlap", text: pools(1_000).replaceAll(/10\.\d+\.\d+/g, "10.0.0") },
  { name: "no YAML", text: "[".repeat(100_000) },
  { name: "some kilobytes of pools with nothing in them", text: `address-pools: [${"{},".repeat(700)}]` },
  { name: "some kilobytes of ranges that need 10,000 CIDRs", text: manyCidrs(45) },
  {
    name: "an alias, which may stand for much",
    text: "address-pools: [&a {name: a, protocol: layer2, addresses: [10.0.0.0/28]}, *a]",
  },
];
for (const { name, text } of long)
  test(`a long text is read later, with the same result: ${name}`, limit, async () => {
    using reader = new ConfigReader(silentLog);
    let isDone = false;
    const reading = read(reader, text).finally(() => {
      isDone = true;
    });
    await Promise.resolve();
    assert.equal(isDone, false);
    assert.deepEqual(await reading, parseConfig(text));
  });

test("a short text is read at once", () => {
  const reader = new ConfigReader(silentLog);
  let parsed: ParsedConfig | undefined;
  reader.read(pools(10), (now) => {
    parsed = now;
  });
  assert.deepEqual(parsed, parseConfig(pools(10)));
});

test("without a thread a long text is read all the same, and that is said", limit, async () => {
  const logged: string[] = [];
  const log = { ...silentLog, warn: (message: string) => logged.push(message) };
  using reader = new ConfigReader(log, new URL("file:///nowhere/worker.js"));
  assert.deepEqual(await read(reader, pools(1_000)), parseConfig(pools(1_000)));
  assert.deepEqual(logged, ["configuration is read in the main thread, since a thread for it cannot be had"]);
});

test("what is read when the reader is disposed of is given up", limit, async () => {
  const reader = new ConfigReader(silentLog);
  let isDone = false;
  reader.read(pools(1_000), () => {
    isDone = true;
  });
  reader[Symbol.dispose]();
  await read(new ConfigReader(silentLog), pools(1_000)); // It has begun later.
  assert.equal(isDone, false);
});

test("one thread reads the texts that follow one another, and another one what comes after its end", limit, async () => {
  const workers: Worker[] = [];
  const count = (worker: Worker): void => void workers.push(worker);
  process.on("worker", count);
  try {
    using reader = new ConfigReader(silentLog);
    for (const text of [pools(1_000), manyCidrs(45), pools(900)]) assert.deepEqual(await read(reader, text), parseConfig(text));
    assert.equal(workers.length, 1);
    await workers[0]?.terminate();
    assert.deepEqual(await read(reader, pools(800)), parseConfig(pools(800)));
    assert.equal(workers.length, 2);
  } finally {
    process.off("worker", count);
  }
});
