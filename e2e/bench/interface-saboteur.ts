/**
 * Removes what a speaker keeps in a kernel, without pause: `interface-saboteur.ts SECONDS`. Every 50 ms it deletes one to five random
 * addresses or routes of ours on kube-lb0, and hears when they are back. Before, it adds addresses and routes of its own beside them, hears
 * when anybody touches one, and looks at the end whether they are still there. Prints one line of JSON.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  decodeNetlink,
  interfaceIndexOf,
  type KernelRequest,
  NetlinkGroup,
  type NetlinkMessage,
  NetlinkSocket,
  Rtnetlink,
} from "#pkg/linux";
import { parseAddress, parsePrefix } from "#pkg/net";

export interface Sabotage {
  readonly addresses: Returns;
  readonly routes: Returns;
  readonly foreignLeft: number;
  readonly foreignAdded: number;
  /** Notifications of the kernel about foreign ones, after they were added. */
  readonly foreignTouched: number;
}

/** Deleted entries, and the time in milliseconds until the saboteur heard of their return. */
interface Returns {
  readonly deleted: number;
  readonly median: number;
  readonly longest: number;
  /** Gone for more than 100 ms. */
  readonly late: number;
  /** Not back after a second. */
  readonly missing: number;
}

type Victim = Extract<KernelRequest, { readonly type: "deleteAddress" | "deleteRoute" }>;

const ours = 248;
const foreign = 77;
const table = 198;
const maxAtOnce = 5;

if (import.meta.main) {
  const seconds = Number(process.argv[2]);
  const interfaceIndex = interfaceIndexOf("kube-lb0") ?? 0;
  using link = new Rtnetlink();
  const found = (protocol: number): Victim[] => {
    const all: NetlinkMessage[] = [
      ...link.dump({ type: "addresses" }).messages,
      ...link.dump({ type: "routes", family: "IPv4", table, protocol }).messages,
    ];
    return all.flatMap((one) => victimOf(one, protocol) ?? []);
  };
  const foreignAdded = link.perform(foreignRequests(interfaceIndex)).filter((errno) => errno === 0).length;
  using changes = NetlinkSocket.open({
    groups: [NetlinkGroup.ipv4Address, NetlinkGroup.ipv4Route],
    receiveBuffer: 1 << 23,
  });
  const victims = { deleteAddress: [] as Victim[], deleteRoute: [] as Victim[] };
  for (const one of found(ours)) victims[one.type].push(one);
  const gone = { deleteAddress: [] as number[], deleteRoute: [] as number[] };
  let foreignTouched = 0;
  const hear = (away: Map<string, Victim>, from: number): void => {
    for (let datagram = changes.receive(); datagram !== undefined; datagram = changes.receive())
      for (const message of decodeNetlink(datagram)) {
        if (victimOf(message, foreign) !== undefined) foreignTouched++;
        const isSet = message.type === "addressSet" || message.type === "routeSet";
        const one = isSet ? victimOf(message, ours) : undefined;
        if (one !== undefined && away.delete(keyOf(one))) gone[one.type].push(performance.now() - from);
      }
  };
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; await sleep(50)) {
    const some = Math.random() < 0.5 ? victims.deleteAddress : victims.deleteRoute;
    const chosen = Array.from(
      { length: Math.ceil(Math.random() * maxAtOnce) },
      () => some[Math.floor(Math.random() * some.length)],
    );
    const away = new Map(chosen.flatMap((one) => (one === undefined ? [] : [[keyOf(one), one] as const])));
    hear(new Map(), 0);
    link.perform([...away.values()]);
    const from = performance.now();
    while (away.size > 0 && performance.now() < from + 1_000) {
      hear(away, from);
      if (away.size > 0) await sleep(0);
    }
    for (const { type } of away.values()) gone[type].push(Infinity);
  }
  const result: Sabotage = {
    addresses: summary(gone.deleteAddress),
    routes: summary(gone.deleteRoute),
    foreignLeft: found(foreign).length,
    foreignAdded,
    foreignTouched,
  };
  console.log(JSON.stringify(result));
}

function foreignRequests(interfaceIndex: number): KernelRequest[] {
  const traits = { protocol: foreign, validSeconds: Infinity, hasHostScope: false, noPrefixRoute: false };
  return Array.from({ length: 20 }, (_, i) => {
    const address = parseAddress(`10.99.0.${i + 1}`);
    const prefix = parsePrefix(`10.98.${i}.0/24`);
    if (address === undefined || prefix === undefined) throw new Error("Cannot read an address");
    return [
      { type: "setAddress", replaces: false, interfaceIndex, address, prefixLength: 32, ...traits },
      { type: "addRoute", prefix, interfaceIndex, table, protocol: foreign },
    ] satisfies KernelRequest[];
  }).flat();
}

/** Deletes the address or route that a message is about; undefined if it has another mark, or the route is of another table. */
function victimOf(message: NetlinkMessage, protocol: number): Victim | undefined {
  if (message.type === "addressSet" || message.type === "addressDeleted") {
    const { interfaceIndex, address, prefixLength } = message.address;
    return message.address.protocol === protocol ? { type: "deleteAddress", interfaceIndex, address, prefixLength } : undefined;
  }
  if (message.type !== "routeSet" && message.type !== "routeDeleted") return undefined;
  const { route } = message;
  const { interfaceIndex } = route;
  if (route.protocol !== protocol || route.table !== table || interfaceIndex === undefined) return undefined;
  return { type: "deleteRoute", prefix: route.prefix, interfaceIndex, table, protocol };
}

function keyOf(victim: Victim): string {
  return victim.type === "deleteAddress" ? `${victim.address}` : `${victim.prefix}`;
}

function summary(times: readonly number[]): Returns {
  const sorted = times.filter(Number.isFinite).toSorted((a, b) => a - b);
  return {
    deleted: times.length,
    median: sorted[sorted.length >> 1] ?? 0,
    longest: sorted.at(-1) ?? 0,
    late: times.filter((time) => time > 100).length,
    missing: times.length - sorted.length,
  };
}
