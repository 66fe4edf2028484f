import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, seeds } from "#pkg/clock/testing";
import { service } from "#pkg/k8s/testing";
import { families, type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { drainLabel, excludeLabel, type Labels, outOfServiceTaint, ownerOf } from "#pkg/placement";
import { annotations } from "#pkg/service";
import { Bench, eth0, gossipTo, nodes, pools } from "../testing/speaker-bench.ts";

const changes = 15;
/** Seeds that have found something. */
const found = [76, 145];
/** From this seed on there is no ring. */
const withoutRing = 1_000_000;
const self = "node1";
const lan = "name: lan, addresses: [192.0.2.0/28, 'fd00::/124'], protocol:";
const byNamespace = "{namespaces: [other], interfaces: [eth1], preferred-nodes: [{weight: 5, match-labels: {edge: here}}]}";
const byLabels = "{namespace-selectors: [{match-labels: {team: a}}], node-selectors: [{match-labels: {edge: here}}]}";
const lanPools = [
  `{${lan} layer2}`,
  `{${lan} layer2, interfaces: [eth1]}`,
  `{${lan} layer2, interfaces: ['can_reach:10.9.9.9']}`,
  `{${lan} layer2, l2-placement: subnet}`,
  `{${lan} layer2, announce-when: alive, preferred-nodes: [{weight: 10, match-labels: {edge: here}}]}`,
  `{${lan} layer2, node-selectors: [{match-labels: {edge: here}}]}`,
  `{${lan} layer2, layer2-advertisements: [{interfaces: [eth0]}, ${byNamespace}, ${byLabels}]}`,
  `{${lan} layer2, layer2-advertisements: [{service-selectors: [{match-labels: {app: x}}], interfaces: [eth1]}]}`,
  `{${lan} [layer2, bgp]}`,
  `{${lan} bgp}`,
  `{${lan} none}`,
  `{${lan} interface}`,
  `{${lan} interface, placement: lan}`,
  `{${lan} [interface, bgp], placement: auto}`,
];
const far = "name: far, addresses: [198.51.100.0/28], protocol:";
const farPools = [
  `{${far} bgp}`,
  `{${far} bgp, announce-when: alive}`,
  `{${far} bgp, bgp-advertisements: [{}, {peers: [b], aggregation-length: 28}]}`,
  `{${far} bgp, bgp-advertisements: [{node-selectors: [{match-labels: {edge: here}}]}, {namespaces: [other], med: 1}]}`,
  `{${far} bgp, bgp-advertisements: [{service-selectors: [{match-labels: {app: x}}]}, {namespace-selectors: [{match-labels: {team: a}}]}]}`,
  `{${far} layer2}`,
];
const peer = "my-asn: 64512, peer-asn: 64513, graceful-shutdown-time: 5s, peer-address:";
const peers = [
  `{name: a, ${peer} 203.0.113.1}, {name: b, ${peer} 203.0.113.2}`,
  `{name: a, ${peer} 203.0.113.1}, {name: b, ${peer} 203.0.113.2, node-selectors: [{match-labels: {edge: here}}]}`,
  `{name: a, ${peer} 203.0.113.1}, {name: b, ${peer} gateway}`,
];
const keys = ["default/s0", "other/s1", "default/s2", "other/s3"];
const ips = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1", "198.51.100.2", "fd00::1", "fd00::2"];

type Chance = (limit: number) => number;

/** One speaker and what the others tell it. */
class Speaker {
  readonly bench: Bench;
  readonly ring: ReturnType<typeof gossipTo> | undefined;
  readonly told = new Map<string, string>(); // key of an own entry of gossip -> its value
  readonly nics = [eth0, eth0];

  constructor(hasRing: boolean) {
    this.bench = new Bench(self, { hasRing });
    this.ring = hasRing ? gossipTo(this.bench) : undefined;
    this.bench.onGossip = (entries) => {
      for (const { key, value } of entries) this.told.set(key, Buffer.from(value).toString("hex"));
    };
    this.bench.runner.dispatch({ type: "dataPath", faults: { IPv4: [], IPv6: [] }, hasPods: true });
  }

  rest(): void {
    for (let count = 0; count < 16; count++) {
      this.bench.settle();
      this.bench.clock.advanceBy(25_000);
    }
    this.bench.settle();
  }

  seesApi(sees: boolean): void {
    this.bench.runner.dispatch({ type: "apiLost", since: sees ? Infinity : this.bench.clock.now() });
  }

  /** Its effects, and what it tells others and people. */
  get shown() {
    const { state, wire, kernelAnswers, routes, kernel, followed, isLeaving } = this.bench;
    const placements = [...state.placements].map(([key, all]) => {
      const each = all.map((one) => {
        const verdicts = [...one.verdicts].map(([service, found]) => [service, found.announced || found.reason]);
        return [one.protocol, one.pool, ownerOf(one), one.entry, one.candidates.join(), verdicts];
      });
      return [key, each];
    });
    return {
      wire: [...wire].sort(),
      answers: [...kernelAnswers].filter((key) => wire.has(key)).sort(),
      routes: [...routes].sort(),
      kernel: [...kernel].map(([key, items]) => `${key} ${items.map(({ interface: name }) => name)}`).sort(),
      followed,
      isLeaving,
      told: [...this.told].filter(([key, value]) => value !== "" && key !== "d").sort(),
      deliveries: [...state.bgp.deliveries].sort(),
      announcements: [...state.status.announcements].sort(),
      obstacles: [...state.status.obstacles].sort(),
      placements: placements.sort(),
    };
  }
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

function drawLabels(chance: Chance): Labels {
  const drained = chance(2) === 0 ? "" : "when-cordoned";
  return {
    ...(chance(2) === 0 && { edge: "here" }),
    ...(chance(4) === 0 && { [drainLabel]: drained }),
    ...(chance(6) === 0 && { [excludeLabel]: "" }),
  };
}

/** Parts of the world, each drawn as what tells a speaker of it. */
const parts: readonly ((chance: Chance) => (to: Speaker) => void)[] = [
  (chance) => {
    const [near, other, those] = [lanPools, farPools, peers].map((all) => all[chance(all.length)]);
    return ({ bench }) => bench.setConfig(pools(`${near}, ${other}`, those));
  },
  ...[0, 1].map((index) => (chance: Chance) => {
    const subnet = ["192.0.2.101/24", "198.51.100.101/24"][index] ?? "";
    const addresses = chance(4) === 0 ? [] : [subnet, `fe80::${index}/64`];
    const [running, status] = [chance(4) > 0, chance(6) === 0 ? "down" : "answering"] as const;
    return ({ bench, nics }: Speaker) => {
      nics[index] = { ...eth0, index: 2 + index, name: `eth${index}`, addresses, running, status };
      bench.setInterfaces(...nics);
    };
  }),
  (chance) => {
    const name = ["eth0", "eth1", undefined][chance(3)];
    const gateways = name === undefined ? [] : [{ address: address("203.0.113.9"), interface: name, metric: 1 }];
    return ({ bench: { runner } }) => {
      runner.dispatch({ type: "routes", interfaces: new Map(name === undefined ? [] : [["10.9.9.9", name]]) });
      runner.dispatch({ type: "gateways", gateways: { IPv4: gateways, IPv6: [] } });
    };
  },
  (chance) => {
    const failure = chance(2) === 0 ? "none" : undefined;
    return ({ bench }) => bench.runner.dispatch({ type: "kernel", failure, problems: new Map() });
  },
  (chance) => {
    const active = nodes.filter((node) => node === self || chance(3) > 0);
    return ({ bench }) => bench.membersChanged(active);
  },
  ...nodes.map((node) => (chance: Chance) => {
    const [labels, isCordoned] = [drawLabels(chance), chance(3) === 0];
    const taints = [...(isCordoned ? ["node.kubernetes.io/unschedulable"] : []), ...(chance(8) === 0 ? [outOfServiceTaint] : [])];
    return ({ bench }: Speaker) => bench.setNode(node, labels, taints, [], isCordoned);
  }),
  ...nodes.slice(1).map((node) => (chance: Chance) => {
    const subnets = ["192.0.2.0/24", "198.51.100.0/24"].map((text, index) => [`eth${index}`, [prefix(text)]] as const);
    const interfaces = new Map(subnets.filter(() => chance(3) > 0));
    const [hasKernelAccess, undelivered] = [chance(3) > 0, families.filter(() => chance(4) === 0)];
    const left = ips.filter(() => chance(5) === 0);
    const delivery = (["noPeer", "carried", "noSession"] as const)[chance(3)] ?? "noPeer";
    const view = (["current", "current", "behind", "old"] as const)[chance(4)] ?? "current";
    return ({ ring }: Speaker) => {
      if (ring === undefined) return;
      const { others, hear } = ring;
      const { state } = others.find(({ name }) => name === node) ?? assert.fail();
      state.setReachability({ answers: interfaces.size > 0, hasKernelAccess, interfaces });
      state.setUndelivered(undelivered);
      for (const ip of ips) state.setUndeliveredAt(address(ip), left.includes(ip));
      state.setDeliveries(new Map(["lan", "far"].map((pool) => [pool, { IPv4: delivery, IPv6: delivery }])));
      state.setView(view);
      hear();
    };
  }),
  ...["default", "other"].map((name) => (chance: Chance) => {
    const labels = [undefined, {}, { team: "a" }][chance(3)];
    return ({ bench }: Speaker) => bench.runner.dispatch({ type: "namespace", name, labels });
  }),
  ...keys.map((key) => (chance: Chance) => {
    const slices = families.map((family) => {
      const on = chance(5) === 0 ? [] : nodes.filter(() => chance(3) > 0);
      return { family, ready: Object.fromEntries(on.map((node) => [node, chance(4) > 0])) };
    });
    if (chance(5) === 0) return ({ bench }: Speaker) => bench.setService(key, undefined);
    const asks = [{ [annotations.pool]: "lan,far" }, { [annotations.sharing]: "k" }, {}][chance(3)] ?? {};
    const one = service(key, {
      ingress: ips.filter(() => chance(3) === 0),
      created: chance(4),
      labels: chance(2) === 0 ? { app: "x" } : {},
      selector: chance(2) === 0 ? { app: "a" } : {},
      externalTrafficPolicy: chance(3) === 0 ? "Local" : "Cluster",
      annotations: asks,
    });
    return ({ bench }: Speaker) => {
      bench.setService(key, one);
      for (const { family, ready } of slices) bench.endpoints(key, ready, family);
    };
  }),
  (chance) => {
    const carried = ["203.0.113.1:179", "203.0.113.2:179", "203.0.113.9:179"].filter(() => chance(2) === 0);
    return ({ bench }) => bench.runner.dispatch({ type: "sessions", carried: new Map(carried.map((key) => [key, families])) });
  },
  (chance) => {
    const faults = { IPv4: chance(2) === 0 ? [] : (["conntrackFull"] as const), IPv6: [] };
    return ({ bench }) => bench.runner.dispatch({ type: "dataPath", faults, hasPods: true });
  },
];

test("whatever a speaker has been through, it announces and says what one does that begins in the present state of all things", () => {
  for (const seed of [...seeds(60), ...found, ...seeds(20).map((one) => one + withoutRing)]) {
    const random = seededRandom(seed);
    const chance: Chance = (limit) => Math.floor(random() * limit);
    const present = parts.map((draw) => draw(chance));
    const one = new Speaker(seed < withoutRing);
    for (const tell of present) tell(one);
    one.bench.start();
    for (let count = 0; count < changes; count++) {
      const index = chance(parts.length);
      const tell = parts[index]?.(chance) ?? assert.fail();
      present[index] = tell;
      tell(one);
      if (chance(4) === 0) one.seesApi(chance(2) === 0);
      if (chance(3) === 0) one.bench.clock.advanceBy(chance(3) === 0 ? 6_000 : chance(1_500));
      if (chance(2) === 0) one.bench.proceed();
    }
    one.seesApi(true);
    one.rest();
    const other = new Speaker(seed < withoutRing);
    for (const tell of present) tell(other);
    other.bench.start();
    other.rest();
    assert.deepEqual(one.shown, other.shown, `seed ${seed}`);
  }
});
