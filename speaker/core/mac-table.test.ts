import assert from "node:assert/strict";
import { test } from "node:test";
import { learnMacs, nodeOfMac } from "./members.ts";
import type { MacTable } from "./state.ts";

const [two, three] = ["02:00:00:00:00:02", "02:00:00:00:00:03"];

test("a MAC address is the node's that said so last, also after that failed, and nobody else's", () => {
  const table: MacTable = { macs: new Map(), nodes: new Map() };
  const nodes = () => [nodeOfMac(table, two), nodeOfMac(table, three)];
  learnMacs(table, "node2", [two, three]);
  assert.deepEqual(nodes(), ["node2", "node2"]);
  learnMacs(table, "node2", [three]);
  assert.deepEqual(nodes(), [undefined, "node2"]);
  learnMacs(table, "node3", [three]);
  learnMacs(table, "node2", []);
  assert.deepEqual(nodes(), [undefined, "node3"]);
});

test("of nodes that come and go the last 5,000 are known", () => {
  const table: MacTable = { macs: new Map(), nodes: new Map() };
  for (let i = 0; i <= 5_000; i++) learnMacs(table, `node${i}`, [`mac${i}`]);
  assert.deepEqual([nodeOfMac(table, "mac0"), nodeOfMac(table, "mac1"), table.macs.size], [undefined, "node1", 5_000]);
});
