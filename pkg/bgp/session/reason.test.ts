import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeShutdownCommunication } from "../codec/notification-codec.ts";
import { notification } from "../testing/lone-session.ts";
import { describeReason } from "./reason.ts";
import type { Reason } from "./state.ts";

const maintenance = { ...notification(6, 2), data: encodeShutdownCommunication("maintenance") };
const cases: readonly [Reason, string][] = [
  [{ type: "received", notification: maintenance }, 'peer closed with Cease/Administrative Shutdown (6/2): "maintenance"'],
  [
    { type: "received", notification: { ...notification(2, 2), data: Uint8Array.of(0xfd, 0xe9) } },
    "peer closed with OPEN Message Error/Bad Peer AS (2/2): data fde9; it has another AS number for this node than my-asn",
  ],
  [
    { type: "received", notification: notification(3, 11) },
    "peer closed with UPDATE Message Error/Malformed AS_PATH (3/11); it does not take the AS path, as a router does that counts this node in its confederation (RFC 5065), which speakers cannot be members of: take my-asn off its list of confederation peers",
  ],
  [
    { type: "sent", notification: maintenance, because: "maintenance" },
    "this node closed with Cease/Administrative Shutdown (6/2): maintenance",
  ],
  [
    { type: "sent", notification: notification(2, 2), because: "its AS number is 65003, wanted 65002" },
    "this node closed with OPEN Message Error/Bad Peer AS (2/2): its AS number is 65003, wanted 65002",
  ],
  [{ type: "holdTimerExpired", seconds: 90, state: "established" }, "hold timer expired: nothing received for 90 s"],
  [{ type: "connectTimeout", seconds: 10, hint: undefined }, "no answer to the connection within 10 s"],
  [
    { type: "connectTimeout", seconds: 10, hint: "a password is configured" },
    "no answer to the connection within 10 s: a password is configured",
  ],
  [{ type: "lost", because: "connection refused", state: "connect" }, "connection refused"],
  [
    { type: "lost", because: "the peer closed the connection", state: "openSent" },
    "the peer closed the connection before its OPEN: it may not have this node as a neighbor, or hold in Idle after an error",
  ],
  [{ type: "peerRestarted" }, "the peer restarted: it opened a new session while the previous one was established"],
];

for (const [reason, want] of cases) test(`in words: ${want}`, () => assert.equal(describeReason(reason), want));
