import { equalBytes } from "#pkg/net";
import type { ControlPacket } from "../codec/control-codec.ts";
import type { SessionConfig } from "../messages.ts";
import type { Session } from "./session.ts";

/** How a packet came. */
export interface Way {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly interfaceIndex: number;
}

/** Whether a packet came from the peer, over the session's interface where it has one. */
export function isFromPeer({ peer, interfaceName }: SessionConfig, interfaceIndex: number | undefined, way: Way): boolean {
  return equalBytes(peer, way.source) && (interfaceName === undefined || interfaceIndex === way.interfaceIndex);
}

/** Whether a packet came to the session's own address, where it has one. */
export function isForUs({ local }: SessionConfig, { destination }: Way): boolean {
  return local === undefined || equalBytes(local, destination);
}

/**
 * Whether a packet of the peer's address counts for a session. One with the session's discriminator does. One without, such as a Down
 * packet that begins a session, is matched by what else it has (RFC 5880, section 6.8.6): while the session is up by My Discriminator and,
 * over one hop, by the interface of the packets before. So it takes the peer's own packets to take a session down; a peer that restarted
 * with another discriminator counts when the detection time of the old one is over.
 * @param arrivedOn the interface of the last packet that counted
 */
export function isOfSession(session: Session, packet: ControlPacket, way: Way, arrivedOn: number | undefined): boolean {
  if (packet.yourDiscriminator !== 0 || session.state !== "up") return true;
  return packet.myDiscriminator === session.remote.discriminator && (arrivedOn ?? way.interfaceIndex) === way.interfaceIndex;
}

/** Whether the peer could mistake packets of one for packets of the other. */
export function haveSamePeer(a: SessionConfig, b: SessionConfig): boolean {
  return a.multihop === b.multihop && a.interfaceName === b.interfaceName && equalBytes(a.peer, b.peer);
}
