import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import type { AddPathFamily, Capability, Open } from "../codec/messages.ts";
import { ourId, theirCapabilities, theirId, theirOpen } from "../testing/lone-session.ts";
import { settings } from "../testing/settings.ts";
import { keepalive, negotiate, offer } from "./negotiation.ts";
import { newSession, type Session } from "./state.ts";

function session(fields: Partial<SessionSettings> = {}, more: Partial<Session> = {}): Session {
  return { ...newSession({ settings: settings(fields), restarting: false, forwardingPreserved: true }), ...more };
}

function ours(fields: Partial<SessionSettings> = {}): Open {
  return offer(session(fields), ourId);
}

const ipv4: Capability = { type: "multiprotocol", afi: 1, safi: 1 };
const ipv6: Capability = { type: "multiprotocol", afi: 2, safi: 1 };
const paths = (afi: number, direction: AddPathFamily["direction"]): AddPathFamily => ({ afi, safi: 1, direction });
const nextHop = (afi: number, nextHopAfi: number): Capability => ({
  type: "extendedNextHop",
  families: [{ afi, safi: 1, nextHopAfi }],
});

test("an OPEN offers all that this side can do", () => {
  assert.deepEqual(ours(), {
    type: "open",
    version: 4,
    asn: 65001,
    holdTimeSeconds: 90,
    routerId: ourId,
    capabilities: [
      ipv4,
      ipv6,
      { type: "routeRefresh" },
      { type: "enhancedRouteRefresh" },
      { type: "fourOctetAsn", asn: 65001 },
      { type: "extendedMessage" },
      {
        type: "gracefulRestart",
        restarting: false,
        notification: false,
        timeSeconds: 120,
        families: [
          { afi: 1, safi: 1, forwardingPreserved: true },
          { afi: 2, safi: 1, forwardingPreserved: true },
        ],
      },
    ],
  });
});

test("an OPEN offers no family that is not chosen", () => {
  const { capabilities } = ours({ families: ["IPv6"] });
  assert.deepEqual(
    capabilities.filter(({ type }) => type === "multiprotocol"),
    [ipv6],
  );
  const restart = capabilities.find((one) => one.type === "gracefulRestart");
  assert.deepEqual(restart?.families, [{ afi: 2, safi: 1, forwardingPreserved: true }]);
  const overIpv6 = ours({ address: address("2001:db8::2"), families: ["IPv6"] }).capabilities;
  assert.ok(overIpv6.every(({ type }) => type !== "extendedNextHop"));
});

test("RFC 6793: an AS number of more than two octets is AS_TRANS in the OPEN's field", () => {
  assert.equal(ours({ myAsn: 65535 }).asn, 65535);
  const open = ours({ myAsn: 65536 });
  assert.equal(open.asn, 23456);
  assert.ok(open.capabilities.some((one) => one.type === "fourOctetAsn" && one.asn === 65536));
});

test("RFC 8950: IPv6 next hops for IPv4 are offered where the session itself is IPv6", () => {
  const types = (fields: Partial<SessionSettings>) => ours(fields).capabilities.map(({ type }) => type);
  assert.ok(types({ address: address("2001:db8::2") }).includes("extendedNextHop"));
  assert.ok(!types({}).includes("extendedNextHop"));
});

test("RFC 7911: this side only sends several paths, of its families, and only where it is configured", () => {
  const offered = (fields: Partial<SessionSettings>) => ours(fields).capabilities.find(({ type }) => type === "addPath");
  assert.equal(offered({}), undefined);
  assert.deepEqual(offered({ addPath: true }), { type: "addPath", families: [paths(1, "send"), paths(2, "send")] });
  assert.deepEqual(offered({ addPath: true, families: ["IPv6"] }), { type: "addPath", families: [paths(2, "send")] });
});

test("RFC 8538, RFC 9494, RFC 9234: what is configured is offered", () => {
  const offered = (fields: Partial<SessionSettings>, wanted: Capability["type"]) =>
    ours(fields).capabilities.find(({ type }) => type === wanted);
  assert.deepEqual(offered({ role: "customer" }, "role"), { type: "role", role: "customer" });
  assert.equal(offered({}, "role"), undefined);
  const restart = ours({ gracefulRestartNotification: true }).capabilities.find((one) => one.type === "gracefulRestart");
  assert.equal(restart?.notification, true);
  const kept = { safi: 1, forwardingPreserved: true, staleSeconds: 3_600 };
  const longLived = { type: "longLivedGracefulRestart", families: [1, 2].map((afi) => ({ afi, ...kept })) };
  assert.deepEqual(offered({ longLivedStaleSeconds: 3_600 }, "longLivedGracefulRestart"), longLived);
  assert.equal(offered({}, "longLivedGracefulRestart"), undefined);
});

test("RFC 4724: nothing is said of graceful restart when its time is 0", () => {
  assert.ok(ours({ gracefulRestartSeconds: 0 }).capabilities.every(({ type }) => type !== "gracefulRestart"));
});

test("RFC 5492: a plain OPEN has no capabilities", () => {
  assert.deepEqual(offer(session({}, { plainOpen: true }), ourId).capabilities, []);
});

const agreements: readonly { name: string; fields?: Partial<SessionSettings>; open: Partial<Open>; want: object }[] = [
  {
    name: "capabilities of both",
    open: {},
    want: { routeRefresh: true, fourOctetAsn: true, extendedMessage: false, families: ["IPv4", "IPv6"] },
  },
  {
    name: "a peer without capabilities",
    open: { capabilities: [] },
    want: { families: ["IPv4"], fourOctetAsn: false, routeRefresh: false },
  },
  {
    name: "a peer that says nothing of families",
    open: { capabilities: [{ type: "routeRefresh" }] },
    want: { families: ["IPv4"], routeRefresh: true },
  },
  { name: "a peer with IPv6 alone", open: { capabilities: [ipv6] }, want: { families: ["IPv6"] } },
  {
    name: "a peer with families that nobody knows",
    open: { capabilities: [{ type: "multiprotocol", afi: 25, safi: 70 }, ipv4] },
    want: { families: ["IPv4"] },
  },
  {
    name: "an AS number by the capability, AS_TRANS in the field",
    fields: { peerAsn: 4200000000 },
    open: { asn: 23456, capabilities: [{ type: "fourOctetAsn", asn: 4200000000 }] },
    want: { peerAsn: 4200000000, fourOctetAsn: true },
  },
  {
    name: "the smaller hold time, the peer's",
    open: { holdTimeSeconds: 30 },
    want: { holdTimeSeconds: 30, keepaliveSeconds: 10 },
  },
  {
    name: "the smaller hold time, this side's",
    fields: { holdTimeSeconds: 9, keepaliveSeconds: 2 },
    open: {},
    want: { holdTimeSeconds: 9, keepaliveSeconds: 2 },
  },
  {
    name: "no hold time, because one side wants none",
    open: { holdTimeSeconds: 0 },
    want: { holdTimeSeconds: 0, keepaliveSeconds: 0 },
  },
  { name: "only the family that this side has chosen", fields: { families: ["IPv4"] }, open: {}, want: { families: ["IPv4"] } },
  {
    name: "any other AS number where the peer is external",
    fields: { peerAsn: "external" },
    open: { asn: 65003, capabilities: [] },
    want: { peerAsn: 65003 },
  },
  { name: "the same identifier in another AS", open: { routerId: ourId }, want: { peerRouterId: ourId } },
  {
    name: "IPv4 over IPv6 on an IPv6 session",
    fields: { address: address("2001:db8::2") },
    open: { capabilities: [ipv4, nextHop(1, 2)] },
    want: { extendedNextHop: true },
  },
  {
    name: "an extended next hop that is another",
    fields: { address: address("2001:db8::2") },
    open: { capabilities: [ipv4, nextHop(2, 1)] },
    want: { extendedNextHop: false },
  },
  {
    name: "an extended next hop that this side did not offer",
    open: { capabilities: [ipv4, nextHop(1, 2)] },
    want: { extendedNextHop: false },
  },
  {
    name: "graceful restart of a peer that only helps",
    open: { capabilities: [{ type: "gracefulRestart", restarting: false, notification: false, timeSeconds: 0, families: [] }] },
    want: { gracefulRestart: true },
  },
  {
    name: "no graceful restart when this side wants none",
    fields: { gracefulRestartSeconds: 0 },
    open: { capabilities: [{ type: "gracefulRestart", restarting: false, notification: false, timeSeconds: 120, families: [] }] },
    want: { gracefulRestart: false },
  },
  {
    name: "a role that goes with this side's (RFC 9234)",
    fields: { role: "customer", roleStrict: true },
    open: { capabilities: [ipv4, { type: "role", role: "provider" }, { type: "role", role: "provider" }] },
    want: { peerRole: "provider" },
  },
  {
    name: "no role of the peer, where this side is not strict",
    fields: { role: "customer" },
    open: { capabilities: [ipv4] },
    want: { peerRole: undefined },
  },
  {
    name: "any role of the peer, where this side has none",
    open: { capabilities: [ipv4, { type: "role", role: "provider" }, { type: "role", role: "peer" }] },
    want: { peerRole: undefined },
  },
  {
    name: "graceful restart after NOTIFICATIONs, too, which both want (RFC 8538)",
    fields: { gracefulRestartNotification: true },
    open: { capabilities: [{ type: "gracefulRestart", restarting: false, notification: true, timeSeconds: 0, families: [] }] },
    want: { gracefulNotification: true },
  },
  {
    name: "no graceful restart after NOTIFICATIONs, which the peer alone wants",
    open: { capabilities: [{ type: "gracefulRestart", restarting: false, notification: true, timeSeconds: 0, families: [] }] },
    want: { gracefulNotification: false },
  },
  {
    name: "long-lived graceful restart only beside graceful restart (RFC 9494)",
    fields: { longLivedStaleSeconds: 60 },
    open: { capabilities: [{ type: "longLivedGracefulRestart", families: [] }] },
    want: { longLivedGracefulRestart: false },
  },
  {
    name: "several paths to each prefix of a family that the peer receives so (RFC 7911)",
    fields: { addPath: true },
    open: { capabilities: [ipv4, ipv6, { type: "addPath", families: [paths(1, "receive"), paths(2, "send")] }] },
    want: { addPath: ["IPv4"] },
  },
  {
    name: "several paths where the peer also sends them; the last mention of a family counts",
    fields: { addPath: true },
    open: {
      capabilities: [
        ipv4,
        ipv6,
        { type: "addPath", families: [paths(1, "receive"), paths(2, "both")] },
        { type: "addPath", families: [paths(1, "send")] },
      ],
    },
    want: { addPath: ["IPv6"] },
  },
  {
    name: "one path in a family that the session does not carry",
    fields: { addPath: true },
    open: { capabilities: [ipv4, { type: "addPath", families: [paths(1, "both"), paths(2, "both")] }] },
    want: { addPath: ["IPv4"] },
  },
  {
    name: "one path where this side offers no more, whatever the peer receives",
    open: { capabilities: [ipv4, { type: "addPath", families: [paths(1, "both")] }] },
    want: { addPath: [] },
  },
];

for (const { name, fields, open, want } of agreements)
  test(`agreed on: ${name}`, () => {
    const result = negotiate(settings(fields), ours(fields), theirOpen(open));
    assert.ok(!("because" in result), JSON.stringify(result));
    const found = { ...result, families: [...result.families], addPath: [...result.addPath] };
    assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, found[key as keyof typeof found]])), want);
  });

const refusals: readonly {
  name: string;
  fields?: Partial<SessionSettings>;
  open: Partial<Open>;
  subcode: number;
  because: string;
}[] = [
  {
    name: "another AS number",
    open: { asn: 65003, capabilities: [] },
    subcode: 2,
    because: "its AS number is 65003, wanted 65002",
  },
  {
    name: "another AS number by the capability, whatever the field says",
    open: { capabilities: [{ type: "fourOctetAsn", asn: 65003 }] },
    subcode: 2,
    because: "its AS number is 65003, wanted 65002",
  },
  {
    name: "AS 0 by the capability (RFC 7607)",
    open: { capabilities: [{ type: "fourOctetAsn", asn: 0 }] },
    subcode: 2,
    because: "its AS number is 0, wanted 65002",
  },
  {
    name: "the same identifier in the same AS (RFC 6286)",
    fields: { peerAsn: 65001 },
    open: { asn: 65001, routerId: ourId, capabilities: [] },
    subcode: 3,
    because: "its router identifier is 192.0.2.1, as this side's: both need one of their own within an AS (RFC 6286)",
  },
  {
    name: "this side's AS number where the peer is external",
    fields: { peerAsn: "external" },
    open: { asn: 65001, capabilities: [] },
    subcode: 2,
    because: "its AS number is 65001, wanted any but this side's",
  },
  {
    name: "AS 0 where the peer is external (RFC 7607)",
    fields: { peerAsn: "external" },
    open: { capabilities: [{ type: "fourOctetAsn", asn: 0 }] },
    subcode: 2,
    because: "its AS number is 0, wanted any but this side's",
  },
  {
    name: "a role that does not go with this side's (RFC 9234)",
    fields: { role: "customer" },
    open: { capabilities: [ipv4, { type: "role", role: "customer" }] },
    subcode: 11,
    because: "its role is customer, wanted provider, because this side's is customer",
  },
  {
    name: "no role, where this side is strict",
    fields: { role: "peer", roleStrict: true },
    open: { capabilities: [ipv4] },
    subcode: 11,
    because: "it has no role, wanted peer",
  },
  {
    name: "several roles",
    fields: { role: "peer" },
    open: { capabilities: [ipv4, { type: "role", role: "peer" }, { type: "role", role: "customer" }] },
    subcode: 11,
    because: "it has several roles: peer, customer",
  },
  {
    name: "a family that this side has not chosen alone",
    fields: { families: ["IPv6"] },
    open: { capabilities: [ipv4] },
    subcode: 7,
    because: "it does not offer IPv6 unicast",
  },
  {
    name: "no family in common",
    open: { capabilities: [{ type: "multiprotocol", afi: 25, safi: 70 }] },
    subcode: 7,
    because: "it offers neither IPv4 nor IPv6 unicast",
  },
];

for (const { name, fields, open, subcode, because } of refusals)
  test(`not agreed on: ${name}`, () => {
    const result = negotiate(settings(fields), ours(fields), theirOpen(open));
    assert.ok("because" in result);
    assert.deepEqual([result.notification.code, result.notification.subcode, result.because], [2, subcode, because]);
  });

test("RFC 5492, section 5: Unsupported Capability names what is wanted", () => {
  const result = negotiate(settings(), ours(), theirOpen({ capabilities: [{ type: "multiprotocol", afi: 25, safi: 70 }] }));
  assert.ok("because" in result);
  assert.equal(Buffer.from(result.notification.data).toString("hex"), "010400010001" + "010400020001");
});

test("a session without capabilities carries IPv4, so that one for IPv6 alone cannot do without", () => {
  const plain = offer(session({ families: ["IPv6"] }, { plainOpen: true }), ourId);
  const result = negotiate(settings({ families: ["IPv6"] }), plain, theirOpen());
  assert.ok("because" in result);
  assert.equal(Buffer.from(result.notification.data).toString("hex"), "010400020001");
});

test("RFC 9234: a strict side has no session without roles with a peer that refused its capabilities", () => {
  const agreed = (fields: Partial<SessionSettings>) =>
    !("because" in negotiate(settings(fields), offer(session(fields, { plainOpen: true }), ourId), theirOpen()));
  assert.equal(agreed({ role: "customer" }), true);
  assert.equal(agreed({ role: "customer", roleStrict: true }), false);
});

test("KEEPALIVEs come at least three times in the hold time, and no rarer than wanted", () => {
  const table = [
    [30, 90, 30],
    [10, 90, 10],
    [90, 90, 30],
    [30, 10, 3],
    [1, 3, 1],
    [0, 90, 30],
    [30, 0, 0],
    [0, 0, 0],
  ] as const;
  for (const [wanted, holdTime, want] of table) assert.equal(keepalive(wanted, holdTime), want, `${wanted}, ${holdTime}`);
});

test("what the peer offers is judged whatever else it has", () => {
  const unknown: Capability = { type: "unknown", code: 73, value: Uint8Array.of(1, 2, 3) };
  const result = negotiate(
    settings(),
    ours(),
    theirOpen({ routerId: theirId, capabilities: [unknown, ...theirCapabilities, unknown] }),
  );
  assert.ok(!("because" in result));
});
