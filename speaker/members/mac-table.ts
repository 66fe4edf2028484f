import { isDeepStrictEqual } from "node:util";
import type { InterfaceState } from "#pkg/layer2";
import { decodeMetadata, type MemberlistThread, type MetadataFields, MetadataKey } from "#pkg/memberlist";
import { formatMac, macBytes, macLength, parseMac } from "#pkg/net";

const maxMacs = 8;
// Nodes come and go with autoscaling; who went that long ago is a foreign host.
const maxNodes = 5_000;

/**
 * The MAC addresses that a node tells the others, as `MetadataKey.macs` has them: of the interfaces that announce, at most eight. Those
 * in subnets come first: next to them a node may have a hundred that lead to its own Pods.
 */
export function macsOf(interfaces: readonly InterfaceState[]): Uint8Array {
  const answering = interfaces.filter(({ status }) => status === "answering");
  const inSubnets = answering.filter(({ addresses }) => addresses.some((address) => !address.startsWith("fe80:")));
  const ranked = [...inSubnets, ...answering];
  const macs = new Set(ranked.map(({ mac }) => mac));
  return Uint8Array.from([...macs].slice(0, maxMacs).flatMap((mac) => [...macBytes(parseMac(mac) ?? 0)]));
}

export type MacTableMember = Pick<MemberlistThread, "running" | "setMetadata" | "onEvent">;

/** Which node's speaker a MAC address belongs to, by what the members of the ring say; also of those that are none any more. */
export class MacTable {
  readonly #memberlist: MacTableMember;
  readonly #fields: MetadataFields;
  readonly #macs = new Map<string, readonly string[]>(); // node -> its MAC addresses
  readonly #nodes = new Map<string, string>(); // MAC address -> node
  #own: Uint8Array;
  #published: Uint8Array;

  /** `fields`: all that this node said of itself when the member was made, its MAC addresses among it. */
  constructor(memberlist: MacTableMember, fields: MetadataFields) {
    this.#memberlist = memberlist;
    this.#fields = fields;
    this.#own = fields.get(MetadataKey.macs) ?? new Uint8Array();
    this.#published = this.#own;
    memberlist.onEvent((event) => {
      if (event.type !== "member") return;
      if (event.member.self) this.#publish();
      else this.#learn(event.member.name, event.member.meta);
    });
  }

  /** Undefined for a foreign host, and for this node. */
  nodeOf(mac: string): string | undefined {
    return this.#nodes.get(mac);
  }

  /** Tells the others, when that is news: at once, or when this node is on the network. */
  setOwn(macs: Uint8Array): void {
    this.#own = macs;
    this.#publish();
  }

  #publish(): void {
    if (isDeepStrictEqual(this.#own, this.#published) || !this.#memberlist.running) return;
    this.#published = this.#own;
    this.#memberlist.setMetadata(new Map([...this.#fields, [MetadataKey.macs, this.#own]]));
  }

  #learn(node: string, meta: Uint8Array | undefined): void {
    const value = decodeMetadata(meta)?.get(MetadataKey.macs);
    if (value === undefined) return;
    const macs = decodeMacs(value);
    this.#forget(node); // The latest is the last.
    this.#macs.set(node, macs);
    for (const mac of macs) this.#nodes.set(mac, node);
    const [oldest] = this.#macs.keys();
    if (this.#macs.size > maxNodes && oldest !== undefined) this.#forget(oldest);
  }

  #forget(node: string): void {
    for (const mac of this.#macs.get(node) ?? []) if (this.#nodes.get(mac) === node) this.#nodes.delete(mac);
    this.#macs.delete(node);
  }
}

/** What is left over of an incomplete one, and those above the most, are ignored. */
function decodeMacs(bytes: Uint8Array): string[] {
  const macs: string[] = [];
  for (let at = 0; at + macLength <= bytes.length && macs.length < maxMacs; at += macLength)
    macs.push(formatMac(bytes.subarray(at, at + macLength)));
  return macs;
}
