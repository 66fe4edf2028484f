import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeDefaultRoutes } from "./default-routes.ts";
import { encodeAttribute, encodeMessage, MessageType, NetlinkError, RouteAttribute } from "./netlink-wire.ts";

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const v4 = (last: number) => Uint8Array.of(10, 0, 0, last);
const v6 = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

function header({ family = 2, length = 0, table = 254, type = 1, flags = 0 } = {}): Uint8Array {
  return Uint8Array.of(family, length, 0, 0, table, 3, 0, type, flags, 0, 0, 0);
}

function route(head: Uint8Array, ...attributes: Uint8Array[]): Uint8Array {
  return encodeMessage(MessageType.newRoute, 0, 7, head, ...attributes);
}

const by = (index: number) => encodeAttribute(RouteAttribute.outInterface, u32(index));
const gateway = (octets: Uint8Array) => encodeAttribute(RouteAttribute.gateway, octets);
const metric = (value: number) => encodeAttribute(RouteAttribute.priority, u32(value));
const via = encodeAttribute(RouteAttribute.via, Uint8Array.of(10, 0, ...v6));

function hop(index: number, flags: number, attribute: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + attribute.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length, true);
  view.setUint8(2, flags);
  view.setInt32(4, index, true);
  bytes.set(attribute, 8);
  return bytes;
}

const several = (...hops: Uint8Array[]) => encodeAttribute(RouteAttribute.multipath, Buffer.concat(hops));

const cases: { name: string; bytes: Uint8Array; want: string[] }[] = [
  { name: "one next hop", bytes: route(header(), by(2), gateway(v4(1)), metric(100)), want: ["10.0.0.1 2 100"] },
  { name: "without a metric", bytes: route(header(), by(2), gateway(v4(1))), want: ["10.0.0.1 2 0"] },
  { name: "IPv4 by IPv6", bytes: route(header(), by(2), via), want: ["fe80::1 2 0"] },
  {
    name: "several, of which one is down",
    bytes: route(
      header(),
      several(hop(2, 0, gateway(v4(1))), hop(3, 0x10, gateway(v4(2))), hop(4, 0, gateway(v4(3)))),
      metric(5),
    ),
    want: ["10.0.0.1 2 5", "10.0.0.3 4 5"],
  },
  { name: "a next hop whose link is down", bytes: route(header({ flags: 0x10 }), by(2), gateway(v4(1))), want: [] },
  { name: "a point-to-point link", bytes: route(header(), by(2)), want: [] },
  { name: "another prefix", bytes: route(header({ length: 8 }), by(2), gateway(v4(1))), want: [] },
  { name: "another table", bytes: route(header({ table: 100 }), by(2), gateway(v4(1))), want: [] },
  { name: "another family", bytes: route(header({ family: 10 }), by(2), gateway(v6)), want: [] },
  { name: "a blackhole", bytes: route(header({ type: 6 }), gateway(v4(1))), want: [] },
  { name: "another request's", bytes: encodeMessage(MessageType.newRoute, 0, 8, header(), by(2), gateway(v4(1))), want: [] },
];
for (const { name, bytes, want } of cases)
  test(`decodeDefaultRoutes: ${name}`, () => {
    const found = decodeDefaultRoutes(bytes, 7, "IPv4");
    assert.deepEqual([found.isInterrupted, found.ended], [false, undefined]);
    assert.deepEqual(
      found.gateways.map(({ address, interfaceIndex, metric }) => `${address} ${interfaceIndex} ${metric}`),
      want,
    );
  });

const flagInterrupted = 0x12; // NLM_F_MULTI, NLM_F_DUMP_INTR
const ends: { name: string; messages: Uint8Array[]; want: object }[] = [
  { name: "the end of a dump", messages: [encodeMessage(MessageType.done, 2, 7, u32(0))], want: { ended: 0 } },
  { name: "an end with an error", messages: [encodeMessage(MessageType.done, 2, 7, u32(-12))], want: { ended: 12 } },
  { name: "a refusal", messages: [encodeMessage(MessageType.error, 0, 7, u32(-105))], want: { ended: 105 } },
  { name: "another request's end", messages: [encodeMessage(MessageType.done, 2, 6, u32(0))], want: {} },
  {
    name: "a change in the middle, told with a route that is no default route",
    messages: [
      encodeMessage(MessageType.newRoute, flagInterrupted, 7, header({ length: 8 })),
      encodeMessage(MessageType.done, 2, 7, u32(0)),
    ],
    want: { isInterrupted: true, ended: 0 },
  },
];
for (const { name, messages, want } of ends)
  test(`decodeDefaultRoutes: ${name}`, () => {
    const all = { gateways: [], isInterrupted: false, ended: undefined, ...want };
    assert.deepEqual(decodeDefaultRoutes(Buffer.concat(messages), 7, "IPv4"), all);
  });

test("a length that does not fit is refused", () => {
  const cut = route(header(), several(hop(2, 0, gateway(v4(1))).fill(0xff, 0, 2)));
  assert.throws(() => decodeDefaultRoutes(cut, 7, "IPv4"), NetlinkError);
});

test("arbitrary attributes raise nothing but a NetlinkError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
      try {
        decodeDefaultRoutes(route(header(), octets), 7, "IPv4");
      } catch (error) {
        assert.ok(error instanceof NetlinkError);
      }
    }),
  );
});
