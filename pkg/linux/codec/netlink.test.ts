import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { Address, Prefix } from "#pkg/net";
import {
  decodeNeighbor,
  decodeNetlink,
  encodeNeighborRequest,
  type InterfaceAddress,
  type NetworkInterface,
  type TableRoute,
} from "./netlink.ts";
import { NetlinkError } from "./netlink-wire.ts";

function capture(name: string): Uint8Array[] {
  const lines = readFileSync(new URL(`../testdata/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => new Uint8Array(Buffer.from(line, "hex")));
}

const captured = capture("dump.hex").flatMap(decodeNetlink);

test("a captured dump of links yields each link with its flags, MAC address and master", () => {
  const links = captured.flatMap((message) => (message.type === "interfaceSet" ? [message.networkInterface] : []));
  const base = { broadcast: true, loopback: false, noArp: false, up: true, running: true, hardwareType: 1 };
  const free = { master: undefined, kind: undefined, masterKind: undefined };
  assert.deepEqual(links, [
    {
      ...base,
      ...free,
      index: 1,
      name: "lo",
      hardwareType: 772,
      hardwareAddress: "00:00:00:00:00:00",
      broadcast: false,
      loopback: true,
    },
    { ...base, ...free, index: 2, name: "br0", kind: "bridge", hardwareAddress: "72:de:df:41:dd:52", running: false },
    { ...base, ...free, index: 3, name: "p1", kind: "veth", hardwareAddress: "56:0d:e9:70:7d:28", noArp: true },
    { ...base, index: 4, name: "p0", kind: "veth", hardwareAddress: "72:de:df:41:dd:52", master: 2, masterKind: "bridge" },
    {
      ...base,
      ...free,
      index: 5,
      name: "tun0",
      kind: "tun",
      hardwareType: 65534,
      hardwareAddress: "",
      broadcast: false,
      noArp: true,
      up: false,
      running: false,
    },
  ]);
});

test("a captured dump of addresses yields this end of a point-to-point address, and both families", () => {
  const addresses = captured.flatMap((message) => (message.type === "addressSet" ? [message.address] : []));
  assert.deepEqual(
    addresses.map(({ interfaceIndex, address, prefixLength }) => `${interfaceIndex} ${address}/${prefixLength}`),
    [
      "1 127.0.0.1/8",
      "3 10.1.0.1/32",
      "1 ::1/128",
      "3 2001:db8::1/64",
      "3 fe80::540d:e9ff:fe70:7d28/64",
      "4 fe80::70de:dfff:fe41:dd52/64",
    ],
  );
});

test("each captured dump ends with done, with the sequence of its request", () => {
  assert.deepEqual(
    captured.filter(({ type }) => type === "done"),
    [1, 2].map((sequence) => ({ type: "done", errno: 0, sequence, interrupted: false })),
  );
});

test("a port that leaves its bridge is not a deleted link, although the bridge says RTM_DELLINK", () => {
  const messages = capture("port-leaves-bridge.hex").flatMap(decodeNetlink);
  assert.deepEqual(
    messages.map((message) =>
      message.type === "interfaceSet" ? [message.networkInterface.name, message.networkInterface.masterKind] : message.type,
    ),
    [
      ["p0", "bridge"],
      ["p0", undefined],
      ["br0", undefined],
      ["br0", undefined],
    ],
  );
});

const refused = [
  { name: "a header cut short", hex: "10000000 0300" },
  { name: "a length below the header's", hex: "0f000000 0300 0000 00000000 00000000" },
  { name: "a length above the datagram's", hex: "11000000 0300 0000 00000000 00000000" },
  { name: "an error without its number", hex: "12000000 0200 0000 00000000 00000000 ffff" },
  { name: "an interface cut short", hex: "18000000 1000 0000 00000000 00000000 0000000000000000" },
  { name: "an interface without a name", hex: `20000000 1000 0000 00000000 00000000 00000000 01000000 ${"00".repeat(8)}` },
  {
    name: "an attribute shorter than its header",
    hex: `24000000 1000 0000 00000000 00000000 00000000 01000000 ${"00".repeat(8)} 0300 0300`,
  },
  {
    name: "an attribute longer than its message",
    hex: `24000000 1000 0000 00000000 00000000 00000000 01000000 ${"00".repeat(8)} 0500 0300`,
  },
  { name: "an address without octets", hex: "18000000 1400 0000 00000000 00000000 02180000 01000000" },
  {
    name: "an address of the other family's length",
    hex: "20000000 1400 0000 00000000 00000000 0a180000 01000000 08000200 0a000001",
  },
  { name: "a route cut short", hex: "18000000 1800 0000 00000000 00000000 02200000 c6f80001" },
  {
    name: "a route that is longer than its address",
    hex: "24000000 1800 0000 00000000 00000000 02210000 c6f80001 00000000 08000100 0a000001",
  },
];
for (const { name, hex } of refused)
  test(`decodeNetlink refuses ${name}`, () => {
    assert.throws(() => decodeNetlink(new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"))), NetlinkError);
  });

test("decodeNetlink leaves out what it does not know", () => {
  const rule = "14000000 2000 0000 00000000 00000000 deadbeef";
  const done = "14000000 0300 1000 05000000 00000000 feffffff";
  const bytes = new Uint8Array(Buffer.from((rule + done).replaceAll(" ", ""), "hex"));
  assert.deepEqual(decodeNetlink(bytes), [{ type: "done", errno: 2, sequence: 5, interrupted: true }]);
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const name = fc.string({ minLength: 1, maxLength: 15, unit: "binary-ascii" }).filter((text) => !text.includes("\0"));
const plain = { noNullPrototype: true };
const networkInterface: fc.Arbitrary<NetworkInterface> = fc.record(
  {
    index: fc.integer({ min: 1, max: 0x7fff_ffff }),
    name,
    hardwareType: fc.integer({ min: 0, max: 0xffff }),
    hardwareAddress: fc
      .uint8Array({ maxLength: 32 })
      .map((bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":")),
    up: fc.boolean(),
    broadcast: fc.boolean(),
    loopback: fc.boolean(),
    noArp: fc.boolean(),
    running: fc.boolean(),
    master: fc.option(u32, { nil: undefined }),
    kind: fc.option(name, { nil: undefined }),
    masterKind: fc.option(name, { nil: undefined }),
  },
  plain,
);
const address: fc.Arbitrary<InterfaceAddress> = fc.record(
  {
    interfaceIndex: u32,
    address: fc
      .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .map((bytes) => Address.fromBytes(bytes)),
    prefixLength: fc.integer({ min: 0, max: 128 }),
    flags: u32,
    protocol: fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined }),
    validSeconds: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 0xffff_fffe })),
  },
  plain,
);
const route: fc.Arbitrary<TableRoute> = fc.record(
  {
    prefix: fc.tuple(address, fc.nat(128)).map(([one, length]) => new Prefix(one.address, length % (one.address.bits + 1))),
    table: u32,
    protocol: fc.nat(255),
    interfaceIndex: fc.option(u32, { nil: undefined }),
    gateway: fc.constant(undefined),
  },
  plain,
);

test("property: decoding undoes encoding", () => {
  const message = fc.oneof(
    fc.record({ type: fc.constantFrom("interfaceSet" as const, "interfaceDeleted" as const), networkInterface }, plain),
    fc.record({ type: fc.constantFrom("addressSet" as const, "addressDeleted" as const), address }, plain),
    fc.record({ type: fc.constantFrom("routeSet" as const, "routeDeleted" as const), route }, plain),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(u32, message)), (messages) => {
      const datagram = Buffer.concat(
        messages.map(([sequence, message]) => {
          if ("route" in message) return encode(message.type === "routeSet" ? 24 : 25, sequence, encodeRoute(message.route));
          return "networkInterface" in message
            ? encode(message.type === "interfaceSet" ? 16 : 17, sequence, encodeLink(message.networkInterface))
            : encode(message.type === "addressSet" ? 20 : 21, sequence, encodeAddress(message.address));
        }),
      );
      const want = messages.map(([sequence, message]) => ({ ...message, sequence, interrupted: false }));
      assert.deepEqual(decodeNetlink(new Uint8Array(datagram)), want);
    }),
  );
});

test("property: arbitrary bytes, and captures with arbitrary damage, raise only NetlinkError", () => {
  const damaged = fc
    .tuple(fc.constantFrom(...capture("dump.hex")), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))), fc.nat())
    .map(([datagram, damages, length]) => {
      const bytes = Uint8Array.from(datagram);
      for (const [offset, byte] of damages) bytes[offset % bytes.length] = byte;
      return bytes.subarray(0, length % (bytes.length + 1));
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 256, size: "max" }), damaged), (bytes) => {
      try {
        decodeNetlink(bytes);
      } catch (error) {
        assert.ok(error instanceof NetlinkError, String(error));
      }
    }),
  );
});

// The kernel's side of the codec.
function encode(type: number, sequence: number, body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt32LE(sequence, 8);
  return padded(Buffer.concat([header, body]));
}

function encodeLink(networkInterface: NetworkInterface): Uint8Array {
  const header = Buffer.alloc(16);
  header.writeUInt16LE(networkInterface.hardwareType, 2);
  header.writeInt32LE(networkInterface.index, 4);
  const flags = {
    1: networkInterface.up,
    2: networkInterface.broadcast,
    8: networkInterface.loopback,
    64: networkInterface.running,
    128: networkInterface.noArp,
  };
  header.writeUInt32LE(
    Object.entries(flags).reduce((bits, [bit, set]) => bits | (set ? Number(bit) : 0), 0),
    8,
  );
  const attributes = [
    attribute(3, Buffer.from(`${networkInterface.name}\0`)),
    attribute(1, Buffer.from(networkInterface.hardwareAddress.replaceAll(":", ""), "hex")),
  ];
  if (networkInterface.master !== undefined)
    attributes.push(attribute(10, new Uint8Array(Uint32Array.of(networkInterface.master).buffer)));
  const information = [
    ...(networkInterface.kind === undefined ? [] : [attribute(1, Buffer.from(`${networkInterface.kind}\0`))]),
    ...(networkInterface.masterKind === undefined ? [] : [attribute(4, Buffer.from(`${networkInterface.masterKind}\0`))]),
  ];
  if (information.length > 0) attributes.push(attribute(18 | 0x8000, Buffer.concat(information)));
  return Buffer.concat([header, ...attributes]);
}

function encodeAddress(one: InterfaceAddress): Uint8Array {
  const { interfaceIndex, address, prefixLength, flags, protocol, validSeconds } = one;
  const header = Buffer.alloc(8);
  header.writeUInt8(address.family === "IPv4" ? 2 : 10, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(interfaceIndex, 4);
  const valid = validSeconds === Infinity ? 0xffff_ffff : validSeconds;
  return Buffer.concat([
    header,
    attribute(1, address.toBytes()),
    attribute(6, words(0, valid, 0, 0)),
    attribute(8, words(flags)),
    ...(protocol === undefined ? [] : [attribute(11, Uint8Array.of(protocol))]),
  ]);
}

function encodeRoute({ prefix, table, protocol, interfaceIndex }: TableRoute): Uint8Array {
  const family = prefix.family === "IPv4" ? 2 : 10;
  const header = Uint8Array.of(family, prefix.length, 0, 0, table % 256, protocol, 0, 1, 0, 0, 0, 0);
  const optional = interfaceIndex === undefined ? [] : [attribute(4, words(interfaceIndex))];
  return Buffer.concat([header, attribute(1, prefix.first.toBytes()), attribute(15, words(table)), ...optional]);
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return padded(Buffer.concat([header, value]));
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));

test("a request names the interface and the address", () => {
  // What `ip neigh get 10.0.0.2 dev eth0` sends, as strace shows it, with another number.
  const want = "24000000 1e00 0100 07000000 00000000 02000000 03000000 0000 00 00 08000100 0a000002";
  assert.deepEqual(encodeNeighborRequest(3, Uint8Array.of(10, 0, 0, 2), 7), bytes(want));
});

const answer = "30000000 1c00 0000 07000000 00000000 02000000 03000000 0200 00 01 08000100 0a000002 0a000200 020000000002 0000";
const error = "24000000 0200 0000 07000000 00000000 feffffff 24000000 1e000100 07000000 00000000";
const cases = [
  { name: "the answer has the link-layer address", hex: answer, want: "020000000002" },
  { name: "the answer to another request is not the answer", hex: answer.replace("07000000", "08000000"), want: undefined },
  { name: "an entry that is not resolved has none", hex: answer.replace("0a000200", "0a000300"), want: undefined },
  { name: "an error is no answer", hex: error, want: undefined },
  { name: "an attribute longer than the message is refused", hex: answer.replace("0a000200", "ff000200"), want: undefined },
  { name: "an attribute shorter than its header is refused", hex: answer.replace("08000100", "00000100"), want: undefined },
  { name: "a message cut short is refused", hex: answer.slice(0, 40), want: undefined },
];
for (const { name, hex, want } of cases)
  test(`decodeNeighbor: ${name}`, () => {
    const decoded = decodeNeighbor(bytes(hex), 7);
    assert.equal(decoded && Buffer.from(decoded).toString("hex"), want);
  });

test("property: arbitrary bytes, and answers with arbitrary damage, raise nothing", () => {
  const damaged = fc.tuple(fc.nat(47), fc.nat(255)).map(([at, octet]) => bytes(answer).with(at, octet));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 100, size: "max" }), damaged), (any) => void decodeNeighbor(any, 7)));
});
