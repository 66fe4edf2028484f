import type { Address, Family } from "#pkg/net";

/** What the OPENs of both sides agreed on. */
export interface Negotiated {
  readonly peerAsn: number;
  readonly peerRouterId: Address;
  /** The smaller of both; 0 is never. */
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  /** Unicast families that both offered; IPv4 where neither offered any. */
  readonly families: ReadonlySet<Family>;
  /** RFC 6793: AS numbers in AS_PATH are of four octets. */
  readonly fourOctetAsn: boolean;
  /** RFC 8654: messages of up to 65,535 octets instead of 4,096, except OPEN and KEEPALIVE. */
  readonly extendedMessage: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  /** RFC 8950: IPv4 prefixes may have IPv6 next hops. */
  readonly extendedNextHop: boolean;
  /** The peer keeps this side's routes while it restarts (RFC 4724), for as long as this side has asked. */
  readonly gracefulRestart: boolean;
}
