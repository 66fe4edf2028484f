import type { BfdStatus } from "#pkg/bfd";
import { Cease, counterpart, NotificationCode, OpenMessageError, type PeerView, type Unsendable } from "#pkg/bgp";
import type { Peer } from "#pkg/config";
import type { Address } from "#pkg/net";
import { counted } from "#pkg/text";
import { type CauseOf, type Fact, sentence, type Verdict, verdict } from "#pkg/verdict";

/** The condition that a session waits for before it starts, in words. */
export interface PeerWait {
  readonly for: "password" | "source" | "router" | "node" | "central" | "bfd";
  readonly what: string;
  readonly seconds: number;
}

/** What BFD says of the path, and for how many seconds. */
export interface PathStatus extends BfdStatus {
  readonly seconds: number;
}

export interface PeerFacts {
  readonly wait: PeerWait | undefined;
  readonly view: PeerView | undefined;
  /** Undefined where the path is not watched. */
  readonly bfd: PathStatus | undefined;
  /** For how many seconds the peer has been told to prefer every other path; undefined where it is not. */
  readonly leavingSeconds: number | undefined;
  /** Routers that advertise themselves on the peer's interface beside the one that the session is with. */
  readonly otherRouters: readonly Address[];
}

/** Obstacles that keep one peer from hearing of this node's addresses; empty if none is known. */
export function sessionVerdicts(key: string, { wait, view, bfd }: Omit<PeerFacts, "leavingSeconds" | "otherRouters">): Verdict[] {
  if (wait !== undefined) return [waitVerdict(key, wait, view)];
  if (view === undefined) return [];
  if (view.state === "established") return view.unsendable.map((one) => unsendableVerdict(key, one, view));
  const why = reasonOf(view, bfd);
  if (why === undefined) return [];
  const evidence = [...sessionFacts(view), ...(bfd === undefined ? [] : [bfdFact(bfd)])];
  const message = `BGP session with ${key} is not up: ${why.what}${sourceOf(why, view)}${alsoTold(why, view)}`;
  const next = adviceOf(why, view);
  return [verdict("peer", causeOf(why), next === undefined ? { message, evidence } : { message, evidence, next })];
}

/** The same as lines of `/readyz`. Why a session ended says what to do where that is known. */
export function sessionWarnings(...of: Parameters<typeof sessionVerdicts>): string[] {
  return sessionVerdicts(...of).map((one) => (one.state === "Degraded" ? sentence(one) : one.message));
}

const causeOfWait: Readonly<Record<PeerWait["for"], CauseOf<"peer">>> = {
  password: "waitsForPassword",
  source: "waitsForSource",
  router: "waitsForRouter",
  node: "nodeValueRefused",
  central: "routerOfNode",
  bfd: "waitsForBfd",
};

function waitVerdict(key: string, wait: PeerWait, view: PeerView | undefined): Verdict {
  if (view?.state !== "established")
    return verdict("peer", causeOfWait[wait.for], { message: `BGP session with ${key} waits: ${wait.what}` });
  const message = `BGP session with ${key} is established with its former settings, and cannot have those of the configuration: ${wait.what}`;
  return verdict("peer", causeOfWait[wait.for], { state: "Degraded", message, evidence: sessionFacts(view) });
}

type End = Omit<NonNullable<PeerView["lastDown"]>, "secondsAgo">;

/**
 * Why the session is down. A router that ended the session with a reason and is silent since, such as a router over its limit of
 * prefixes, has said why; and a path that BFD found failed explains the silence since.
 */
function reasonOf({ lastDown, lastFailure }: PeerView, bfd: BfdStatus | undefined): End | undefined {
  if (lastDown === undefined || lastFailure === undefined) return lastFailure ?? lastDown;
  const isSilent = lastFailure.reason === "lost" || lastFailure.reason === "connectTimeout";
  const isPath = isBfdDown(lastDown) || isPathOf(lastDown);
  const isLasting = isPath ? bfd?.verdict === "failed" : lastDown.reason === "received";
  return isSilent && isLasting ? { ...lastDown, what: `${lastDown.what}; since then: ${bare(lastFailure.what)}` } : lastFailure;
}

/** The failure, without the source and without guesses at the reason, which is known. */
function bare(what: string): string {
  return what.replace(/ \(from [^)]*\)/, "").replace(/: .*/s, "");
}

/** This node's address, by which the router knows it, where `what` does not name it. */
function sourceOf({ reason }: End, { source }: PeerView): string {
  return source !== undefined && (reason === "received" || reason === "sent") ? ` (from ${source})` : "";
}

/** The router's last NOTIFICATION since there was a session, where the reason is another: it may say why the router talks no more. */
function alsoTold({ what }: End, { notificationReceived: told, sinceSeconds }: PeerView): string {
  if (told === undefined || what.includes(told.what) || told.secondsAgo > sinceSeconds + 1) return "";
  return `; its last NOTIFICATION was ${told.what}`;
}

const causes: Readonly<Record<End["reason"], CauseOf<"peer">>> = {
  received: "notificationReceived",
  sent: "notificationSent",
  holdTimerExpired: "holdTimerExpired",
  sendHoldTimerExpired: "sendHoldTimerExpired",
  connectTimeout: "connectTimeout",
  lost: "connectionLost",
  peerRestarted: "peerRestarted",
};

function causeOf(end: End): CauseOf<"peer"> {
  if (isBfdDown(end)) return "bfdFailed";
  const { reason, notification, code: failed = "" } = end;
  const { code: told, subcode: detail } = notification ?? {};
  if (told === NotificationCode.openMessage && detail === OpenMessageError.roleMismatch) return "roleMismatch";
  if (reason === "lost") return causeOfError[failed] ?? causes[reason];
  if (reason !== "received" || notification === undefined) return causes[reason];
  const { code, subcode } = notification;
  if (code === NotificationCode.updateMessage) return "routeRefused";
  return (code === NotificationCode.cease ? causeOfCease[subcode] : undefined) ?? causes[reason];
}

const causeOfError: Readonly<Record<string, CauseOf<"peer">>> = {
  ECONNREFUSED: "connectionRefused",
  EHOSTUNREACH: "routerUnreachable",
  ENETUNREACH: "routerUnreachable",
};

const passFirewall = "let this node's firewall pass TCP to the router: nft list ruleset";

/** Errors of this node alone. */
const adviceOnError: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: "give this node the address, or correct source-address",
  EPERM: passFirewall,
  EACCES: passFirewall,
  EAFNOSUPPORT: "give this node an address of the router's family",
  ENOPROTOOPT: "take password or ttl-security off the peer, or run a kernel that can do both",
};

const causeOfCease: Readonly<Record<number, CauseOf<"peer">>> = {
  [Cease.maximumNumberOfPrefixesReached]: "prefixLimit",
  [Cease.administrativeShutdown]: "sessionRefused",
  [Cease.peerDeConfigured]: "sessionRefused",
  [Cease.connectionRejected]: "sessionRefused",
};

/** One side ended the session because of what its BFD found (RFC 9384). */
function isBfdDown({ notification }: End): boolean {
  return notification?.code === NotificationCode.cease && notification.subcode === Cease.bfdDown;
}

/** The router ended the session because it received nothing from this node. */
function isPathOf({ reason, notification }: End): boolean {
  return reason === "received" && notification?.code === NotificationCode.holdTimerExpired;
}

/** The remedy for the router's statement, if it is known better than in general. */
function adviceOf(end: End, { myAsn, source, steadierSource }: PeerView): string | undefined {
  if (end.peerAsn !== undefined) return `set peer-asn: ${end.peerAsn} (the router says so), or correct the router`;
  if (end.peerRole !== undefined)
    return `set role: ${counterpart[end.peerRole]} (the router is ${end.peerRole}), or correct the router`;
  if (isPathOf(end))
    return "look for what drops packets from this node on the way to the router, large ones (MTU) too, and for a router that is overloaded";
  if (end.reason === "lost" && end.code === undefined && steadierSource !== undefined)
    return `set source-interface, so that the session comes from ${steadierSource}; or make ${source}, which a router advertisement gave this node, a neighbor on the router`;
  if (end.reason === "lost") return adviceOnError[end.code ?? ""];
  if (end.reason !== "received" || end.notification?.code !== NotificationCode.openMessage) return undefined;
  switch (end.notification.subcode) {
    case OpenMessageError.badPeerAs:
      return `on the router: ${source === undefined ? "for this node" : `neighbor ${source}`} remote-as ${myAsn}; or set my-asn to the number that it has for this node`;
    case OpenMessageError.badBgpIdentifier:
      return "give this node a router-id that no other neighbor of the router has";
    default:
      return undefined;
  }
}

/** The verdict on the peer, and for how many seconds it holds. */
export function peerVerdict(key: string, facts: PeerFacts): { readonly verdict: Verdict; readonly seconds: number } {
  const { wait, view, bfd, leavingSeconds, otherRouters } = facts;
  const [worst] = sessionVerdicts(key, facts);
  const since = view?.sinceSeconds ?? 0;
  if (worst !== undefined) return { verdict: worst, seconds: wait?.seconds ?? view?.unsendable[0]?.seconds ?? since };
  const evidence = view === undefined ? [] : sessionFacts(view);
  if (view?.state !== "established") return { verdict: connectingVerdict(key, view, evidence), seconds: since };
  const isOfPaths = view.session !== undefined && view.session.addPath.length > 0;
  const sent = counted(view.prefixesAnnounced, isOfPaths ? "path" : "prefix");
  const up = `BGP session with ${key} is established and carries ${sent}`;
  if (leavingSeconds !== undefined)
    return {
      verdict: verdict("peer", "leaving", { message: `${up}, marked with GRACEFUL_SHUTDOWN`, evidence }),
      seconds: leavingSeconds,
    };
  if (view.prefixLimitsNear.length > 0) {
    const near = view.prefixLimitsNear.map(({ family, prefixes, announced, from }) => {
      const what = view.session?.addPath.includes(family) ? "paths" : "prefixes";
      return `${announced} of ${prefixes} ${family} ${what} that the router takes (${from === "router" ? "as it said when it ended a session" : "maximum-prefix"})`;
    });
    const message = `BGP session with ${key} is established and carries ${near.join(", and ")}`;
    return { verdict: verdict("peer", "prefixLimitNear", { message, evidence }), seconds: since };
  }
  if (view.prefixesNarrowed > 0) return { verdict: narrowedVerdict(key, view, evidence), seconds: since };
  if (otherRouters.length > 0) {
    const others = otherRouters.slice(0, maxNamed).join(", ");
    const message = `${up}, but other routers advertise themselves on that interface: ${others}; the session stays with the first one, ${view.router}`;
    return { verdict: verdict("peer", "severalRouters", { message, evidence }), seconds: since };
  }
  if (bfd === undefined || bfd.verdict === "up")
    return {
      verdict: verdict("peer", "established", { message: up, evidence }),
      seconds: Math.min(since, bfd?.seconds ?? since),
    };
  const message = `${up}, but BFD is not up: ${bfd.reason}`;
  return {
    verdict: verdict("peer", causeOfBfd[bfd.verdict], { state: "Degraded", message, evidence: [...evidence, bfdFact(bfd)] }),
    seconds: bfd.seconds,
  };
}

const maxNamed = 3;

function connectingVerdict(key: string, view: PeerView | undefined, evidence: readonly Fact[]): Verdict {
  if (!view?.passive) return verdict("peer", "connecting", { message: `BGP session with ${key} is not up yet`, evidence });
  if (!view.accepts)
    return verdict("peer", "connecting", {
      message: `BGP session with ${key} is not up: the peer is passive, and this node lets no router connect`,
      evidence,
      next: "run the speakers with --bgp-port=179 and the capability NET_BIND_SERVICE (Helm: speaker.bgpPort: 179), end what else listens on that port of the node, or take passive off the peer",
    });
  return verdict("peer", "connecting", {
    message: `BGP session with ${key} is not up yet: the peer is passive, so this node waits for the router to connect`,
    evidence,
    next: "wait some seconds; if it stays so, see that the router connects to this node by itself, and reaches its port of --bgp-port",
  });
}

const causeOfBfd: Readonly<Record<Exclude<BfdStatus["verdict"], "up">, CauseOf<"peer">>> = {
  unknown: "bfdUnknown",
  failed: "bfdFailed",
  adminDown: "bfdAdminDown",
};

function unsendableVerdict(key: string, { family, reason, prefixes }: Unsendable, view: PeerView): Verdict {
  const what = counted(prefixes, `${family} prefix`);
  const start = `BGP session with ${key} cannot carry ${what}`;
  const evidence = sessionFacts(view);
  switch (reason) {
    case "familyNotNegotiated":
      return verdict("peer", reason, {
        message: `${start}: the router does not offer ${family} unicast`,
        evidence,
        next: `enable ${family} unicast for this node on the router, or give the advertisement peers that have it`,
      });
    case "noNextHop": {
      const field = family === "IPv4" ? "next-hop" : "next-hop-v6";
      const name = view.session?.localInterface;
      const place = name === undefined ? "the interface" : `interface ${name}`;
      return verdict("peer", reason, {
        message: `${start}: ${place} of the session has no ${family} address to be the next hop`,
        evidence,
        next: `give it one, or the advertisement a ${field}`,
      });
    }
    default:
      return reason satisfies never;
  }
}

/** The remedy is the router's, unless this side does not offer the capability. */
function narrowedVerdict(key: string, { prefixesNarrowed }: PeerView, evidence: readonly Fact[]): Verdict {
  const what = counted(prefixesNarrowed, "prefix");
  const message = `BGP session with ${key} carries one path to each prefix, but ${what} ${prefixesNarrowed === 1 ? "has" : "have"} several`;
  return verdict("peer", "addPathNotNegotiated", { message, evidence });
}

function bfdFact({ reason, seconds }: PathStatus): Fact {
  return { name: "BFD", value: `${reason}, for ${Math.round(seconds)} s`, source: "BFD session" };
}

function sessionFacts(view: PeerView): Fact[] {
  const { state, stateSeconds, lastDown, lastFailure, notificationReceived: told, flaps, prefixesAnnounced } = view;
  const source = "BGP session";
  const facts: Fact[] = [
    { name: "state", value: `${state} for ${stateSeconds} s`, source },
    { name: "prefixes announced", value: `${prefixesAnnounced}`, source },
    { name: "times it went down", value: `${flaps}`, source },
  ];
  if (lastFailure !== undefined)
    facts.push({ name: "last attempt", value: `${lastFailure.what}, ${lastFailure.secondsAgo} s ago`, source });
  if (lastDown !== undefined) facts.push({ name: "went down", value: `${lastDown.what}, ${lastDown.secondsAgo} s ago`, source });
  if (told !== undefined)
    facts.push({ name: "last NOTIFICATION of the router", value: `${told.what}, ${told.secondsAgo} s ago`, source });
  if (view.source !== undefined) facts.push({ name: "address of this node", value: `${view.source}`, source });
  return facts;
}

/** Why the node has no router for a peer that is to find it. */
export function whyNotFound({ discovery }: Peer): string {
  if (discovery?.by === "advertisements") return `no interface of this node is named ${discovery.interfaces.join(", ")}`;
  const only = discovery?.families.length === 1 ? `${discovery.families} ` : "";
  const by = discovery?.interfaces.length ? ` by ${discovery.interfaces.join(", ")}` : "";
  return `this node has no ${only}default route${by} whose next hop is a router`;
}
