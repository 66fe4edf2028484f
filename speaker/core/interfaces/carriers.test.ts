import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import type { InterfaceState } from "#pkg/layer2";
import { eth0 } from "../../testing/speaker-bench.ts";
import type { Carriers } from "../state.ts";
import { countedInterfaces, nextCarrierAt, ownReachability, releaseCarriers } from "./carriers.ts";

function held() {
  const clock = new SimulatedClock();
  const over: number[] = []; // When an interface counted again.
  const carriers: Carriers = {
    interfaces: [],
    routes: new Map(),
    reachability: { answers: false, hasKernelAccess: true, interfaces: new Map() },
    lost: new Map(),
    heldUntil: new Map(),
  };
  const see = (running: boolean, canOthersAnswer = true) => {
    carriers.interfaces = [{ ...eth0, running }];
    const [counted] = countedInterfaces(carriers, canOthersAnswer, clock.now());
    clock.schedule("carriers", nextCarrierAt(carriers), () => releaseCarriers(carriers, clock.now()) && over.push(clock.now()));
    return counted?.running;
  };
  return { clock, over, see };
}

test("a carrier that is there from the beginning counts at once, and one that comes back after 1.5 s", () => {
  const { clock, over, see } = held();
  assert.equal(see(true), true);
  assert.equal(see(false), false);
  clock.advanceBy(60_000);
  assert.equal(see(true), false);
  clock.advanceBy(1499);
  assert.deepEqual([see(true), over], [false, []]);
  clock.advanceBy(1);
  assert.deepEqual([see(true), over.length], [true, 1]);
});

test("one that goes again meanwhile is waited for anew", () => {
  const { clock, over, see } = held();
  see(false);
  see(true);
  clock.advanceBy(1000);
  see(false);
  see(true);
  clock.advanceBy(1000);
  assert.deepEqual([see(true), over], [false, []]);
  clock.advanceBy(500);
  assert.deepEqual([see(true), over.length], [true, 1]);
});

test("so is one of a loose contact, though the nodes that took over seem to be gone by then", () => {
  const { clock, see } = held();
  see(false);
  for (let i = 0; i < 3; i++) {
    assert.equal(see(true, false), false);
    clock.advanceBy(1000);
    assert.equal(see(false, false), false);
  }
});

test("where no other node can answer it counts at once", () => {
  const { over, see } = held();
  see(false, false);
  assert.equal(see(true, false), true);
  assert.equal(see(true), true);
  assert.deepEqual(over, []);
});

test("another node that could answer when the carrier went has taken over, though it seems to be gone", () => {
  const { see } = held();
  see(false);
  see(false, false);
  assert.equal(see(true, false), false);
});

function link(name: string, addresses: readonly string[], more: Partial<InterfaceState> = {}): InterfaceState {
  return { index: 1, name, mac: "02:00:00:00:00:01", status: "answering", running: true, addresses, ...more };
}

function told(interfaces: readonly InterfaceState[], ...globs: string[][]): string[] {
  const { interfaces: told } = ownReachability(
    interfaces,
    globs.map((interfaces) => ({ interfaces })),
  );
  return [...told].map(([name, subnets]) => `${name} ${subnets.join(" ")}`.trim());
}

test("interfaces are told with the subnets of their addresses, each once", () => {
  const eth0 = link("eth0", ["192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64", "fe80::1/64", "2001:db8::8/128", "192.0.2.9/32"]);
  assert.deepEqual(told([eth0]), ["eth0 192.0.2.0/24 2001:db8::/64"]);
});

test("one without a subnet is told where a pool asks for it by name", () => {
  const links = [link("eth1", []), link("cali12", ["fe80::1/64"])];
  assert.deepEqual(told(links, [], ["bond0"]), []);
  assert.deepEqual(told(links, [], ["eth?"], ["bond0"]), ["eth1"]);
});

test("one that cannot answer is not told, and where none can the node does not answer", () => {
  const links = [
    link("eth0", ["192.0.2.7/24"], { running: false }),
    link("eth1", ["192.0.2.7/24"], { status: "failing" }),
    link("lo", ["127.0.0.1/8"], { status: "loopback" }),
  ];
  assert.deepEqual(told(links, ["eth*"]), []);
  assert.equal(ownReachability(links, []).answers, false);
  assert.equal(ownReachability([...links, link("veth1", [])], []).answers, true);
});
