// Scenario: a ring of many processes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LargeRing } from "./large-ring.ts";

const key = "30313233343536373839616263646566";
const blockMillis = 2000;

test("a main thread that is blocked for 2 s at a time costs nobody its membership, at the fast timing", async () => {
  await using ring = await LargeRing.start("ingot", 3, { key, flags: ["--timing=fast", "--thread"] });
  const [first, second, third] = ring.nodes;
  assert.ok(first && second && third);
  const from = ring.nodes.map(({ lines }) => lines.length);
  for (const blocked of [[first], [second, third], [first, second, third]])
    await Promise.all(blocked.map((node) => node.request(`block ${blockMillis}`, "blocked", 30_000)));
  for (const [index, node] of ring.nodes.entries()) {
    const lost = node.lines.slice(from[index]).filter(({ event }) => event === "leave" || event === "join");
    assert.deepEqual(lost, [], `${node.name} lost members`); // A machine without time to spare may have some suspected, and refute.
    assert.equal((await node.members()).length, 3);
  }
});
