import type { SessionSettings } from "#pkg/config";
import { families } from "#pkg/net";
import { address } from "#pkg/net/testing";

/** AS 65001 at 192.0.2.1 to AS 65002 at 192.0.2.2, as a configuration without any optional field has it. */
export function settings(fields: Partial<SessionSettings> = {}): SessionSettings {
  return {
    myAsn: 65001,
    peerAsn: 65002,
    families,
    address: address("192.0.2.2"),
    port: 179,
    interface: undefined,
    discovery: undefined,
    sourceAddress: undefined,
    password: undefined,
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    connectTimeSeconds: 1,
    routerId: undefined,
    passive: false,
    ttl: undefined,
    ttlSecurityHops: undefined,
    gracefulRestartSeconds: 120,
    addPath: false,
    role: undefined,
    roleStrict: false,
    gracefulRestartNotification: false,
    longLivedStaleSeconds: 0,
    maximumPrefix: undefined,
    ...fields,
  };
}
