import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeRouteRefresh, encodeRouteRefresh } from "./message-codec.ts";
import { hex, message, notification, octets } from "./testing/octets.ts";

const accepted = [
  { hex: "0001 00 01", want: { afi: 1, safi: 1, subtype: "request" } },
  { hex: "0002 01 01", want: { afi: 2, safi: 1, subtype: "beginning" } },
  { hex: "0002 02 01", want: { afi: 2, safi: 1, subtype: "end" } },
  { hex: "4004 03 47", want: { afi: 0x4004, safi: 0x47, subtype: "unknown" } },
  { hex: "0001 00 01 0180 0000", want: { afi: 1, safi: 1, subtype: "request" } }, // With a filter of RFC 5291.
];
for (const { hex, want } of accepted)
  test(`a ROUTE-REFRESH of ${hex} is ${want.subtype}`, () => {
    assert.deepEqual(decodeRouteRefresh(octets(hex)), { type: "routeRefresh", ...want });
  });

const refused = [
  { hex: "0001 01", codes: "7/1", data: hex(message(5, "000101")) },
  { hex: "0001 01 01 00", codes: "7/1", data: hex(message(5, "0001010100")) },
  { hex: "0001 02 01 0000", codes: "7/1", data: hex(message(5, "000102010000")) },
  { hex: "0001 00", codes: "1/2", data: "0016" },
  { hex: "00", codes: "1/2", data: "0014" },
  { hex: "", codes: "1/2", data: "0013" },
];
for (const { hex, codes, data } of refused)
  test(`a ROUTE-REFRESH of '${hex}' is refused`, () => {
    assert.throws(() => decodeRouteRefresh(octets(hex)), notification(codes, data));
  });

for (const subtype of ["request", "beginning", "end"] as const)
  for (const [family, afi] of [
    ["IPv4", 1],
    ["IPv6", 2],
  ] as const)
    test(`a ROUTE-REFRESH is written: ${subtype} of ${family}`, () => {
      const decoded = decodeRouteRefresh(encodeRouteRefresh(family, subtype).subarray(19));
      assert.deepEqual(decoded, { type: "routeRefresh", afi, safi: 1, subtype });
    });
