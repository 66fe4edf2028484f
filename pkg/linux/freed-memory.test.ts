import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { releaseFreedMemory } from "#pkg/linux";
import { trimHeap } from "#pkg/threads";

test("what was freed between blocks that live on is given back, and these are as they were", async () => {
  let blocks = Array.from({ length: 20_000 }, () => Buffer.allocUnsafeSlow(3_000).fill(7));
  blocks = blocks.filter((_, index) => index % 50 === 0);
  trimHeap();
  await sleep(50); // The buffers' memory is freed after the collection.
  const before = anonymousKilobytes();
  assert.equal(releaseFreedMemory(), true);
  assert.ok(anonymousKilobytes() < before - 30_000, `${before}, then ${anonymousKilobytes()} kB`);
  assert.ok(blocks.every((block) => block.every((octet) => octet === 7)));
});

function anonymousKilobytes(): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
