import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { families } from "#pkg/net";
import type { ServiceSpec } from "./api/objects.ts";
import { withoutEarlier } from "./draw-outages.ts";
import { type Act, firstConfig, type History } from "./history.ts";

const spec: ServiceSpec = {
  pool: "lan",
  isDual: false,
  wanted: undefined,
  sharing: undefined,
  port: 80,
  endpoints: [],
  isLocal: false,
};

// Beyond the seeds of histories.
const proxySeeds = 2 ** 30;
const blindSeeds = 2 ** 31;

/** What `drawDelivery` draws by, and what happens in each of its histories. */
interface Drawn {
  readonly nodes: number;
  readonly all: readonly number[];
  readonly pick: (limit: number) => number;
}

/** Two or three things at once, of which one alone would be harmless. */
const coincidences: readonly ((drawn: Drawn) => readonly Timed<Act>[])[] = [
  // Packets from one node to another get lost while speakers are replaced.
  ({ nodes, pick }) => [
    { at: pick(4_000), act: { type: "cutOneWay", from: [pick(nodes)], to: [pick(nodes)], length: 2_000 + pick(15_000) } },
    { at: pick(4_000), act: { type: "rollOut", length: nodes * 10_000 } },
  ],
  // A speaker that stood still goes on while the node that took over loses its NIC.
  ({ nodes, pick }) => {
    const [at, node, length] = [pick(2_000), pick(nodes), 100 + pick(4_000)];
    const others = Array.from({ length: nodes - 1 }, (_, index) => (node + 1 + index) % nodes);
    const unplugged = others.slice(0, 1 + pick(others.length));
    return [
      { at, act: { type: "stallSpeaker", node, length } },
      ...unplugged.map(
        (other): Timed<Act> => ({
          at: at + length - pick(100),
          act: { type: "unplug", node: other, length: pick(6_000) },
        }),
      ),
    ];
  },
  // A node is drained, or excluded, while it or another one cannot deliver.
  ({ nodes, pick }) => [
    {
      at: pick(6_000),
      act: { type: pick(2) === 0 ? "drain" : "exclude", node: pick(nodes), length: 3_000 + pick(20_000) },
    },
  ],
  // A rollout replaces kube-proxy on one node after the other.
  ({ all, pick }) => {
    const [pause, length] = [500 + pick(6_000), 300 + pick(5_000)];
    return all.map((node) => ({ at: node * pause, act: { type: "breakPath", node, length } }));
  },
  // The speaker of a node that cannot deliver starts again, maybe more than once, or all of them do.
  ({ nodes, all, pick }) => {
    const [at, node, length] = [pick(2_000), pick(nodes), 15_000 + pick(40_000)];
    const restarts = Array.from({ length: 1 + pick(2) }, (): Timed<Act> => {
      const of = pick(4) === 0 ? all : [node];
      const act: Act = { type: "restartSpeakers", nodes: of, inOrder: pick(2) === 0, length: pick(6_000) };
      return { at: at + pick(length), act };
    });
    return [{ at, act: { type: "breakPath", node, length } }, ...restarts];
  },
  // Services that share an address are one while IPv6 alone fails.
  ({ nodes, pick }) => [
    { at: pick(3_000), act: { type: "breakPath", node: pick(nodes), of: ["IPv6"], length: 3_000 + pick(40_000) } },
    { at: pick(20_000), act: { type: "service", name: "shared1", spec: undefined } },
  ],
  // The first endpoint of a Service comes up on a node that cannot deliver, and a second one elsewhere later.
  ({ nodes, all, pick }) => {
    const [node, at, isLocal] = [pick(nodes), 2_000 + pick(3_000), pick(2) === 0];
    const first: ServiceSpec = { ...spec, pool: (["lan", "sticky", "both"] as const)[pick(3)] ?? "lan", isLocal };
    return [
      { at: 0, act: { type: "service", name: "first", spec: first } },
      { at: 0, act: { type: "breakPath", node, length: 20_000 + pick(20_000) } },
      { at, act: { type: "service", name: "first", spec: { ...first, endpoints: [node] } } },
      { at: at + pick(10_000), act: { type: "service", name: "first", spec: { ...first, endpoints: all } } },
    ];
  },
  // No node delivers, and they are well again one after the other, maybe while something happens to one of them.
  ({ all, pick }) => {
    const [pause, length] = [pick(12_000), 2_000 + pick(20_000)];
    const order = all.map((node) => ({ node, by: pick(1_000) })).sort((a, b) => a.by - b.by);
    const node = pick(all.length);
    const others: readonly Act[] = [
      { type: "drain", node, length: 60_000 },
      { type: "killSpeaker", node, length: pick(8_000) },
      { type: "cutApi", node, length: 40_000 },
    ];
    return [
      ...order.map(
        ({ node: broken }, index): Timed<Act> => ({
          at: pick(2_000),
          act: { type: "breakPath", node: broken, length: length + index * pause },
        }),
      ),
      ...others.filter(() => pick(2) === 0).map((act): Timed<Act> => ({ at: pick(30_000), act })),
    ];
  },
  // A node works and does not, again and again.
  ({ nodes, pick }) => {
    const node = pick(nodes);
    const [pause, length] = [3_000 + pick(40_000), 1_000 + pick(4_000)];
    return Array.from({ length: 2 + pick(4) }, (_, index): Timed<Act> => {
      return { at: index * (pause + length), act: { type: "breakPath", node, length } };
    });
  },
  // Speakers stand still for 50 to 500 ms again and again, of the node that cannot deliver or of another one.
  ({ nodes, pick }) => {
    const [broken, node, pause] = [pick(nodes), pick(nodes), 600 + pick(3_000)];
    const stalls = Array.from({ length: 3 + pick(8) }, (_, index): Timed<Act> => {
      return { at: index * pause, act: { type: "stallSpeaker", node, length: 50 + pick(450) } };
    });
    return [{ at: pick(4_000), act: { type: "breakPath", node: broken, length: 2_000 + pick(20_000) } }, ...stalls];
  },
  // A node cannot deliver while it or another one loses the API, its clock jumps, its NIC or its speaker changes.
  ({ nodes, pick }) => {
    const [broken, node, length] = [pick(nodes), pick(nodes), 5_000 + pick(40_000)];
    const others: readonly Act[] = [
      { type: "cutApi", node, length: 5_000 + pick(90_000) },
      { type: "setClock", node, seconds: (pick(2) === 0 ? 1 : -1) * pick(3_600) },
      { type: "netAdmin", node, length: 20_000 },
      { type: "otherVersion", node, length: 10_000 + pick(20_000) },
      { type: "endThread", node, length: 1_000 + pick(3_000) },
      { type: "cutRouter", node, cut: "both", length: 5_000 + pick(20_000) },
      { type: "deleteNode", node, isOff: false, moves: false, length: pick(10_000) },
    ];
    const other = others[pick(others.length)] ?? { type: "compact" };
    return [
      { at: pick(4_000), act: { type: "breakPath", node: broken, length } },
      { at: pick(length), act: other },
    ];
  },
  // The only endpoint of a Local Service is on a node that cannot deliver, and goes to another one.
  ({ nodes, pick }) => {
    const [node, length] = [pick(nodes), 10_000 + pick(30_000)];
    const one = { ...spec, pool: (["lan", "sticky", "both", "routed"] as const)[pick(4)] ?? "lan", isLocal: true };
    return [
      { at: 0, act: { type: "service", name: "one", spec: { ...one, endpoints: [node] } } },
      { at: 2_000 + pick(2_000), act: { type: "breakPath", node, length } },
      { at: 6_000 + pick(length), act: { type: "service", name: "one", spec: { ...one, endpoints: [pick(nodes)] } } },
    ];
  },
];

/** kube-proxy of a node, or of more, stands still and hears of no Pod that comes. Its speaker may start again, or the Pod goes before that is over. */
function stoppedProxies({ nodes, all, pick }: Drawn): readonly Timed<Act>[] {
  const [node, at, length] = [pick(nodes), pick(3_000), 15_000 + pick(60_000)];
  const stopped = [node, ...all.filter((other) => other !== node && pick(3) === 0)];
  const before = { ...spec, pool: (["lan", "sticky", "both"] as const)[pick(3)] ?? "lan", isLocal: true, port: 82 };
  const others: Timed<Act>[] = [
    { at: at + pick(length), act: { type: "restartSpeakers", nodes: [node], inOrder: pick(2) === 0, length: pick(6_000) } },
    { at: at + pick(length), act: { type: "service", name: "late", spec: { ...before, endpoints: [pick(nodes)] } } },
    { at: at + pick(length), act: { type: "cutApi", node, length: 5_000 + pick(30_000) } },
    { at: at + pick(length), act: { type: "drain", node: pick(nodes), length: 20_000 } },
  ];
  return [
    { at: 0, act: { type: "service", name: "late", spec: { ...before, endpoints: all.filter((one) => one !== node) } } },
    ...stopped.map((one): Timed<Act> => ({ at, act: { type: "stopProxy", node: one, length } })),
    { at: at + pick(4_000), act: { type: "service", name: "late", spec: { ...before, endpoints: all } } },
    ...others.filter(() => pick(3) === 0),
  ];
}

/**
 * All nodes that have endpoints of a Service lose the API, or all nodes at all, at once or one after the other, maybe for long enough that their views
 * are old, while one of them cannot deliver, its speaker ends, the endpoints change, or people drain, exclude or prefer a node.
 */
function withoutApi({ nodes, all, pick }: Drawn): readonly Timed<Act>[] {
  const blind = pick(3) === 0 ? all : all.filter(() => pick(3) > 0);
  const serving = blind.length > 0 ? blind : all;
  const length = 4_000 + pick(pick(2) === 0 ? 20_000 : 110_000);
  const [node, from] = [serving[pick(serving.length)] ?? 0, 2_000 + pick(3_000)];
  const isAtOnce = pick(2) === 0;
  const those = { ...spec, pool: (["lan", "sticky", "both", "nic"] as const)[pick(4)] ?? "lan", isLocal: true, port: 83 };
  const some = () => all.filter(() => pick(2) === 0);
  const moves = Array.from({ length: 3 }, (): Timed<Act> => {
    return { at: pick(length), act: { type: "service", name: "blind", spec: { ...those, endpoints: some() } } };
  });
  const ofNodes = (["drain", "exclude", "edge"] as const).map((type): Timed<Act> => {
    return { at: pick(length), act: { type, node: pick(nodes), length: pick(length) } };
  });
  const others: Timed<Act>[] = [
    ...moves,
    ...ofNodes,
    { at: pick(length), act: { type: "breakPath", node, length: 3_000 + pick(length) } },
    { at: pick(length), act: { type: "killSpeaker", node: pick(nodes), length: pick(8_000) } },
    { at: pick(length), act: { type: "stopSpeaker", node, length: pick(8_000) } },
    { at: pick(length), act: { type: "stallSpeaker", node, length: 100 + pick(3_000) } },
  ];
  return [
    { at: 0, act: { type: "service", name: "blind", spec: { ...those, endpoints: serving } } },
    ...blind.map((one): Timed<Act> => ({ at: from + (isAtOnce ? 0 : pick(length)), act: { type: "cutApi", node: one, length } })),
    ...others.filter(() => pick(5) < 2).map(({ at, act }) => ({ at: 2_000 + at, act })),
  ];
}

/** A history, drawn by its seed, of nodes that cannot deliver while something else goes wrong; in most of them speakers watch one another by BFD. */
export function drawDelivery(seed: number): History {
  const random = seededRandom(seed);
  const pick = (limit: number): number => Math.floor(random() * limit);
  const nodes = 2 + pick(4);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const shared = { ...spec, isDual: true, wanted: "192.0.2.4,2001:db8::4", sharing: "k", endpoints: all };
  const services: Record<string, ServiceSpec> = {
    shared1: { ...shared, port: 80 },
    shared2: { ...shared, port: 81 },
    local: { ...spec, isLocal: true, endpoints: all.filter(() => pick(3) > 0) },
    sticky: { ...spec, pool: "sticky", isDual: pick(2) === 0, endpoints: all },
    both: { ...spec, pool: "both", endpoints: all },
    routed: { ...spec, pool: "routed", isLocal: pick(2) === 0, endpoints: all },
    nic: { ...spec, pool: "nic", endpoints: all },
  };
  const acts: Timed<Act>[] = [];
  const add = (from: Millis, others: readonly Timed<Act>[]) =>
    acts.push(...others.map(({ at, act }) => ({ at: from + at, act })));
  for (let count = 1 + pick(3); count > 0; count--)
    add(pick(20_000), coincidences[pick(coincidences.length)]?.({ nodes, all, pick }) ?? []);
  for (let count = pick(3); count > 0; count--) {
    const of = [families, ["IPv4"] as const, ["IPv6"] as const][pick(3)] ?? families;
    add(pick(20_000), [{ at: 0, act: { type: "breakPath", node: pick(nodes), of, length: pick(40_000) } }]);
  }
  if (pick(3) === 0) add(pick(20_000), [{ at: 0, act: { type: "killSpeaker", node: pick(nodes), length: pick(8_000) } }]);
  const ofProxies = seededRandom(seed + proxySeeds);
  const pickOther = (limit: number): number => Math.floor(ofProxies() * limit);
  if (seed % 3 === 0) add(pickOther(20_000), stoppedProxies({ nodes, all, pick: pickOther }));
  const ofBlind = seededRandom(seed + blindSeeds);
  const pickBlind = (limit: number): number => Math.floor(ofBlind() * limit);
  if (seed % 4 === 2) add(pickBlind(20_000), withoutApi({ nodes, all, pick: pickBlind }));
  const outages =
    seed % 4 === 2 ? acts.flatMap(({ at, act }) => (act.type === "cutApi" ? [{ from: at, to: at + act.length }] : [])) : [];
  acts.splice(0, acts.length, ...withoutEarlier(acts, outages).sort((a, b) => a.at - b.at));
  const loss = [0, 0, 0.05][pick(3)] ?? 0;
  const failoverMs = [10, 50, undefined][pick(3)];
  return { seed, nodes, loss, failoverMs, isSlow: seed % 4 === 1, hasHealthPorts: true, config: firstConfig, services, acts };
}
