import type { JsonObject } from "#e2e/apiserver";
import { excludeLabel, outOfServiceTaint } from "#pkg/placement";
import type { CauseOf, Kind } from "#pkg/verdict";
import { keyOf, routerAddress } from "../cluster/api/objects.ts";
import { readySlice } from "../cluster/api/slices.ts";
import type { World } from "./world.ts";

/** A fault that can be there together with others, and that somebody mends. */
export interface MendableFault {
  /** Changes the ConfigMap's text. The text of all faults that are there is what it has. */
  readonly edit?: (text: string) => string;
  readonly plant?: (world: World) => void;
  readonly mend?: (world: World) => void;
  /** Where one is there, the other is not planted: they break and mend the same object. */
  readonly touches?: string;
  /** Causes that `ingotctl doctor` may name for it, alone or together with others; the first one it names where no other fault is there. */
  readonly causes: readonly { [K in Kind]: CauseOf<K> }[Kind][];
  /** While it is there the conditions of Services may be those of before. */
  readonly keepsConditions?: boolean;
  /** `ingotctl doctor` names it, where it has no cause of its own. */
  readonly says?: RegExp;
}

/** Nodes 0, 1 and 2 with a speaker each, and a router. */
export const nodeCount = 3;

export const mixedConfiguration = `peers:
- {name: tor, my-asn: 65001, peer-asn: 65002, peer-address: ${routerAddress}, hold-time: 9s, graceful-restart-time: 20s}
address-pools:
- {name: lan, protocol: layer2, addresses: [192.0.2.0-192.0.2.9]}
- {name: one, protocol: layer2, auto-assign: false, addresses: [192.0.2.10/32, "2001:db8::10-2001:db8::1f"]}
- {name: few, protocol: layer2, auto-assign: false, addresses: [192.0.2.12-192.0.2.13]}
- {name: fenced, protocol: layer2, auto-assign: false, namespaces: [team], addresses: [192.0.2.14/32]}
- {name: racked, protocol: layer2, auto-assign: false, node-selectors: [{match-labels: {rack: "9"}}], addresses: [192.0.2.16/30]}
- {name: routed, protocol: bgp, auto-assign: false, addresses: [203.0.113.16/28]}
- {name: both, protocol: [layer2, bgp], auto-assign: false, addresses: [192.0.2.24/30]}
quotas:
- {pools: [few], ipv4: 1}
`;

const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });
const key = (text: string) => ({ "metallb.universe.tf/allow-shared-ip": text });
const all = [0, 1, 2];

function onEach<T>(those: Iterable<T>, act: (one: T) => unknown): void {
  for (const one of those) act(one);
}

/** The Services of the world before anything is broken: one of each kind. */
export function exposeAll(world: World): void {
  world.expose("web", all, { annotations: ip("192.0.2.0") });
  world.expose("local", [1], { annotations: ip("192.0.2.1"), spec: { externalTrafficPolicy: "Local" } });
  world.expose("routed", all, { annotations: pool("routed") });
  world.expose("routed-local", [1], { annotations: pool("routed"), spec: { externalTrafficPolicy: "Local" } });
  world.expose("both", all, { annotations: pool("both") });
  world.expose("racked", all, { annotations: pool("racked") });
  world.patchNode(0, { metadata: { labels: { rack: "9" } } });
  world.expose("first", all, { annotations: pool("few") });
  world.expose("sharer", all, { annotations: { ...ip("192.0.2.5"), ...key("a") } });
}

const patchNode = (node: number, broken: JsonObject, mended: JsonObject): Pick<MendableFault, "plant" | "mend"> => ({
  plant: (world) => world.patchNode(node, broken),
  mend: (world) => world.patchNode(node, mended),
});
const label = (name: string, nodes: readonly number[], value: string | null = "") => ({
  plant: (world: World) => onEach(nodes, (node) => world.patchNode(node, { metadata: { labels: { [name]: value } } })),
  mend: (world: World) => onEach(nodes, (node) => world.patchNode(node, { metadata: { labels: { [name]: null } } })),
});
const request = (name: string, options: Parameters<World["expose"]>[2]): Pick<MendableFault, "plant" | "mend"> => ({
  plant: (world) => world.expose(name, all, options),
  mend: (world) => world.delete(name),
});
const endpoints = (world: World, service: string, nodes: readonly number[]) =>
  world.cluster.api.patch("endpointslices", keyOf(service), readySlice(service, nodes));
const cutApi = (nodes: readonly number[], cut: boolean) => (world: World) => {
  for (const node of nodes) {
    const speaker = world.cluster.speakers.get(node);
    if (speaker !== undefined) speaker.connection.isCut = cut;
  }
};

/** The node's connection to the API stays as it is. */
function restart({ cluster }: World, node: number): void {
  const isCut = cluster.speakers.get(node)?.connection.isCut === true;
  cluster.killSpeaker(node);
  cluster.startSpeaker(node);
  const speaker = cluster.speakers.get(node);
  if (speaker !== undefined) speaker.connection.isCut = isCut;
}

export const mendable: Readonly<Record<string, MendableFault>> = {
  "unknown-pool": { ...request("typo", { annotations: pool("laan") }), causes: ["unknownPool"] },
  "full-family": {
    plant: (world) => {
      world.expose("holder", all, { annotations: pool("one") });
      const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
      world.cluster.time.schedule(world.cluster.now + 2_000, () =>
        world.expose("late-one", all, { spec, annotations: pool("one") }),
      );
    },
    mend: (world) => {
      world.delete("late-one");
      world.delete("holder");
    },
    causes: ["full", "poolFull"],
  },
  quota: { ...request("late-few", { annotations: pool("few") }), causes: ["quotaExceeded"] },
  "address-outside": { ...request("late-out", { annotations: ip("198.51.100.1") }), causes: ["outsidePools"] },
  "pool-of-others": { ...request("late-team", { annotations: pool("fenced") }), causes: ["notForNamespace"] },
  "address-in-use": { ...request("late-use", { annotations: ip("192.0.2.0") }), causes: ["inUse"] },
  "sharing-key": {
    ...request("late-key", { annotations: { ...ip("192.0.2.5"), ...key("b") }, spec: { ports: [{ name: "p", port: 81 }] } }),
    causes: ["sharingKeyMismatch"],
  },
  "two-ways": {
    ...request("late-two", { annotations: ip("192.0.2.7"), spec: { loadBalancerIP: "192.0.2.8" } }),
    causes: ["malformedRequest"],
  },
  "node-selectors": {
    plant: (world) => world.patchNode(0, { metadata: { labels: { rack: null } } }),
    mend: (world) => world.patchNode(0, { metadata: { labels: { rack: "9" } } }),
    causes: ["noNodeSelected"],
  },
  "external-ips": {
    plant: (world) => world.apply("thief", { spec: { type: "ClusterIP", externalIPs: ["192.0.2.0"] } }),
    mend: (world) => world.delete("thief"),
    causes: ["externalIPs"],
  },
  "no-endpoints": {
    plant: (world) => endpoints(world, "web", []),
    mend: (world) => endpoints(world, "web", all),
    causes: ["noReadyEndpoint"],
  },
  "routed-no-endpoints": {
    plant: (world) => endpoints(world, "routed", []),
    mend: (world) => endpoints(world, "routed", all),
    causes: ["noReadyEndpoint"],
  },
  "one-excluded": { ...label(excludeLabel, [0]), causes: ["excluded", "nodeExcluded", "leaving"], touches: "labels" },
  "all-excluded": { ...label(excludeLabel, all), causes: ["excluded", "nodeExcluded", "leaving"], touches: "labels" },
  "one-drained": { ...label("ingot.dev/drain", [1], "true"), causes: ["drained", "leaving"] },
  cordoned: { ...patchNode(2, { spec: { unschedulable: true } }, { spec: { unschedulable: null } }), causes: ["draining"] },
  "out-of-service": {
    ...patchNode(0, { spec: { taints: [{ key: outOfServiceTaint, effect: "NoExecute" }] } }, { spec: { taints: [] } }),
    causes: ["outOfService", "noActiveSpeaker", "leaving"],
  },
  "one-speaker-gone": {
    plant: ({ cluster }) => cluster.killSpeaker(1),
    mend: ({ cluster }) => cluster.startSpeaker(1),
    touches: "speakers",
    causes: ["noReadyEndpointOnActiveNode"],
    says: /speaker-1 on node-1: it does not answer: /,
  },
  "all-speakers-gone": {
    plant: ({ cluster }) => onEach(all, (node) => cluster.killSpeaker(node)),
    mend: ({ cluster }) => onEach(all, (node) => cluster.startSpeaker(node)),
    touches: "speakers",
    keepsConditions: true,
    causes: ["noActiveSpeaker"],
    says: /speaker/,
  },
  "one-speaker-hangs": {
    plant: ({ cluster }) => cluster.stallSpeaker(2, 3_600_000),
    mend: (world) => restart(world, 2),
    causes: ["twoOwners", "waiting"],
    keepsConditions: true,
    says: /speaker-2 on node-2: it does not answer: /,
  },
  restarted: {
    plant: (world) => restart(world, 0),
    touches: "speakers",
    causes: [],
    says: /.*/,
  },
  "earlier-version": {
    plant: (world) => {
      world.cluster.earlier.add(0);
      restart(world, 0);
    },
    mend: (world) => {
      world.cluster.earlier.delete(0);
      restart(world, 0);
    },
    touches: "speakers",
    causes: [],
    says: /.*/,
  },
  "api-lost-on-one": { plant: cutApi([0], true), mend: cutApi([0], false), touches: "speakers", causes: ["apiViewOld"] },
  "api-lost-on-speakers": {
    plant: cutApi(all, true),
    mend: cutApi(all, false),
    touches: "speakers",
    keepsConditions: true,
    causes: ["apiUnreachable", "apiViewOld", "noIPAllocated"],
  },
  "no-controller": {
    plant: ({ cluster }) => onEach(cluster.controllers.keys(), (index) => cluster.killController(index)),
    mend: ({ cluster }) => onEach(cluster.controllers.keys(), (index) => cluster.startController(index)),
    touches: "controllers",
    keepsConditions: true,
    causes: ["noIPAllocated"],
    says: /controller/,
  },
  "leader-gone": {
    plant: ({ cluster }) => cluster.killController([...cluster.controllers].find(([, { isLeader }]) => isLeader)?.[0] ?? 0),
    mend: ({ cluster }) =>
      onEach(cluster.controllers, ([index, { process }]) => process.isRunning || cluster.startController(index)),
    touches: "controllers",
    causes: [],
    says: /controller-\d: it does not answer/,
  },
  "status-refused": {
    plant: (world) => {
      world.weather.refusesStatus = true;
      world.expose("late-status", all);
    },
    mend: (world) => {
      world.weather.refusesStatus = false;
      world.delete("late-status");
    },
    keepsConditions: true,
    causes: ["statusRefused", "notReported"],
  },
  "reports-refused": {
    plant: (world) => {
      world.weather.forbidden = "reports";
    },
    mend: (world) => {
      world.weather.forbidden = undefined;
    },
    keepsConditions: true,
    causes: ["notReported"],
    says: /.*/,
  },
  unplugged: {
    plant: ({ cluster }) => cluster.machines.setCarrier(2, false),
    mend: ({ cluster }) => cluster.machines.setCarrier(2, true),
    causes: ["noCarrier", "noInterface"],
    says: /.*/,
  },
  "no-path": {
    plant: ({ cluster }) => cluster.machines.setPath(0, false),
    mend: ({ cluster }) => cluster.machines.setPath(0, true),
    touches: "speakers",
    causes: ["cannotDeliver"],
  },
  "no-path-anywhere": {
    plant: ({ cluster }) => onEach(all, (node) => cluster.machines.setPath(node, false)),
    mend: ({ cluster }) => onEach(all, (node) => cluster.machines.setPath(node, true)),
    touches: "speakers",
    causes: ["nobodyDelivers", "cannotDeliver"],
  },
  "router-cut-from-one": {
    plant: ({ cluster }) => cluster.cutRouter(1, "both"),
    mend: ({ cluster }) => cluster.cutRouter(1, undefined),
    touches: "router",
    causes: ["connectTimeout", "holdTimerExpired", "connecting", "connectionLost", "someSessionsDown", "noSession"],
    says: /peer .*tor.* of node-1: /,
  },
  "router-gone": {
    plant: ({ cluster }) => cluster.routing.stopRouter("machine"),
    mend: ({ cluster }) => cluster.routing.startRouter("machine"),
    touches: "router",
    causes: ["connectTimeout", "holdTimerExpired", "connecting", "connectionLost", "noSession"],
    says: /peer .*tor/,
  },
  "peer-asn": {
    edit: (text) => text.replace("peer-asn: 65002", "peer-asn: 65009"),
    touches: "peer",
    causes: ["notificationSent", "noSession", "connecting"],
  },
  "no-peer": {
    edit: (text) => text.replace(/^- \{name: tor.*\n/m, "").replace("peers:\n", "peers: []\n"),
    touches: "peer",
    causes: ["noPeer"],
  },
  duplicate: {
    plant: ({ cluster }) => cluster.lan.startForeignHost("192.0.2.0"),
    mend: ({ cluster }) => cluster.lan.endForeignHost("192.0.2.0"),
    causes: ["addressConflict", "addressOccupied", "unidentifiedHost", "occupied"],
    says: /addressConflict|unidentifiedHost/,
  },
  "ring-cut": {
    plant: ({ cluster }) => {
      cluster.ring.cutOff([2]);
      cluster.lan.isWhole = true;
    },
    mend: ({ cluster }) => cluster.ring.heal(),
    causes: ["noActiveSpeaker", "twoOwners", "waiting", "ringPacketsLost", "addressConflict"],
    says: /do not see each other|waiting|ringPacketsLost/,
  },
  "unknown-field": {
    edit: (text) => text.replace("addresses: [192.0.2.0-", "adresses: [192.0.2.0-"),
    touches: "text",
    causes: ["invalid"],
  },
  strands: { edit: (text) => text.replace("192.0.2.0-192.0.2.9", "192.0.2.40-192.0.2.49"), touches: "text", causes: ["strands"] },
  "selects-nobody": {
    edit: (text) => text.replace("{name: lan,", '{name: lan, node-selectors: [{match-labels: {rack: "8"}}],'),
    causes: ["noNodeSelected"],
  },
  "wrong-interface": {
    edit: (text) => text.replace("{name: both,", "{name: both, interfaces: [eth9],"),
    causes: ["noInterface"],
  },
  "no-configmap": {
    plant: (world) => world.cluster.people.deleteConfig(),
    mend: () => {}, // The text is written after each change.
    touches: "text",
    causes: ["configMapMissing"],
  },
};

/** The ConfigMap's text with these faults. */
export function textOf(faults: readonly string[]): string {
  return faults.reduce((text, name) => mendable[name]?.edit?.(text) ?? text, mixedConfiguration);
}
