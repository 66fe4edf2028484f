import type { Address } from "#pkg/net";
import type { Peer } from "./config.ts";

/** A peer whose router's address is known. */
export type ReachedPeer = Peer & { readonly address: Address };

/** Each setting of a session, and when a change takes effect. The connection and the OPEN cannot be changed while they last. */
const takesEffect = {
  myAsn: "in a new session",
  peerAsn: "in a new session",
  families: "in a new session",
  address: "in a new session",
  port: "in a new session",
  interface: "in a new session",
  discovery: "in a new session",
  sourceAddress: "in a new session",
  routerId: "in a new session",
  passive: "at once",
  ttl: "in a new session",
  ttlSecurityHops: "in a new session",
  // Going on with the old one, a session would detect failures later than its operator believes.
  holdTimeSeconds: "in a new session",
  keepaliveSeconds: "at once",
  connectTimeSeconds: "at once",
  gracefulRestartSeconds: "in a new session",
  password: "in a new session",
  addPath: "in a new session",
  role: "in a new session",
  roleStrict: "in a new session",
  gracefulRestartNotification: "in a new session",
  longLivedStaleSeconds: "in a new session",
  maximumPrefix: "at once",
} as const satisfies Partial<Record<keyof Peer, "at once" | "in a new session">>;
const names = Object.keys(takesEffect) as (keyof typeof takesEffect)[];

/**
 * Settings of a BGP session, as the configuration has them. `password` is that of TCP MD5 (RFC 2385), up to 80 octets of UTF-8, also where it
 * comes from a Secret. Without `sourceAddress` the system chooses, and without `routerId` it follows from this side's address.
 */
export type SessionSettings = Pick<ReachedPeer, keyof typeof takesEffect>;

/** Settings of the session with a peer. @param password of a Secret; undefined for that of the configuration, if any */
export function sessionSettings<P extends Peer>(peer: P, password: string | undefined): Pick<P, keyof typeof takesEffect> {
  const settings = Object.fromEntries(names.map((name) => [name, peer[name]])) as unknown as Pick<P, keyof typeof takesEffect>;
  return { ...settings, password: password ?? peer.password };
}

/** Whether any of the changes takes effect in a new session only. Other fields of the objects do not count. */
export function needsRestart(before: Pick<Peer, keyof typeof takesEffect>, after: Pick<Peer, keyof typeof takesEffect>): boolean {
  return names.some(
    (name) =>
      takesEffect[name] === "in a new session" &&
      JSON.stringify([settled(before, name)]) !== JSON.stringify([settled(after, name)]),
  );
}

/** Of how the router was found a session has to know whether it is unnumbered: a gateway is any router with an address. */
function settled(peer: Pick<Peer, keyof typeof takesEffect>, name: keyof typeof takesEffect): unknown {
  return name === "discovery" ? peer.discovery?.by === "advertisements" : peer[name];
}
