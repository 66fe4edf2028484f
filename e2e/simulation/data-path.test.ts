// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawDelivery } from "./cluster/draw-delivery.ts";
import { type Act, firstConfig, type History } from "./cluster/history.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";
import type { SimulatedCluster } from "./cluster/simulated-cluster.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.DELIVERY_SEEDS ?? 12);
const from = Number(process.env.DELIVERY_FROM ?? 1);

test(`a node that cannot deliver leaves what it has to nodes that can, whatever else goes wrong (${count} seeds from ${from})`, async () => {
  for (let seed = from; seed < from + count; seed++) {
    if ((await run(drawDelivery(seed))).problem === undefined) continue;
    const shortest = await shrink(drawDelivery(seed));
    const { problem, transcript } = await run(shortest);
    assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
  }
});

const spec = { isDual: false, wanted: undefined, sharing: undefined, port: 80, endpoints: [0, 1, 2], isLocal: false };
const services = {
  a: { ...spec, pool: "lan" },
  b: { ...spec, pool: "sticky" },
  c: { ...spec, pool: "both" },
  d: { ...spec, pool: "nic" },
  e: { ...spec, pool: "strict" },
};
/** When a scene looks: the beginning takes 8 s. */
const beginning = 8_000;

/** Nodes that answer for anything, at these times after the beginning. */
async function answering(acts: History["acts"], times: readonly number[], more: Partial<History> = {}): Promise<number[][]> {
  const found = new Map<number, number[]>();
  const observe = (cluster: SimulatedCluster) => {
    for (const time of times)
      if (cluster.now >= beginning + time && !found.has(time))
        found.set(time, [...new Set([...cluster.owners().values()].flat())].sort());
  };
  const { problem } = await run({ seed: 7, nodes: 3, loss: 0, config: firstConfig, services, acts, ...more }, { observe });
  assert.equal(problem, undefined);
  return times.map((time) => found.get(time) ?? []);
}

const broken = (node: number, length: number): Act => ({ type: "breakPath", node, length });

test("a node that cannot deliver has no address 2 s later, and has its own again after 30 s of health", async () => {
  const [before, after, during, held, back] = await answering(
    [{ at: 1_000, act: broken(0, 20_000) }],
    [500, 3_000, 20_000, 45_000, 60_000],
  );
  assert.ok(before?.includes(0));
  for (const nodes of [after, during, held]) assert.ok(!nodes?.includes(0) && nodes?.length === 2);
  assert.ok(back?.includes(0));
});

test("a node that fails every 100 s for ten minutes gets addresses twice in that time, and once it is well", async () => {
  const acts = [0, 1, 2, 3, 4, 5].map((index) => ({ at: 1_000 + index * 100_000, act: broken(0, 5_000) }));
  const got: number[] = []; // When node 0 had addresses after it had none.
  let had = false;
  const observe = (cluster: SimulatedCluster) => {
    const has = cluster
      .owners()
      .values()
      .some((nodes) => nodes.includes(0));
    if (has && !had) got.push(cluster.now);
    had = has;
  };
  const history = { seed: 7, nodes: 3, loss: 0, failoverMs: 10, config: firstConfig, services, acts };
  assert.equal((await run(history, { observe })).problem, undefined);
  assert.equal(got.filter((at) => at > beginning && at < beginning + 600_000).length, 2, `${got}`);
  assert.ok(had, "it is well");
});

test("a node that delivers IPv4 alone keeps what it has of IPv4, and IPv6 has another owner 2 s later", async () => {
  const dual = { a: { ...spec, pool: "lan", isDual: true }, b: { ...spec, pool: "sticky", isDual: true } };
  const seen = new Map<number, ReadonlyMap<string, readonly number[]>>();
  const observe = (cluster: SimulatedCluster) => {
    for (const time of [500, 4_000])
      if (cluster.now >= beginning + time && !seen.has(time))
        seen.set(time, new Map([...cluster.owners()].map(([a, all]) => [a, [...all]])));
  };
  for (const node of [0, 1, 2]) {
    const act: Act = { type: "breakPath", node, of: ["IPv6"], length: 20_000 };
    const history = { seed: 7, nodes: 3, loss: 0, config: firstConfig, services: dual, acts: [{ at: 1_000, act }] };
    seen.clear();
    assert.equal((await run(history, { observe })).problem, undefined);
    const [before, after] = [seen.get(500), seen.get(4_000)];
    assert.equal(before?.size, 4);
    for (const [address, owners] of before ?? []) {
      const stays = !address.includes(":") || !owners.includes(node);
      if (stays) assert.deepEqual(after?.get(address), owners, `${address} with node ${node}`);
      else assert.ok(!after?.get(address)?.includes(node) && after?.get(address)?.length === 1, `${address} with node ${node}`);
    }
  }
});

test("where all nodes fail at once nothing stops, and the first that is well again has all", async () => {
  const acts = [0, 1, 2].map((node) => ({ at: 1_000, act: broken(node, node === 1 ? 5_000 : 60_000) }));
  const [before, all, one] = await answering(acts, [500, 5_000, 50_000]);
  assert.deepEqual([before, all, one], [[0, 1, 2], [0, 1, 2], [1]]);
});

test("beside a speaker of an earlier version all is as if every node could deliver", async () => {
  const acts = [
    { at: 0, act: { type: "otherVersion", node: 2, length: 60_000 } },
    { at: 20_000, act: broken(0, 20_000) },
  ] as const;
  const [during] = await answering(acts, [30_000]);
  assert.deepEqual(during, [0, 1, 2]);
});

test("with loss, stalls, a cut in three and a node that is killed, each address has one owner all the same", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const acts: History["acts"] = [
      { at: 1_000, act: broken(seed % 3, 30_000) },
      { at: 1_000 + 400 * seed, act: { type: "stallSpeaker", node: (seed + 1) % 3, length: 3_000 } },
      { at: 9_000, act: { type: "cut", parts: [0, 1, 2], length: 5_000 } },
      { at: 20_000, act: { type: "killSpeaker", node: (seed + 2) % 3, length: 2_000 } },
    ];
    await answering(acts, [], { seed, loss: [0, 0.05, 0.1][seed % 3] ?? 0 });
  }
});

test("a speaker that starts again beside a kube-proxy that stands still does not take what its node cannot serve, not even for a moment", async () => {
  const [node, others] = [1, [0, 2]];
  const late = { ...spec, pool: "lan", isLocal: true, endpoints: others };
  for (const more of [{}, { b: { ...late, port: 81, endpoints: [0, 1, 2] } }]) {
    const acts: History["acts"] = [
      { at: 0, act: { type: "stopProxy", node, length: 60_000 } },
      { at: 1_000, act: { type: "service", name: "late", spec: { ...late, endpoints: [node, ...others] } } },
      { at: 20_000, act: { type: "restartSpeakers", nodes: [node], inOrder: false, length: 1_000 } },
    ];
    const answering: Millis[] = [];
    const observe = (cluster: SimulatedCluster) => {
      const [address = ""] = cluster.people.status("late");
      if (cluster.owners().get(address)?.includes(node)) answering.push(cluster.now - beginning);
    };
    const services = { late, ...more };
    const history = { seed: 7, nodes: 3, loss: 0, hasHealthPorts: true, config: firstConfig, services, acts };
    assert.equal((await run(history, { observe })).problem, undefined);
    assert.ok(answering.some((at) => at < 8_000));
    assert.deepEqual(
      answering.filter((at) => at > 15_000 && at < 60_000),
      [],
    );
  }
});

test("while no node sees the API, a node that cannot deliver goes on until another one announces the address, which may know of no endpoint of its own", async () => {
  const local = { ...spec, isLocal: true };
  // Node 1 loses the API before it gets an endpoint, or afterwards.
  const scenes = [
    { isKnown: false, node: 0, next: 0 },
    { isKnown: true, node: 0, next: 1 },
    { isKnown: true, node: 1, next: 0 },
  ];
  for (const pool of ["lan", "sticky"])
    for (const { isKnown, node, next } of scenes) {
      const services = { a: { ...local, pool, endpoints: [0] } };
      const acts: History["acts"] = [
        { at: isKnown ? 8_000 : 2_000, act: { type: "cutApi", node: 1, length: 52_000 } },
        { at: 6_000, act: { type: "service", name: "a", spec: { ...local, pool, endpoints: [0, 1] } } },
        { at: 8_000, act: { type: "cutApi", node: 0, length: 52_000 } },
        { at: 8_000, act: { type: "cutApi", node: 2, length: 52_000 } },
        { at: 15_000, act: broken(node, 30_000) },
      ];
      assert.deepEqual(await answering(acts, [24_000], { services }), [[next]], `${pool}, known: ${isKnown}`);
    }
});
