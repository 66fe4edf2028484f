import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerView } from "#pkg/bgp";
import { sessionVerdicts, sessionWarnings } from "./peer-verdict.ts";
import { peerView } from "./testing/peer-view.ts";

const past = (what: string) => ({ reason: "lost" as const, what, secondsAgo: 1 });
const start = "BGP session with K";

const cases: { name: string; waitsFor?: string; view?: Partial<PeerView>; want: string[] }[] = [
  { name: "no session yet", want: [] },
  { name: "the first attempt is under way", view: {}, want: [] },
  {
    name: "a Secret is missing",
    waitsFor: "Secret a/b has not been read yet",
    view: {},
    want: [`${start} waits: Secret a/b has not been read yet`],
  },
  {
    name: "an attempt failed",
    view: { lastFailure: past("refused"), lastDown: past("older") },
    want: [`${start} is not up: refused`],
  },
  { name: "it was up", view: { lastDown: past("hold timer expired") }, want: [`${start} is not up: hold timer expired`] },
  { name: "all is well", view: { state: "established", lastDown: past("long ago") }, want: [] },
  {
    name: "what the session cannot carry",
    view: {
      state: "established",
      unsendable: [
        { family: "IPv4", reason: "noNextHop", prefixes: 1 },
        { family: "IPv6", reason: "familyNotNegotiated", prefixes: 2 },
      ],
    },
    want: [
      `${start} cannot carry 1 IPv4 prefix: the interface of the session has no IPv4 address; give it one, or the advertisement a next-hop`,
      `${start} cannot carry 2 IPv6 prefixes: the router does not offer IPv6 unicast; enable it there for this neighbour`,
    ],
  },
];
for (const { name, waitsFor, view: part, want } of cases)
  test(`sessionWarnings: ${name}`, () => {
    const wait = waitsFor === undefined ? undefined : { for: "password" as const, what: waitsFor };
    assert.deepEqual(sessionWarnings("K", wait, part && peerView(part)), want);
  });

const said: { code: number; subcode: number; want: string }[] = [
  { code: 6, subcode: 1, want: "prefixLimit" },
  { code: 6, subcode: 2, want: "sessionRefused" },
  { code: 6, subcode: 3, want: "sessionRefused" },
  { code: 6, subcode: 5, want: "sessionRefused" },
  { code: 6, subcode: 7, want: "notificationReceived" },
  { code: 3, subcode: 8, want: "routeRefused" },
  { code: 2, subcode: 2, want: "notificationReceived" },
];
for (const { code, subcode, want } of said)
  test(`a router that ended the session with NOTIFICATION ${code}/${subcode}: ${want}`, () => {
    const ended = { reason: "received" as const, what: "it said so", secondsAgo: 1, notification: { code, subcode } };
    const silent = { reason: "connectTimeout" as const, what: "no answer", secondsAgo: 0 };
    for (const view of [{ lastDown: ended }, { lastFailure: ended }, { lastDown: ended, lastFailure: silent }])
      assert.equal(sessionVerdicts("K", undefined, peerView(view))[0]?.cause, want);
    const sent = { ...ended, reason: "sent" as const };
    assert.equal(sessionVerdicts("K", undefined, peerView({ lastDown: sent }))[0]?.cause, "notificationSent");
  });
