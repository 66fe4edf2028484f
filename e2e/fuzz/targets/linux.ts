import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decodeConntrack } from "../../../pkg/linux/codec/conntrack.ts";
import { decodeDefaultRoutes } from "../../../pkg/linux/codec/default-routes.ts";
import { decodeNeighbor, decodeNetlink } from "../../../pkg/linux/codec/netlink.ts";
import { NetlinkError } from "../../../pkg/linux/codec/netlink-wire.ts";
import { decodeFilter } from "../../../pkg/linux/codec/nf-tables.ts";
import { decodeIpv4Routes, decodeIpv6Routes, FactsError } from "../../../pkg/node-checks/rules/route-codec.ts";
import { fromHex, octetsOf, packetBounds, type Target, textOf } from "../target.ts";
import { wordsIn } from "../words.ts";

/** Datagrams of rtnetlink. */
export const netlink: Target = {
  name: "netlink",
  maxLength: 2_048,
  seeds: ["dump.hex", "port-leaves-bridge.hex"].flatMap((file) =>
    readFileSync(new URL(`../../../pkg/linux/testdata/${file}`, import.meta.url), "utf8")
      .trim()
      .split("\n")
      .map((line) => fromHex(line).slice(0, 2_048)),
  ),
  words: [
    ...wordsIn("pkg/linux/codec/netlink*.ts"),
    ...wordsIn("pkg/linux/codec/default-routes.ts"),
    ...["10000200", "10001100", "14001400", "14001500", "1c001c00", "03000100", "0800", "0a00", "1200", "0000000001000000"].map(
      fromHex,
    ),
  ],
  isText: false,
  bounds: { ...packetBounds, memory: 16 },
  repair: withLengths,
  run: (input) => {
    tolerating(NetlinkError, () => decodeNetlink(input));
    tolerating(NetlinkError, () => decodeDefaultRoutes(input, 1, "IPv4"));
    const address = decodeNeighbor(input, 1);
    assert.ok(address === undefined || address.length <= input.length);
  },
};

/** Datagrams of nf_tables and of the tracking of connections. */
export const netfilter: Target = {
  name: "netfilter",
  maxLength: 2_048,
  seeds: readFileSync(new URL("../../../pkg/linux/testdata/handover-table.hex", import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => fromHex(line).slice(0, 2_048)),
  words: [
    ...wordsIn("pkg/linux/codec/{nf-tables,conntrack,netfilter-wire}.ts"),
    ...["000a", "060a", "0c0a", "0001", "0180", "0280", "0380", "0480", "636f756e74657200"].map(fromHex),
  ],
  isText: false,
  bounds: { ...packetBounds, memory: 16 },
  repair: withLengths,
  run: (input) => {
    tolerating(NetlinkError, () => decodeFilter(input));
    tolerating(NetlinkError, () => [...decodeConntrack(input)]);
  },
};

/** Texts that the kernel shows in /proc/net. */
export const routes: Target = {
  name: "routes",
  maxLength: 2_048,
  seeds: [
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t000200C0\t00000000\t0001\t0\t0\t-5\t00FFFFFF\t0\t0\t0\n",
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n",
  ].map(octetsOf),
  words: [
    ...wordsIn("pkg/node-checks/rules/route-codec.ts"),
    ...["00000000", "FFFFFFFF", "0003", "80", "40", "\t", "eth0", "-1", "NaN", "1e9"].map(octetsOf),
  ],
  isText: true,
  bounds: { ...packetBounds, memory: 16 },
  run: (input) => {
    tolerating(FactsError, () => decodeIpv4Routes(textOf(input)));
    tolerating(FactsError, () => decodeIpv6Routes(textOf(input)));
  },
};

/** The lengths of messages as they fit. */
function withLengths(input: Uint8Array): Uint8Array {
  if (input.length < 16) return input;
  const datagram = input.slice();
  const view = new DataView(datagram.buffer);
  for (let at = 0; at + 16 <= datagram.length; ) {
    const given = view.getUint32(at, true);
    const length = given < 16 || at + given > datagram.length ? datagram.length - at : given;
    view.setUint32(at, length, true);
    at += (length + 3) & ~3;
  }
  return datagram;
}

function tolerating(kind: new (...args: never[]) => Error, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof kind)) throw error;
  }
}
