import type { Millis } from "#pkg/clock";
import { type MemberStatus, type NodeName, nodeNameText } from "./messages.ts";
import type { Member } from "./ring/events.ts";
import { socketAddress } from "./socket-address.ts";

/** A member as people and Kubernetes know it. */
export interface MemberView {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly status: MemberStatus;
  /** Greater each time it had to say that it lives. */
  readonly incarnation: number;
  /** What it says of itself, for `decodeMetadata` where it is one of ours. */
  readonly meta: Uint8Array | undefined;
  readonly self: boolean;
  /** Since when it has this status. */
  readonly since: Millis;
}

export function memberView({ node, endpoint, status, incarnation, meta, since }: Member, self: NodeName): MemberView {
  return { name: nodeNameText(node), ...socketAddress(endpoint), status, incarnation, meta, self: node === self, since };
}
