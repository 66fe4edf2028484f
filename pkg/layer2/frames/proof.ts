import { getIpv6, getMac, type Mac, setIpv6, setMac } from "#pkg/net";
import type { WireAddress } from "./arp.ts";

/** `proofAlone`: of a speaker that has lost all others and the API. */
export const ProofType = { challenge: 1, proof: 2, proofAlone: 3 } as const;
export type ProofType = (typeof ProofType)[keyof typeof ProofType];

/**
 * A challenge to a speaker to prove that it announces an address, or the proof: the same nonce, and a tag by the ring's key over all that precedes
 * the tag. A challenge has no tag that counts.
 */
export interface ProofFrame {
  readonly destination: Mac;
  readonly source: Mac;
  readonly type: ProofType;
  readonly nonce: Uint8Array;
  readonly address: WireAddress;
  readonly tag: Uint8Array;
}

export const nonceLength = 16;
export const tagLength = 16;
/** Octets of a frame, of either type: nobody gets more than was sent. */
export const proofFrameLength = 70;

/** IEEE 802, section 9.2.3: local experimental EtherType 1, for what stays within one network. */
const etherTypeExperimental = 0x88b5;
const protocolName = 0x496e_676f; // "Ingo", and a version: others may use the EtherType too.
const version = 1;
const families = { IPv4: 4, IPv6: 6 } as const;
const etherTypeAt = 12;
const nameAt = 14;
const versionAt = 18;
const typeAt = 19;
const familyAt = 20;
const reservedAt = 21;
const nonceAt = 22;
const addressAt = 38; // The address has 16 octets; IPv4 has the last four.
/** A tag is made of all octets before this one. */
export const tagAt = 54;

/**
 * Decodes an Ethernet frame; what follows it is ignored. Nonce and tag are views of `bytes`.
 * @returns undefined for a frame cut short, and for a frame that `encodeProof` does not make
 */
export function decodeProof(bytes: Uint8Array): ProofFrame | undefined {
  if (bytes.length < proofFrameLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, proofFrameLength);
  if (view.getUint16(etherTypeAt) !== etherTypeExperimental || view.getUint32(nameAt) !== protocolName) return undefined;
  if (view.getUint8(versionAt) !== version || view.getUint8(reservedAt) !== 0) return undefined;
  const type = view.getUint8(typeAt);
  if (type !== ProofType.challenge && type !== ProofType.proof && type !== ProofType.proofAlone) return undefined;
  const family = view.getUint8(familyAt);
  const value = getIpv6(view, addressAt);
  if (family !== families.IPv6 && (family !== families.IPv4 || value >> 32n !== 0n)) return undefined;
  return {
    destination: getMac(view, 0),
    source: getMac(view, 6),
    type,
    nonce: bytes.subarray(nonceAt, nonceAt + nonceLength),
    address: family === families.IPv4 ? Number(value) : value,
    tag: bytes.subarray(tagAt, tagAt + tagLength),
  };
}

/** @param frame without a tag: its place is left empty */
export function encodeProof(frame: Omit<ProofFrame, "tag"> & { readonly tag?: Uint8Array }): Uint8Array {
  const bytes = new Uint8Array(proofFrameLength);
  const view = new DataView(bytes.buffer);
  setMac(view, 0, frame.destination);
  setMac(view, 6, frame.source);
  view.setUint16(etherTypeAt, etherTypeExperimental);
  view.setUint32(nameAt, protocolName);
  view.setUint8(versionAt, version);
  view.setUint8(typeAt, frame.type);
  view.setUint8(familyAt, typeof frame.address === "number" ? families.IPv4 : families.IPv6);
  bytes.set(frame.nonce, nonceAt);
  setIpv6(view, addressAt, BigInt(frame.address));
  if (frame.tag !== undefined) bytes.set(frame.tag, tagAt);
  return bytes;
}
