import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { address } from "#pkg/net/testing";
import { decodeConntrack, encodeConntrackDeletions, encodeConntrackDump } from "./conntrack.ts";
import { encodeFilterMessage, filterFamily, Subsystem } from "./netfilter-wire.ts";
import { encodeAttribute, NetlinkError } from "./netlink-wire.ts";
import { decodeFilter, encodeFilterBatch, encodeFilterQuery, type FilterChange, type FilterElement } from "./nf-tables.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");
const captured = readFileSync(new URL("../testdata/handover-table.hex", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map(bytes);
const table = { family: "IPv4", table: "t" } as const;

/** The messages of the changes, without what opens and closes their batch. */
function encoded(...changes: FilterChange[]): string {
  const batch = encodeFilterBatch(table, changes, 1);
  assert.equal(hex(batch.subarray(0, 20)), "14000000 1000 0100 01000000 00000000 00 00 000a".replaceAll(" ", ""));
  assert.equal(
    hex(batch.subarray(-20, -8)),
    `14000000 1100 0100 ${hex(Uint8Array.of(changes.length + 2))}000000`.replaceAll(" ", ""),
  );
  return hex(batch.subarray(20, -20));
}

// By linux/netfilter/nf_tables.h; `pkg/handover/keeper.test.ts` has the kernel judge, and nft.
const head = (length: string, type: string, flags: string) => `${length}000000 ${type}0a ${flags} 02000000 00000000 02 00 0000`;
const named = "0600 0100 7400 0000";
const changes: { name: string; change: FilterChange; want: string }[] = [
  { name: "deleteTable", change: { type: "deleteTable" }, want: `${head("1c", "02", "0500")} ${named}` },
  {
    name: "addTable has its mark as a comment",
    change: { type: "addTable", mark: "m" },
    want: `${head("24", "00", "0504")} ${named} 0800 0600 00 02 6d00`,
  },
  {
    name: "addChain",
    change: { type: "addChain", chain: "c", hook: "prerouting", priority: -150 },
    want: `${head("4c", "03", "0504")} ${named} 0600 0300 6300 0000 1400 0480 0800 0100 00000000 0800 0200 ffffff6a
      0800 0500 00000001 0b00 0700 66696c74657200 00`,
  },
  {
    name: "addElements: keys, values and times in milliseconds, in network order",
    change: {
      type: "addElements",
      set: "s",
      elements: [{ key: Uint8Array.of(192, 0, 2, 1), value: Uint8Array.of(1), timeoutMs: 600_000 }],
    },
    want: `${head("50", "0c", "0504")} ${named} 0600 0200 7300 0000 2c00 0380 2800 0180
      0c00 0180 0800 0100 c0000201 0900 0280 0500 0100 01 000000 0c00 0400 00000000000927c0`,
  },
  {
    name: "deleteElements names keys",
    change: { type: "deleteElements", set: "s", elements: [{ key: Uint8Array.of(192, 0, 2, 1) }] },
    want: `${head("38", "0e", "0500")} ${named} 0600 0200 7300 0000 1400 0380 1000 0180 0c00 0180 0800 0100 c0000201`,
  },
];
for (const { name, change, want } of changes)
  test(`encodeFilterBatch: ${name}`, () => assert.equal(encoded(change), want.replaceAll(/\s/g, "")));

test("a batch counts its messages from its beginning", () => {
  const batch = encodeFilterBatch(table, [{ type: "deleteTable" }, { type: "deleteTable" }], 7);
  assert.deepEqual(
    [8, 28, 56, 84].map((at) => batch[at]),
    [7, 8, 9, 10],
  );
});

test("the kernel's answers about a table", () => {
  const found = captured.slice(0, -1).flatMap((datagram) => decodeFilter(datagram));
  assert.deepEqual(
    found.filter(({ type }) => type === "table" || type === "rule").map((one) => "mark" in one && one.mark),
    ["Ingot 1: hands packets of moved connections to former owners", "owned addresses", "addresses passed on"],
  );
  const elements = found.flatMap((one) => (one.type === "elements" ? one.elements : []));
  assert.deepEqual(
    elements.map(({ key, value }) => `${hex(key)} ${value ? hex(value) : ""}`),
    ["020000000001 ", "c0000202 01000000", "c0000201 01000000", "c0000201 0a000002", "0200000000010000c0000202 0a000002"],
  );
  assert.deepEqual(new Set(found.map(({ interrupted }) => interrupted)), new Set([false]));
});

test("the kernel's answer about a connection has the address that its client connected to", () => {
  const [last = new Uint8Array()] = captured.slice(-1);
  const open = { sequence: 60, type: "connection", to: address("127.0.0.1"), closed: undefined };
  assert.deepEqual([...decodeConntrack(last)], [open]);
  assert.equal(hex(encodeConntrackDump("IPv6", 5)), "14000000 0101 0103 05000000 00000000 0a 00 0000".replaceAll(" ", ""));
});

for (const [state, is] of [
  [1, undefined],
  [2, undefined],
  [3, "open"],
  [6, "open"],
  [7, "closed"],
  [8, "closed"],
  [9, undefined],
] as const)
  test(`a connection in state ${state} of conntrack is ${is ?? "left out"}`, () => {
    const one = Uint8Array.from(captured.at(-1) ?? []);
    const at = hex(one).indexOf("0500010008000000") / 2; // CTA_PROTOINFO_TCP_STATE
    const where = at >= 0 ? at + 4 : stateAt(one);
    one[where] = state;
    const [found] = [...decodeConntrack(one)];
    assert.equal(found?.type === "connection" ? (found.closed === undefined ? "open" : "closed") : undefined, is);
    if (found?.type !== "connection" || found.closed === undefined) return;
    // As the kernel names it, so that another connection of the same ports stays.
    const [tuple, id] = [/^.*?(34000180.{96})/, /^.*(08000c00.{8})/].map(
      (named) => named.exec(hex(one))?.[1] ?? assert.fail(hex(one)),
    );
    const request = `50000000 0201 0100 05000000 00000000 02 00 0000 ${tuple} ${id}`.replaceAll(" ", "");
    assert.equal(hex(encodeConntrackDeletions("IPv4", [found.closed, found.closed], 5)), `${request}${request}`);
  });

/** Where the state of the connection stands: the first attribute in those of TCP, in those of its protocol. */
function stateAt(message: Uint8Array): number {
  const found = /^.*?30000480(?:....0180)05000100/.exec(hex(message))?.[0] ?? assert.fail(hex(message));
  return found.length / 2;
}

const refused = [
  { name: "a counter of another width", hex: ruleWith("0900 0100 636f756e74657200" + "0000 0c00 0280 0800 0200 00000000") },
  { name: "an element without a key", hex: messageOf(12, "0c00 0380 0800 0180 0400 0280") },
  { name: "a list whose member is longer than the list", hex: messageOf(12, "0c00 0380 ff00 0180 0400 0280") },
  { name: "a message shorter than its head", hex: "12000000 000a 0000 00000000 00000000 0200" },
];
for (const { name, hex } of refused)
  test(`decodeFilter refuses ${name}`, () => assert.throws(() => decodeFilter(bytes(hex)), NetlinkError));

function messageOf(number: number, attributes: string): string {
  const type = (Subsystem.tables << 8) | number;
  return hex(encodeFilterMessage({ type, flags: 0, sequence: 0, family: filterFamily.IPv4 }, bytes(attributes)));
}

function ruleWith(expression: string): string {
  return messageOf(6, hex(encodeAttribute(4, encodeAttribute(1, bytes(expression)))));
}

const octets = fc.uint8Array({ minLength: 4, maxLength: 28 });
const element: fc.Arbitrary<FilterElement> = fc.record({ key: octets, value: octets }, { noNullPrototype: true });

test("property: what is added is what the kernel would show", () => {
  fc.assert(
    fc.property(fc.array(element, { minLength: 1, maxLength: 40 }), (elements) => {
      const batch = encodeFilterBatch(table, [{ type: "addElements", set: "s", elements }], 1);
      const [shown] = decodeFilter(batch);
      assert.deepEqual(shown?.type === "elements" && shown.elements, elements);
    }),
  );
});

test("property: arbitrary bytes, and answers with arbitrary damage, raise only NetlinkError", () => {
  const damaged = fc
    .tuple(fc.constantFrom(...captured), fc.nat(400), fc.nat(255))
    .map(([one, at, octet]) => (at < one.length ? one.with(at, octet) : one));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200, size: "max" }), damaged), (any) => {
      for (const decode of [decodeFilter, (datagram: Uint8Array) => [...decodeConntrack(datagram)]])
        try {
          decode(any);
        } catch (error) {
          assert.ok(error instanceof NetlinkError, String(error));
        }
    }),
  );
});

test("a query of a dump asks for all of one set", () => {
  const query = encodeFilterQuery(table, { type: "elements", set: "s" }, 3);
  assert.equal(
    hex(query),
    "24000000 0d0a 0103 03000000 00000000 02 00 0000 0600 0100 7400 0000 0600 0200 7300 0000".replaceAll(" ", ""),
  );
});
