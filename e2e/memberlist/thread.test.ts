import assert from "node:assert/strict";
import { test } from "node:test";
import { LargeRing } from "./large-ring.ts";

const key = "30313233343536373839616263646566";
const blockMillis = 2000;

test("a main thread that is blocked for 2 s at a time delays nothing in the ring: nobody is suspected, at the fast timing", async () => {
  await using ring = await LargeRing.start("ingot", 3, { key, flags: ["--timing=fast", "--thread"] });
  const [first, second, third] = ring.nodes;
  assert.ok(first && second && third);
  const from = ring.nodes.map(({ lines }) => lines.length);
  for (const blocked of [[first], [second, third], [first, second, third]])
    await Promise.all(blocked.map((node) => node.request(`block ${blockMillis}`, "blocked", 30_000)));
  for (const [index, node] of ring.nodes.entries()) {
    const events = node.lines.slice(from[index]).map(({ event, member }) => `${event} ${member?.name ?? ""}`.trim());
    assert.deepEqual([...new Set(events)], ["blocked"], `${node.name} saw ${events}`);
    assert.equal((await node.members()).length, 3);
  }
});
