import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { InterfaceState } from "#pkg/layer2";
import { encodeMetadata, type MetadataFields, MetadataKey, type RingEvent } from "#pkg/memberlist";
import { MacTable, macsOf } from "./mac-table.ts";

/** A member of a ring, and what it says of itself. */
class FakeMember {
  running = false;
  readonly said: MetadataFields[] = [];
  #listener: (event: RingEvent) => void = () => {};

  setMetadata(fields: MetadataFields): void {
    assert.ok(this.running);
    this.said.push(fields);
  }

  onEvent(listener: (event: RingEvent) => void): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => {} };
  }

  hear(name: string, meta: Uint8Array | undefined, self = false): void {
    const member = { name, address: "192.0.2.1", port: 7946, status: "alive", incarnation: 1, meta, self } as const;
    this.#listener({ type: "member", change: "joined", member });
  }
}

function meta(...octets: number[]): Uint8Array {
  return encodeMetadata(new Map([[MetadataKey.macs, Uint8Array.from(octets)]]));
}

function state(index: number, changes: Partial<InterfaceState> = {}): InterfaceState {
  const mac = `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`;
  return { index, name: `eth${index}`, mac, status: "answering", running: true, addresses: ["192.0.2.1/24"], ...changes };
}

test("a node tells the MAC addresses that it announces from, those in subnets first, each once and eight at most", () => {
  const pod = (index: number) => state(index, { addresses: ["fe80::1/64"] });
  const interfaces = [
    pod(1),
    state(2),
    state(3, { status: "down" }),
    state(4, { mac: state(2).mac }),
    ...[5, 6, 7, 8, 9, 10, 11].map(pod),
  ];
  const last = Array.from(macsOf(interfaces)).filter((_, i) => i % 6 === 5);
  assert.deepEqual(last, [2, 1, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(macsOf([]), new Uint8Array());
});

test("a MAC address is the node's that said so last, also after that failed, and nobody else's", () => {
  const member = new FakeMember();
  const table = new MacTable(member, new Map());
  member.hear("node2", meta(2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3));
  member.hear("metallb", undefined);
  assert.deepEqual([table.nodeOf("02:00:00:00:00:02"), table.nodeOf("02:00:00:00:00:03")], ["node2", "node2"]);
  member.hear("node2", meta(2, 0, 0, 0, 0, 3));
  member.hear("node2", undefined); // A member of another kind of the same name.
  assert.deepEqual([table.nodeOf("02:00:00:00:00:02"), table.nodeOf("02:00:00:00:00:03")], [undefined, "node2"]);
  member.hear("node3", meta(2, 0, 0, 0, 0, 3));
  member.hear("node2", meta());
  assert.equal(table.nodeOf("02:00:00:00:00:03"), "node3");
});

test("its own MAC addresses are told beside all else when they change, and what changed before it was on the network, then", () => {
  const member = new FakeMember();
  const macs = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const other = new Map([[MetadataKey.gossip, Uint8Array.of(1)]]);
  const table = new MacTable(member, new Map([...other, [MetadataKey.macs, macs]]));
  member.running = true;
  table.setOwn(Uint8Array.from(macs));
  assert.deepEqual(member.said, []);
  member.running = false;
  const changed = Uint8Array.of(2, 0, 0, 0, 0, 9);
  table.setOwn(changed);
  member.running = true;
  member.hear("node1", undefined, true);
  table.setOwn(changed);
  assert.deepEqual(member.said, [new Map([...other, [MetadataKey.macs, changed]])]);
});

test("property: whatever a member says is read without an error, and at most eight MAC addresses of it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255 }), fc.uint8Array({ maxLength: 64 }), (macs, arbitrary) => {
      const member = new FakeMember();
      const table = new MacTable(member, new Map());
      member.hear("node2", arbitrary);
      member.hear("node2", meta(...macs));
      const mac = (at: number) => [...macs.subarray(at, at + 6)].map((octet) => octet.toString(16).padStart(2, "0")).join(":");
      for (let i = 0; i < 8 && 6 * i + 6 <= macs.length; i++) assert.equal(table.nodeOf(mac(6 * i)), "node2");
    }),
  );
});
