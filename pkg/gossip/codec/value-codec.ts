import { Address, canReachPrefix, type Family, Prefix, parseAddress } from "#pkg/net";
import { fnv1a } from "#pkg/text";

/** How a node sees what changes in the API: `behind`, it does not for some seconds; `old`, for long. */
export type View = "current" | "behind" | "old";

/**
 * Whether the node's own kernel brings packets to the Pods of Services, as it reports itself: both families, one, or none; `unknown` is one of an
 * earlier version, which does not know that others cannot.
 */
export type DataPathReport = "delivers" | "IPv4Only" | "IPv6Only" | "broken" | "unknown";

/** Signs that a node cannot deliver which depend on how it does its work: a node that never was without one may do it in another way. */
export const pathSigns = ["forwardingOff", "noPodRoute", "proxySilent", "noConnection"] as const;
export type PathSign = (typeof pathSigns)[number];

/** Says that a node participates, and facts about the whole node. */
export interface NodeSummary {
  /** See `Reachability`. */
  readonly answers: boolean;
  /** See `Reachability`. */
  readonly hasKernelAccess: boolean;
  readonly view: View;
  /** It leaves addresses to others where a view is not current. Earlier versions say less, and do not. */
  readonly knowsViews: boolean;
  /** It leaves addresses of drained nodes to others. Earlier versions do not, and say nothing of it. */
  readonly knowsDrain: boolean;
  /** See `DataPathReport`. */
  readonly dataPath: DataPathReport;
  /** How many addresses it reports that it announces, while its view is not current: 0 to 65535, of more the remainder. */
  readonly announced: number;
  /** How uncertain its view of the others is; see `GossipState.setViewUncertainty`. 0 to 65535. */
  readonly viewUncertainty: number;
  /** The node's in the ring when it reported this. 0 to 2^32 - 1. */
  readonly incarnation: number;
  /** The signs that it was once without since its speaker started: see `seenWithoutBits`, `healthPortBit` and `answeredBits`. */
  readonly seenWithout: number;
  /** Of two nodes that announce one address, it leaves the address to the one that sees the API. Earlier versions do not. */
  readonly heedsViews: boolean;
}

export const summaryKey = "h";
const version = 1; // The first octet of a summary, to which later ones may add, and of an interface.
const minSummaryOctets = 8; // version, bits, viewUncertainty in two, incarnation in four
const announcedEnd = 10; // then `announced` in two
const firstSignsEnd = 11; // then `seenWithout`, of which earlier versions say one octet
const signsEnd = 12;
const summaryOctets = 13; // then bits
const answersBit = 1;
const viewBits: Readonly<Record<View, number>> = { current: 0, behind: 4, old: 6 };
const allViewBits = 6;
const noKernelAccessBit = 8; // Earlier versions say nothing of it: they count as having it, as they count each other.
const knowsDrainBit = 16;
const knowsDataPathsBit = 32; // Earlier versions take all nodes for able to deliver.
const undeliveredBits: Readonly<Record<Family, number>> = { IPv4: 64, IPv6: 128 };
const heedsViewsBit = 1; // It is in the last octet.
const maxSubnets = 32; // Subnets of one interface. This many fit into an entry.
const bitmapOctets = 32;
const v6Octets = 15;
const v4Octets = 3;

export function encodeSummary({
  answers,
  hasKernelAccess,
  view,
  knowsDrain,
  dataPath,
  announced,
  ...more
}: Omit<NodeSummary, "knowsViews">): Uint8Array {
  const summary = Buffer.alloc(summaryOctets);
  summary.writeUInt8(version, 0);
  const ofKernel = (hasKernelAccess ? 0 : noKernelAccessBit) | dataPathBits[dataPath];
  summary.writeUInt8((answers ? answersBit : 0) | viewBits[view] | (knowsDrain ? knowsDrainBit : 0) | ofKernel, 1);
  summary.writeUInt16BE(more.viewUncertainty, 2);
  summary.writeUInt32BE(more.incarnation, 4);
  summary.writeUInt16BE(announced & 0xffff, 8);
  summary.writeUInt16LE(more.seenWithout, 10);
  summary.writeUInt8(more.heedsViews ? heedsViewsBit : 0, signsEnd);
  return summary;
}

/** Undefined for a value that is no summary. */
export function decodeSummary(value: Uint8Array): NodeSummary | undefined {
  if (value.length < minSummaryOctets) return undefined;
  const summary = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (summary.readUInt8(0) < version) return undefined;
  const bits = summary.readUInt8(1);
  return {
    answers: (bits & answersBit) !== 0,
    hasKernelAccess: (bits & noKernelAccessBit) === 0,
    view: viewOf(bits & allViewBits),
    knowsViews: summary.length >= announcedEnd,
    knowsDrain: (bits & knowsDrainBit) !== 0,
    dataPath: dataPathOf(bits),
    announced: summary.length < announcedEnd ? 0 : summary.readUInt16BE(8),
    viewUncertainty: summary.readUInt16BE(2),
    incarnation: summary.readUInt32BE(4),
    seenWithout: summary.length < signsEnd ? (summary[firstSignsEnd - 1] ?? 0) : summary.readUInt16LE(10),
    heedsViews: ((summary[signsEnd] ?? 0) & heedsViewsBit) !== 0,
  };
}

const dataPathBits: Readonly<Record<DataPathReport, number>> = {
  unknown: 0,
  delivers: knowsDataPathsBit,
  IPv4Only: knowsDataPathsBit | undeliveredBits.IPv6,
  IPv6Only: knowsDataPathsBit | undeliveredBits.IPv4,
  broken: knowsDataPathsBit | undeliveredBits.IPv4 | undeliveredBits.IPv6,
};

/** The report of a node that does not deliver packets of these families. */
export function dataPathReport(undelivered: readonly Family[]): DataPathReport {
  return dataPathOf(undelivered.reduce((bits, family) => bits | undeliveredBits[family], knowsDataPathsBit));
}

/** Whether a node reports that it does not bring packets of a family to Pods. */
export function isUndelivered(report: DataPathReport | undefined, family: Family): boolean {
  return report !== undefined && (dataPathBits[report] & undeliveredBits[family]) !== 0;
}

/** Beyond the bits of signs: kube-proxy has said on some health check port that it has a Pod. */
export const healthPortBit = 256;

/** And that a Service answered it lately. */
export const answeredBits: Readonly<Record<Family, number>> = { IPv4: 512, IPv6: 1024 };

/** A bit for each of these signs, those of IPv4 below those of IPv6. */
export function seenWithoutBits(signs: Readonly<Record<Family, readonly PathSign[]>>): number {
  const bitsOf = (family: Family) => signs[family].reduce((bits, sign) => bits | seenWithoutBit(family, sign), 0);
  return bitsOf("IPv4") | bitsOf("IPv6");
}

export function seenWithoutBit(family: Family, sign: PathSign): number {
  return (family === "IPv4" ? 1 : 16) << pathSigns.indexOf(sign);
}

function dataPathOf(bits: number): DataPathReport {
  if ((bits & knowsDataPathsBit) === 0) return "unknown";
  if ((bits & undeliveredBits.IPv4) === 0) return (bits & undeliveredBits.IPv6) === 0 ? "delivers" : "IPv4Only";
  return (bits & undeliveredBits.IPv6) === 0 ? "IPv6Only" : "broken";
}

function viewOf(bits: number): View {
  if (bits === 0) return "current";
  return bits === viewBits.behind ? "behind" : "old";
}

/** The key under which a node reports an interface; an interface named by an address that it leads to has that address's octets as key. */
export function interfaceKey(name: string): string {
  const reached = name.startsWith(canReachPrefix) ? parseAddress(name.slice(canReachPrefix.length)) : undefined;
  if (reached !== undefined) return `r${Buffer.from(reached.toBytes()).toString("latin1")}`;
  return `i${Buffer.from(name, "utf8").toString("latin1")}`;
}

/** The interface's name; undefined for a key of something else. */
export function interfaceOf(key: string): string | undefined {
  if (key[0] === "r" && (key.length === 5 || key.length === 17))
    return `${canReachPrefix}${Address.fromBytes(Buffer.from(key.slice(1), "latin1"))}`;
  return key.length > 1 && key[0] === "i" ? Buffer.from(key.slice(1), "latin1").toString("utf8") : undefined;
}

/** Subnets of an interface: for each its family (4 or 6), its length in bits, and the octets that hold these bits. The first 32. */
export function encodeSubnets(subnets: readonly Prefix[]): Uint8Array {
  const each = subnets.slice(0, maxSubnets).flatMap(({ family, address, length }) => {
    return [family === "IPv4" ? 4 : 6, length, ...address.toBytes().subarray(0, Math.ceil(length / 8))];
  });
  return Uint8Array.from([version, ...each]);
}

/** Undefined for a value that is no list of subnets. */
export function decodeSubnets(value: Uint8Array): Prefix[] | undefined {
  if (value[0] !== version) return undefined;
  const subnets: Prefix[] = [];
  for (let at = 1; at < value.length; ) {
    const [family, length] = value.subarray(at);
    const size = family === 4 ? 4 : 16;
    const end = at + 2 + Math.ceil((length ?? 0) / 8);
    if ((family !== 4 && family !== 6) || length === undefined || length > size * 8 || end > value.length) return undefined;
    const octets = new Uint8Array(size);
    octets.set(value.subarray(at + 2, end));
    subnets.push(new Prefix(addressOf(family === 4 ? "IPv4" : "IPv6", octets), length));
    at = end;
  }
  return subnets;
}

/**
 * The reports of a node about addresses: it owns them, asks who announces them, or announces them, while somebody asks. `announced`: as
 * their owner or, where their pool has no owners, by BGP; `advertised`: by BGP where the pool has owners; `serving`: another node owns the
 * address now, and this one has open connections to it; `undelivered`: it does not bring packets for the address to its Pods. Versions that do not know
 * one of the last three ignore it.
 */
export type AddressSetName = "owned" | "asked" | "announced" | "advertised" | "serving" | "undelivered";

const setPrefixes: Readonly<Record<AddressSetName, string>> = {
  owned: "",
  asked: "q",
  announced: "a",
  advertised: "b",
  serving: "c",
  undelivered: "u",
};
const prefixedSets = new Map((Object.keys(setPrefixes) as AddressSetName[]).map((set) => [setPrefixes[set], set]));

/** The key of the page of a set that an address is on: the family, and the address's octets but for the last, one per character. */
export function pageKey(set: AddressSetName, address: Address): string {
  const octets = address.toBytes();
  return setPrefixes[set] + (address.family === "IPv4" ? "4" : "6") + Buffer.from(octets.subarray(0, -1)).toString("latin1");
}

/** The set that a key belongs to; undefined for other keys. */
export function setOf(key: string): AddressSetName | undefined {
  const set = prefixedSets.get(key[0] ?? "") ?? "owned";
  const page = key.slice(setPrefixes[set].length);
  const isPage = (page[0] === "4" && page.length === 1 + v4Octets) || (page[0] === "6" && page.length === 1 + v6Octets);
  return isPage ? set : undefined;
}

/** @param addresses of one page. @returns their last octets, ascending, or where that is shorter a bitmap of 32 octets, lowest first */
export function encodePage(addresses: Iterable<Address>): Uint8Array {
  const last = [...addresses].map(({ value }) => Number(value & 0xffn)).sort((a, b) => a - b);
  if (last.length < bitmapOctets) return Uint8Array.from(last);
  const bitmap = new Uint8Array(bitmapOctets);
  for (const octet of last) bitmap[octet >> 3] = (bitmap[octet >> 3] ?? 0) | (1 << (octet & 7));
  return bitmap;
}

const candidatesPrefix = "o";

/** The key under which a node tells which nodes may announce the addresses of a page: see `encodeCandidates`. */
export function candidatesKey(address: Address): string {
  return candidatesPrefix + pageKey("owned", address);
}

/** The key of the page as one of owned addresses; undefined for other keys. */
export function pageOfCandidates(key: string): string | undefined {
  const page = key.slice(candidatesPrefix.length);
  return key.startsWith(candidatesPrefix) && setOf(page) === "owned" ? page : undefined;
}

/** How many addresses an entry has at most. */
export function mostAddresses({ key, value }: { readonly key: string; readonly value: Uint8Array }): number {
  const perPage = 8 * bitmapOctets;
  if (pageOfCandidates(key) !== undefined) return perPage * Math.ceil(value.length / bitmapOctets);
  return setOf(key) === undefined ? 0 : value.length < bitmapOctets ? value.length : perPage;
}

/** The addresses on the page with a key that `setOf` knows; empty for a value longer than a page. */
export function decodePage(key: string, value: Uint8Array): Address[] {
  const page = key.slice(setPrefixes[setOf(key) ?? "owned"].length);
  const family = page[0] === "4" ? "IPv4" : "IPv6";
  const start = Buffer.from(page.slice(1), "latin1");
  const octets = value.length < bitmapOctets ? [...new Set(value)] : value.length === bitmapOctets ? bitsOf(value) : [];
  return octets.map((octet) => addressOf(family, Uint8Array.of(...start, octet)));
}

function bitsOf(bitmap: Uint8Array): number[] {
  return Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => ((bitmap[octet >> 3] ?? 0) >> (octet & 7)) & 1);
}

/** Other than `Address.fromBytes` it leaves an IPv4-mapped address in its family. @param octets as many as the family has */
function addressOf(family: Family, octets: Uint8Array): Address {
  return new Address(family, BigInt(`0x${Buffer.from(octets).toString("hex")}`));
}

/** How a node delivers its routes of a pool and family to routers: `carried`, some session carries them. */
export const deliveries = ["carried", "noPeer", "noSession", "notCarried"] as const;
export type Delivery = (typeof deliveries)[number];
export type Deliveries = Readonly<Record<Family, Delivery>>;

/** The deliveries of all pools. The state that most pools have is said once. */
export interface PoolDeliveries {
  readonly usual: Deliveries;
  readonly others: ReadonlyMap<number, Deliveries>; // hash of a pool's name -> its state
}

/** Something wrong with a node or one of its BGP sessions, as other nodes tell it. */
export interface Fault {
  /** The code of its verdict. */
  readonly cause: string;
  /** The prefixes that suffer, with spaces between them, or the BGP peer. */
  readonly about: string;
  /** For people: the fault and the remedy. */
  readonly text: string;
}

/** Keys of the faults of a node; more of them say little. */
export const faultKeys: readonly string[] = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];
const faultOctets = 600; // Limit of an entry.

export function encodeFault({ cause, about, text }: Fault): Uint8Array {
  return Buffer.from(`${cause}\n${about}\n${text}`).subarray(0, faultOctets);
}

/** Undefined for a value of something else. */
export function decodeFault(value: Uint8Array): Fault | undefined {
  const [cause = "", about = "", text = ""] = Buffer.from(value).toString("utf8").split("\n");
  return text === "" ? undefined : { cause, about, text };
}

export const deliveriesKey = "d";
const maxOtherPools = 110; // More have no room in an entry: they count as the usual ones.
const poolOctets = 5;

/** @param pools name -> state */
export function encodeDeliveries(pools: ReadonlyMap<string, Deliveries>): Uint8Array {
  const octets = new Map([...pools].map(([name, state]) => [fnv1a(name), octetOf(state)]));
  const counts = Map.groupBy(octets.values(), (octet) => octet);
  const [usual = 0] = [...counts.keys()].sort((a, b) => (counts.get(b)?.length ?? 0) - (counts.get(a)?.length ?? 0) || a - b);
  const others = [...octets].filter(([, octet]) => octet !== usual).sort(([a], [b]) => a - b);
  const value = Buffer.alloc(2 + poolOctets * Math.min(others.length, maxOtherPools));
  value.writeUInt8(version, 0);
  value.writeUInt8(usual, 1);
  for (const [index, [hash, octet]] of others.slice(0, maxOtherPools).entries()) {
    value.writeUInt32BE(hash, 2 + poolOctets * index);
    value.writeUInt8(octet, 6 + poolOctets * index);
  }
  return value;
}

/** Undefined for a value of something else. */
export function decodeDeliveries(value: Uint8Array): PoolDeliveries | undefined {
  if (value[0] !== version || value.length < 2) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const others = new Map<number, Deliveries>();
  for (let at = 2; at + poolOctets <= bytes.length; at += poolOctets)
    others.set(bytes.readUInt32BE(at), deliveriesOf(bytes.readUInt8(at + 4)));
  return { usual: deliveriesOf(bytes.readUInt8(1)), others };
}

function octetOf({ IPv4, IPv6 }: Deliveries): number {
  return deliveries.indexOf(IPv4) | (deliveries.indexOf(IPv6) << 2);
}

function deliveriesOf(octet: number): Deliveries {
  const of = (bits: number) => deliveries[bits & 3] ?? "noPeer";
  return { IPv4: of(octet), IPv6: of(octet >> 2) };
}
