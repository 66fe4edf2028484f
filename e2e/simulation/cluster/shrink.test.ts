import assert from "node:assert/strict";
import { test } from "node:test";
import type { History } from "./history.ts";
import { shrink } from "./shrink.ts";

const spec = { isDual: false, wanted: undefined, sharing: undefined, port: 80, endpoints: [0, 1], isLocal: false, pool: "lan" };

/** Something happens to each of these nodes, one after the other. */
function historyOf(nodes: readonly number[]): History {
  const acts = nodes.map((node, index) => ({ at: 1_000 * index, act: { type: "powerOff", node, length: 500 } as const }));
  return { seed: 1, nodes: 3, loss: 0, config: "", services: { a: spec, b: spec, c: spec }, acts };
}

function nodesOf({ acts }: History): number[] {
  return acts.map(({ act }) => ("node" in act ? act.node : -1));
}

const twenty = Array.from({ length: 20 }, (_, node) => node);

test("acts and Services that do not matter are left out", async () => {
  const shortest = await shrink(historyOf(twenty), async (history) => {
    const nodes = nodesOf(history);
    const isWrong = nodes.includes(3) && nodes.includes(17) && "b" in history.services;
    return { problem: isWrong ? `at ${1_000 * nodes.length} ms: node-3 and node-17 answer` : undefined };
  });
  assert.deepEqual(nodesOf(shortest), [3, 17]);
  assert.deepEqual(Object.keys(shortest.services), ["b"]);
});

test("what remains breaks the same promise, in whichever words, and not another one", async () => {
  const shortest = await shrink(historyOf(twenty), async (history) => {
    const nodes = nodesOf(history);
    if (nodes.includes(3) && nodes.includes(17))
      return {
        problem: `at ${1_000 * nodes.length} ms: 192.0.2.${nodes.length} is at ${nodes.map((node) => `node-${node}`).join(" and ")}`,
      };
    return { problem: nodes.includes(3) ? "at 1000 ms: controller-0 and controller-1 may both write" : "at rest: a has nothing" };
  });
  assert.deepEqual(nodesOf(shortest), [3, 17]);
});

test("of a history in which nothing is wrong all remains, and it ends where it takes too many tries", async () => {
  const history = historyOf(twenty);
  assert.equal(await shrink(history, async () => ({ problem: undefined })), history);
  let runs = 0;
  const long = historyOf([...Array(500).keys()]);
  const shortest = await shrink(long, async ({ acts }) => ({
    problem: ++runs > 0 && acts.length >= 499 ? "it is wrong" : undefined,
  }));
  assert.ok(runs <= 151, `${runs}`);
  assert.equal(shortest, long);
});
