import { type BfdProfile, describeRouter, type Peer } from "#pkg/config";
import type { Family } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Report } from "../report.ts";
import { nodesOfConfig, toSelectors } from "../selectors.ts";
import type { Spec } from "./schemas.ts";

type PeerSpec = { -readonly [Name in keyof Spec<"BGPPeer">]: Spec<"BGPPeer">[Name] };

/** A peer as the text writes it, besides its meaning. */
export interface WrittenPeer {
  readonly "peer-asn"?: number | "internal" | "external";
  readonly "keepalive-time"?: string;
  readonly "connect-time"?: string;
}

/** A peer as the `spec` of a BGPPeer; undefined if that is impossible. @param what the peer, as messages name it */
export function peerSpec(
  peer: Peer,
  written: WrittenPeer,
  { what, namespace, bfdProfiles }: { what: string; namespace: string; bfdProfiles: ReadonlyMap<string, string> },
  report: Report,
): PeerSpec | undefined {
  if (peer.disabled) {
    report.lose(what, "disabled: it is left out");
    return undefined;
  }
  if (peer.port > 16384) {
    report.lose(what, `peer-port ${peer.port}: MetalLB takes at most 16384; the peer is left out`);
    return undefined;
  }
  if (peer.fromNode !== undefined) {
    report.lose(what, "from-node: MetalLB takes no values from nodes; the peer is left out");
    return undefined;
  }
  if (peer.discovery?.by === "gateway") {
    report.lose(what, `peer-address ${describeRouter(peer)}: MetalLB has nothing like it; the peer is left out`);
    return undefined;
  }
  if (peer.discovery !== undefined && !isOneInterface(peer.discovery.interfaces)) {
    report.lose(what, `${describeRouter(peer)}: MetalLB takes the name of one interface in each BGPPeer; the peer is left out`);
    return undefined;
  }
  const spec: PeerSpec = { myASN: peer.myAsn };
  if (written["peer-asn"] === "internal" || written["peer-asn"] === "external") spec.dynamicASN = written["peer-asn"];
  else if (peer.peerAsn !== "external") spec.peerASN = peer.peerAsn;
  if (peer.discovery !== undefined) spec.interface = peer.discovery.interfaces[0] ?? "";
  else if (peer.interface === undefined) spec.peerAddress = `${peer.address}`;
  else {
    spec.interface = peer.interface;
    report.lose(
      what,
      `peer-address ${peer.address}: MetalLB finds the router behind ${peer.interface} itself, if that sends router advertisements`,
    );
  }
  if (peer.sourceAddress !== undefined) spec.sourceAddress = `${peer.sourceAddress}`;
  if (peer.port !== 179) spec.peerPort = peer.port;
  spec.holdTime = `${peer.holdTimeSeconds}s`; // Always: MetalLB's own default is FRR's.
  if (written["keepalive-time"]) spec.keepaliveTime = `${peer.keepaliveSeconds}s`;
  if (written["connect-time"]) spec.connectTime = `${peer.connectTimeSeconds}s`;
  if (peer.routerId !== undefined) spec.routerID = `${peer.routerId}`;
  const selectors = toSelectors(nodesOfConfig(peer.nodeSelectors));
  if (selectors !== undefined) spec.nodeSelectors = selectors;
  if (peer.password !== undefined) spec.password = peer.password;
  if (peer.passwordSecret !== undefined) spec.passwordSecret = secretOf(peer.passwordSecret, namespace, what, report);
  const profile = peer.bfdProfile === undefined ? undefined : bfdProfiles.get(peer.bfdProfile);
  if (profile !== undefined) spec.bfdProfile = profile;
  if (peer.gracefulRestartSeconds > 0) spec.enableGracefulRestart = true;
  if (peer.ebgpMultihop) spec.ebgpMultiHop = true;
  spec.dualStackAddressFamily = peer.families.length > 1; // It is always written, because releases have different defaults.
  tellLosses(peer, what, report);
  return spec;
}

function isOneInterface(names: readonly string[]): boolean {
  return names.length === 1 && !/[*?]/.test(names[0] ?? "");
}

/** A session without addresses in the configuration is between link-local ones. */
function familyOfSession({ address }: Peer): Family {
  return address?.family ?? "IPv6";
}

function secretOf({ name, key }: NonNullable<Peer["passwordSecret"]>, namespace: string, what: string, report: Report) {
  if (key !== "password")
    report.lose(what, `password-secret.key ${quote(key)}: MetalLB reads the key "password"; copy the value there`);
  report.note(
    `${what}: MetalLB takes Secret ${name} only with the type kubernetes.io/basic-auth, which cannot be changed: make it anew.`,
  );
  return { name, namespace };
}

function tellLosses(peer: Peer, what: string, report: Report): void {
  const lost: [boolean, string][] = [
    [peer.sourceInterface !== undefined, `source-interface ${peer.sourceInterface}`],
    [peer.bfdStrict, "bfd-strict"],
    [peer.ttlSecurityHops !== undefined, `ttl-security ${peer.ttlSecurityHops}`],
    [peer.ttl !== undefined, `ebgp-multihop-ttl ${peer.ttl}`],
    [peer.passive, "passive"],
    [peer.drainWhenCordoned, "drain-when-cordoned"],
    [peer.maximumPrefix !== undefined, `maximum-prefix ${peer.maximumPrefix}`],
    [peer.addPath, "add-path"],
    [peer.role !== undefined, `role ${peer.role}`],
    [peer.roleStrict, "role-strict"],
    [peer.gracefulRestartNotification, "graceful-restart-notification"],
    [peer.longLivedStaleSeconds > 0, `long-lived-stale-time ${peer.longLivedStaleSeconds}s`],
    [
      peer.gracefulRestartSeconds > 0 && peer.gracefulRestartSeconds !== 120,
      `graceful-restart-time ${peer.gracefulRestartSeconds}s (it is on, with FRR's 120s)`,
    ],
    [peer.gracefulShutdownSeconds !== 2, `graceful-shutdown-time ${peer.gracefulShutdownSeconds}s`],
    [
      peer.families.length === 1 && peer.families[0] !== familyOfSession(peer),
      `families: only ${peer.families} in a session over ${familyOfSession(peer)}`,
    ],
  ];
  for (const [isLost, field] of lost) if (isLost) report.lose(what, `${field}: MetalLB has nothing like it`);
  if (peer.families.length === 1 && peer.families[0] === familyOfSession(peer))
    report.note(`${what}: MetalLB before 0.15 carries the other family too, unless the peer has disableMP: true.`);
}

export function bfdSpec(profile: BfdProfile): Spec<"BFDProfile"> {
  const { receiveIntervalMs, transmitIntervalMs, detectMultiplier, echoIntervalMs, echoMode, passiveMode, minimumTtl } = profile;
  return {
    receiveInterval: receiveIntervalMs,
    transmitInterval: transmitIntervalMs,
    detectMultiplier,
    echoInterval: echoIntervalMs,
    echoMode,
    passiveMode,
    minimumTtl,
  };
}
