import assert from "node:assert/strict";
import type { BgpRole, SessionSettings } from "#pkg/config";
import { Writer } from "#pkg/octets";
import { encodeMessage } from "../../../pkg/bgp/codec/message-codec.ts";
import type { Capability, Open } from "../../../pkg/bgp/codec/messages.ts";
import { NotificationError } from "../../../pkg/bgp/codec/notification-error.ts";
import { decodeOpen, encodeOpen, writeCapability } from "../../../pkg/bgp/codec/open-codec.ts";
import { type Disagreement, negotiate, offer } from "../../../pkg/bgp/session/negotiation.ts";
import { type Negotiated, newSession } from "../../../pkg/bgp/session/state.ts";
import { ourId } from "../../../pkg/bgp/testing/lone-session.ts";
import { settings } from "../../../pkg/bgp/testing/settings.ts";
import { fromHex, packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const both = [
  { afi: 1, safi: 1 },
  { afi: 2, safi: 1 },
] as const;

/** Capabilities that a router may offer, each alone: RFC 4760, 2918, 7313, 6793, 8654, 8950, 4724 with 8538, 9494, 9234, 7911. */
const capabilities: readonly Capability[] = [
  ...both.map((family): Capability => ({ type: "multiprotocol", ...family })),
  { type: "routeRefresh" },
  { type: "enhancedRouteRefresh" },
  { type: "fourOctetAsn", asn: 4_200_000_000 },
  { type: "extendedMessage" },
  { type: "extendedNextHop", families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
  {
    type: "gracefulRestart",
    restarting: true,
    notification: true,
    timeSeconds: 120,
    families: both.map((family) => ({ ...family, forwardingPreserved: true })),
  },
  {
    type: "longLivedGracefulRestart",
    families: both.map((family) => ({ ...family, forwardingPreserved: true, staleSeconds: 3600 })),
  },
  { type: "role", role: "provider" },
  { type: "role", role: "peer" },
  { type: "addPath", families: both.map((family) => ({ ...family, direction: "both" })) },
];

/** Of this side: what it may ask for. */
const sides: readonly SessionSettings[] = [
  settings({ peerAsn: "external" }),
  settings({ peerAsn: "external", role: "customer", roleStrict: true, addPath: true, families: ["IPv4"] }),
  settings({ peerAsn: "external", role: "peer", gracefulRestartNotification: true, longLivedStaleSeconds: 3600, addPath: true }),
];

/** The capabilities in the OPEN of a router, and what three different sides agree on with it. */
export const bgpCapabilities: Target = {
  name: "bgp-capabilities",
  maxLength: 1_024,
  seeds: [capabilities, ...capabilities.map((one) => [one])].map(encoded),
  words: [
    ...wordsIn("pkg/bgp/codec/open-codec.ts"),
    ...["00010001", "00020001", "00010080", "01", "02", "03", "4078", "8078", "c078", "0506", "0901", "4504", "470e"].map(
      fromHex,
    ),
  ],
  isText: false,
  bounds: { ...packetBounds, work: 6_000, workPerOctet: 50 },
  run: (input) => {
    const open = received(input);
    if (open === undefined) return;
    for (const side of sides) {
      const ours = offer(newSession({ settings: side, restarting: false, forwardingPreserved: true }), ourId);
      const result = negotiate(side, ours, open);
      if ("because" in result) encodeMessage(result.notification);
      else check(side, result);
      const again = received(input);
      assert.deepEqual(again && negotiate(side, ours, again), result);
      compareWithEncoded(side, ours, open, result);
    }
  },
};

function check(side: SessionSettings, agreed: Negotiated): void {
  assert.ok(agreed.families.size > 0 && agreed.families.isSubsetOf(new Set(side.families)));
  assert.ok(agreed.addPath.isSubsetOf(agreed.families) && (side.addPath || agreed.addPath.size === 0));
  if (agreed.longLivedGracefulRestart) assert.ok(agreed.gracefulRestart && side.longLivedStaleSeconds > 0);
  if (agreed.gracefulNotification) assert.ok(agreed.gracefulRestart && side.gracefulRestartNotification);
  const wanted = new Map<BgpRole | undefined, BgpRole>([
    ["customer", "provider"],
    ["peer", "peer"],
  ]).get(side.role);
  assert.ok(agreed.peerRole === wanted || (agreed.peerRole === undefined && !side.roleStrict));
}

/** The agreement depends on what the OPEN says, and not on how it says so. */
function compareWithEncoded(side: SessionSettings, ours: Open, open: Open, result: Negotiated | Disagreement): void {
  let octets: Uint8Array;
  try {
    octets = encodeOpen(open);
  } catch (error) {
    if (error instanceof RangeError) return; // Some that are understood are longer than what may be sent.
    throw error;
  }
  assert.deepEqual(negotiate(side, ours, decodeOpen(octets.subarray(19))), result);
}

/** The OPEN of a router in AS 65002 with these capabilities, in the extended format of RFC 9072. */
function received(octets: Uint8Array): Open | undefined {
  const writer = new Writer().put(fromHex("04fdea005a0a000001ffff")).u16(octets.length + 3);
  try {
    return decodeOpen(writer.u8(2).u16(octets.length).put(octets).finish());
  } catch (error) {
    if (error instanceof NotificationError) return undefined;
    throw error;
  }
}

function encoded(all: readonly Capability[]): Uint8Array {
  const writer = new Writer();
  for (const one of all) writeCapability(writer, one);
  return writer.finish();
}
