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
