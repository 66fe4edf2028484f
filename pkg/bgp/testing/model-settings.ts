import type { Millis } from "#pkg/clock";
import type { BgpRole } from "#pkg/config";
import type { Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type Capability, type Open, unicast } from "../codec/messages.ts";

/** The configuration of a router towards its one neighbor. */
export interface ModelSettings {
  readonly asn: number;
  readonly peerAsn: number;
  readonly routerId: string;
  readonly families: readonly Family[];
  /** It connects, and not only waits. */
  readonly dials: boolean;
  readonly holdTimeSeconds: number;
  /** It keeps routes of a neighbor that restarts (RFC 4724). */
  readonly gracefulRestart: boolean;
  /** It keeps them after a NOTIFICATION, too (RFC 8538). */
  readonly notification: boolean;
  /** It keeps them longer, as the last resort (RFC 9494). */
  readonly longLived: boolean;
  readonly addPath: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  readonly extendedMessage: boolean;
  readonly fourOctetAsn: boolean;
  readonly role: BgpRole | undefined;
  readonly roleStrict: boolean;
  readonly password: string | undefined;
  /** How many prefixes of a family it takes. */
  readonly prefixLimit: number;
  /** `shutDown`: it has no session with the neighbor; `refusing`: it answers an OPEN with Unsupported Capability. */
  readonly is: "up" | "shutDown" | "refusing";
  /** For how long it has no session after an error, as BIRD. */
  readonly waitAfterError: Millis;
  /** It watches the path by BFD. */
  readonly bfd: boolean;
  /** A new connection is a restart of the neighbor, before its OPEN has come, as to BIRD. */
  readonly isRestartOfConnection: boolean;
  /** It sends its OPEN after the neighbor's where that connects (RFC 4271, section 8.1.1, DelayOpen). */
  readonly delaysOpen: boolean;
  /** It does this with a new connection of a neighbor with which it has a session. */
  readonly another: "taken" | "closed" | "mute";
  /** How long it takes to close a connection that the neighbor has ended. */
  readonly closesAfter: Millis;
}

/** @param restarting it restarted and has kept its routes */
export function openOf(settings: ModelSettings, restarting: boolean): Open {
  const { asn, routerId, families, holdTimeSeconds } = settings;
  const { gracefulRestart, notification, longLived, addPath, routeRefresh, enhancedRouteRefresh } = settings;
  const capabilities: Capability[] = families.map((family) => ({ type: "multiprotocol" as const, ...unicast[family] }));
  if (routeRefresh) capabilities.push({ type: "routeRefresh" });
  if (routeRefresh && enhancedRouteRefresh) capabilities.push({ type: "enhancedRouteRefresh" });
  if (settings.extendedMessage) capabilities.push({ type: "extendedMessage" });
  if (settings.fourOctetAsn) capabilities.push({ type: "fourOctetAsn", asn });
  if (gracefulRestart)
    capabilities.push({
      type: "gracefulRestart",
      restarting: restarting,
      notification,
      timeSeconds: 120,
      families: families.map((family) => ({ ...unicast[family], forwardingPreserved: true })),
    });
  if (gracefulRestart && longLived)
    capabilities.push({
      type: "longLivedGracefulRestart",
      families: families.map((family) => ({ ...unicast[family], forwardingPreserved: true, staleSeconds: 3600 })),
    });
  if (addPath)
    capabilities.push({
      type: "addPath",
      families: families.map((family) => ({ ...unicast[family], direction: "receive" as const })),
    });
  if (settings.role !== undefined) capabilities.push({ type: "role", role: settings.role });
  return { type: "open", version: 4, asn, holdTimeSeconds, routerId: address(routerId), capabilities };
}
