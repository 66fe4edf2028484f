import assert from "node:assert/strict";
import { test } from "node:test";
import { centralName } from "#pkg/gossip";
import { type CauseOf, type Verdict, verdict } from "#pkg/verdict";
import type { Examined } from "./examine.ts";
import { findingsOf } from "./findings.ts";

const target = (pod: string) => ({
  program: pod.startsWith("controller") ? ("controller" as const) : ("speaker" as const),
  pod,
  node: pod.replace(/^[a-z]+-/, ""),
  notRunning: undefined,
});
const pods = ["controller-n1", "speaker-n1", "speaker-n2", "speaker-n3"];
const speakers = pods.slice(1).map(target);
const since = "2026-01-02T03:01:00.000Z";
const inForce = { ...verdict("configuration", "inForce"), since };
const configuration = (pod: string, more: object = {}) => ({
  target: target(pod),
  body: { version: "1.0.0", hash: "a", verdict: inForce, ...(pod.startsWith("controller") && { leader: true }), ...more },
});
const sees = (...nodes: string[]) => ({
  source: "memberlist",
  members: nodes.map((node) => ({ node, status: "alive", active: true })),
});
/** Two speakers in one ring, and one without. */
const ringWithoutOne = [
  ...speakers.slice(0, 2).map((one) => ({ target: one, body: sees("n1", "n2") })),
  { target: target("speaker-n3"), body: { ...sees("n1", "n2", "n3"), source: "pods" as const } },
];

const well: Examined = {
  namespace: "metallb-system",
  targets: pods.map(target),
  unreachable: [],
  configurations: pods.map((pod) => configuration(pod)),
  verdicts: [],
  members: speakers.map((one) => ({ target: one, body: sees("n1", "n2", "n3") })),
  conflicts: [],
  services: [],
  serviceCount: 0,
  nodes: ["n1", "n2", "n3"],
  now: "2026-01-02T03:04:05.000Z",
};
const problem = (kind: "node" | "peer" | "pool", name: string, of: Verdict) => ({ kind, name, ...of, since });
const eth0Down = verdict("node", "noCarrier", {
  message: "interface eth0 of n3 is down or has no carrier",
  evidence: [
    { name: "interface", value: "eth0", source: "node" },
    { name: "subnet", value: "192.0.2.0/24", source: "node" },
    { name: "pool", value: "lan", source: "configuration" },
  ],
});
const noAnswer = verdict("peer", "connectTimeout", { message: "no answer within 5 s" });
const strict = verdict("node", "rpFilter", { message: "rp_filter is strict on eth0" });
const service = (name: string, cause: CauseOf<"service">, message?: string, pools: readonly string[] = []) => {
  const evidence = pools.map((value) => ({ name: "pool", value, source: "allocator" }));
  const found = verdict("service", cause, message === undefined ? {} : { message, evidence });
  const [address = ""] = /192\.0\.2\.\d+/.exec(message ?? "") ?? [];
  const placed = { address, pool: null, protocol: null, nodes: [], verdict: { ...found, since } };
  return { service: name, addresses: address === "" ? [] : [placed], verdict: { ...found, since } };
};
const refusedBy = (node: string) =>
  verdict("peer", "connectionLost", {
    message: `BGP session with 10.0.0.1:179 is not up: refused (from 172.30.0.1${node.slice(1)})`,
  });

const outOfMemory = "it needed more memory than its limit of 100Mi (OOMKilled)";
const again = `${outOfMemory}, and waits to be started again`;
const ended = (how: string, cause: "memory" | "fault" | "stop", restarts = 1) => ({
  how,
  cause,
  restarts,
  at: "2026-01-02T03:03:00Z",
});
const refusal = {
  because: "Kubernetes refuses the Pods of DaemonSet speaker",
  said: 'pods "speaker-" is forbidden',
  fix: "kubectl -n metallb-system describe quota,limits",
};

const cases: { name: string; of: Partial<Examined>; want: string[] }[] = [
  { name: "nothing", of: {}, want: [] },
  {
    name: "a process that does not answer",
    of: { unreachable: [{ target: target("speaker-n2"), why: "the connection was closed" }] },
    want: ["error: speaker speaker-n2 on n2: it does not answer: the connection was closed"],
  },
  {
    name: "processes that do not answer for one reason",
    of: { unreachable: ["n1", "n2"].map((node) => ({ target: target(`speaker-${node}`), why: "no answer within 3 s" })) },
    want: ["error: speakers speaker-n1, speaker-n2 on n1, n2: they do not answer: no answer within 3 s"],
  },
  {
    name: "speakers that need more memory than they may have, that failed thrice and once, that were stopped, and a failure of yesterday",
    of: {
      targets: [
        {
          ...target("controller-n1"),
          ending: { ...ended("it ended with exit code 1 (Error)", "fault"), at: "2026-01-01T01:00:00Z" },
        },
        { ...target("speaker-n1"), ending: ended(outOfMemory, "memory", 7) },
        { ...target("speaker-n2"), ending: ended("it ended with exit code 255 (Unknown)", "stop") },
        { ...target("speaker-n3"), ending: ended("it ended with exit code 1 (Error): no such flag", "fault", 3) },
        { ...target("central-n1"), ending: ended("it ended with exit code 137 (Error)", "fault") },
      ],
    },
    want: [
      `warning: speaker speaker-n1: ${outOfMemory}; started again: speaker-n1 7 times, 65s ago`,
      "warning: speaker speaker-n3: it ended with exit code 1 (Error): no such flag; started again: speaker-n3 3 times, 65s ago",
      "note: speaker speaker-n2: it ended with exit code 255 (Unknown); started again: speaker-n2 1 time, 65s ago",
      "note: speaker central-n1: it ended with exit code 137 (Error); started again: central-n1 1 time, 65s ago",
    ],
  },
  {
    name: "a speaker that waits to be started again, once",
    of: {
      targets: [
        ...well.targets.slice(0, 3),
        { ...target("speaker-n3"), notRunning: again, ending: ended(outOfMemory, "memory", 7) },
      ],
      unreachable: [{ target: { ...target("speaker-n3"), ending: ended(outOfMemory, "memory", 7) }, why: again }],
    },
    want: [`error: speaker speaker-n3 on n3: it does not answer: ${again}`],
  },
  {
    name: "Pods that Kubernetes refuses on all nodes",
    of: { targets: [target("controller-n1")], nodes: [], missing: { speaker: refusal } },
    want: [
      'error: speaker: no speaker runs, because Kubernetes refuses the Pods of DaemonSet speaker: no address is announced (it says: pods "speaker-" is forbidden)',
    ],
  },
  {
    name: "a Pod that Kubernetes refuses on one node",
    of: { nodes: ["n1", "n2", "n3", "n4"], missing: { speaker: refusal } },
    want: [
      'error: node n4: no speaker runs there: it announces nothing, because Kubernetes refuses the Pods of DaemonSet speaker (it says: pods "speaker-" is forbidden)',
    ],
  },
  {
    name: "nodes that may not be listed",
    of: { nodes: { unread: "403 nodes is forbidden" } },
    want: ["note: nodes: they cannot be listed: 403 nodes is forbidden; a node without a speaker is not noticed"],
  },
  {
    name: "no speaker at all",
    of: { targets: [target("controller-n1")], nodes: [] },
    want: ["error: speaker: there is no Pod of a speaker in namespace metallb-system: no address is announced"],
  },
  {
    name: "no speaker at all, and a problem that the controller has with a Service",
    of: {
      targets: [target("controller-n1")],
      nodes: [],
      services: [{ ...service("default/web", "noActiveSpeaker"), also: { ...verdict("service", "externalIPs"), since } }],
    },
    want: [
      "error: speaker: there is no Pod of a speaker in namespace metallb-system: no address is announced [1]",
      `warning: Service default/web: ${verdict("service", "externalIPs").message} (externalIPs) [1]`,
    ],
  },
  {
    name: "no leader",
    of: { configurations: [configuration("controller-n1", { leader: false })] },
    want: ["error: controllers controller-n1: none of them leads: no Service gets an address"],
  },
  {
    name: "two leaders",
    of: { configurations: ["controller-a", "controller-b"].map((pod) => configuration(pod)) },
    want: ["error: controllers controller-a, controller-b: more than one takes itself for the leader"],
  },
  {
    name: "other versions, and one with another configuration",
    of: { configurations: [...well.configurations.slice(0, 3), configuration("speaker-n3", { version: "0.9.0", hash: "b" })] },
    want: [
      "warning: configuration: speaker-n3 on n3 has configuration b in force, the controller has a",
      "note: versions: 1.0.0: controller-n1, speaker-n1, speaker-n2; 0.9.0: speaker-n3",
    ],
  },
  {
    name: "a NIC that is down, and nothing of what follows from it",
    of: {
      members: [
        ...speakers.slice(0, 2).map((one) => ({ target: one, body: sees("n1", "n2") })),
        { target: target("speaker-n3"), body: sees("n3") },
      ],
      verdicts: [
        {
          target: target("speaker-n3"),
          body: {
            verdicts: [
              problem("node", "n3", verdict("node", "waiting", { message: "the speaker on n3 waits for the ring" })),
              problem("node", "n3", eth0Down),
              problem("node", "n3", strict),
              problem("pool", "lan", verdict("pool", "noInterface")),
              ...["192.0.2.254:179", "[fe80::1%eth0]:179", "10.0.0.1:179"].map((name) => problem("peer", name, noAnswer)),
              problem("peer", "192.0.2.253:179", verdict("peer", "waitsForPassword", { message: "there is no password" })),
            ],
          },
        },
        { target: target("speaker-n1"), body: { verdicts: [problem("pool", "far", verdict("pool", "noInterface"))] } },
      ],
      services: [service("default/web", "noInterface", "no node has an interface for 192.0.2.1", ["lan"])],
    },
    want: [
      "error: node n3: interface eth0 of n3 is down or has no carrier (noCarrier) [1]",
      "error: peer 10.0.0.1:179 of n3: no answer within 5 s (connectTimeout)",
      "error: peer 192.0.2.253:179 of n3: there is no password (waitsForPassword)",
      `error: pool far: ${verdict("pool", "noInterface").message} (noInterface)`,
      "warning: node n3: rp_filter is strict on eth0 (rpFilter)",
    ],
  },
  {
    name: "a speaker that none of the others sees, once",
    of: {
      members: [
        ...speakers.slice(0, 2).map((one) => ({ target: one, body: sees("n1", "n2") })),
        { target: target("speaker-n3"), body: sees("n3") },
      ],
    },
    want: ["error: speaker on n3: it and the speakers on n1, n2 do not see each other: both may announce the same address"],
  },
  {
    name: "a controller that hangs, with the Services that wait for it",
    of: {
      configurations: well.configurations.slice(1),
      unreachable: [{ target: target("controller-n1"), why: "no answer within 2 s" }],
      services: [service("default/late", "noIPAllocated")],
    },
    want: ["error: controller controller-n1 on n1: it does not answer: no answer within 2 s [1]"],
  },
  {
    name: "a standby that hangs, and a Service that waits beside a leader",
    of: {
      unreachable: [{ target: target("controller-n2"), why: "no answer within 2 s" }],
      services: [service("default/late", "noIPAllocated")],
    },
    want: [
      "error: controller controller-n2 on n2: it does not answer: no answer within 2 s",
      `error: Service default/late: ${verdict("service", "noIPAllocated").message} (noIPAllocated) [1]`,
    ],
  },
  {
    name: "controllers of which none leads, with the Services that wait for one",
    of: {
      configurations: [configuration("controller-n1", { leader: false })],
      services: [service("default/late", "noIPAllocated")],
    },
    want: ["error: controllers controller-n1: none of them leads: no Service gets an address [1]"],
  },
  {
    name: "a controller that stands by, beside one that may lead and does not answer",
    of: {
      configurations: [configuration("controller-n1", { leader: false })],
      unreachable: [{ target: target("controller-n2"), why: "no answer within 2 s" }],
    },
    want: [
      "error: controller controller-n2 on n2: it does not answer: no answer within 2 s",
      "warning: controllers controller-n1: none of them leads: no Service gets an address, unless one that does not answer leads",
    ],
  },
  {
    name: "a controller of MetalLB, which decides all the same",
    of: {
      configurations: well.configurations.slice(1),
      unreachable: [{ target: target("controller-n1"), why: "it has no /v1/configuration" }],
      services: [service("default/late", "noIPAllocated")],
    },
    want: [
      "error: controller controller-n1 on n1: it does not answer: it has no /v1/configuration",
      `error: Service default/late: ${verdict("service", "noIPAllocated").message} (noIPAllocated) [1]`,
    ],
  },
  {
    name: "a speaker that waits, and nothing of the configuration that it does not have yet",
    of: {
      configurations: [
        ...well.configurations.slice(0, 3),
        configuration("speaker-n3", { hash: null, verdict: { ...verdict("configuration", "undecided"), since } }),
      ],
      verdicts: [
        {
          target: target("speaker-n3"),
          body: {
            verdicts: [
              problem("node", "n3", verdict("node", "waiting", { message: "the speaker on n3 waits for the ring" })),
              { ...verdict("configuration", "undecided"), kind: "configuration", name: "config", since },
            ],
          },
        },
      ],
    },
    want: ["error: node n3: the speaker on n3 waits for the ring (waiting)"],
  },
  {
    name: "a pool in the sight of a speaker that does not see the others",
    of: {
      members: [
        ...speakers.slice(0, 2).map((one) => ({ target: one, body: sees("n1", "n2") })),
        { target: target("speaker-n3"), body: sees("n3") },
      ],
      verdicts: [
        { target: target("speaker-n3"), body: { verdicts: [problem("pool", "lan", verdict("pool", "noNodeSelected"))] } },
        { target: target("speaker-n1"), body: { verdicts: [problem("pool", "far", verdict("pool", "nodeExcluded"))] } },
      ],
    },
    want: [
      "error: speaker on n3: it and the speakers on n1, n2 do not see each other: both may announce the same address",
      `error: pool far: ${verdict("pool", "nodeExcluded").message} (nodeExcluded)`,
    ],
  },
  {
    name: "no ring, in which no node sees the central speakers either",
    of: {
      members: ["n1", "n2", "central/n1"].map((node) => ({
        target: target(`speaker-${node}`),
        body: { ...sees("n1", "n2"), source: "pods" },
      })),
    },
    want: ["note: speakers: they have no ring: failover waits for Kubernetes to see that a node is gone"],
  },
  {
    name: "two halves of a ring, once",
    of: {
      members: ["n1", "n2", "n3", "n4"].map((node, index) => ({
        target: target(`speaker-${node}`),
        body: index < 2 ? sees("n1", "n2") : sees("n3", "n4"),
      })),
    },
    want: [
      "error: speakers on n1, n2: they and the speakers on n3, n4 do not see each other: both may announce the same address",
    ],
  },
  {
    name: "speakers without a ring",
    of: { members: [{ target: target("speaker-n1"), body: { ...sees("n1"), source: "pods" } }] },
    want: ["note: speakers: they have no ring: failover waits for Kubernetes to see that a node is gone"],
  },
  {
    name: "a ring on some nodes only, as in the middle of a rollout that adds it",
    of: { members: ringWithoutOne },
    want: [
      "error: speaker on n3: they have no ring, and the others have one: both may announce the same address, or the others wait for these without becoming ready",
    ],
  },
  {
    name: "a node that cannot announce on layer 2, whose speaker stays out of the ring",
    of: {
      members: ringWithoutOne,
      verdicts: [
        { target: target("speaker-n3"), body: { verdicts: [problem("node", "n3", verdict("node", "layer2Unavailable"))] } },
      ],
    },
    want: [`error: node n3: ${verdict("node", "layer2Unavailable").message} (layer2Unavailable)`],
  },
  {
    name: "a central speaker without the ring that nodes have, which answers for no address",
    of: {
      members: [
        ...speakers.map((one) => ({ target: one, body: sees("n1", "n2", "n3") })),
        { target: { ...target("central"), node: centralName("n1") }, body: { ...sees("n1", "n2", "n3"), source: "pods" } },
      ],
    },
    want: [`note: speaker on ${centralName("n1")}: they have no ring: failover waits for Kubernetes to see that a node is gone`],
  },
  {
    name: "nodes without a speaker",
    of: { nodes: ["n1", "n2", "n3", "n4", "n5"] },
    want: ["note: node n4, n5: no speaker runs there: they announce nothing"],
  },
  {
    name: "an address that another host has, once",
    of: {
      conflicts: speakers.map((one) => ({
        target: one,
        body: { occupied: [{ address: "192.0.2.1", mac: "02:00:00:00:00:42", node: "n1", since }] },
      })),
    },
    want: ["note: address 192.0.2.1: the host with MAC address 02:00:00:00:00:42, seen from n1, has it: no Service gets it"],
  },
  {
    name: "addresses that people wrote into ingot-conflicts",
    of: {
      conflicts: speakers.map((one) => ({
        target: one,
        body: {
          occupied: [
            { address: "192.0.2.1", mac: "", node: "", since: "" },
            { address: "192.0.2.2", mac: "02:00:00:00:00:42", node: "", since: "" },
          ],
        },
      })),
    },
    want: [
      "note: address 192.0.2.1: another host has it, as an entry of ingot-conflicts says: no Service gets it",
      "note: address 192.0.2.2: the host with MAC address 02:00:00:00:00:42 has it: no Service gets it",
    ],
  },
  {
    name: "one cause on several nodes and Services once, what does not work first",
    of: {
      verdicts: ["n1", "n2"].map((node) => ({
        target: target(`speaker-${node}`),
        body: { node, verdicts: [problem("node", node, strict)] },
      })),
      services: [
        ...Array.from({ length: 7 }, (_, index) => service(`default/s${index}`, "noReadyEndpoint")),
        service("default/well", "announced"),
      ],
    },
    want: [
      "error: Service default/s0, default/s1, default/s2, default/s3, default/s4, and 2 more: no endpoint of the Service is ready (noReadyEndpoint) [7]",
      "warning: node n1, n2: rp_filter is strict on eth0 (rpFilter)",
    ],
  },
  {
    name: "one cause on several nodes, of which each names addresses of its own, once for each pool",
    of: {
      verdicts: ["n1", "n2", "n3"].map((node, index) => {
        const [pool, more] = [node === "n3" ? "far" : "lan", index === 0 ? ", and 7 more" : ""];
        const addresses = Array.from({ length: index === 0 ? 5 : 2 }, (_, last) => `10.${index}.0.${last}`);
        const message = `addresses ${addresses.join(", ")}${more} of pool ${pool} lie in no subnet of ${node} (172.30.0.0/24)`;
        const evidence = [{ name: "addresses", value: addresses.join(", "), source: "node" }];
        const found = verdict("node", "outsideSubnets", { message, evidence });
        return { target: target(`speaker-${node}`), body: { node, verdicts: [problem("node", node, found)] } };
      }),
    },
    want: [
      "warning: node n1, n2: addresses 10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, and 7 more of pool lan lie in no subnet of n1 (172.30.0.0/24) (outsideSubnets; of the first one)",
      "warning: node n3: addresses 10.2.0.0, 10.2.0.1 of pool far lie in no subnet of n3 (172.30.0.0/24) (outsideSubnets)",
    ],
  },
  {
    name: "one cause with other names, addresses and numbers in its words once, and two with one code twice",
    of: {
      services: [
        service("default/a", "noReadyEndpoint", "no endpoint of default/a is ready: 192.0.2.1 is announced by no node, for 3 s"),
        service("default/b", "noReadyEndpoint", "no endpoint of default/b is ready: 192.0.2.2 is announced by no node, for 9 s"),
        service("shop/c", "poolFull", 'pool "lan" has no free IPv4 address', ["lan"]),
        service("shop/d", "poolFull", 'pool "far" has no free IPv4 address', ["far"]),
      ],
    },
    want: [
      "error: Service default/a, default/b: no endpoint of default/a is ready: 192.0.2.1 is announced by no node, for 3 s (noReadyEndpoint; of the first one) [2]",
      'error: Service shop/c: pool "lan" has no free IPv4 address (poolFull) [1]',
      'error: Service shop/d: pool "far" has no free IPv4 address (poolFull) [1]',
    ],
  },
  {
    name: "a full pool with its Services, however they are refused, and another one without",
    of: {
      verdicts: [
        {
          target: target("controller-n1"),
          body: {
            verdicts: ["lan", "far"].map((name) =>
              problem("pool", name, verdict("pool", "full", { message: `pool ${name} has no free IPv4 address` })),
            ),
          },
        },
      ],
      services: [
        service("shop/a", "poolFull", 'pool "lan" has no free IPv4 address', ["lan"]),
        service("shop/b", "noPoolFits", "no pool can serve this Service", ['pool "lan" has no free IPv4 address']),
        service("shop/c", "noPoolFits", "no pool can serve this Service", ['pool "open" has no IPv6 address']),
      ],
    },
    want: [
      "error: pool lan: pool lan has no free IPv4 address (full) [2]",
      "error: Service shop/c: no pool can serve this Service (noPoolFits) [1]",
      "warning: pool far: pool far has no free IPv4 address (full)",
    ],
  },
  {
    name: "a router once for all nodes that see it so, with the Services whose routes it lacks, and each cause by itself",
    of: {
      verdicts: speakers.map((one) => ({
        target: one,
        body: {
          node: one.node,
          verdicts: [
            { ...problem("peer", "10.0.0.1:179", refusedBy(one.node)), peerName: "tor-a" },
            ...(one.node === "n1" ? [problem("peer", "10.0.0.2:179", verdict("peer", "connectTimeout"))] : []),
            ...(one.node === "n2" ? [problem("peer", "10.0.0.2:179", verdict("peer", "connecting"))] : []),
          ],
        },
      })),
      services: [
        service("shop/a", "noSession", "n1 has a route for 203.0.113.1, and no session with 10.0.0.1:179"),
        service("shop/b", "someSessionsDown", "n1 announces 203.0.113.2 by BGP to 10.0.0.3:179, and not to 10.0.0.2:179"),
      ],
    },
    want: [
      `error: peer tor-a (10.0.0.1:179), seen by 3 nodes: n1, n2, n3: ${refusedBy("n1").message} (connectionLost) [1]`,
      `error: peer 10.0.0.2:179, seen by 2 nodes: n1, n2: ${verdict("peer", "connectTimeout").message} (connectTimeout) [1]`,
    ],
  },
  {
    name: "a Service by each of its causes: of the controller, and of its addresses",
    of: {
      services: [
        { ...service("default/web", "noReadyEndpoint"), also: { ...verdict("service", "externalIPs"), since } },
        {
          ...service("default/two", "notAnswered", "192.0.2.2 is not answered"),
          addresses: (["notAnswered", "addressConflict"] as const).map((cause) => {
            return {
              address: cause,
              pool: null,
              protocol: null,
              nodes: ["n1"],
              verdict: { ...verdict("service", cause), since },
            };
          }),
        },
      ],
    },
    want: [
      `error: Service default/web: ${verdict("service", "noReadyEndpoint").message} (noReadyEndpoint) [1]`,
      `warning: Service default/web: ${verdict("service", "externalIPs").message} (externalIPs) [1]`,
      `warning: Service default/two: ${verdict("service", "addressConflict").message} (addressConflict) [1]`,
      "warning: Service default/two: 192.0.2.2 is not answered (notAnswered) [1]",
    ],
  },
  {
    name: "words of others, which keep no two Services together, do not flood the list",
    of: {
      services: Array.from({ length: 3_000 }, (_, index) =>
        service(`default/s${index}`, "unknownPool", `there is no pool "${String.fromCodePoint(97 + (index % 26), 945 + index)}"`),
      ),
    },
    want: [
      'error: Service default/s0, default/s1, default/s2, default/s3, default/s4, and 2995 more: there is no pool "aα" (unknownPool; of the first one) [3000]',
    ],
  },
];
for (const { name, of, want } of cases)
  test(`findingsOf: ${name}`, () => {
    const found = findingsOf({ ...well, ...of });
    assert.deepEqual(
      found.map(
        ({ severity, where, found: what, services = [] }) =>
          `${severity}: ${where}: ${what}${services.length === 0 ? "" : ` [${services.length}]`}`,
      ),
      want,
    );
    for (const { fix } of found) assert.notEqual(fix, "");
  });
