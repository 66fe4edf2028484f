import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { address } from "#pkg/net/testing";
import type { Finding } from "#pkg/node-checks";
import { type Verdict, verdict } from "#pkg/verdict";
import type { SpeakerEvent } from "./core/index.ts";
import { Faults } from "./faults.ts";

/** Faults of a node with these verdicts, which a test changes. */
function looking() {
  const clock = new SimulatedClock();
  const peers: { key: string; verdict: { verdict: Verdict; seconds: number } }[] = [];
  const findings: Finding[] = [];
  const ofNode = new Map<Verdict, number>(); // verdict -> since when
  const told: string[] = [];
  const recorded: string[] = [];
  const emit = (event: SpeakerEvent) => {
    assert.equal(event.type, "faults");
    if (event.type === "faults")
      told.push(event.faults.map(({ about, cause, text }) => `${about}: ${cause}: ${text}`).join(" | "));
  };
  const faults = new Faults({
    node: "node1",
    bgp: { peers },
    checks: { findings },
    objects: { node: () => Array.from(ofNode, ([verdict, since]) => ({ verdict, since })) },
    events: { record: ({ name }, kind, reason, message) => recorded.push(`${name}: ${kind} ${reason}: ${message}`) },
    emit,
    clock,
  });
  faults.start();
  const peer = (key: string, ...of: Parameters<typeof verdict<"peer">>[1][]) => {
    peers.length = 0;
    for (const cause of of)
      peers.push({ key, verdict: { verdict: verdict("peer", cause, { message: cause, next: "see NODE" }), seconds: 0 } });
  };
  return { faults, clock, peer, findings, ofNode, told, recorded };
}

test("a session that is down is told of when it lasts, as one that is well is not, and its end is told", () => {
  const { clock, peer, told } = looking();
  peer("r1", "connecting");
  clock.advanceBy(20_000);
  peer("r1", "connectTimeout");
  clock.advanceBy(8_000);
  assert.deepEqual(told, [], "not yet");
  clock.advanceBy(6_000);
  assert.deepEqual(told, ["peer r1: connectTimeout: connectTimeout; see node1"]);
  peer("r1", "established");
  clock.advanceBy(2_000);
  assert.equal(told.at(-1), "", "at once");
  peer("r1", "bfdUnknown");
  clock.advanceBy(14_000);
  assert.equal(told.at(-1), "path r1: bfdUnknown: bfdUnknown; see node1");
});

test("causes that alternate within seconds are one, and one that stays is told", () => {
  const { clock, peer, told } = looking();
  for (let i = 0; i < 60; i++) {
    peer("r1", i % 2 === 0 ? "connectionLost" : "notificationReceived");
    clock.advanceBy(2_000);
  }
  assert.equal(told.length, 1);
  peer("r1", "connectTimeout");
  clock.advanceBy(60_000);
  assert.equal(told.at(-1), "peer r1: connectTimeout: connectTimeout; see node1");
});

test("a setting is told of with the addresses that suffer, and no more than eight faults are", () => {
  const { clock, findings, told } = looking();
  const outside = { check: "outsideSubnets", node: "node1", pool: "lan", subnets: [] } as const;
  findings.push({ ...outside, addresses: [address("192.0.2.1"), address("2001:db8::1")] });
  findings.push({ check: "realTimeRefused" } as Finding);
  clock.advanceBy(14_000);
  assert.match(told.at(-1) ?? "", /^192\.0\.2\.1\/32 2001:db8::1\/128: outsideSubnets: [^|]*$/);
  for (let i = 0; i < 20; i++)
    findings.push({ check: "addressBound", interface: "eth0", address: address(`192.0.2.${i}`), prefixLength: 24, pool: "lan" });
  clock.advanceBy(14_000);
  assert.equal(told.at(-1)?.split(" | ").length, 8);
});

test("an Event on the Node tells of a fault that lasts, once for each cause, and one of its end; none of what somebody wants", () => {
  const { clock, ofNode, recorded } = looking();
  const lossy = verdict("node", "ringPacketsLost", { message: "m" });
  ofNode.set(lossy, 0);
  ofNode.set(verdict("node", "ringPacketsLost", { message: "other" }), 0);
  for (const cause of ["ready", "draining", "excluded", "outOfService", "apiViewOld"] as const)
    ofNode.set(verdict("node", cause), 0);
  clock.advanceBy(29_000);
  assert.deepEqual(recorded, [], "a rollout may be under way");
  clock.advanceBy(120_000);
  assert.deepEqual(recorded, [`node1: Warning nodeFault: m; ${lossy.next}`]);
  ofNode.clear();
  clock.advanceBy(10_000);
  assert.deepEqual(recorded.slice(1), ["node1: Normal nodeFaultEnded: no fault of this kind any more: ringPacketsLost"]);
});

test("a speaker that stops ends its Events of faults: the next one only records what is the case then", () => {
  const { faults, clock, recorded } = looking();
  clock.advanceBy(60_000);
  faults[Symbol.dispose]();
  assert.deepEqual(recorded, [], "of a node without a fault none");
  const other = looking();
  for (const cause of ["ringPacketsLost", "rpFilter"] as const) other.ofNode.set(verdict("node", cause), 0);
  other.clock.advanceBy(60_000);
  other.faults[Symbol.dispose]();
  const message = "the speaker stops, and records what is still the case when it runs again: ringPacketsLost, rpFilter";
  assert.deepEqual(other.recorded.slice(2), [`node1: Normal nodeFaultEnded: ${message}`]);
});
