import type { Millis } from "#pkg/clock";
import type { MemberlistProblem } from "./codec/memberlist-error.ts";
import { type MemberStatus, type NodeName, nodeNameText } from "./codec/messages.ts";
import type { Member } from "./ring/events.ts";
import { socketAddress } from "./transport.ts";

/** A member as people and Kubernetes know it. */
export interface MemberView {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly status: MemberStatus;
  /** Greater each time it refuted. */
  readonly incarnation: number;
  /** Its metadata, for `decodeMetadata` where it is one of ours. */
  readonly meta: Uint8Array | undefined;
  readonly self: boolean;
  /** Since when it has this status. */
  readonly since: Millis;
}

export function memberView({ node, endpoint, status, incarnation, meta, since }: Member, self: NodeName): MemberView {
  return { name: nodeNameText(node), ...socketAddress(endpoint), status, incarnation, meta, self: node === self, since };
}

/** How often things happened on the network of one member since its start. */
export interface NetworkCounters {
  packetsReceived: number;
  packetsSent: number;
  bytesReceived: number; // Of packets, without the headers of UDP and IP.
  bytesSent: number;
  /** Packets that this machine refused to send. */
  sendFailures: number;
  streamsAccepted: number;
  streamsDialled: number;
  /** Pings answered directly and in time, and the milliseconds that all of them took. */
  roundTrips: number;
  roundTripMillis: number;
  /** What arrived and could not be understood. */
  problems: Record<MemberlistProblem, number>;
}

export function newNetworkCounters(): NetworkCounters {
  return {
    packetsReceived: 0,
    packetsSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
    sendFailures: 0,
    streamsAccepted: 0,
    streamsDialled: 0,
    roundTrips: 0,
    roundTripMillis: 0,
    problems: {
      label: 0,
      plaintext: 0,
      encrypted: 0,
      wrongKey: 0,
      unknownVersion: 0,
      checksum: 0,
      unsupported: 0,
      tooLarge: 0,
      malformed: 0,
    },
  };
}
