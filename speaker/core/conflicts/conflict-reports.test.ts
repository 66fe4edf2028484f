import assert from "node:assert/strict";
import { test } from "node:test";
import { service } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import type { SpeakerEffect } from "../effects.ts";
import { setService } from "../services/services.ts";
import { createState, type SpeakerState } from "../state.ts";
import type { Conflict } from "./address-defender.ts";
import { reportBegan, reportEnded, reportOccupied } from "./conflict-reports.ts";

const conflict: Conflict = {
  address: address("192.0.2.1"),
  mac: "02:00:00:00:00:42",
  ownMac: "02:00:00:00:00:01",
  interface: "eth0",
  kind: "foreign",
  answersForMany: false,
  node: undefined,
  followed: false,
  failedToProve: false,
};

function recorded(report: (state: SpeakerState, effects: SpeakerEffect[]) => void): string[] {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: true });
  state.members.active = ["node1", "node3"];
  state.members.withoutGossip = ["node4"];
  for (const name of ["web", "dns"]) setService(state.services, `default/${name}`, service(name, { ingress: ["192.0.2.1"] }));
  const effects: SpeakerEffect[] = [];
  report(state, effects);
  const lines = effects.flatMap((effect) =>
    effect.type === "recordEvent" ? [`${effect.service.name}: ${effect.kind} ${effect.reason}: ${effect.message}`] : [],
  );
  assert.deepEqual(
    lines.map((line) => line.replace("dns", "web")),
    Array(2).fill(lines[0]?.replace("dns", "web")),
    "every Service on the address gets one",
  );
  return lines.slice(1);
}

const here = 'node "node1" (02:00:00:00:00:01 on eth0)';
const cut =
  "their speakers do not reach each other; let UDP and TCP of the speakers' ring (port 7946 by default) pass between the nodes";
const cases: { name: string; changes: Partial<Conflict>; want: string }[] = [
  {
    name: "a foreign host",
    changes: {},
    want: `a host that is no speaker, 02:00:00:00:00:42, uses 192.0.2.1 too, which ${here} announces: clients may reach either; give that host another address, or the Service; if it answers for other addresses, too, turn proxy ARP off there`,
  },
  {
    name: "a foreign host that answers for many addresses",
    changes: { answersForMany: true },
    want: `a host, 02:00:00:00:00:42, answers for 192.0.2.1 and for several other addresses of pools, as with proxy ARP, or others with ever other MAC addresses do; ${here} announces 192.0.2.1 all the same: clients may reach either; turn proxy ARP off on that host, or take these addresses out of the pool`,
  },
  {
    name: "a host that may be a MetalLB speaker's",
    changes: { kind: "unidentified" },
    want: `a host, 02:00:00:00:00:42, uses 192.0.2.1 too, which ${here} announces: it may be one of the nodes whose speakers do not report their MAC addresses (node4), or any other host; if it is none of these nodes, give that host another address, or the Service`,
  },
  {
    name: "a speaker that this node leaves the address to",
    changes: { node: "node2", followed: true },
    want: `two nodes answer for 192.0.2.1, the other is "node2" (02:00:00:00:00:42), and ${here} no longer announces it, because of the other: ${cut}`,
  },
  {
    name: "a speaker that this node keeps the address from",
    changes: { node: "node2" },
    want: `two nodes answer for 192.0.2.1, the other is "node2" (02:00:00:00:00:42), and ${here} goes on announcing it: ${cut}`,
  },
  {
    name: "a host in the name of a node that failed, which proves nothing",
    changes: { node: "node2", failedToProve: true },
    want: `a host answers for 192.0.2.1 in the name of node "node2" (02:00:00:00:00:42), does not prove to be its speaker, and ${here} goes on announcing it; where node node2 is down, look for a host that sends in its name; else let UDP and TCP of the speakers' ring (port 7946 by default) pass between the nodes`,
  },
  {
    name: "a speaker of the same ring",
    changes: { node: "node3" },
    want: `two nodes answer for 192.0.2.1, the other is "node3" (02:00:00:00:00:42), and ${here} goes on announcing it: their speakers reach each other; if an interface of node3 has the address, remove it there; with kube-proxy in IPVS mode set strictARP: true; else compare the logs of both speakers, which may see the cluster differently, and look for a host that sends in that node's name`,
  },
];
for (const { name, changes, want } of cases)
  test(`the owner of a Service reads of ${name}, with both MAC addresses and what to do`, () => {
    const lines = recorded((state, effects) => reportBegan(state, { ...conflict, ...changes }, 0, effects));
    assert.deepEqual(lines, [`web: Warning addressConflict: ${want}`]);
  });

function ended(state: SpeakerState, its: Conflict, effects: SpeakerEffect[]): void {
  reportBegan(state, its, 0, []);
  reportEnded(state, its, effects);
}

test("and of its end, and of an address that is not announced for it", () => {
  assert.deepEqual(
    recorded((state, effects) => ended(state, conflict, effects)),
    ["web: Normal addressConflictEnded: host 02:00:00:00:00:42 no longer uses 192.0.2.1"],
  );
  assert.deepEqual(
    recorded((state, effects) => ended(state, { ...conflict, node: "node2" }, effects)),
    ['web: Normal addressConflictEnded: node "node2" (02:00:00:00:00:42) no longer uses 192.0.2.1'],
  );
  assert.deepEqual(
    recorded((state, effects) => reportOccupied(state, conflict, 0, effects)),
    [
      'web: Warning addressOccupied: 192.0.2.1 is not announced: a host, 02:00:00:00:00:42, answers for it on eth0 of node "node1"; give that host another address',
    ],
  );
});

test("200 conflicts of a flood are reported at once, then one in five seconds, and the end of each of these", () => {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: true });
  const flood = (from: number, now: number) => {
    const effects: SpeakerEffect[] = [];
    const its = Array.from({ length: 1000 }, (_, i) => ({ ...conflict, mac: `02:00:00:00:${from}:${i}` }));
    for (const one of its) reportBegan(state, one, now, effects);
    const began = effects.length;
    for (const one of its) reportEnded(state, one, effects);
    return [
      began,
      effects.length - began,
      effects.filter((effect) => JSON.stringify(effect).includes("conflictsNotReported")).length,
    ];
  };
  assert.deepEqual(flood(0, 0), [201, 200, 1]);
  assert.deepEqual(flood(1, 50_000), [10, 10, 0]);
  assert.deepEqual(flood(2, 3_600_000), [201, 200, 1]);
  assert.equal(state.conflicts.reports.began.size, 0);
});
