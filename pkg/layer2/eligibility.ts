import type { NetworkInterface } from "#pkg/linux";
import { parseMac } from "#pkg/net";

/** Why an interface does not answer. `enslaved`: a bridge, bond or team speaks for it. */
export type IneligibleReason = "loopback" | "notEthernet" | "noArp" | "noBroadcast" | "enslaved" | "down";

/**
 * Whether addresses are announced on a link; the reasons that last come first. A missing carrier is no reason: it may come at any
 * moment. Nor is a VRF, which is a routing table and lets the link speak for itself; every other master takes the link's frames.
 */
export function eligibility(link: NetworkInterface): "eligible" | IneligibleReason {
  if (link.loopback) return "loopback";
  if (link.hardwareType !== arphrdEthernet || parseMac(link.hardwareAddress) === undefined) return "notEthernet";
  if (link.noArp) return "noArp";
  if (!link.broadcast) return "noBroadcast";
  if (link.master !== undefined && link.masterKind !== "vrf") return "enslaved";
  return link.up ? "eligible" : "down";
}

const arphrdEthernet = 1;
