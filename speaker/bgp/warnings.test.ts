import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerView } from "#pkg/bgp";
import { address } from "#pkg/net/testing";
import { type PathStatus, peerVerdict, sessionVerdicts, sessionWarnings } from "./peer-verdict.ts";
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
        { family: "IPv4", reason: "noNextHop", prefixes: 1, seconds: 0 },
        { family: "IPv6", reason: "familyNotNegotiated", prefixes: 2, seconds: 0 },
      ],
    },
    want: [
      `${start} cannot carry 1 IPv4 prefix: the interface of the session has no IPv4 address to be the next hop; give it one, or the advertisement a next-hop`,
      `${start} cannot carry 2 IPv6 prefixes: the router does not offer IPv6 unicast; enable IPv6 unicast for this node on the router, or give the advertisement peers that have it`,
    ],
  },
];
for (const { name, waitsFor, view: part, want } of cases)
  test(`sessionWarnings: ${name}`, () => {
    const wait = waitsFor === undefined ? undefined : { for: "password" as const, what: waitsFor, seconds: 1 };
    assert.deepEqual(sessionWarnings("K", { wait, view: part && peerView(part), bfd: undefined }), want);
  });

const said: { code: number; subcode: number; want: string; next?: RegExp }[] = [
  { code: 6, subcode: 1, want: "prefixLimit" },
  { code: 6, subcode: 2, want: "sessionRefused" },
  { code: 6, subcode: 3, want: "sessionRefused" },
  { code: 6, subcode: 5, want: "sessionRefused" },
  { code: 2, subcode: 11, want: "roleMismatch", next: /^set role on the peer/ },
  { code: 6, subcode: 7, want: "notificationReceived" },
  { code: 3, subcode: 8, want: "routeRefused" },
  { code: 2, subcode: 2, want: "notificationReceived", next: /^on the router: for this node remote-as \d+; or set my-asn/ },
  { code: 2, subcode: 3, want: "notificationReceived", next: /router-id/ },
];
const ended = (reason: "received" | "sent", code: number, subcode: number) => ({
  reason,
  what: "it said so",
  secondsAgo: 1,
  notification: { code, subcode },
});
const silent = { reason: "connectTimeout" as const, what: "no answer", secondsAgo: 0 };
const failed = { verdict: "failed", reason: "echo function failed", seconds: 9 } as const;
const of = (view: Partial<PeerView>, bfd?: PathStatus) => sessionVerdicts("K", { wait: undefined, view: peerView(view), bfd })[0];

for (const { code, subcode, want, next } of said)
  test(`a router that ended the session with NOTIFICATION ${code}/${subcode}: ${want}`, () => {
    const end = ended("received", code, subcode);
    for (const view of [{ lastDown: end }, { lastFailure: end }, { lastDown: end, lastFailure: silent }]) {
      assert.equal(of(view)?.cause, want);
      if (next !== undefined) assert.match(of(view)?.next ?? "", next);
    }
    const ours = want === "roleMismatch" ? want : "notificationSent";
    assert.equal(of({ lastDown: ended("sent", code, subcode) })?.cause, ours);
  });

test("a router whose role does not go with this node's is named with the role that would", () => {
  const end = { ...ended("sent", 2, 11), peerRole: "provider" } as const;
  assert.match(of({ lastFailure: end })?.next ?? "", /^set role: customer \(the router is provider\)/);
});

const failures: { code: string | undefined; cause: string; next: RegExp }[] = [
  { code: "ECONNREFUSED", cause: "connectionRefused", next: /^start BGP on the router/ },
  { code: "EHOSTUNREACH", cause: "routerUnreachable", next: /^see that the router is up, that cables/ },
  { code: "ENETUNREACH", cause: "routerUnreachable", next: /add a route to it$/ },
  { code: "EADDRNOTAVAIL", cause: "connectionLost", next: /^give this node the address/ },
  { code: "EPERM", cause: "connectionLost", next: /^let this node's firewall pass/ },
  { code: "ECONNRESET", cause: "connectionLost", next: /^make this node a neighbor/ },
  { code: undefined, cause: "connectionLost", next: /^make this node a neighbor/ },
];
for (const { code, cause, next } of failures)
  test(`a connection that ends with ${code ?? "no error"} has the remedy for that`, () => {
    const found = of({ lastFailure: { reason: "lost", what: "it failed", secondsAgo: 1, code } });
    assert.equal(found?.cause, cause);
    assert.match(`${found?.next}`, next);
  });

test("a router that does not know the address which a router advertisement gave this node", () => {
  const lost = { reason: "lost", what: "it closed", secondsAgo: 1 } as const;
  const view = { lastFailure: lost, source: address("2001:db8::5"), steadierSource: address("2001:db8::1") };
  assert.match(of(view)?.next ?? "", /^set source-interface, .* from 2001:db8::1; or make 2001:db8::5, .* a neighbor/);
  const refused = { ...view, lastFailure: { ...lost, code: "ECONNREFUSED" } };
  assert.doesNotMatch(of(refused)?.next ?? "", /source-interface/);
});

test("a router that received nothing from this node has said enough for as long as it answers", () => {
  const end = ended("received", 4, 0);
  assert.match(of({ lastDown: end })?.next ?? "", /MTU/);
  assert.equal(of({ lastDown: end, lastFailure: silent })?.cause, "connectTimeout");
});

test("once the router has said why, silence since then is told without guesses at the reason", () => {
  const what = "the peer closed the connection (from 10.0.0.2) before its OPEN: it may not have this node as a neighbor";
  const found = of({ lastDown: ended("received", 6, 1), lastFailure: { reason: "lost", what, secondsAgo: 1 } });
  assert.equal(found?.cause, "prefixLimit");
  const since = "since then: the peer closed the connection before its OPEN";
  assert.equal(found?.message, `BGP session with K is not up: it said so; ${since}`);
});

test("a session that either side ended because of BFD is down for that, until BFD is up again", () => {
  for (const reason of ["received", "sent"] as const) {
    const end = ended(reason, 6, 10);
    assert.equal(of({ lastDown: end }, failed)?.cause, "bfdFailed");
    const later = of({ lastDown: end, lastFailure: silent }, failed);
    assert.deepEqual([later?.cause, later?.state], ["bfdFailed", "Pending"]);
    assert.equal(later?.message, "BGP session with K is not up: it said so; since then: no answer");
    assert.deepEqual(later?.evidence.at(-1)?.value, "echo function failed, for 9 s");
    assert.equal(of({ lastDown: end, lastFailure: silent }, { ...failed, verdict: "up" })?.cause, "connectTimeout");
  }
});

const facts = { wait: undefined, bfd: undefined, leavingSeconds: undefined, otherRouters: [] };

test("a peer's verdict is as old as what it says, whatever attempts there were meanwhile", () => {
  const up = { state: "established", stateSeconds: 50, sinceSeconds: 50 } as const;
  const unsendable: PeerView["unsendable"] = [{ family: "IPv6", reason: "noNextHop", prefixes: 1, seconds: 4 }];
  const near = { family: "IPv4", prefixes: 10, announced: 8, from: "router" } as const;
  const ages: [Partial<PeerView>, Partial<Parameters<typeof peerVerdict>[1]>, string, number][] = [
    [{ sinceSeconds: 700, stateSeconds: 2, lastFailure: silent }, {}, "connectTimeout", 700],
    [{ sinceSeconds: 5 }, {}, "connecting", 5],
    [up, {}, "established", 50],
    [up, { bfd: { ...failed, verdict: "up" } }, "established", 9],
    [up, { bfd: failed }, "bfdFailed", 9],
    [up, { leavingSeconds: 3 }, "leaving", 3],
    [up, { otherRouters: [address("fe80::2")] }, "severalRouters", 50],
    [{ ...up, unsendable }, {}, "noNextHop", 4],
    [{ ...up, prefixLimitsNear: [near] }, {}, "prefixLimitNear", 50],
    [{ ...up, prefixesNarrowed: 2 }, {}, "addPathNotNegotiated", 50],
    [{}, { wait: { for: "password", what: "w", seconds: 6 } }, "waitsForPassword", 6],
    [{}, { wait: { for: "source", what: "w", seconds: 7 } }, "waitsForSource", 7],
    [{}, { wait: { for: "router", what: "w", seconds: 8 } }, "waitsForRouter", 8],
    [{}, { wait: { for: "node", what: "w", seconds: 9 } }, "nodeValueRefused", 9],
    [{}, { wait: { for: "central", what: "w", seconds: 10 } }, "routerOfNode", 10],
  ];
  for (const [view, more, cause, age] of ages) {
    const { verdict, seconds } = peerVerdict("K", { ...facts, view: peerView(view), ...more });
    assert.deepEqual([verdict.cause, seconds], [cause, age]);
    assert.equal(verdict.state === "Pending", view.state !== "established", cause);
  }
});

test("where a session carries several paths to a prefix, each counts against the router's limit, and the verdict says paths", () => {
  const session = { addPath: ["IPv4"] } as unknown as NonNullable<PeerView["session"]>;
  const near = { family: "IPv4", prefixes: 10, announced: 8, from: "configuration" } as const;
  const view = peerView({ state: "established", session, prefixesAnnounced: 8, prefixLimitsNear: [near] });
  const messageOf = (one: PeerView) => peerVerdict("K", { ...facts, view: one }).verdict.message;
  assert.match(messageOf(view), /carries 8 of 10 IPv4 paths that the router takes \(maximum-prefix\)$/);
  assert.match(messageOf({ ...view, prefixLimitsNear: [] }), /carries 8 paths$/);
});

test("a session that goes on without its new password works, and its peer is not said to be down", () => {
  const wait = { for: "password", what: "there is no Secret a/b", seconds: 1 } as const;
  const { verdict } = peerVerdict("K", { ...facts, wait, view: peerView({ state: "established" }) });
  assert.equal(verdict.state, "Degraded");
  assert.match(verdict.message, /^BGP session with K is established with its former settings, .*: there is no Secret a\/b$/);
});

test("a wrong AS number on either side has the line of configuration that mends it", () => {
  const sent = { ...ended("sent", 2, 2), peerAsn: 64500 };
  assert.equal(of({ lastFailure: sent })?.next, "set peer-asn: 64500 (the router says so), or correct the router");
  const told = of({ lastFailure: ended("received", 2, 2), myAsn: 65001, source: address("192.0.2.9") });
  assert.match(`${told?.next}`, /^on the router: neighbor 192\.0\.2\.9 remote-as 65001; or set my-asn/);
});

test("a peer that is passive says who is to connect, and where nobody can", () => {
  const said = (view: Partial<PeerView>) => peerVerdict("K", { ...facts, view: peerView(view) }).verdict;
  assert.deepEqual([said({}).cause, said({}).next], ["connecting", "wait some seconds"]);
  assert.match(said({ passive: true }).next, /see that the router connects to this node/);
  assert.match(said({ passive: true, accepts: false }).next, /--bgp-port=179/);
});

test("the router's last NOTIFICATION stays visible beside a later failure, and so does the address that this node had", () => {
  const told = { what: 'Cease/Administrative Shutdown (6/2): "until noon"', secondsAgo: 30 };
  const refused = { reason: "lost" as const, what: "connection refused (from 192.0.2.9)", secondsAgo: 1 };
  const down = peerView({ notificationReceived: told, lastFailure: refused, sinceSeconds: 60, source: address("192.0.2.9") });
  const [first] = sessionVerdicts("K", { wait: undefined, view: down, bfd: undefined });
  const wanted = `BGP session with K is not up: ${refused.what}; its last NOTIFICATION was ${told.what}`;
  assert.equal(first?.message, wanted);
  const facts = first?.evidence.map(({ name, value }) => `${name}: ${value}`) ?? [];
  assert.ok(facts.includes(`last NOTIFICATION of the router: ${told.what}, 30 s ago`), facts.join("\n"));
  assert.ok(facts.includes("address of this node: 192.0.2.9"), facts.join("\n"));
});

test("a NOTIFICATION is told with this node's address, and not twice; one from before the last session is evidence alone", () => {
  const received = {
    reason: "received" as const,
    what: "peer closed with Cease (6/5)",
    secondsAgo: 1,
    notification: { code: 6, subcode: 5 },
  };
  const told = { what: "Cease (6/5)", secondsAgo: 1 };
  const message = (differences: Partial<PeerView>) =>
    sessionVerdicts("K", { wait: undefined, view: peerView(differences), bfd: undefined })[0]?.message;
  const source = address("192.0.2.9");
  assert.equal(
    message({ lastFailure: received, notificationReceived: told, sinceSeconds: 60, source }),
    "BGP session with K is not up: peer closed with Cease (6/5) (from 192.0.2.9)",
  );
  const old = { what: "Cease (6/4)", secondsAgo: 600 };
  assert.equal(
    message({ lastFailure: past("refused"), notificationReceived: old, sinceSeconds: 60 }),
    "BGP session with K is not up: refused",
  );
});
