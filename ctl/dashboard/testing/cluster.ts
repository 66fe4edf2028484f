import { setTimeout } from "node:timers/promises";
import { type CauseOf, type Kind, type VerdictDetails, verdict } from "#pkg/verdict";
import type { Api } from "../../cluster/api.ts";
import type { Processes } from "../../cluster/processes.ts";
import { type Answers, fakeProcesses } from "../../testing/processes.ts";

const since = "2026-01-02T03:01:00.000Z";

export interface FakeService {
  readonly key: string;
  readonly address: string;
  /** Empty: its pool has `protocol: none`. */
  readonly owner: string;
}

export interface FakeCluster {
  readonly nodes: readonly string[];
  readonly services: readonly FakeService[];
  /** Speakers that do not answer: node -> why. */
  readonly silent: Readonly<Record<string, string>>;
  /** How many more Services wait because the pool is full. */
  readonly waiting?: number;
  /** Open connections to each address at the first node that does not announce it. */
  readonly kept?: number;
  /** Why the API server does not answer. */
  readonly outage?: string;
  /** How long each answer takes that comes through the API server. */
  readonly slowMs?: number;
  /** The Deployment of the controller is scaled to 0. */
  readonly isWithoutController?: boolean;
  /** No node has a session with the router. */
  readonly isRouterDead?: boolean;
}

/** Services `default/web-N` with addresses of 10.0.0.0/8, one after another, owned by the nodes in turn. */
export function manyServices(count: number, nodes: readonly string[]): FakeService[] {
  return Array.from({ length: count }, (_, index) => {
    const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
    return { key: `default/web-${index}`, address, owner: nodes[index % nodes.length] ?? "" };
  });
}

/** Processes that answer for the cluster as `cluster()` has it whenever they are asked. */
export function clusterProcesses(cluster: () => FakeCluster): Processes {
  const pods = ["controller-n1", ...cluster().nodes.map((node) => `speaker-${node}`)];
  const { targets } = fakeProcesses(Object.fromEntries(pods.map((pod) => [pod, {}])));
  return {
    get targets() {
      const isWithout = cluster().isWithoutController === true;
      return targets.filter(({ program }) => !isWithout || program !== "controller");
    },
    async get(target, path) {
      const now = cluster();
      if (now.slowMs !== undefined) await setTimeout(now.slowMs);
      const why = now.outage ?? (target.program === "speaker" ? now.silent[target.node] : undefined);
      if (why !== undefined) throw new Error(why);
      const answers = target.program === "controller" ? controllerAnswers(now) : speakerAnswers(now, target.node);
      return fakeProcesses({ [target.pod]: answers }).get(target, path);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** An API that has the Deployment of the controller. */
export function clusterApi(cluster: () => FakeCluster): Api {
  const metadata = { name: "controller", labels: { app: "metallb", component: "controller" } };
  const unread = async () => ({ type: "unread", why: "nobody asks" }) as const;
  return {
    server: "https://192.0.2.250:6443",
    read: unread,
    write: unread,
    async list(path) {
      const { outage, slowMs, isWithoutController = false } = cluster();
      if (slowMs !== undefined) await setTimeout(slowMs);
      if (outage !== undefined) return { type: "unread", why: outage };
      const spec = { replicas: isWithoutController ? 0 : 1 };
      return path.endsWith("/deployments") ? { type: "found", value: [{ metadata, spec }] } : { type: "absent" };
    },
  };
}

function dated<K extends Kind>(kind: K, cause: CauseOf<K>, details: VerdictDetails = {}) {
  return Object.assign(verdict(kind, cause, details), { since });
}

function controllerAnswers({ services, waiting = 0 }: FakeCluster): Answers {
  const self = { program: "controller", version: "1.0.0", leader: true };
  const pools = [
    {
      pool: "lan",
      protocol: "layer2",
      total: 2 ** 24,
      inUse: services.length,
      families: [{ family: "IPv4", total: 2 ** 24, inUse: services.length }],
      full: waiting > 0 ? ["IPv4"] : [],
      ranges: ["10.0.0.0-10.255.255.255"],
      avoidBuggyIPs: false,
      verdict:
        waiting > 0
          ? dated("pool", "full", { message: "pool lan has no free IPv4 address" })
          : dated("pool", "available", { message: `${services.length} are in use` }),
    },
  ];
  const assigned = services.map(({ key, address }) => ({
    service: key,
    pool: "lan",
    addresses: [address],
    verdict: dated("service", "assigned"),
  }));
  const evidence = [{ name: "pool", value: "lan", source: "allocator" }];
  const refused = dated("service", "poolFull", { message: 'pool "lan" has no free IPv4 address', evidence });
  const without = Array.from({ length: waiting }, (_, index) => ({
    service: `team/late-${index}`,
    pool: null,
    addresses: [],
    verdict: refused,
  }));
  const ofPools = pools.map(({ pool, verdict }) => ({ kind: "pool", name: pool, ...verdict }));
  return {
    "/v1/verdicts": { ...self, verdicts: ofPools },
    "/v1/services": { ...self, services: [...assigned, ...without] },
    "/v1/pools": { ...self, pools },
    "/v1/recorder": { ...self, found: [] },
    "/v1/configuration": { ...self, hash: "0123456789abcdef", missing: [], verdict: dated("configuration", "inForce") },
  };
}

function speakerAnswers(now: FakeCluster, node: string): Answers {
  const { nodes, services, silent, waiting = 0, kept = 0, isRouterDead = false } = now;
  const self = { program: "speaker", version: "1.0.0", node };
  const ready = { kind: "node", name: node, ...dated("node", "ready", { message: `the speaker on ${node} does its work` }) };
  const silence = { message: "10.0.0.1:179 does not answer: connect ETIMEDOUT", next: "see whether the router is up" };
  const said = isRouterDead ? dated("peer", "connectTimeout", silence) : dated("peer", "established");
  const peer = { kind: "peer", name: "10.0.0.1:179", ...said };
  const placed = services.map(({ key, address, owner }) => {
    const cause = owner === "" ? "protocolNone" : owner === node ? "announced" : "notOwner";
    const message = owner === "" ? {} : { message: `${owner} announces ${address} of pool lan by layer 2` };
    const verdict = dated("service", cause, message);
    const placed = owner === "" ? { protocol: null, owner: null } : { protocol: "layer2", owner };
    const one = { address, pool: "lan", ...placed, candidates: nodes, announced: owner === node, verdict };
    return { service: key, addresses: [one], endpoints: [{ nodeName: owner, ready: 2, draining: 0 }], verdict };
  });
  const without = Array.from({ length: waiting }, (_, index) => ({
    service: `team/late-${index}`,
    addresses: [],
    endpoints: [],
    verdict: dated("service", "noIPAllocated"),
  }));
  const active = (other: string) => silent[other] === undefined;
  const members = nodes.filter(active).map((other) => ({
    node: other,
    addresses: [],
    status: "alive",
    active: true,
    ...(other !== node && { roundTripMs: 0.4 }),
  }));
  const session = {
    peer: "10.0.0.1:179",
    state: isRouterDead ? "idle" : "established",
    leaving: false,
    prefixesWanted: 2,
    prefixesAnnounced: 2,
    flaps: 1,
  };
  const tookOver = { type: "tookOver", address: { "@ip": "10.0.0.1" }, from: "node9", cause: "failed", afterMs: 310 };
  const at = new Date(Date.now() - 30 * 60_000).toISOString(); // Before the page's program began to look.
  const found = node === nodes[0] ? [{ at, instant: 1_000, input: { type: "continue" }, decisions: [tookOver] }] : [];
  const bfd = { peer: "10.0.0.1", multihop: false, profile: "fast", verdict: "up", reason: "", session: { detectionMs: 150 } };
  const moved = services.filter(({ owner }) => kept > 0 && node === nodes.find((one) => one !== owner));
  return {
    "/v1/verdicts": { ...self, verdicts: [ready, peer] },
    "/v1/handovers": {
      ...self,
      failures: {},
      current: [],
      served: moved.map(({ address }) => ({ address, connections: kept, until: at })),
    },
    "/v1/node": { ...self, verdicts: [ready] },
    "/v1/services?problems&own": { ...self, services: [] },
    "/v1/services": { ...self, services: [...placed, ...without] },
    "/v1/pools": { ...self, pools: [{ pool: "lan", protocol: "layer2", verdict: dated("pool", "available") }] },
    "/v1/configuration": { ...self, hash: "0123456789abcdef", verdict: dated("configuration", "inForce") },
    "/v1/members": { source: "memberlist", timing: "fast", members },
    "/v1/conflicts": {
      conflicts: [],
      occupied: [{ address: "10.200.0.1", mac: "02:00:00:00:00:99", node, interface: "eth0", since }],
    },
    "/v1/recorder": { ...self, found },
    "/v1/bgp/peers": [session],
    "/v1/bfd/sessions": [bfd],
  };
}
