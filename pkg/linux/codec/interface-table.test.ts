import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "#pkg/net";
import { InterfaceTable } from "./interface-table.ts";
import type { InterfaceAddress, NetlinkMessage, NetworkInterface } from "./netlink.ts";

const networkInterface: NetworkInterface = {
  index: 2,
  name: "eth0",
  hardwareType: 1,
  hardwareAddress: "02:00:00:00:00:01",
  up: true,
  broadcast: true,
  loopback: false,
  noArp: false,
  running: true,
  master: undefined,
  kind: undefined,
  masterKind: undefined,
};

function address(interfaceIndex: number, text: string, prefixLength = 24): InterfaceAddress {
  const address = parseAddress(text);
  assert.ok(address);
  return { interfaceIndex, address, prefixLength, flags: 0, protocol: undefined, validSeconds: Infinity };
}

const notification = { sequence: 0, interrupted: false };
const linkSet = (changes: Partial<NetworkInterface> = {}): NetlinkMessage => ({
  ...notification,
  type: "interfaceSet",
  networkInterface: { ...networkInterface, ...changes },
});
const linkDeleted: NetlinkMessage = { ...notification, type: "interfaceDeleted", networkInterface };
const addressSet = (index: number, text: string): NetlinkMessage => ({
  ...notification,
  type: "addressSet",
  address: address(index, text),
});
const sequenceOf = (request: Uint8Array): number => new DataView(request.buffer).getUint32(8, true);

/** Runs a dump through to its end. @returns its last effect */
function dump(table: InterfaceTable, links: NetlinkMessage[], addresses: NetlinkMessage[] = [], interrupted = false) {
  let sequence = sequenceOf(table.startDump());
  for (const message of links) table.apply({ ...message, sequence });
  const next = table.apply({ type: "done", errno: 0, sequence, interrupted });
  assert.equal(next?.type, "send");
  sequence = sequenceOf(next.request);
  for (const message of addresses) table.apply({ ...message, sequence });
  return table.apply({ type: "done", errno: 0, sequence, interrupted: false });
}

const summary = (table: InterfaceTable): string[] =>
  table.interfaces().map(({ name, addresses }) => `${name} ${addresses.map(({ address }) => address).join(",")}`);

test("a dump asks for links, then for addresses, and yields both, in order", () => {
  const table = new InterfaceTable();
  const links = [linkSet({ index: 3, name: "eth1" }), linkSet()];
  assert.deepEqual(dump(table, links, [addressSet(2, "192.0.2.2"), addressSet(2, "192.0.2.1")]), {
    type: "loaded",
    complete: true,
  });
  assert.deepEqual(summary(table), ["eth0 192.0.2.1,192.0.2.2", "eth1 "]);
});

test("the same dump again changes nothing", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet()], [addressSet(2, "192.0.2.1")]);
  const { changes } = table;
  dump(table, [linkSet()], [addressSet(2, "192.0.2.1")]);
  assert.equal(table.changes, changes);
});

const changing: { name: string; message: NetlinkMessage; want: string[] }[] = [
  { name: "an interface that comes", message: linkSet({ index: 3, name: "eth1" }), want: ["eth0 192.0.2.1", "eth1 "] },
  { name: "an interface that changes", message: linkSet({ name: "lan0" }), want: ["lan0 192.0.2.1"] },
  { name: "an interface that goes, with its addresses", message: linkDeleted, want: [] },
  { name: "an address that comes", message: addressSet(2, "192.0.2.9"), want: ["eth0 192.0.2.1,192.0.2.9"] },
  {
    name: "an address that goes",
    message: { ...notification, type: "addressDeleted", address: address(2, "192.0.2.1") },
    want: ["eth0 "],
  },
];
for (const { name, message, want } of changing)
  test(`a notification tells of ${name}`, () => {
    const table = new InterfaceTable();
    dump(table, [linkSet()], [addressSet(2, "192.0.2.1")]);
    const { changes } = table;
    assert.equal(table.apply(message), undefined);
    assert.deepEqual(summary(table), want);
    assert.ok(table.changes > changes);
  });

test("an address that is another way fit for use is a change, and the same one again is none", () => {
  const table = new InterfaceTable();
  const set = (flags: number) =>
    table.apply({ ...notification, type: "addressSet", address: { ...address(2, "fe80::1"), flags } });
  dump(table, [linkSet()], [addressSet(2, "fe80::1")]);
  const changes = [0xc0, 0x80, 0x80, 0xa0].map((flags) => {
    const before = table.changes;
    set(flags);
    return table.changes - before;
  });
  assert.deepEqual(changes, [1, 1, 0, 1]);
});

test("an interface is another object once it or its addresses have changed, and no earlier", () => {
  const table = new InterfaceTable();
  const both = [linkSet(), linkSet({ index: 3, name: "eth1" })];
  const addresses = [addressSet(2, "192.0.2.1"), addressSet(3, "192.0.2.3")];
  dump(table, both, addresses);
  /** Names of the interfaces that are other objects after this. */
  const changedBy = (change: () => void): string[] => {
    const before = table.interfaces();
    change();
    return table
      .interfaces()
      .filter((one) => !before.includes(one))
      .map(({ name }) => name);
  };
  assert.deepEqual(
    changedBy(() => dump(table, both, addresses)),
    [],
  );
  const messages = [
    linkSet({ running: false }),
    addressSet(3, "192.0.2.4"),
    { ...notification, type: "addressDeleted" as const, address: address(2, "192.0.2.1") },
    { ...notification, type: "addressSet" as const, address: { ...address(3, "192.0.2.4"), flags: 0x80 } },
  ];
  for (const [message, want] of messages.map((each, index) => [each, index % 2 === 0 ? "eth0" : "eth1"] as const))
    assert.deepEqual(
      changedBy(() => table.apply(message)),
      [want],
    );
  const left = [linkSet({ running: false }), linkSet({ index: 3, name: "eth1" })];
  assert.deepEqual(
    changedBy(() => dump(table, left, [addressSet(3, "192.0.2.3")])),
    ["eth1"],
  );
});

test("what a complete dump does not mention is removed", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet(), linkSet({ index: 3, name: "eth1" })], [addressSet(2, "192.0.2.1"), addressSet(2, "192.0.2.2")]);
  const { changes } = table;
  dump(table, [linkSet()], [addressSet(2, "192.0.2.2")]);
  assert.deepEqual(summary(table), ["eth0 192.0.2.2"]);
  assert.ok(table.changes > changes);
});

test("what a notification told during a dump stays, although the dump does not mention it", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet()]);
  const sequence = sequenceOf(table.startDump());
  table.apply({ ...linkSet(), sequence });
  table.apply(linkSet({ index: 3, name: "late" }));
  const next = table.apply({ type: "done", errno: 0, sequence, interrupted: false });
  assert.equal(next?.type, "send");
  table.apply(addressSet(3, "192.0.2.3"));
  table.apply({ type: "done", errno: 0, sequence: sequenceOf(next.request), interrupted: false });
  assert.deepEqual(summary(table), ["eth0 ", "late 192.0.2.3"]);
});

test("an interrupted dump removes nothing and says that it is not complete", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet(), linkSet({ index: 3, name: "eth1" })], [addressSet(2, "192.0.2.1")]);
  assert.deepEqual(dump(table, [linkSet()], [], true), { type: "loaded", complete: false });
  assert.deepEqual(summary(table), ["eth0 192.0.2.1", "eth1 "]);
});

test("a dump that ends in an error removes nothing and tells the error", () => {
  const table = new InterfaceTable();
  const links = [linkSet(), linkSet({ index: 3, name: "eth1" })];
  dump(table, links, [addressSet(2, "192.0.2.1")]);
  const failing = (sequence: number) => table.apply({ type: "done", errno: 12, sequence, interrupted: false });
  const sequence = sequenceOf(table.startDump());
  table.apply({ ...linkSet(), sequence });
  assert.deepEqual(failing(sequence), { type: "failed", errno: 12 });
  const first = sequenceOf(table.startDump());
  for (const link of links) table.apply({ ...link, sequence: first });
  const next = table.apply({ type: "done", errno: 0, sequence: first, interrupted: false });
  assert.equal(next?.type, "send");
  assert.deepEqual(failing(sequenceOf(next.request)), { type: "failed", errno: 12 });
  assert.deepEqual(summary(table), ["eth0 192.0.2.1", "eth1 "]);
});

test("an index that was deleted and given again is another generation", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet()]);
  const generation = (): number | undefined => table.interfaces()[0]?.generation;
  const before = generation();
  table.apply(linkSet({ up: false }));
  assert.equal(generation(), before);
  table.apply(linkDeleted);
  table.apply(linkSet());
  assert.notEqual(generation(), before);
});

test("a refused dump is told with its error; an acknowledgement and the error of an older request are not", () => {
  const table = new InterfaceTable();
  const old = sequenceOf(table.startDump());
  const sequence = sequenceOf(table.startDump());
  assert.equal(table.apply({ type: "error", sequence: old, errno: 16, interrupted: false }), undefined);
  assert.equal(table.apply({ type: "error", sequence, errno: 0, interrupted: false }), undefined);
  assert.deepEqual(table.apply({ type: "error", sequence, errno: 16, interrupted: false }), { type: "failed", errno: 16 });
});

test("the end of a dump that was given up ends nothing", () => {
  const table = new InterfaceTable();
  dump(table, [linkSet()]);
  const old = sequenceOf(table.startDump());
  table.startDump();
  assert.equal(table.apply({ type: "done", errno: 0, sequence: old, interrupted: false }), undefined);
  assert.deepEqual(summary(table), ["eth0 "]);
});

test("IPv6 addresses that were all gone for a moment are another generation of IPv6, and those that come and go beside another are not", () => {
  const table = new InterfaceTable();
  const addressDeleted = (text: string): NetlinkMessage => ({
    ...notification,
    type: "addressDeleted",
    address: address(2, text),
  });
  dump(table, [linkSet()], [addressSet(2, "192.0.2.1"), addressSet(2, "fe80::1")]);
  const generation = (): number | undefined => table.interfaces()[0]?.ipv6Generation;
  const before = generation();
  for (const message of [addressSet(2, "2001:db8::1"), addressDeleted("2001:db8::1"), addressDeleted("192.0.2.1")])
    table.apply(message);
  assert.equal(generation(), before);
  for (const message of [addressDeleted("fe80::1"), addressSet(2, "fe80::1"), linkSet({ running: false })]) table.apply(message);
  assert.notEqual(generation(), before);
});
