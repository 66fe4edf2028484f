import type { BfdProfile } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { Parameters } from "./session.ts";

/**
 * What a profile means for a session. Echoes go over one hop (RFC 5883, section 3) and between addresses that are forwarded, which
 * link-local ones are not.
 */
export function parametersOf(
  profile: BfdProfile,
  { peer, multihop }: { readonly peer: Address; readonly multihop: boolean },
): Parameters {
  const echo = profile.echoMode && !multihop && !isLinkLocal(peer);
  return {
    transmitMs: profile.transmitIntervalMs,
    receiveMs: profile.receiveIntervalMs,
    multiplier: profile.detectMultiplier,
    passive: profile.passiveMode,
    echoMs: echo ? profile.echoIntervalMs : undefined,
    echoReceiveMs: echo ? profile.echoIntervalMs : 0,
  };
}

/** fe80::/10 */
function isLinkLocal({ family, value }: Address): boolean {
  return family === "IPv6" && value >> 118n === 0x3fan;
}
