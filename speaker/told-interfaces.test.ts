import assert from "node:assert/strict";
import { test } from "node:test";
import type { InterfaceState } from "#pkg/layer2";
import { eth0 } from "./testing/speaker-bench.ts";
import { ToldInterfaces } from "./told-interfaces.ts";

const lb0: InterfaceState = { ...eth0, index: 7, name: "kube-lb0", status: "noArp", addresses: ["192.0.2.1/32"] };
const dummy = { interfaces: () => [{ name: "kube-lb0", kind: "dummy", error: undefined }] };
const pod: InterfaceState = { ...eth0, index: 8, name: "cali8", addresses: ["fe80::8/64"], leadsToPod: true };
const renewed: InterfaceState = { ...eth0, addresses: ["10.0.0.1/24"] };

function toldInterfaces() {
  const told: string[][] = [];
  const interfaces = new ToldInterfaces(dummy, (all) => told.push(all.map(({ name, addresses }) => `${name} ${addresses}`)));
  return { interfaces, taken: () => told.splice(0) };
}

test("of the interface with the addresses of all Services, of kube-proxy in mode IPVS or kube-router, nobody hears which it has", () => {
  for (const name of ["kube-ipvs0", "kube-dummy-if"]) {
    const { interfaces, taken } = toldInterfaces();
    interfaces.update([eth0, { ...lb0, name }]);
    interfaces.update([eth0, { ...lb0, name, addresses: ["10.96.0.1/32", "10.96.0.2/32"] }]);
    assert.deepEqual(taken(), [["eth0 ", `${name} `]]);
  }
});

test("of an interface that is made for addresses nobody hears which it has, unless layer 2 announces on it", () => {
  const { interfaces, taken } = toldInterfaces();
  interfaces.update([eth0, lb0]);
  interfaces.update([eth0, { ...lb0, addresses: ["192.0.2.1/32", "192.0.2.2/32"] }]);
  interfaces.update([eth0, { ...lb0, status: "answering" }]);
  interfaces.update([renewed, lb0]);
  interfaces.update([renewed, lb0]); // It had another address meanwhile.
  assert.deepEqual(taken(), [
    ["eth0 ", "kube-lb0 "],
    ["eth0 ", "kube-lb0 192.0.2.1/32"],
    ["eth0 10.0.0.1/24", "kube-lb0 "],
    ["eth0 10.0.0.1/24", "kube-lb0 "],
  ]);
});

test("interfaces to Pods come and go untold", () => {
  const { interfaces, taken } = toldInterfaces();
  interfaces.update([eth0, pod]);
  assert.deepEqual(taken(), [["eth0 "]]);
  interfaces.update([eth0, pod, { ...pod, index: 9, name: "cali9" }]);
  interfaces.update([eth0]);
  assert.deepEqual(taken(), []);
  interfaces.update([renewed, pod]);
  assert.deepEqual(taken(), [["eth0 10.0.0.1/24"]]);
});

test("an interface to a Pod is told of while the configuration names it", () => {
  const { interfaces, taken } = toldInterfaces();
  interfaces.name(["cali*"]);
  interfaces.update([eth0, pod, { ...pod, index: 9, name: "lxc9" }]);
  assert.deepEqual(taken(), [["eth0 ", "cali8 fe80::8/64"]]);
  interfaces.name(["eth*", "lxc*"]);
  assert.deepEqual(taken(), [["eth0 ", "cali8 fe80::8/64", "lxc9 fe80::8/64"]], "one that was told of stays");
  interfaces.name([]);
  interfaces.update([eth0]);
  assert.deepEqual(taken(), [["eth0 "]]);
});

test("a NIC without an address for a moment is told of, also where it is of the kind that leads to Pods", () => {
  const { interfaces, taken } = toldInterfaces();
  interfaces.update([renewed]);
  interfaces.update([{ ...renewed, addresses: [], running: false, leadsToPod: true }]);
  interfaces.update([renewed]);
  assert.deepEqual(taken(), [["eth0 10.0.0.1/24"], ["eth0 "], ["eth0 10.0.0.1/24"]]);
});
