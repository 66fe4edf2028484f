import type { Millis } from "#pkg/clock";
import { SystemCallError, type TrackedInterface } from "#pkg/linux";
import { type Mac, matchesInterface, parseMac } from "#pkg/net";
import {
  canBeAsked,
  canReachHosts,
  eligibility,
  type IneligibleReason,
  type InterfaceState,
  type InterfaceStatus,
  interfaceState,
  isVirtualRouter,
  reachedSubnets,
} from "./engine/interface-state.ts";
import { FrameMemory, InterfaceSocket } from "./interface-socket.ts";
import type { WriteLog } from "./messages.ts";
import type { SharedMemory } from "./shared-memory.ts";

const retryAfter: Millis = 1000;
const protocols = ["ARP", "NDP"] as const; // Each socket answers both.

interface InterfaceEntry {
  readonly networkInterface: TrackedInterface;
  readonly socket: InterfaceSocket | undefined;
  /** Why an eligible interface has no socket. */
  readonly error: SystemCallError | undefined;
  readonly state: InterfaceState;
}

interface Named {
  readonly globs: readonly string[];
  /** How many announcements are for these. */
  readonly uses: number;
}

/**
 * The interfaces of the namespace, with a socket on each that is eligible. One that fails is tried again; the others go on. A veth that leads to a
 * Pod has none, unless an announcement names it: nobody asks there, a node may have hundreds, and while the kernel closes the sockets of one,
 * which takes 40 ms, this thread answers nobody.
 */
export class Interfaces implements Disposable {
  readonly #shared: SharedMemory;
  readonly #log: WriteLog;
  readonly #memory = new FrameMemory();
  readonly #entries = new Map<number, InterfaceEntry>(); // interface index -> entry
  readonly #named = new Map<string, Named>(); // globs, joined -> globs
  #macs: ReadonlySet<Mac> | undefined;
  #retryAt: Millis = Infinity;

  constructor(shared: SharedMemory, log: WriteLog) {
    this.#shared = shared;
    this.#log = log;
  }

  /** When `retry` has something to do. */
  get nextAt(): Millis {
    return this.#retryAt;
  }

  /**
   * The MAC addresses of all interfaces, also of those that do not answer, but of virtual routers, which may be another node: frames from one of them
   * are of this node.
   */
  get macs(): ReadonlySet<Mac> {
    const macs = () => [...this.#entries.values()].flatMap(({ networkInterface: one }) => parseMac(one.hardwareAddress) ?? []);
    this.#macs ??= new Set(macs().filter((mac) => !isVirtualRouter(mac)));
    return this.#macs;
  }

  sockets(): InterfaceSocket[] {
    return [...this.#entries.values()].flatMap(({ socket }) => socket ?? []);
  }

  /** By index. One that has not changed is the same object as before. */
  states(): InterfaceState[] {
    return [...this.#entries.values()].map(({ state }) => state).sort((a, b) => a.index - b.index);
  }

  /**
   * One more announcement is for interfaces of these names. @returns like `update`; undefined where there were others before, or the interfaces are
   * not known yet
   */
  name(globs: readonly string[], now: Millis): InterfaceSocket[] | undefined {
    if (globs.length === 0) return undefined;
    const key = globs.join(" ");
    const { uses = 0 } = this.#named.get(key) ?? {};
    this.#named.set(key, { globs, uses: uses + 1 });
    if (uses > 0 || this.#entries.size === 0) return undefined;
    const all = [...this.#entries.values()].map(({ networkInterface }) => networkInterface);
    return this.update(all, now);
  }

  /** An announcement that was named is no longer. Without others no further interface is opened for these names. */
  unname(globs: readonly string[]): void {
    const key = globs.join(" ");
    const { uses = 0 } = this.#named.get(key) ?? {};
    if (uses > 1) this.#named.set(key, { globs, uses: uses - 1 });
    else this.#named.delete(key);
  }

  /**
   * Opens and closes sockets until they are those of `interfaces`. @returns the sockets on which every address must be
   * announced again @param interfaces one that has not changed is the same object as before
   */
  update(interfaces: readonly TrackedInterface[], now: Millis): InterfaceSocket[] {
    const current = new Map(interfaces.map((networkInterface) => [networkInterface.index, networkInterface]));
    this.#macs = undefined;
    const lost = this.#lostSubnets(current);
    for (const [index, { networkInterface: before, socket }] of this.#entries) {
      const networkInterface = current.get(index);
      if (networkInterface === before) continue;
      const reason =
        networkInterface === undefined || networkInterface.generation !== before.generation
          ? "gone"
          : eligibility(networkInterface);
      if (reason === "eligible") continue;
      if (socket !== undefined) this.#close(socket, reason);
      this.#entries.delete(index);
    }
    const anew: InterfaceSocket[] = [];
    for (const networkInterface of interfaces) {
      const { networkInterface: before, socket, error } = this.#entries.get(networkInterface.index) ?? {};
      if (socket !== undefined) {
        const isAnew = socket.update(networkInterface) || !reachedSubnets(networkInterface).isDisjointFrom(lost);
        if (isAnew) anew.push(socket);
        if (networkInterface !== before) this.#put(networkInterface, { socket });
      } else if (this.#isOfUse(networkInterface) && eligibility(networkInterface) === "eligible")
        anew.push(...this.#open(networkInterface, error, now));
      else if (networkInterface !== before || error !== undefined) this.#put(networkInterface, {});
    }
    return anew;
  }

  /** The subnets of interfaces that no longer reach them: hosts there may have learned the MAC address of the interface that is gone. */
  #lostSubnets(current: ReadonlyMap<number, TrackedInterface>): ReadonlySet<string> {
    const lost = new Set<string>();
    for (const [index, { networkInterface: before }] of this.#entries) {
      const now = current.get(index);
      if (now === before) continue;
      const left = now === undefined ? new Set<string>() : reachedSubnets(now);
      for (const subnet of reachedSubnets(before)) if (!left.has(subnet)) lost.add(subnet);
    }
    return lost;
  }

  /** Opens what failed, when it is time. @returns like `update` */
  retry(now: Millis): InterfaceSocket[] {
    if (now < this.#retryAt) return [];
    this.#retryAt = Infinity;
    return [...this.#entries.values()].flatMap(({ networkInterface, error }) =>
      error === undefined ? [] : this.#open(networkInterface, error, now),
    );
  }

  /** Gives up a socket that is of no more use, until the next try. */
  fail(socket: InterfaceSocket, error: SystemCallError, now: Millis): void {
    this.#close(socket, "failed");
    this.#setFailed(socket.interface, error, undefined, now);
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets()) socket[Symbol.dispose]();
    this.#entries.clear();
  }

  /** An interface that lost its addresses for a while keeps its socket. */
  #isOfUse(one: TrackedInterface): boolean {
    return canBeAsked(one) || this.#named.values().some(({ globs }) => matchesInterface(globs, one.name));
  }

  #open(networkInterface: TrackedInterface, before: SystemCallError | undefined, now: Millis): InterfaceSocket[] {
    try {
      const socket = new InterfaceSocket(networkInterface, this.#shared, this.#memory);
      for (const protocol of protocols)
        this.#log(canReachHosts(networkInterface) ? "info" : "debug", `created ${protocol} responder for interface`, {
          event: `create${protocol}Responder`,
          interface: networkInterface.name,
        });
      this.#put(networkInterface, { socket });
      return [socket];
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#setFailed(networkInterface, error, before, now);
      return [];
    }
  }

  /** Written once for as long as the error stays the same. */
  #setFailed(networkInterface: TrackedInterface, error: SystemCallError, before: SystemCallError | undefined, now: Millis): void {
    if (error.message !== before?.message) {
      const fields = { op: "createResponder", interface: networkInterface.name, error: error.message };
      this.#log("error", "requests on interface cannot be answered, trying again", fields);
    }
    this.#put(networkInterface, { error });
    this.#retryAt = Math.min(this.#retryAt, now + retryAfter);
  }

  #put(networkInterface: TrackedInterface, { socket, error }: Partial<Pick<InterfaceEntry, "socket" | "error">>): void {
    const state = interfaceState(networkInterface, status(networkInterface, error), error);
    this.#entries.set(networkInterface.index, { networkInterface, socket, error, state });
  }

  #close(socket: InterfaceSocket, reason: IneligibleReason | "gone" | "failed"): void {
    for (const protocol of protocols) {
      const fields = { event: `delete${protocol}Responder`, interface: socket.interface.name, reason };
      this.#log(canReachHosts(socket.interface) ? "info" : "debug", `deleted ${protocol} responder for interface`, fields);
    }
    socket[Symbol.dispose]();
  }
}

function status(networkInterface: TrackedInterface, error: SystemCallError | undefined): InterfaceStatus {
  const verdict = eligibility(networkInterface);
  if (verdict !== "eligible") return verdict;
  return error === undefined ? "answering" : "failing";
}
