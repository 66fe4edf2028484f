import { UntracedError } from "#pkg/octets";
import type { Notification } from "./messages.ts";

/** RFC 4271, section 4.5; RFC 7313, section 5; RFC 9687, section 3. */
export const NotificationCode = {
  messageHeader: 1,
  openMessage: 2,
  updateMessage: 3,
  holdTimerExpired: 4,
  finiteStateMachine: 5,
  cease: 6,
  routeRefreshMessage: 7,
  sendHoldTimerExpired: 8,
} as const;

/** Subcode of errors that have none of their own. */
export const unspecific = 0;

/** RFC 4271, section 6.1. */
export const MessageHeaderError = { connectionNotSynchronized: 1, badMessageLength: 2, badMessageType: 3 } as const;

/** RFC 4271, section 6.2; RFC 5492, section 5. */
export const OpenMessageError = {
  unsupportedVersionNumber: 1,
  badPeerAs: 2,
  badBgpIdentifier: 3,
  unsupportedOptionalParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
  roleMismatch: 11,
} as const;

/** RFC 4271, section 6.3. */
export const UpdateMessageError = {
  malformedAttributeList: 1,
  unrecognizedWellKnownAttribute: 2,
  missingWellKnownAttribute: 3,
  attributeFlagsError: 4,
  attributeLengthError: 5,
  invalidOriginAttribute: 6,
  invalidNextHopAttribute: 8,
  optionalAttributeError: 9,
  invalidNetworkField: 10,
  malformedAsPath: 11,
} as const;

/** RFC 6608: what arrived is not expected in this state. */
export const FiniteStateMachineError = { inOpenSent: 1, inOpenConfirm: 2, inEstablished: 3 } as const;

/** RFC 4486; hard reset: RFC 8538, section 3; BFD down: RFC 9384. */
export const Cease = {
  maximumNumberOfPrefixesReached: 1,
  administrativeShutdown: 2,
  peerDeConfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  otherConfigurationChange: 6,
  connectionCollisionResolution: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const;

/** RFC 7313, section 5. */
export const RouteRefreshMessageError = { invalidMessageLength: 1 } as const;

/** IANA's names, of those too that this side never sends. */
const names: Readonly<Record<number, readonly [name: string, subcodes: Readonly<Record<number, string>>]>> = {
  1: ["Message Header Error", { 1: "Connection Not Synchronized", 2: "Bad Message Length", 3: "Bad Message Type" }],
  2: [
    "OPEN Message Error",
    {
      1: "Unsupported Version Number",
      2: "Bad Peer AS",
      3: "Bad BGP Identifier",
      4: "Unsupported Optional Parameter",
      5: "Authentication Failure",
      6: "Unacceptable Hold Time",
      7: "Unsupported Capability",
      11: "Role Mismatch",
    },
  ],
  3: [
    "UPDATE Message Error",
    {
      1: "Malformed Attribute List",
      2: "Unrecognized Well-known Attribute",
      3: "Missing Well-known Attribute",
      4: "Attribute Flags Error",
      5: "Attribute Length Error",
      6: "Invalid ORIGIN Attribute",
      7: "AS Routing Loop",
      8: "Invalid NEXT_HOP Attribute",
      9: "Optional Attribute Error",
      10: "Invalid Network Field",
      11: "Malformed AS_PATH",
    },
  ],
  4: ["Hold Timer Expired", {}],
  5: [
    "Finite State Machine Error",
    {
      1: "Receive Unexpected Message in OpenSent State",
      2: "Receive Unexpected Message in OpenConfirm State",
      3: "Receive Unexpected Message in Established State",
    },
  ],
  6: [
    "Cease",
    {
      1: "Maximum Number of Prefixes Reached",
      2: "Administrative Shutdown",
      3: "Peer De-configured",
      4: "Administrative Reset",
      5: "Connection Rejected",
      6: "Other Configuration Change",
      7: "Connection Collision Resolution",
      8: "Out of Resources",
      9: "Hard Reset",
      10: "BFD Down",
    },
  ],
  7: ["ROUTE-REFRESH Message Error", { 1: "Invalid Message Length" }],
  8: ["Send Hold Timer Expired", {}],
};

/** Code and subcode in words and in numbers: `Cease/Administrative Shutdown (6/2)`. A code without a name is a number alone. */
export function notificationName(code: number, subcode: number): string {
  const [name = "Unknown Error", subcodes = {}] = names[code] ?? [];
  const detail = subcodes[subcode];
  return `${name}${detail === undefined ? "" : `/${detail}`} (${code}/${subcode})`;
}

/**
 * The peer's message ends the session. The one error that the decoders of this package raise for any input; `code`, `subcode` and
 * `data` have the NOTIFICATION that the RFC demands for it.
 */
export class NotificationError extends UntracedError {
  override readonly name = "NotificationError";
  readonly code: number;
  readonly subcode: number;
  /** A copy: it keeps nothing of the message that it is about. */
  readonly data: Uint8Array;

  constructor(code: number, subcode: number, message: string, data: Uint8Array = new Uint8Array(), options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.subcode = subcode;
    this.data = data.slice();
  }

  /** To be sent to the peer. */
  get notification(): Notification {
    return { type: "notification", code: this.code, subcode: this.subcode, data: this.data };
  }
}
