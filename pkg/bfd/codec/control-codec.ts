import type { Millis } from "#pkg/clock";

/** The order is that of the numbers on the wire. */
export const states = ["adminDown", "down", "init", "up"] as const;
export type State = (typeof states)[number];

/**
 * A control packet (RFC 5880, section 4.1). Intervals are milliseconds here and microseconds on the wire, so that they may have three
 * decimals. Discriminators are 32 bits.
 */
export interface ControlPacket {
  readonly diagnostic: Diagnostic;
  readonly state: State;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  /** 1–255 */
  readonly multiplier: number;
  /** The sender's; never 0. */
  readonly myDiscriminator: number;
  /** The receiver's as far as the sender knows; 0 when it does not. */
  readonly yourDiscriminator: number;
  readonly desiredMinTx: Millis;
  /** 0: no periodic packets are wanted. */
  readonly requiredMinRx: Millis;
  /** 0: the sender does not loop echo packets back. */
  readonly requiredMinEchoRx: Millis;
}

/** Why a packet was discarded, in the order of RFC 5880, section 6.8.6. */
export const malformations = [
  "version",
  "length",
  "multiplier",
  "multipoint",
  "noMyDiscriminator",
  "noYourDiscriminator",
  "authentication",
] as const;
export type Malformation = (typeof malformations)[number];

const version = 1;
export const controlOctets = 24;
const authenticatedOctets = 26;
const Flag = { poll: 0x20, final: 0x10, independent: 0x08, authentication: 0x04, demand: 0x02, multipoint: 0x01 } as const;

/**
 * Decodes the payload of a datagram, with the checks of RFC 5880, section 6.8.6 that need no session, in its order; only that a packet
 * with authentication is refused last, since no session here has a key. Octets after the packet in the datagram are ignored.
 * @returns the first thing wrong instead of throwing, since it is to be expected from a network
 */
export function decodeControl(bytes: Uint8Array): ControlPacket | Malformation {
  const [first = 0, second = 0, multiplier = 0, length = 0] = bytes;
  if (first >> 5 !== version) return "version";
  const authenticated = (second & Flag.authentication) !== 0;
  if (length < (authenticated ? authenticatedOctets : controlOctets) || length > bytes.length) return "length";
  const view = new DataView(bytes.buffer, bytes.byteOffset, controlOctets);
  const packet: ControlPacket = {
    diagnostic: first & 0x1f,
    state: states[second >> 6] ?? "down",
    poll: (second & Flag.poll) !== 0,
    final: (second & Flag.final) !== 0,
    controlPlaneIndependent: (second & Flag.independent) !== 0,
    demand: (second & Flag.demand) !== 0,
    multiplier,
    myDiscriminator: view.getUint32(4),
    yourDiscriminator: view.getUint32(8),
    desiredMinTx: view.getUint32(12) / 1000,
    requiredMinRx: view.getUint32(16) / 1000,
    requiredMinEchoRx: view.getUint32(20) / 1000,
  };
  if (multiplier === 0) return "multiplier";
  if ((second & Flag.multipoint) !== 0) return "multipoint";
  if (packet.myDiscriminator === 0) return "noMyDiscriminator";
  if (packet.yourDiscriminator === 0 && (packet.state === "init" || packet.state === "up")) return "noYourDiscriminator";
  return authenticated ? "authentication" : packet;
}

/** The packet as 24 octets. */
export function encodeControl(packet: ControlPacket): Uint8Array {
  const view = new DataView(new ArrayBuffer(controlOctets));
  view.setUint8(0, (version << 5) | packet.diagnostic);
  view.setUint8(
    1,
    (states.indexOf(packet.state) << 6) |
      (packet.poll ? Flag.poll : 0) |
      (packet.final ? Flag.final : 0) |
      (packet.controlPlaneIndependent ? Flag.independent : 0) |
      (packet.demand ? Flag.demand : 0),
  );
  view.setUint8(2, packet.multiplier);
  view.setUint8(3, controlOctets);
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, Math.round(packet.desiredMinTx * 1000));
  view.setUint32(16, Math.round(packet.requiredMinRx * 1000));
  view.setUint32(20, Math.round(packet.requiredMinEchoRx * 1000));
  return new Uint8Array(view.buffer);
}

/** Why a session is in its state (RFC 5880, section 4.1), as on the wire. */
export const Diagnostic = {
  none: 0,
  detectionTimeExpired: 1,
  echoFailed: 2,
  neighborSignaledDown: 3,
  forwardingPlaneReset: 4,
  pathDown: 5,
  concatenatedPathDown: 6,
  administrativelyDown: 7,
  reverseConcatenatedPathDown: 8,
} as const;
/** Also numbers that have no name yet: a peer may know more. 5 bits. */
export type Diagnostic = number;

const words = [
  "no diagnostic",
  "control detection time expired",
  "echo function failed",
  "neighbor signaled session down",
  "forwarding plane reset",
  "path down",
  "concatenated path down",
  "administratively down",
  "reverse concatenated path down",
];

/** The diagnostic as people read it. */
export function diagnosticText(diagnostic: Diagnostic): string {
  return words[diagnostic] ?? `diagnostic ${diagnostic}`;
}
