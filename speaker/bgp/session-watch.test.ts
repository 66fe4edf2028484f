import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import type { SpeakerEvent } from "../core/index.ts";
import { watchSessions } from "./session-watch.ts";
import { peerView } from "./testing/peer-view.ts";

test("watchSessions: tells what sessions carry, whenever that is something else", () => {
  const lacking = (reason: "noNextHop" | "familyNotNegotiated") =>
    peerView({ unsendable: [{ family: "IPv6", reason, prefixes: 1, seconds: 0 }] }).unsendable;
  const peers = [
    { key: "all", isEstablished: true, unsendable: lacking("noNextHop").slice(1) },
    { key: "by next hop", isEstablished: true, unsendable: lacking("noNextHop") },
    { key: "one family", isEstablished: true, unsendable: lacking("familyNotNegotiated") },
    { key: "down", isEstablished: false, unsendable: [] },
  ];
  const clock = new SimulatedClock();
  const events: SpeakerEvent[] = [];
  using _ = watchSessions({ bgp: { peers }, emit: (event) => events.push(event), clock });
  clock.advanceBy(10_000);
  const carried = new Map([
    ["all", ["IPv4", "IPv6"]],
    ["by next hop", ["IPv4", "IPv6 by next hop"]],
    ["one family", ["IPv4"]],
  ]);
  assert.deepEqual(events, [{ type: "sessions", carried }]);
  peers.splice(1);
  clock.advanceBy(10_000);
  assert.deepEqual(events.slice(1), [{ type: "sessions", carried: new Map([["all", ["IPv4", "IPv6"]]]) }]);
});
