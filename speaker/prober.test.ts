import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import type { Pool } from "#pkg/config";
import { ApiError, type Backend } from "#pkg/k8s";
import type { InterfaceState, WireAnswer, WireQuestion } from "#pkg/layer2";
import { address } from "#pkg/net/testing";
import type { AddressPlacement } from "#pkg/placement";
import { createState } from "./core/state.ts";
import { SpeakerView } from "./core/view.ts";
import { Prober, type ProberOptions } from "./prober.ts";

const link: InterfaceState = {
  index: 1,
  name: "eth0",
  mac: "02:00:00:00:00:02",
  status: "answering",
  running: true,
  addresses: ["10.0.0.2/8"],
};
const well: WireAnswer = { macs: ["02:00:00:00:00:01"], connection: "accepts" };
const ip = address("10.1.0.1");

/** @param given what differs from a node beside the owner of one address */
function proberOf(given: Partial<ProberOptions["view"]> = {}, more: Partial<ProberOptions> = {}) {
  const asked: WireQuestion[] = [];
  const prober = new Prober({
    view: {
      node: "node2",
      placedCount: 0,
      probePlan: () => ({
        tests: [{ address: ip, owner: "node1", port: 80 }],
        own: undefined,
        isHere: false,
        nextHops: [],
        why: "",
      }),
      roundTest: () => undefined,
      placements: () => [].values() as IteratorObject<never, undefined>,
      poolOf: () => undefined,
      namesHere: (names) => names,
      ...given,
    },
    layer2: { interfaces: () => [link] },
    asker: {
      async ask(_link, questions) {
        asked.push(...questions);
        return new Map(questions.map((question) => [question, well]));
      },
    },
    members: {
      describe: async () => ({
        source: "memberlist",
        members: [{ node: "node1", addresses: ["10.0.0.1"], status: "alive", active: true }],
      }),
    },
    cluster: { backends: async () => [] },
    ...more,
  });
  return { prober, asked };
}

test("one question is answered at a time", async () => {
  const { promise, resolve } = Promise.withResolvers<ReadonlyMap<WireQuestion, WireAnswer>>();
  const { prober } = proberOf({}, { asker: { ask: () => promise } });
  const first = prober.probe(ip);
  assert.ok(prober.isBusy);
  resolve(new Map());
  await first;
  assert.ok(!prober.isBusy);
});

test("an address of its own link is asked for, and a routed one by the address of its node", async () => {
  const test = { address: address("198.51.100.1"), owner: "node1", port: 80, isRouted: true } as const;
  const { prober, asked } = proberOf();
  assert.deepEqual((await prober.probe(ip)).attempts, [
    { tested: { address: ip, owner: "node1", port: 80, interface: "eth0", answer: well } },
  ]);
  const routed = proberOf({ probePlan: () => ({ tests: [test], own: undefined, isHere: false, nextHops: [], why: "" }) });
  assert.deepEqual((await routed.prober.probe(ip)).attempts, [{ tested: { ...test, interface: "eth0", answer: well } }]);
  assert.deepEqual(
    [asked, routed.asked].flat().map(({ via, isSized }) => `${via} ${isSized}`),
    ["undefined true", "10.0.0.1 true"],
  );
});

test("an interface that a pool names by what it leads to is the one that this node knows", async () => {
  const pool = { interfaces: ["can_reach:203.0.113.9"] } as unknown as Pool;
  const state = createState({ node: "node2", ignoreExcludeLabel: false, hasRing: false });
  state.carriers.routes = new Map([["203.0.113.9", "eth0"]]);
  const view = new SpeakerView(state);
  const { prober } = proberOf({ poolOf: () => pool, namesHere: (names) => view.namesHere(names) });
  const tested = { address: ip, owner: "node1", port: 80, interface: "eth0", answer: well };
  assert.deepEqual((await prober.probe(ip)).attempts, [{ tested }]);
  state.carriers.routes = new Map([["203.0.113.9", "eth1"]]);
  const why = "no interface of this node has an address in its subnet";
  assert.deepEqual((await prober.probe(ip)).attempts, [{ owner: "node1", why }]);
});

test("what cannot be tried says why", async () => {
  const elsewhere = { layer2: { interfaces: () => [{ ...link, addresses: ["192.0.2.1/24"] }] } };
  const why = "no interface of this node has an address in its subnet";
  assert.deepEqual((await proberOf({}, elsewhere).prober.probe(ip)).attempts, [{ owner: "node1", why }]);
  const plan = { tests: [], own: undefined, isHere: false, nextHops: [], why: "no node announces it" };
  assert.deepEqual(await proberOf({ probePlan: () => plan }).prober.probe(ip), {
    attempts: [],
    own: undefined,
    isHere: false,
    nextHops: [],
    why: plan.why,
  });
});

test("a node that announces the address connects to it, and to some endpoints, its own first", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const backend = (host: string, node: string, at = port): Backend => ({ address: host, port: at, node });
  const all = [
    backend("127.0.0.1", "node1"),
    backend("127.0.0.1", "node1"),
    backend("127.0.0.1", "node3"),
    backend("127.0.0.1", "node2", 1),
  ];
  const own = { key: "default/web", port, portName: "http" };
  const here = { probePlan: () => ({ tests: [], own, isHere: true, nextHops: [], why: "" }) };
  const found = await proberOf(here, { cluster: { backends: async () => all } }).prober.probe(address("127.0.0.1"));
  assert.equal(found.own?.connection, "accepts");
  assert.deepEqual(
    found.own?.endpoints?.map(({ node, connection }) => `${node} ${connection}`),
    ["node2 refuses", "node1 accepts", "node1 accepts"],
  );
  const refused = async () => {
    throw new ApiError("Cannot read", 403, "Forbidden");
  };
  const without = await proberOf(here, { cluster: { backends: refused } }).prober.probe(address("127.0.0.1"));
  assert.equal(without.own?.endpoints, undefined);
  server.close();
});

test("a round goes through all addresses in parts of 100 questions", async () => {
  const placements = Array.from({ length: 250 }, (_, index) => [
    { address: address(`10.2.0.${index}`) },
  ]) as unknown as AddressPlacement[][];
  const { prober, asked } = proberOf({
    placedCount: 250,
    placements: () => placements.values(),
    roundTest: ({ address }) => ({ address, owner: "node1", port: 80 }),
  });
  const parts: number[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const part = await prober.round(from);
    parts.push(part.attempts.length);
    from = part.next;
  }
  assert.equal(
    parts.reduce((sum, part) => sum + part),
    250,
  );
  assert.ok(
    parts.every((part) => part <= 100),
    `${parts}`,
  );
  assert.equal(new Set(asked.map(({ address }) => address.toString())).size, 250);
  assert.ok(asked.every(({ isSized }) => isSized === false));
});
