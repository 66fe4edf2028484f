import type { Endpoint } from "../codec/messages.ts";
import { isMember, type NodeRecord } from "./node-record.ts";

/**
 * The members of a ring by their places, and sums over all of them. Each change of a member brings these up to date: in a ring of thousands, to
 * count again for each message would take most of the time.
 */
export class Places {
  /** Sorted by place. */
  readonly members: NodeRecord[] = [];
  /** Members that do not offer the fast timing. */
  readonly withoutFast = new Set<NodeRecord>();
  /** Members whose last answer was slow, or came by way of others or on a stream. */
  readonly doubted = new Set<NodeRecord>();
  /** A sum over all members and their incarnations. Leaves out suspicions, because these change by themselves. */
  digest = 0;
  readonly #byEndpoint = new Map<number | string, NodeRecord>();

  /** To be called when anything about a record has changed. */
  update(record: NodeRecord): void {
    const { members, withoutFast, doubted } = this;
    const isIn = isMember(record);
    const at = this.#indexOf(record);
    if (isIn && members[at] !== record) members.splice(at, 0, record);
    else if (!isIn && members[at] === record) members.splice(at, 1);
    put(withoutFast, record, isIn && !record.offersFast);
    put(doubted, record, isIn && (record.slowProbes > 0 || record.lostPackets > 0));
    const { counted } = record;
    record.counted = isIn ? { endpoint: keyOf(record.endpoint), digest: digestOf(record) } : undefined;
    this.digest = (this.digest + (record.counted?.digest ?? 0) - (counted?.digest ?? 0)) >>> 0;
    if (counted?.endpoint === record.counted?.endpoint) return;
    if (record.counted !== undefined) this.#byEndpoint.set(record.counted.endpoint, record);
    if (counted === undefined || this.#byEndpoint.get(counted.endpoint) !== record) return;
    const other = members.find((member) => member.counted?.endpoint === counted.endpoint);
    if (other === undefined) this.#byEndpoint.delete(counted.endpoint);
    else this.#byEndpoint.set(counted.endpoint, other);
  }

  /** The member at an address. */
  at(endpoint: Endpoint): NodeRecord | undefined {
    return this.#byEndpoint.get(keyOf(endpoint));
  }

  /** Whether no member is before this record. */
  isFirst(record: NodeRecord): boolean {
    return this.#indexOf(record) === 0;
  }

  /** The eligible member that follows a record; after the last place comes the first. */
  after(record: NodeRecord, isEligible: (member: NodeRecord) => boolean = () => true): NodeRecord | undefined {
    const from = this.#indexOf(record);
    for (let i = from; i < from + this.members.length; i++) {
      const member = this.members[i % this.members.length] as NodeRecord;
      if (member !== record && isEligible(member)) return member;
    }
    return undefined;
  }

  /** The member that a record follows. */
  before(record: NodeRecord): NodeRecord | undefined {
    const before = this.members.at(this.#indexOf(record) - 1);
    return before === record ? undefined : before;
  }

  /** Up to `each` eligible members on either side of a record. */
  beside(record: NodeRecord, each: number, isEligible: (member: NodeRecord) => boolean = () => true): readonly NodeRecord[] {
    const at = this.#indexOf(record);
    const all = [...this.members.slice(at), ...this.members.slice(0, at)];
    const others = all.filter((member) => member !== record && isEligible(member));
    return others.length <= 2 * each ? others : [...others.slice(0, each), ...others.slice(-each)];
  }

  /** Where a record is, or would be. */
  #indexOf(record: NodeRecord): number {
    const { members } = this;
    let low = 0;
    let high = members.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (precedes(members[middle] as NodeRecord, record)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Two names may have one place. */
function precedes(a: NodeRecord, b: NodeRecord): boolean {
  return a.place < b.place || (a.place === b.place && a.node < b.node);
}

function put<Item>(set: Set<Item>, item: Item, isIn: boolean): void {
  if (isIn) set.add(item);
  else set.delete(item);
}

/** Byte by byte, as peers do: 192.0.2.1 in 4 and in 16 bytes are two addresses. */
function keyOf({ address, port }: Endpoint): number | string {
  const [a = 0, b = 0, c = 0, d = 0] = address;
  return address.length === 4 ? (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) * 65_536 + port : `${address.join()} ${port}`;
}

function digestOf({ place, incarnation }: NodeRecord): number {
  const hash = place ^ Math.imul(incarnation, 0x9e37_79b1);
  const half = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (half ^ (half >>> 13)) >>> 0;
}
