import type { Address, Family } from "#pkg/net";
import type { Peer } from "./config.ts";

/** Settings of a BGP session. */
export interface SessionSettings {
  readonly myAsn: number;
  /** `external` for any but `myAsn`. */
  readonly peerAsn: number | "external";
  /** What this side offers; one or both. */
  readonly families: readonly Family[];
  readonly address: Address;
  readonly port: number;
  /** The interface behind which a link-local `address` is; undefined for any other address. */
  readonly interface: string | undefined;
  /** This side's address; the system's choice when undefined. */
  readonly sourceAddress: Address | undefined;
  /** Password of TCP MD5 (RFC 2385): up to 80 octets of UTF-8. */
  readonly password: string | undefined;
  /** The offered hold time: 0 (never expires) or 3–65535. */
  readonly holdTimeSeconds: number;
  /** At most; a third of the hold time that both agree on where that is less. */
  readonly keepaliveSeconds: number;
  /** The time from which the back-off grows. */
  readonly connectTimeSeconds: number;
  /** IPv4; derived from this side's address when undefined. */
  readonly routerId: Address | undefined;
  /** The peer connects, never this side. */
  readonly passive: boolean;
  /** TTL of packets to the peer; undefined for the system's default. */
  readonly ttl: number | undefined;
  /** RFC 5082: packets from farther away are dropped, and sent are those with TTL 255. Undefined for no such check. */
  readonly ttlSecurityHops: number | undefined;
  /** For how long the peer is asked to keep this side's routes while it restarts (RFC 4724); 0 is never, at most 4095. */
  readonly gracefulRestartSeconds: number;
}

/** Settings of the session with a peer. @param password of a Secret; undefined for that of the configuration, if any */
export function sessionSettings(peer: Peer, password: string | undefined): SessionSettings {
  const { myAsn, peerAsn, families, address, port, interface: device, sourceAddress, routerId, passive } = peer;
  const { ttl, ttlSecurityHops, holdTimeSeconds, keepaliveSeconds, connectTimeSeconds, gracefulRestartSeconds } = peer;
  return {
    myAsn,
    peerAsn,
    families,
    address,
    port,
    interface: device,
    sourceAddress,
    routerId,
    passive,
    ttl,
    ttlSecurityHops,
    holdTimeSeconds,
    keepaliveSeconds,
    connectTimeSeconds,
    gracefulRestartSeconds,
    password: password ?? peer.password,
  };
}

/** When a change takes effect. The connection and the OPEN cannot be changed while they last. */
const takesEffect: Readonly<Record<keyof SessionSettings, "at once" | "in a new session">> = {
  myAsn: "in a new session",
  peerAsn: "in a new session",
  families: "in a new session",
  address: "in a new session",
  port: "in a new session",
  interface: "in a new session",
  sourceAddress: "in a new session",
  password: "in a new session",
  // Going on with the old one, a session would detect failures later than its operator believes.
  holdTimeSeconds: "in a new session",
  keepaliveSeconds: "at once",
  connectTimeSeconds: "at once",
  routerId: "in a new session",
  passive: "at once",
  ttl: "in a new session",
  ttlSecurityHops: "in a new session",
  gracefulRestartSeconds: "in a new session",
};

/** Whether any of the changes takes effect in a new session only. Other fields of the objects do not count. */
export function needsRestart(before: SessionSettings, after: SessionSettings): boolean {
  return Object.entries(takesEffect).some(([name, when]) => {
    const key = name as keyof SessionSettings;
    return when === "in a new session" && JSON.stringify([before[key]]) !== JSON.stringify([after[key]]);
  });
}
