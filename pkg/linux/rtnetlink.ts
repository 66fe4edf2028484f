import { constants } from "node:os";
import { Address, type Family, type Prefix } from "#pkg/net";
import { decodeDefaultRoutes, type Gateway, mainTable } from "./codec/default-routes.ts";
import { decodeNetlink, type InterfaceAddress, type NetlinkMessage, type TableRoute } from "./codec/netlink.ts";
import { type DumpRequest, encodeDump, encodeRequest, encodeRouteTo, type KernelRequest } from "./codec/netlink-requests.ts";
import { NetlinkError } from "./codec/netlink-wire.ts";
import { SystemCallError } from "./libc.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

// This many acknowledgements fit into the receive buffer that any system allows.
const maxAtOnce = 64;
// A dump during which something changed is repeated at once this many times; then its reader has to come back.
const maxDumps = 3;
const errnoNotFound = 2; // ENOENT: there is no such table, so it has no routes.
// The kernel lacks memory for an answer. Any other refusal says that there is no route.
const errnosOfMemory: readonly number[] = [constants.errno.ENOMEM, constants.errno.ENOBUFS];

/** A whole dump. `complete` is false when something changed meanwhile, so that the dump may lack a part (NLM_F_DUMP_INTR). */
export interface Dump {
  readonly messages: readonly NetlinkMessage[];
  readonly complete: boolean;
}

/**
 * Changes interfaces, addresses and routes, and reads all of them (rtnetlink(7)). The kernel has done what is asked, and its answer is
 * there, when a call returns.
 */
export class Rtnetlink implements Disposable {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** @throws {SystemCallError} */
  constructor() {
    this.#socket = NetlinkSocket.open({ groups: [], strict: true });
  }

  /**
   * Makes these changes in turn, also after a refusal. @returns for each 0, or the positive errno that it was refused with @throws
   * {SystemCallError} when the kernel's answers were lost: the results are unknown then
   */
  perform(requests: readonly KernelRequest[]): number[] {
    const results: number[] = [];
    for (let from = 0; from < requests.length; from += maxAtOnce) {
      const some = requests.slice(from, from + maxAtOnce);
      const first = this.#sequence + 1;
      this.#sequence += some.length;
      this.#socket.send(Buffer.concat(some.map((request, index) => encodeRequest(request, first + index))));
      const answers = this.#errors(first + some.length - 1);
      for (let index = 0; index < some.length; index++) {
        const errno = answers.get(first + index);
        if (errno === undefined) throw new NetlinkError("Cannot tell what the kernel did: an acknowledgement is missing");
        results.push(errno);
      }
    }
    return results;
  }

  /** @throws {SystemCallError} when it could not be had */
  dump(request: DumpRequest): Dump {
    let dump = this.#dumpOnce(request);
    for (let i = 1; i < maxDumps && !dump.complete; i++) dump = this.#dumpOnce(request);
    return dump;
  }

  /** The index of the interface by which the kernel sends to an address; undefined where it cannot. @throws {SystemCallError} */
  interfaceTo(address: Address): number | undefined {
    return this.#routeTo(address, false)?.interfaceIndex;
  }

  /**
   * Whether the kernel has a route of its own to this network: not to a larger one, to a part of it, such as one Pod's or another node's, or by
   * way of another host. It looks for two addresses, because the node may have one of them, with a route to itself. @throws {SystemCallError}
   */
  hasRouteTo(network: Prefix): boolean {
    const last = new Address(network.family, network.last.value & ~1n);
    return [network.first, last].some((address) => {
      const { prefix, gateway = address } = this.#routeTo(address, true) ?? {};
      return prefix?.equals(network) === true && network.contains(gateway);
    });
  }

  /**
   * The next hops of the default routes in the kernel's main table. @throws {SystemCallError} @throws {NetlinkError} where not all of them could be
   * had, because routes change all the time or the kernel's last answer is missing
   */
  gateways(family: Family): Gateway[] {
    for (let i = 0; i < maxDumps; i++) {
      const found = this.#gatewaysOnce(family);
      if (found !== undefined) return found;
    }
    throw new NetlinkError(`Cannot read the default routes for ${family}: ${maxDumps} dumps were not whole`);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #routeTo(address: Address, asInTable: boolean): TableRoute | undefined {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeRouteTo(address, sequence, asInTable));
    let found: TableRoute | undefined;
    for (const message of this.#receive()) {
      if (message.sequence !== sequence) continue;
      if (message.type === "routeSet") found = message.route;
      if (message.type === "error" && errnosOfMemory.includes(message.errno))
        throw new SystemCallError("rtnetlink", message.errno, `ask for the route to ${address}`);
    }
    return found;
  }

  #dumpOnce(request: DumpRequest): Dump {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeDump(request, sequence));
    const messages: NetlinkMessage[] = [];
    let complete = true;
    for (const message of this.#receive()) {
      if (message.sequence !== sequence) continue;
      if (message.interrupted) complete = false;
      if (message.type !== "done" && message.type !== "error") {
        messages.push(message);
        continue;
      }
      if (message.errno === 0 || message.errno === errnoNotFound) return { messages, complete };
      throw new SystemCallError("rtnetlink", message.errno, `read the ${request.type} of this node`);
    }
    return { messages, complete: false };
  }

  /** @returns undefined where the dump may lack a part */
  #gatewaysOnce(family: Family): Gateway[] | undefined {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeDump({ type: "routes", family, table: mainTable, protocol: 0 }, sequence));
    const found: Gateway[] = [];
    let isWhole = true;
    for (const datagram of this.#socket.received()) {
      const { gateways, isInterrupted, ended } = decodeDefaultRoutes(datagram, sequence, family);
      found.push(...gateways);
      if (isInterrupted) isWhole = false;
      if (ended === undefined) continue;
      if (ended === 0 || ended === errnoNotFound) return isWhole ? found : undefined;
      throw new SystemCallError("rtnetlink", ended, `read the default routes for ${family}`);
    }
    return undefined;
  }

  /** sequence -> errno, of the answers up to this one. */
  #errors(last: number): Map<number, number> {
    const errors = new Map<number, number>();
    for (const message of this.#receive()) {
      if (message.type === "error") errors.set(message.sequence, message.errno);
      if (message.sequence === last) break;
    }
    return errors;
  }

  /** The kernel's answers as they are there, or are made while they are read. */
  *#receive(): Iterable<NetlinkMessage> {
    for (const datagram of this.#socket.received()) yield* decodeNetlink(datagram);
  }
}

/**
 * The addresses of the interfaces that are up and running, by name, in the kernel's order. Node's own list makes an error of an interface that is
 * called `constructor`, and worse of `__proto__`. @throws {SystemCallError} when they could not be had
 */
export function addressesByInterface(): ReadonlyMap<string, readonly InterfaceAddress[]> {
  using link = new Rtnetlink();
  const names = new Map<number, string>(); // index -> name
  for (const message of link.dump({ type: "interfaces" }).messages) {
    if (message.type !== "interfaceSet") continue;
    const { index, name, up, running } = message.networkInterface;
    if (up && running) names.set(index, name);
  }
  const found = new Map<string, InterfaceAddress[]>();
  for (const message of link.dump({ type: "addresses" }).messages) {
    const name = message.type === "addressSet" ? names.get(message.address.interfaceIndex) : undefined;
    if (message.type !== "addressSet" || name === undefined) continue;
    found.set(name, [...(found.get(name) ?? []), message.address]);
  }
  return found;
}
