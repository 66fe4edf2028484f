import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address } from "#pkg/net";
import type { Capability, Open } from "./messages.ts";
import { decodeOpen, encodeOpen } from "./open-codec.ts";
import { anyOpen } from "./testing/arbitraries.ts";
import { hex, notification, octets } from "./testing/octets.ts";

const fixed = "04 fde9 00b4 c0000201";
const decode = (parameters: string) => decodeOpen(octets(fixed + parameters)).capabilities;
const refresh: Capability = { type: "routeRefresh" };
const multiprotocol: Capability = { type: "multiprotocol", afi: 2, safi: 1 };

/** A capability of this many octets. */
function ofLength(length: number): Capability {
  return { type: "unknown", code: 200, value: new Uint8Array(length - 2) };
}

const accepted: { name: string; parameters: string; want: Capability[] }[] = [
  { name: "no parameters", parameters: "00", want: [] },
  {
    name: "several capabilities in one parameter (RFC 5492)",
    parameters: "0a 02 08 0200 0104 0002 00 01",
    want: [refresh, multiprotocol],
  },
  { name: "one parameter for each", parameters: "0c 02 02 0200 02 06 0104 0002 00 01", want: [refresh, multiprotocol] },
  { name: "an empty parameter", parameters: "06 02 00 02 02 0200", want: [refresh] },
  { name: "what is repeated", parameters: "06 02 04 0200 0200", want: [refresh, refresh] },
  { name: "the reserved octet of multiprotocol is ignored", parameters: "08 02 06 0104 0002 ff 01", want: [multiprotocol] },
  {
    name: "capabilities that are not known",
    parameters: "0a 02 08 80 00 48 04 deadbeef",
    want: [
      { type: "unknown", code: 128, value: octets("") },
      { type: "unknown", code: 72, value: octets("deadbeef") },
    ],
  },
  { name: "extended lengths (RFC 9072)", parameters: "ff ff 0005 02 0002 0200", want: [refresh] },
  { name: "extended lengths without need", parameters: "01 ff 0000", want: [] },
  {
    name: "several extended parameters",
    parameters: "ff ff 000e 02 0002 0200 02 0006 0104 0002 00 01",
    want: [refresh, multiprotocol],
  },
  {
    name: "graceful restart, restarting, with notification (RFC 4724, RFC 8538)",
    parameters: "0e 02 0c 40 0a c078 0001 01 80 0002 01 00",
    want: [
      {
        type: "gracefulRestart",
        restarting: true,
        notification: true,
        timeSeconds: 120,
        families: [
          { afi: 1, safi: 1, forwardingPreserved: true },
          { afi: 2, safi: 1, forwardingPreserved: false },
        ],
      },
    ],
  },
  {
    name: "graceful restart of nothing: the peer only helps",
    parameters: "06 02 04 40 02 0fff",
    want: [{ type: "gracefulRestart", restarting: false, notification: false, timeSeconds: 4095, families: [] }],
  },
  {
    name: "extended next hop (RFC 8950)",
    parameters: "0a 02 08 05 06 0001 0001 0002",
    want: [{ type: "extendedNextHop", families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] }],
  },
  {
    name: "ADD-PATH of each direction (RFC 7911); one without a meaning is passed over",
    parameters: "14 02 12 4510 0001 01 01 0002 01 02 0001 02 03 0002 02 04",
    want: [
      {
        type: "addPath",
        families: [
          { afi: 1, safi: 1, direction: "receive" },
          { afi: 2, safi: 1, direction: "send" },
          { afi: 1, safi: 2, direction: "both" },
        ],
      },
    ],
  },
  { name: "ADD-PATH of nothing", parameters: "04 02 02 4500", want: [{ type: "addPath", families: [] }] },
  {
    name: "roles (RFC 9234); one without a meaning is not known",
    parameters: "08 02 06 0901 03 0901 05",
    want: [
      { type: "role", role: "customer" },
      { type: "unknown", code: 9, value: octets("05") },
    ],
  },
  {
    name: "long-lived graceful restart, of 24 bits of seconds (RFC 9494)",
    parameters: "12 02 10 470e 0001 01 80 ffffff 0002 01 00 000e10",
    want: [
      {
        type: "longLivedGracefulRestart",
        families: [
          { afi: 1, safi: 1, forwardingPreserved: true, staleSeconds: 16_777_215 },
          { afi: 2, safi: 1, forwardingPreserved: false, staleSeconds: 3_600 },
        ],
      },
    ],
  },
  {
    name: "the others without a value, and four-octet AS numbers",
    parameters: "0c 02 0a 06 00 46 00 41 04 fa56ea01",
    want: [{ type: "extendedMessage" }, { type: "enhancedRouteRefresh" }, { type: "fourOctetAsn", asn: 4_200_000_001 }],
  },
];
for (const { name, parameters, want } of accepted)
  test(`an OPEN is taken: ${name}`, () => assert.deepEqual(decode(parameters), want));

const refused: { name: string; parameters: string; codes: string }[] = [
  { name: "authentication, which is deprecated", parameters: "03 01 01 00", codes: "2/4" },
  { name: "an unknown parameter behind capabilities", parameters: "07 02 02 0200 03 01 00", codes: "2/4" },
  { name: "an unknown parameter with an extended length", parameters: "ff ff 0003 03 0000", codes: "2/4" },
  { name: "a second mark for extended lengths", parameters: "ff ff 0003 ff 0000", codes: "2/4" },
  { name: "a length of 0 before extended lengths, which it must not be", parameters: "00 ff 0000", codes: "2/0" },
  { name: "an extended length that is too large", parameters: "ff ff 0006 02 0002 0200", codes: "2/0" },
  { name: "an extended length that is too small", parameters: "ff ff 0004 02 0002 0200", codes: "2/0" },
  { name: "an extended length cut short", parameters: "ff ff 00", codes: "2/0" },
  { name: "a parameter without a length", parameters: "01 02", codes: "2/0" },
  { name: "a capability without a length", parameters: "03 02 01 02", codes: "2/0" },
  { name: "a capability beyond its parameter", parameters: "06 02 02 0104 0002 0001", codes: "2/0" },
  { name: "multiprotocol of 3 octets", parameters: "07 02 05 0103 000200", codes: "2/0" },
  { name: "route refresh with a value", parameters: "05 02 03 0201 00", codes: "2/0" },
  { name: "enhanced route refresh with a value", parameters: "05 02 03 4601 00", codes: "2/0" },
  { name: "extended message with a value", parameters: "05 02 03 0601 00", codes: "2/0" },
  { name: "a four-octet AS number of 2", parameters: "06 02 04 4102 fde9", codes: "2/0" },
  { name: "extended next hop of 5 octets", parameters: "09 02 07 0505 0001 0001 00", codes: "2/0" },
  { name: "graceful restart of 1 octet", parameters: "05 02 03 4001 00", codes: "2/0" },
  { name: "a role of 2 octets", parameters: "06 02 04 0902 0003", codes: "2/0" },
  { name: "a role of none", parameters: "04 02 02 0900", codes: "2/0" },
  { name: "long-lived graceful restart of 6 octets", parameters: "0a 02 08 4706 0001 01 00 0000", codes: "2/0" },
  { name: "ADD-PATH of 3 octets", parameters: "07 02 05 4503 0001 01", codes: "2/0" },
  { name: "graceful restart of 5 octets", parameters: "09 02 07 4005 0078 0001 01", codes: "2/0" },
];
for (const { name, parameters, codes } of refused)
  test(`an OPEN is refused: ${name}`, () => assert.throws(() => decode(parameters), notification(codes)));

const open = (...capabilities: Capability[]): Open => {
  const routerId = new Address("IPv4", 0xc0000201n);
  return { type: "open", version: 4, asn: 65_001, holdTimeSeconds: 180, routerId, capabilities };
};

const written: { name: string; open: Open; body: RegExp }[] = [
  { name: "no parameter without capabilities", open: open(), body: /^04fde900b4c000020100$/ },
  { name: "one parameter for all", open: open(refresh, multiprotocol), body: /c0000201 0a 02 08 0200 0104 00020001$/ },
  { name: "253 octets of capabilities", open: open(ofLength(253)), body: /c0000201 ff 02 fd c8 fb 00/ },
];
for (const { name, open, body } of written)
  test(`an OPEN is written: ${name}`, () => {
    assert.match(hex(encodeOpen(open).subarray(19)), new RegExp(body.source.replaceAll(" ", "")));
  });

const unwritable: { name: string; open: Open }[] = [
  { name: "an AS number that its field does not hold", open: { ...open(), asn: 65_536 } },
  { name: "a hold time that its field does not hold", open: { ...open(), holdTimeSeconds: 65_536 } },
  { name: "254 octets of capabilities", open: open(ofLength(254)) },
  { name: "a capability above 255 octets", open: open(ofLength(258)) },
  {
    name: "a restart time above 4,095 s",
    open: open({ type: "gracefulRestart", restarting: false, notification: false, timeSeconds: 4096, families: [] }),
  },
];
for (const { name, open } of unwritable)
  test(`an OPEN is not written: ${name}`, () => assert.throws(() => encodeOpen(open), RangeError));

test("property: decoding undoes encoding", () => {
  fc.assert(fc.property(anyOpen, (open) => assert.deepEqual(decodeOpen(encodeOpen(open).subarray(19)), open)));
});

test("what is kept of an OPEN is a copy", () => {
  const body = octets(`${fixed} 06 02 04 4802 abcd`);
  const { capabilities } = decodeOpen(body);
  body.fill(0);
  assert.deepEqual(capabilities, [{ type: "unknown", code: 72, value: octets("abcd") }]);
});
