import assert from "node:assert/strict";
import { test } from "node:test";
import { type Verdict, verdict } from "#pkg/verdict";
import { type Examined, findingsOf } from "./findings.ts";

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

const well: Examined = {
  namespace: "metallb-system",
  targets: pods.map(target),
  unreachable: [],
  configurations: pods.map((pod) => configuration(pod)),
  verdicts: [],
  members: speakers.map((one) => ({ target: one, body: sees("n1", "n2", "n3") })),
  conflicts: [],
  services: [],
  nodes: ["n1", "n2", "n3"],
};
const problem = (kind: "node" | "peer" | "pool", name: string, of: Verdict) => ({ kind, name, ...of, since });
const strict = verdict("node", "rpFilter", { message: "rp_filter is strict on eth0" });
const service = (name: string, cause: "noReadyEndpoint" | "announced") => ({
  service: name,
  addresses: [],
  verdict: { ...verdict("service", cause), since },
});

const cases: { name: string; of: Partial<Examined>; want: string[] }[] = [
  { name: "nothing", of: {}, want: [] },
  {
    name: "a process that does not answer",
    of: { unreachable: [{ target: target("speaker-n2"), why: "the connection was closed" }] },
    want: ["error: speaker speaker-n2 on n2: it does not answer: the connection was closed"],
  },
  {
    name: "no speaker at all",
    of: { targets: [target("controller-n1")], nodes: undefined },
    want: ["error: speaker: there is no Pod of a speaker in namespace metallb-system"],
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
              problem("node", "n3", verdict("node", "noCarrier", { message: "interface eth0 of n3 is down or has no carrier" })),
              problem("node", "n3", strict),
              problem("pool", "lan", verdict("pool", "noInterface")),
            ],
          },
        },
        { target: target("speaker-n1"), body: { verdicts: [problem("pool", "far", verdict("pool", "noInterface"))] } },
      ],
    },
    want: [
      "error: node n3: interface eth0 of n3 is down or has no carrier (noCarrier)",
      `error: pool far: ${verdict("pool", "noInterface").message} (noInterface)`,
      "warning: node n3: rp_filter is strict on eth0 (rpFilter)",
    ],
  },
  {
    name: "speakers that do not see one another",
    of: {
      members: [
        ...speakers.slice(0, 2).map((one) => ({ target: one, body: sees("n1", "n2") })),
        { target: target("speaker-n3"), body: sees("n3") },
      ],
    },
    want: [
      "error: speaker on n1: it does not see the speaker on n3: both may announce the same address",
      "error: speaker on n2: it does not see the speaker on n3: both may announce the same address",
      "error: speaker on n3: it does not see the speakers on n1, n2: both may announce the same address",
    ],
  },
  {
    name: "speakers without a ring",
    of: { members: [{ target: target("speaker-n1"), body: { ...sees("n1"), source: "pods" } }] },
    want: ["note: speakers: they have no ring: failover waits for Kubernetes to see that a node is gone"],
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
      "error: Service default/s0, default/s1, default/s2, default/s3, default/s4, and 2 more: no endpoint of the Service is ready (noReadyEndpoint; of the first one)",
      "warning: node n1, n2: rp_filter is strict on eth0 (rpFilter; of the first one)",
    ],
  },
];
for (const { name, of, want } of cases)
  test(`findingsOf: ${name}`, () => {
    const found = findingsOf({ ...well, ...of });
    assert.deepEqual(
      found.map(({ severity, where, found: what }) => `${severity}: ${where}: ${what}`),
      want,
    );
    for (const { fix } of found) assert.notEqual(fix, "");
  });
