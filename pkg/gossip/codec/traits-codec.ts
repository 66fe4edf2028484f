import { fnv1a } from "#pkg/text";

interface NodeTraits {
  /** There is a Node object. */
  readonly exists: boolean;
  /** It has the taint `node.kubernetes.io/out-of-service`. */
  readonly isOutOfService: boolean;
  /** It has the taint `node.kubernetes.io/unschedulable`. */
  readonly isCordoned: boolean;
  /** It has one of the taints of a node whose kubelet is not heard. */
  readonly isNotReady: boolean;
  /** It has the taint `node.kubernetes.io/network-unavailable`. Earlier versions neither tell it nor heed it. */
  readonly isWithoutNetwork: boolean;
}

/** Labels and taints of a node, as its own speaker reads them in the API and tells them to the others. */
export interface Traits extends NodeTraits {
  /** Its labels as hashes: what selectors name can be looked for, at any length of names and values. */
  readonly labels: ReadonlyMap<number, number>; // `labelHash` of a label -> `fnv1a` of its value
}

/** The same as another node has told it. */
export interface ToldTraits extends NodeTraits {
  /**
   * The octets that came, one character for each, for `toldLabel`: few are looked for. Maps of 5,000 nodes' labels take 8 MB, and an array of octets
   * takes some 450 octets more for each node.
   */
  readonly labels: string;
}

export const traitsKey = "t";
const version = 1;
const [existsBit, outOfServiceBit, notReadyBit, cordonedBit, withoutNetworkBit] = [1, 2, 4, 8, 16];
const headOctets = 2;
const [hashOctets, valueOctets] = [6, 4];
const labelOctets = hashOctets + valueOctets;
const entryOctets = 600; // Limit of an entry.
/** A node with more labels does not tell its traits. Nodes of the large clouds have 15 to 25. */
export const maxToldLabels = Math.floor((entryOctets - headOctets) / labelOctets);

/** 48 bits: two labels that any of 5,000 nodes has are the same in one cluster of ten million. */
export function labelHash(label: string): number {
  return fnv1a(label) * 0x1_0000 + (fnv1a(`label ${label}`) & 0xffff);
}

/** Undefined where there are too many labels. */
export function encodeTraits(traits: Traits): Uint8Array | undefined {
  const { labels } = traits;
  if (labels.size > maxToldLabels) return undefined;
  const value = Buffer.alloc(headOctets + labelOctets * labels.size);
  value.writeUInt8(version, 0);
  const told = [
    [traits.exists, existsBit],
    [traits.isOutOfService, outOfServiceBit],
    [traits.isNotReady, notReadyBit],
    [traits.isCordoned, cordonedBit],
    [traits.isWithoutNetwork, withoutNetworkBit],
  ] as const;
  value.writeUInt8(
    told.reduce((bits, [has, bit]) => bits | (has ? bit : 0), 0),
    1,
  );
  for (const [index, [label, text]] of [...labels].sort(([a], [b]) => a - b).entries()) {
    value.writeUIntBE(label, headOctets + labelOctets * index, hashOctets);
    value.writeUInt32BE(text, headOctets + labelOctets * index + hashOctets);
  }
  return value;
}

/** Undefined for a value of something else. */
export function decodeTraits(value: Uint8Array): ToldTraits | undefined {
  if (value[0] !== version || value.length < headOctets || (value.length - headOctets) % labelOctets !== 0) return undefined;
  const bits = value[1] ?? 0;
  return {
    exists: (bits & existsBit) !== 0,
    isOutOfService: (bits & outOfServiceBit) !== 0,
    isCordoned: (bits & cordonedBit) !== 0,
    isNotReady: (bits & notReadyBit) !== 0,
    isWithoutNetwork: (bits & withoutNetworkBit) !== 0,
    labels: Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1", headOctets),
  };
}

/** The hash of a label's value; undefined for a label that the node does not have. @param label its `labelHash` */
export function toldLabel({ labels }: ToldTraits, label: number): number | undefined {
  const bytes = Buffer.from(labels, "latin1");
  for (let at = 0; at < bytes.length; at += labelOctets)
    if (bytes.readUIntBE(at, hashOctets) === label) return bytes.readUInt32BE(at + hashOctets);
  return undefined;
}
