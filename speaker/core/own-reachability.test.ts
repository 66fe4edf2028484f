import assert from "node:assert/strict";
import { test } from "node:test";
import type { InterfaceState } from "#pkg/layer2";
import { ownReachability } from "./carriers.ts";

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
