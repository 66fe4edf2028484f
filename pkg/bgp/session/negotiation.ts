import type { BgpRole, SessionSettings } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import { asTrans, maxTwoOctetAsn } from "../codec/as-path.ts";
import { Afi, type Capability, type Notification, type Open, unicast, unicastFamily } from "../codec/messages.ts";
import { NotificationCode, OpenMessageError } from "../codec/notification-error.ts";
import { bgpVersion } from "../codec/open-codec.ts";
import type { Negotiated, Session } from "./state.ts";

/** The OPEN of this side, whose router identifier in this connection is `routerId`. */
export function offer(session: Session, routerId: Address): Open {
  const { settings, plainOpen } = session;
  const { myAsn, holdTimeSeconds } = settings;
  const asn = myAsn > maxTwoOctetAsn ? asTrans : myAsn;
  const capabilities = plainOpen ? [] : capabilitiesOf(session);
  return { type: "open", version: bgpVersion, asn, holdTimeSeconds, routerId, capabilities };
}

function capabilitiesOf({ settings, restarting, forwardingPreserved }: Session): Capability[] {
  const { myAsn, address, families, gracefulRestartSeconds, gracefulRestartNotification, longLivedStaleSeconds, addPath, role } =
    settings;
  const capabilities: Capability[] = [
    ...families.map((family) => ({ type: "multiprotocol" as const, ...unicast[family] })),
    { type: "routeRefresh" },
    { type: "enhancedRouteRefresh" },
    { type: "fourOctetAsn", asn: myAsn },
    { type: "extendedMessage" },
  ];
  // This is of use only if this side may have no IPv4 address to give.
  if (address.family === "IPv6" && families.includes("IPv4"))
    capabilities.push({ type: "extendedNextHop", families: [{ ...unicast.IPv4, nextHopAfi: Afi.ipv6 }] });
  if (gracefulRestartSeconds > 0)
    capabilities.push({
      type: "gracefulRestart",
      restarting,
      notification: gracefulRestartNotification,
      timeSeconds: gracefulRestartSeconds,
      families: families.map((family) => ({ ...unicast[family], forwardingPreserved })),
    });
  if (gracefulRestartSeconds > 0 && longLivedStaleSeconds > 0) {
    const kept = { forwardingPreserved, staleSeconds: longLivedStaleSeconds };
    capabilities.push({
      type: "longLivedGracefulRestart",
      families: families.map((family) => ({ ...unicast[family], ...kept })),
    });
  }
  if (role !== undefined) capabilities.push({ type: "role", role });
  if (addPath)
    capabilities.push({ type: "addPath", families: families.map((family) => ({ ...unicast[family], direction: "send" })) });
  return capabilities;
}

/** The OPENs do not go together. */
export interface Disagreement {
  readonly notification: Notification;
  readonly because: string;
  /** The AS number of the other side, where that is what they differ in. */
  readonly peerAsn?: number;
  /** The role of the other side, where that does not go with this side's. */
  readonly peerRole?: BgpRole;
}

/** The settings on which both OPENs agree, or why they do not agree (RFC 4271, section 6.2). */
export function negotiate(settings: SessionSettings, ours: Open, theirs: Open): Negotiated | Disagreement {
  const both = <Type extends Capability["type"]>(type: Type) =>
    find(ours, type) !== undefined && find(theirs, type) !== undefined;
  const { myAsn, peerAsn, families, keepaliveSeconds } = settings;
  const asn = asnOf(theirs);
  if (peerAsn === "external" ? asn === myAsn || asn === 0 : asn !== peerAsn) {
    const wanted = peerAsn === "external" ? "any but this side's" : peerAsn;
    return { ...disagree(OpenMessageError.badPeerAs, `its AS number is ${asn}, wanted ${wanted}`), peerAsn: asn };
  }
  if (myAsn === asn && theirs.routerId.equals(ours.routerId))
    return disagree(
      OpenMessageError.badBgpIdentifier,
      `its router identifier is ${theirs.routerId}, as this side's: both need one of their own within an AS (RFC 6286)`,
    );
  const common = families.filter((family) => familiesOf(ours).has(family) && familiesOf(theirs).has(family));
  if (common.length === 0) {
    const because =
      families.length > 1 ? "it offers neither IPv4 nor IPv6 unicast" : `it does not offer ${families.join()} unicast`;
    return disagree(OpenMessageError.unsupportedCapability, because, wanted(families));
  }
  const roles = agreeOnRoles(settings, ours, theirs);
  if ("because" in roles) return roles;
  const holdTimeSeconds = Math.min(ours.holdTimeSeconds, theirs.holdTimeSeconds);
  return {
    peerAsn: asn,
    peerRouterId: theirs.routerId,
    holdTimeSeconds,
    keepaliveSeconds: keepalive(keepaliveSeconds, holdTimeSeconds),
    families: new Set(common),
    fourOctetAsn: both("fourOctetAsn"),
    extendedMessage: both("extendedMessage"),
    routeRefresh: both("routeRefresh"),
    enhancedRouteRefresh: both("enhancedRouteRefresh"),
    extendedNextHop: takesIpv6NextHops(ours) && takesIpv6NextHops(theirs),
    gracefulRestart: both("gracefulRestart"),
    gracefulNotification: hasNotification(ours) && hasNotification(theirs),
    longLivedGracefulRestart: both("longLivedGracefulRestart") && both("gracefulRestart"),
    peerRole: roles.peerRole,
    addPath: new Set(common.filter((family) => hasAddPath(ours, family, "send") && hasAddPath(theirs, family, "receive"))),
  };
}

/** This side's role -> the peer's (RFC 9234, section 4.2). */
export const counterpart: Readonly<Record<BgpRole, BgpRole>> = {
  provider: "customer",
  customer: "provider",
  "rs-server": "rs-client",
  "rs-client": "rs-server",
  peer: "peer",
};

/** Without a role of its own, a side does not look at the other's (RFC 9234, section 4.2). */
function agreeOnRoles(
  { role, roleStrict }: SessionSettings,
  ours: Open,
  theirs: Open,
): { readonly peerRole: BgpRole | undefined } | Disagreement {
  if (role === undefined || (find(ours, "role") === undefined && !roleStrict)) return { peerRole: undefined };
  const said = new Set(theirs.capabilities.flatMap((one) => (one.type === "role" ? [one.role] : [])));
  const mismatch = (because: string) => disagree(OpenMessageError.roleMismatch, because);
  const [peerRole] = said;
  if (said.size > 1) return mismatch(`it has several roles: ${[...said].join(", ")}`);
  if (peerRole === undefined) return roleStrict ? mismatch(`it has no role, wanted ${counterpart[role]}`) : { peerRole };
  if (peerRole === counterpart[role]) return { peerRole };
  return { ...mismatch(`its role is ${peerRole}, wanted ${counterpart[role]}, because this side's is ${role}`), peerRole };
}

function hasNotification(open: Open): boolean {
  return find(open, "gracefulRestart")?.notification ?? false;
}

/** RFC 6793, section 4.1. */
export function asnOf(open: Open): number {
  return find(open, "fourOctetAsn")?.asn ?? open.asn;
}

/** RFC 4271, section 10: at most a third of the hold time. 0 for never, where the session never expires. */
export function keepalive(wantedSeconds: number, holdTimeSeconds: number): number {
  const max = Math.floor(holdTimeSeconds / 3);
  return wantedSeconds === 0 ? max : Math.min(wantedSeconds, max);
}

function find<Type extends Capability["type"]>(open: Open, type: Type): Extract<Capability, { type: Type }> | undefined {
  return open.capabilities.find((one): one is Extract<Capability, { type: Type }> => one.type === type);
}

/** A peer that offers no family has IPv4 unicast (RFC 4760, section 1). */
function familiesOf({ capabilities }: Open): ReadonlySet<Family> {
  const offered = capabilities.filter((one) => one.type === "multiprotocol");
  if (offered.length === 0) return new Set(["IPv4"]);
  return new Set(offered.map(unicastFamily).filter((family) => family !== undefined));
}

function takesIpv6NextHops({ capabilities }: Open): boolean {
  return capabilities.some(
    (one) =>
      one.type === "extendedNextHop" &&
      one.families.some((each) => unicastFamily(each) === "IPv4" && each.nextHopAfi === Afi.ipv6),
  );
}

/** The last mention of a family counts (RFC 7911, section 4). */
function hasAddPath({ capabilities }: Open, family: Family, direction: "send" | "receive"): boolean {
  const all = capabilities.flatMap((one) => (one.type === "addPath" ? one.families : []));
  const last = all.findLast((one) => unicastFamily(one) === family);
  return last !== undefined && (last.direction === direction || last.direction === "both");
}

/** RFC 5492, section 5: the capabilities without which there is no session, encoded as in an OPEN. */
function wanted(families: readonly Family[]): readonly number[] {
  return families.flatMap((family) => [1, 4, 0, unicast[family].afi, 0, unicast[family].safi]);
}

function disagree(subcode: number, because: string, data: readonly number[] = []): Disagreement {
  const code = NotificationCode.openMessage;
  return { notification: { type: "notification", code, subcode, data: Uint8Array.from(data) }, because };
}
