import { Allocator, type PoolUsage } from "#pkg/allocator";
import { type Config, isStrict, PoolIndex } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { parseAddress } from "#pkg/net";
import { readRequest } from "#pkg/service";
import { type Decision, decide, keep } from "./decide.ts";

/** The result for all Services when these pools are in force. */
export interface Assignments {
  readonly decisions: ReadonlyMap<string, Decision>; // service key -> where it stands
  readonly usage: readonly PoolUsage[];
}

// Each settles what waited for something that the one before set free. Two are the rule.
const maxRounds = 10;
// To sort so many keys takes a millisecond.
const orderedAtOnce = 1_000;

/** Lets a Service keep its recorded addresses. @param status see `keep` @param shares only if it shares addresses, or only if not */
export function keepRecorded(service: Service, allocator: Allocator, status: "recorded" | "written", shares?: boolean): void {
  const read = readRequest(service);
  if (read.type === "notOurs") return;
  if (shares === undefined || shares === (read.request.sharingKey !== "")) keep(read.request, service, allocator, status);
}

/**
 * Decides on Services in their order, and again on those that are refused something, until nothing changes any more. Age is the only
 * order that each process sees alike, also after a restart. In that order Services also keep their recorded addresses, before anything new is
 * given: first all that share an address, then the others. A Service that stopped to allow sharing while nobody looked leaves the address to
 * the others, and the oldest comes first, so that no later Service takes its address.
 */
export class Settling {
  /** Keys of Services in the order of `olderFirst`: the oldest first, and by key where several are equally old. */
  keys: string[] = [];
  private readonly ofSecond = new Map<number, string[]>(); // when Services were made -> their keys, until these are in order
  private seconds: number[] | undefined; // The oldest is the last.
  private decided = 0;
  private refused: string[] = [];
  private isChanged = false;
  private rounds = 0;

  /** To be called for each of them before `order`. */
  add({ key, created }: Pick<Service, "key" | "created">): void {
    const known = this.ofSecond.get(created);
    if (known === undefined) this.ofSecond.set(created, [key]);
    else known.push(key);
  }

  /** Puts some more of the keys in order: to sort 50,000 at once takes 40 ms. To be called before `step`. @returns whether they were the last */
  order(): boolean {
    this.seconds ??= [...this.ofSecond.keys()].sort((a, b) => b - a);
    for (const end = this.keys.length + orderedAtOnce; this.keys.length < end; ) {
      const second = this.seconds.pop();
      if (second === undefined) return true;
      for (const key of this.ofSecond.get(second)?.sort() ?? []) this.keys.push(key);
      this.ofSecond.delete(second);
    }
    return false;
  }

  /** Decides on the next Service. @param decideOn decides on the Service with this key, or leaves it for later @returns whether it was the last */
  step(allocator: Pick<Allocator, "held">, decideOn: (key: string) => Decision | undefined): boolean {
    const key = this.keys[this.decided++];
    if (key !== undefined) {
      const before = allocator.held(key)?.addresses.join();
      const decision = decideOn(key);
      this.isChanged ||= decision !== undefined && decision.allocation?.addresses.join() !== before;
      if (decision?.missing !== undefined) this.refused.push(key);
    }
    if (this.decided < this.keys.length) return false;
    const isOver = !this.isChanged || ++this.rounds === maxRounds;
    Object.assign(this, { keys: this.refused, decided: 0, refused: [], isChanged: false });
    return isOver || this.keys.length === 0;
  }
}

/**
 * Decides on all Services, as the controller does when a configuration comes into force: they keep the addresses in their status as far as
 * they may, then each gets what it asks for. A step for each, with what has been decided so far.
 * @param occupied addresses that other hosts of the network have -> who; they count in strict pools
 * @param namespaces namespace -> its labels
 */
export function* assigning(
  services: Iterable<Service>,
  { pools, quotas }: Pick<Config, "pools" | "quotas">,
  occupied: ReadonlyMap<string, string> = new Map(),
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(),
): Generator<Assignments["decisions"], Assignments> {
  const allocator = new Allocator();
  const decisions = new Map<string, Decision>();
  for (const [name, labels] of namespaces) allocator.setNamespace(name, labels);
  for (const replacing = allocator.replacePools(pools, quotas); !replacing.next().done; ) yield decisions;
  const current = new Map<string, Service>(); // service key -> Service as its status will be
  const settling = new Settling();
  for (const service of services) {
    yield decisions;
    current.set(service.key, service);
    settling.add(service);
  }
  while (!settling.order()) yield decisions;
  for (const shares of [true, false])
    for (const key of settling.keys) {
      yield decisions;
      const service = current.get(key);
      if (service !== undefined) keepRecorded(service, allocator, "recorded", shares);
    }
  const index = new PoolIndex(pools);
  const isHeeded = (text: string) => {
    const address = parseAddress(text);
    const pool = address && index.find(address);
    return pool !== undefined && isStrict(pool);
  };
  allocator.setOccupied(new Map([...occupied].filter(([text]) => isHeeded(text))));
  const decideOn = (key: string) => {
    const service = current.get(key);
    const decision = decide(key, service, allocator);
    decisions.set(key, decision);
    if (service !== undefined && decision.status !== undefined) current.set(key, { ...service, ingress: decision.status });
    return decision;
  };
  for (let isOver = false; !isOver; yield decisions) isOver = settling.step(allocator, decideOn);
  return { decisions, usage: [...allocator.usage()] };
}
