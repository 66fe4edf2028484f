import assert from "node:assert/strict";
import { test } from "node:test";
import { broadcastMac } from "#pkg/net";
import { capturedFrame, ourAddress, ourAddress6, ourMac } from "../testing/frames.ts";
import { gratuitousFrames } from "./announcements.ts";
import { decodeArp } from "./arp.ts";

test("an announcement of an IPv4 address is a broadcast request and a broadcast reply, with sender and target the address", () => {
  const both = {
    destination: broadcastMac,
    source: ourMac,
    senderMac: ourMac,
    senderAddress: ourAddress,
    targetMac: broadcastMac,
  };
  assert.deepEqual(gratuitousFrames(ourMac, ourAddress).map(decodeArp), [
    { ...both, operation: 1, targetAddress: ourAddress },
    { ...both, operation: 2, targetAddress: ourAddress },
  ]);
});

test("an announcement of an IPv6 address is one advertisement to all nodes, not solicited, that overrides", () => {
  assert.deepEqual(gratuitousFrames(ourMac, ourAddress6), [capturedFrame("kernel-unsolicited-advertisement", "ndp.hex")]);
});
