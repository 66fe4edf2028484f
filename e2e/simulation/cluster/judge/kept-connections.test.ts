import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { parseAddress } from "#pkg/net";
import { type History, keptConfig, otherKeptConfigs } from "../history.ts";
import { run } from "../run.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { nodeAddresses } from "../speaker-process.ts";
import { KeptConnections } from "./kept-connections.ts";
import { spec } from "./scene.ts";

/** Both nodes are drained, one after the other: all addresses move, the first of them a second after the cluster's start. */
const drains: History["acts"] = [
  { at: 1_000, act: { type: "drain", node: 1, length: 8_000 } },
  { at: 15_000, act: { type: "drain", node: 0, length: 8_000 } },
];

/** @param plant what is wrong with the machines, from the beginning */
async function judged(acts: History["acts"], plant: (cluster: SimulatedCluster) => void): Promise<KeptConnections> {
  const services = { a: { ...spec, pool: "lan" }, b: { ...spec, pool: "sticky" } };
  const history: History = { seed: 1, nodes: 2, loss: 0, config: keptConfig, services, acts };
  const judge = new KeptConnections(history);
  let isPlanted = false;
  const observe = (cluster: SimulatedCluster) => {
    if (!isPlanted) plant(cluster);
    isPlanted = true;
  };
  const { problem } = await run(history, { judge, observe });
  assert.equal(problem, judge.problem);
  return judge;
}

/** Kernels hand nothing on until so long after their speakers began to announce an address. */
function handLate(cluster: SimulatedCluster, late: Millis): void {
  for (const node of cluster.speakers.keys()) {
    const { filter } = cluster.machines.connections(node);
    const next = filter.next.bind(filter);
    filter.next = (address, mac) => {
      const last = cluster.moves.findLast((move) => move.node === node && move.address === `${address}` && move.on);
      return last !== undefined && cluster.now < last.at + late ? undefined : next(address, mac);
    };
  }
}

test("connections that go on are no fault, and those of each client were handed on", async () => {
  const { problem, counts, excuses } = await judged(drains, () => {});
  assert.equal(problem, undefined);
  assert.deepEqual([counts.broken, [...excuses]], [0, []]);
  assert.ok(counts.handedOn > 100, `${counts.handedOn}`);
});

test("a kernel that hands nothing on is found, also right after the cluster's start", async () => {
  const { problem } = await judged(drains, (cluster) => handLate(cluster, Infinity));
  assert.match(problem ?? "", /^at (9|10)\d{3} ms: a connection to \S+ that node-\d knows since \d+ ms is reset: node-\d from/);
});

test("a kernel that begins to hand on some milliseconds after its speaker announces is found", async () => {
  const { problem } = await judged(drains, (cluster) => handLate(cluster, 60));
  assert.match(problem ?? "", /is reset: node-\d from 02:00:00:00:ee:03/);
});

test("kernels that hand a packet to one another are found", async () => {
  const { problem } = await judged(drains, ({ machines, ring }) => {
    for (const node of [0, 1]) {
      const { filter, known } = machines.connections(node);
      const [other] = nodeAddresses(ring, 1 - node).filter((text) => text.startsWith("192.0.2."));
      filter.next = () => parseAddress(other?.slice(0, other.indexOf("/")) ?? "");
      known.has = () => false;
    }
  });
  assert.match(problem ?? "", /a packet to \S+ goes round: node-\d from 02:00:00:00:ee:03, node-\d from .*, node-\d from/);
});

test("what a fault broke is counted under it, and is no problem", async () => {
  const acts: History["acts"] = [...drains, { at: 17_000, act: { type: "flushFilter", node: 1 } }];
  const { problem, counts, excuses } = await judged(acts, () => {});
  assert.equal(problem, undefined);
  assert.deepEqual([...excuses], [["fault", counts.broken]]);
  assert.ok(counts.broken > 0);
});

test("an address that its owner left while no connections were kept has lost them, also where another node has it much later", async () => {
  const text = otherKeptConfigs[0]?.(keptConfig) ?? assert.fail();
  const acts: History["acts"] = [
    { at: 0, act: { type: "exclude", node: 0, length: 60_000 } },
    { at: 5_000, act: { type: "configure", text, mayRenumber: true, length: 5_000 } },
    { at: 7_000, act: { type: "exclude", node: 1, length: 90_000 } },
  ];
  const { problem, counts, excuses } = await judged(acts, () => {});
  assert.equal(problem, undefined);
  assert.deepEqual([...excuses.keys()].sort(), ["fault", "nobody owned it"]);
  assert.ok(counts.broken > 0);
});

test("a move has broken connections while the configuration kept none of its pool, and is found beside such a pool", async () => {
  const moved = (change: (config: string) => string): History["acts"] => [
    { at: 5_000, act: { type: "configure", text: change(keptConfig), mayRenumber: true, length: 5_000 } },
    { at: 7_000, act: { type: "deleteConfig", length: 9_000 } }, // The text from that time comes back.
    { at: 25_000, act: { type: "exclude", node: 0, length: 8_000 } },
    { at: 37_000, act: { type: "exclude", node: 1, length: 8_000 } },
  ];
  const none = await judged(moved(otherKeptConfigs[1] ?? assert.fail()), () => {});
  assert.equal(none.problem, undefined);
  assert.ok(none.excuses.has("not kept"));
  const one = await judged(moved(otherKeptConfigs[0] ?? assert.fail()), (cluster) => handLate(cluster, Infinity));
  assert.match(one.problem ?? "", /a connection to 192\.0\.2\.3\d .* is reset/);
});
