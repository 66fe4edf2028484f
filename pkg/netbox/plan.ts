import type { Netbox } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import type { NetboxRecord } from "./answers.ts";
import type { RecordFields } from "./client.ts";

/** An address that a Service holds; of several that share it one. */
export interface Claim {
  readonly address: Address;
  /** `namespace/name`. */
  readonly service: string;
  readonly uid: string;
}

/** A Service that waits until NetBox has chosen an address for it. */
export interface Wish {
  readonly service: string;
  readonly uid: string;
  readonly family: Family;
  /** How many addresses of the family NetBox has chosen for it, as far as it has looked: they are too few. */
  readonly granted: number;
  /** NetBox had none left when it looked: it waits until it has looked again. */
  readonly exhausted: boolean;
  /** The families of all addresses that it is to get, also of those that NetBox has chosen. */
  readonly keeps: readonly Family[];
}

/** How NetBox is to be used for one pool. */
export type RecordRules = Pick<Netbox, "mode" | "tags" | "tenant" | "role" | "onRelease">;

/** The records that NetBox has, and the ones that it should have. */
export interface Situation {
  readonly records: readonly NetboxRecord[];
  readonly claims: readonly Claim[];
  readonly wishes: readonly Wish[];
  /** Whether there is such a Service, with this UID. */
  readonly exists: (service: string, uid: string) => boolean;
}

export interface Plan {
  readonly create: readonly Claim[];
  readonly update: readonly { readonly record: NetboxRecord; readonly claim: Claim }[];
  readonly take: readonly Wish[];
  /** Nobody holds them, and nobody waits for them. */
  readonly idle: readonly NetboxRecord[];
  /** Services hold their addresses. */
  readonly inUse: readonly NetboxRecord[];
}

/** What NetBox says, by address. */
export interface SortedRecords {
  /** This cluster's. */
  readonly own: ReadonlyMap<string, NetboxRecord>;
  /** The Service for which NetBox has it. */
  readonly granted: ReadonlyMap<string, string>;
  /** Other records of its addresses. Some may be held by a Service here all the same. */
  readonly foreign: ReadonlyMap<string, string>;
}

// Records until a `yield`, so that a caller with 10,000 of them can leave the event loop turns in between.
const recordsAtOnce = 500;

/** Tells this cluster's records from others', some hundred in each step. */
export function* sortRecords(
  records: readonly NetboxRecord[],
  exists: Situation["exists"],
  rules: RecordRules,
): Generator<undefined, SortedRecords> {
  const own = new Map<string, NetboxRecord>();
  const granted = new Map<string, string>();
  const foreign = new Map<string, string>();
  let looked = 0;
  for (const record of records) {
    if (++looked % recordsAtOnce === 0) yield;
    const address = `${record.address}`;
    const { description } = record;
    if (!isOwn(record, rules)) foreign.set(address, description === "" ? `record ${record.id} of NetBox` : description);
    else own.set(address, record);
  }
  for (const [address, record] of own) {
    if (++looked % recordsAtOnce === 0) yield;
    const { service = "", uid = "" } = readDescription(record.description) ?? {};
    if (record.status === "active" && exists(service, uid)) granted.set(address, service);
  }
  return { own, granted, foreign };
}

/**
 * Compares the two, some hundred records in each step. The plan depends on the situation alone, not on earlier actions: so a process that
 * starts goes on where another ended.
 */
export function* plan({ records, claims, wishes, exists }: Situation, rules: RecordRules): Generator<undefined, Plan> {
  const { own, granted, foreign } = yield* sortRecords(records, exists, rules);
  const create: Claim[] = [];
  const update: { record: NetboxRecord; claim: Claim }[] = [];
  const claimed = new Set<string>();
  let looked = 0;
  for (const claim of claims) {
    if (++looked % recordsAtOnce === 0) yield;
    const address = `${claim.address}`;
    claimed.add(address);
    const record = own.get(address);
    // A second record of an address would only be one more that is wrong.
    if (record === undefined && !foreign.has(address)) create.push(claim);
    else if (record !== undefined && !isUpToDate(record, claim)) update.push({ record, claim });
  }
  const idle: NetboxRecord[] = [];
  const inUse: NetboxRecord[] = [];
  const waiting = new Set(wishes.flatMap(({ service, uid, keeps }) => keeps.map((family) => keyOf({ service, uid, family }))));
  const chosen = new Map<string, number>(); // what `keyOf` says -> how many records are for that Service
  for (const [address, record] of own) {
    if (++looked % recordsAtOnce === 0) yield;
    const { service = "", uid = "" } = readDescription(record.description) ?? {};
    const isGranted = granted.has(address);
    const key = keyOf({ service, uid, family: record.address.family });
    if (isGranted) chosen.set(key, (chosen.get(key) ?? 0) + 1);
    if (claimed.has(address)) inUse.push(record);
    // Some may wait for others, of the other family or of the same.
    if (claimed.has(address) || (isGranted && waiting.has(key))) continue;
    if (record.status === "active" && rules.onRelease !== "keep") idle.push(record);
  }
  const take = rules.mode === "allocate" ? wishes.filter((wish) => isOpen(wish, chosen.get(keyOf(wish)) ?? 0)) : [];
  return { create, update, take, idle, inUse };
}

// More than a Service may have, so that one which can use none of them does not take all there are.
const maxChosen = 20;

/** Nothing was chosen for it since it looked. */
function isOpen({ granted, exhausted }: Wish, chosen: number): boolean {
  return !exhausted && chosen <= granted && chosen < maxChosen;
}

function keyOf({ service, uid, family }: Pick<Wish, "service" | "uid" | "family">): string {
  return `${service} ${uid} ${family}`;
}

/** Fields of a record for the Service. */
export function fieldsFor({ service, uid }: Omit<Claim, "address">, { tags, tenant, role }: RecordRules): RecordFields {
  return {
    status: "active",
    description: `Kubernetes Service ${service} (${uid})`,
    tags,
    ...(tenant === undefined ? {} : { tenant }),
    ...(role === undefined ? {} : { role }),
  };
}

function isUpToDate({ description, status }: NetboxRecord, { service, uid }: Claim): boolean {
  const written = readDescription(description);
  return status === "active" && written?.service === service && written.uid === uid;
}

function isOwn({ tags, description }: NetboxRecord, rules: RecordRules): boolean {
  return rules.tags.every((tag) => tags.includes(tag)) && readDescription(description) !== undefined;
}

function readDescription(description: string): { readonly service: string; readonly uid: string } | undefined {
  const [, service, uid] = /^Kubernetes Service ([^\s/]+\/[^\s/]+) \(([0-9A-Za-z-]+)\)$/.exec(description) ?? [];
  return service === undefined || uid === undefined ? undefined : { service, uid };
}
