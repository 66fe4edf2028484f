import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { InterfaceState } from "#pkg/layer2";
import { decodeMacs, macsOf } from "./macs.ts";

function state(index: number, changes: Partial<InterfaceState> = {}): InterfaceState {
  const mac = `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`;
  return { index, name: `eth${index}`, mac, status: "answering", running: true, addresses: ["192.0.2.1/24"], ...changes };
}

test("a node tells the MAC addresses that it announces from, those in subnets first, each once and eight at most", () => {
  const pod = (index: number) => state(index, { addresses: ["fe80::1/64"] });
  const interfaces = [
    pod(1),
    state(2, { status: "failing" }),
    state(3, { status: "down" }),
    state(4, { mac: state(2).mac }),
    ...[5, 6, 7, 8, 9, 10, 11].map(pod),
  ];
  const last = Array.from(macsOf(interfaces)).filter((_, i) => i % 6 === 5);
  assert.deepEqual(last, [2, 1, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(macsOf([]), new Uint8Array());
});

test("of more than eight in subnets those with a carrier come first, and of fewer a carrier makes no difference", () => {
  const bridges = [1, 2, 3, 4, 5, 6, 7, 8].map((index) => state(index, { running: false }));
  assert.deepEqual(decodeMacs(macsOf([...bridges, state(9)])).slice(0, 2), [state(9).mac, state(1).mac]);
  assert.deepEqual(decodeMacs(macsOf([state(1, { running: false }), state(2)])), [state(1).mac, state(2).mac]);
});

test("members of a bond follow the interfaces that announce, and interfaces of Pods in a bridge are left out", () => {
  const member = (index: number): InterfaceState => state(index, { status: "enslaved", addresses: [] });
  const interfaces = [
    member(1),
    { ...member(2), leadsToPod: true as const },
    member(3),
    state(4, { mac: member(1).mac }),
    state(5),
  ];
  assert.deepEqual(decodeMacs(macsOf(interfaces)), [member(1).mac, state(5).mac, member(3).mac]);
});

test("property: whatever a member says is read without an error, and at most eight MAC addresses of it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255, size: "max" }), (bytes) => {
      const macs = decodeMacs(bytes);
      const mac = (at: number) => [...bytes.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
      assert.deepEqual(
        macs,
        Array.from({ length: Math.min(8, Math.floor(bytes.length / 6)) }, (_, i) => mac(6 * i)),
      );
    }),
  );
});
