import { Alarm, type Clock, type Millis, type Random } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import {
  EtherType,
  icmpv6Filter,
  interfaceNameOf,
  MulticastMemberships,
  PacketSocket,
  ReceiveBatch,
  SendBatch,
  SystemCallError,
} from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, allNodesGroup, isLinkLocal, type Mac, multicastMac, parseAddress, parseMac } from "#pkg/net";
import { allRouters, decodeRouterFrame, encodeRouterFrame, RouterMessage, routerFrameLength } from "./codec/router-frames.ts";
import { type Link, type LinkEvent, newLink, nextDeadline, otherRouters, step } from "./engine/link.ts";

export interface RouterDiscoveryOptions {
  /** All present interfaces of this node. */
  readonly interfaces: () => readonly Pick<InterfaceState, "index" | "name" | "mac" | "running" | "addresses" | "unfit">[];
  /** Whether there is a BGP session with the router on this interface. */
  readonly isEstablished: (name: string) => boolean;
  /** Another router was chosen on some interface, or one went with its interface. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The router on an interface, or why none is known; and other routers that were heard there. */
export interface FoundRouter {
  readonly router: Address | { readonly missing: string };
  readonly others: readonly Address[];
}

// The sockets are looked at so often. An advertisement may wait half a second on its way, too.
const lookEveryMs: Millis = 250;
// A look at each link reads so many frames; others wait for the next, in the kernel's queue, or are dropped by it.
const batchesAtOnce = 4;
const framesInBatch = 32;
const frameSize = 2_048; // More than an Ethernet frame has.
const retryMs: Millis = 5_000;

interface Port {
  readonly index: number;
  readonly mac: Mac;
  readonly address: bigint;
  readonly socket: PacketSocket;
  readonly groups: MulticastMemberships;
}

interface Watched {
  link: Link;
  /** Undefined while there is no interface, or it has no carrier or no link-local address. */
  port: Port | undefined;
  /** Why there is no port. */
  missing: string;
  retryAt: Millis;
}

/** Sends and hears router advertisements on some interfaces. Nothing is opened before an interface is watched. */
export class RouterDiscovery implements Disposable {
  readonly #options: RouterDiscoveryOptions;
  readonly #alarm: Alarm;
  readonly #watched = new Map<string, Watched>(); // name of an interface -> its link
  #received: ReceiveBatch | undefined;
  #toSend: SendBatch | undefined;

  constructor(options: RouterDiscoveryOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "router discovery", () => this.#look());
  }

  /** These interfaces, and no others. */
  watch(names: ReadonlySet<string>): void {
    for (const [name, watched] of this.#watched) {
      if (names.has(name)) continue;
      close(watched);
      this.#watched.delete(name);
    }
    for (const name of names)
      if (!this.#watched.has(name))
        this.#watched.set(name, { link: newLink(), port: undefined, missing: "", retryAt: -Infinity });
    if (names.size > 0) this.#look();
  }

  on(name: string): FoundRouter {
    const watched = this.#watched.get(name);
    if (watched === undefined) return { router: { missing: `no router is looked for on ${name}` }, others: [] };
    const { link, port, missing } = watched;
    const others = otherRouters(link, this.#options.clock.now()).map((address) => new Address("IPv6", address));
    if (link.router !== undefined) return { router: new Address("IPv6", link.router.address), others };
    const silent = `no router advertisement was heard on ${name}`;
    return { router: { missing: port === undefined ? missing : silent }, others };
  }

  /** To be called when interfaces have changed. */
  interfacesChanged(): void {
    if (this.#watched.size > 0) this.#look();
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
    for (const watched of this.#watched.values()) close(watched);
    this.#watched.clear();
  }

  #look(): void {
    const { interfaces, isEstablished, clock } = this.#options;
    const byName = new Map(interfaces().map((one) => [one.name, one]));
    const now = clock.now();
    let next = now + lookEveryMs;
    let isChanged = false;
    for (const [name, watched] of this.#watched) {
      const before = watched.link.router?.address;
      this.#followInterface(name, watched, byName.get(name) ?? byName.get(interfaceNameOf(name) ?? ""), now);
      const established = isEstablished(name);
      if (established !== watched.link.isEstablished)
        this.#step(name, watched, { type: "session", isEstablished: established }, now);
      this.#receive(name, watched, now);
      this.#step(name, watched, { type: "timer" }, now);
      isChanged ||= watched.link.router?.address !== before;
      next = Math.min(next, nextDeadline(watched.link));
    }
    if (this.#watched.size > 0) this.#alarm.set(Math.max(next, now + 1));
    if (isChanged) this.#options.onChange();
  }

  /** Opens or closes the socket, so that it is on the interface as that is now. */
  #followInterface(
    name: string,
    watched: Watched,
    found: ReturnType<RouterDiscoveryOptions["interfaces"]>[number] | undefined,
    now: Millis,
  ): void {
    const { port } = watched;
    const usable = usableNow(name, found);
    if (typeof usable !== "string" && port?.index === usable.index && port.mac === usable.mac && port.address === usable.address)
      return;
    if (port !== undefined) {
      close(watched);
      this.#step(name, watched, { type: "down" }, now);
    }
    if (found === undefined) watched.link = newLink(); // Its router goes with it.
    if (typeof usable === "string") {
      watched.missing = usable;
      return;
    }
    if (now < watched.retryAt) return;
    try {
      watched.port = { ...usable, ...open(usable.index) };
      this.#step(name, watched, { type: "up" }, now);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const missing = `routers cannot be looked for on ${name}: ${error.message}`;
      if (missing !== watched.missing)
        this.#options.log.error("routers cannot be looked for, retrying", { op: "routerDiscovery", interface: name, error });
      watched.missing = missing;
      watched.retryAt = now + retryMs;
    }
  }

  #receive(name: string, watched: Watched, now: Millis): void {
    const { port } = watched;
    if (port === undefined) return;
    this.#received ??= new ReceiveBatch(framesInBatch, frameSize);
    try {
      for (let batch = 0; batch < batchesAtOnce; batch++) {
        const count = port.socket.receive(this.#received);
        for (let i = 0; i < count; i++) this.#heard(name, watched, this.#received.frame(i).frame, now);
        if (count < framesInBatch) return;
      }
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error; // It went down or away, and `interfaces` tells that.
    }
  }

  #heard(name: string, watched: Watched, bytes: Uint8Array, now: Millis): void {
    const frame = decodeRouterFrame(bytes);
    const { port } = watched;
    if (frame === undefined || frame.source === port?.address || frame.sourceMac === port?.mac) return; // The last two are its own.
    if (frame.type === RouterMessage.advertisement)
      this.#step(name, watched, { type: "advertisement", source: frame.source, mac: frame.sourceMac }, now);
    else this.#step(name, watched, { type: "solicitation" }, now);
  }

  #step(name: string, watched: Watched, event: LinkEvent, now: Millis): void {
    const [link, effects] = step(watched.link, event, now, this.#options.random());
    watched.link = link;
    for (const effect of effects) {
      if (effect.type === "chosen") {
        const [router, before] = [effect.router, effect.before].map((one) => one && new Address("IPv6", one).toString());
        this.#options.log.info("router found by its advertisements", { event: "routerFound", interface: name, router, before });
      } else if (watched.port !== undefined) this.#send(watched.port, effect.type);
    }
  }

  #send({ mac, address, socket }: Port, what: "advertise" | "solicit"): void {
    const isAdvertisement = what === "advertise";
    const destination = isAdvertisement ? allNodesGroup : allRouters;
    const type = isAdvertisement ? RouterMessage.advertisement : RouterMessage.solicitation;
    const ends = { destinationMac: multicastMac(destination), sourceMac: mac, source: address, destination };
    this.#toSend ??= new SendBatch(1, routerFrameLength);
    this.#toSend.clear();
    this.#toSend.push(encodeRouterFrame({ ...ends, type, lifetimeSeconds: 0, linkLayerAddress: mac }));
    socket.send(this.#toSend); // A lost message is sent again.
  }
}

/** What this node can send on the interface, and from which address; or why it can send nothing. */
function usableNow(
  name: string,
  found: ReturnType<RouterDiscoveryOptions["interfaces"]>[number] | undefined,
): Pick<Port, "index" | "mac" | "address"> | string {
  if (found === undefined) return `this node has no interface ${name}`;
  if (!found.running) return `interface ${name} has no carrier, or is down`;
  const mac = parseMac(found.mac);
  if (mac === undefined) return `interface ${name} is not Ethernet`;
  const own = found.addresses
    .filter((text) => found.unfit?.includes(text) !== true)
    .flatMap((text) => parseAddress(text.split("/")[0] ?? "") ?? [])
    .find(isLinkLocal);
  return own === undefined ? `interface ${name} has no IPv6 link-local address` : { index: found.index, mac, address: own.value };
}

/** @throws {SystemCallError} */
function open(index: number): Pick<Port, "socket" | "groups"> {
  using stack = new DisposableStack();
  const types = [RouterMessage.solicitation, RouterMessage.advertisement];
  const socket = stack.use(PacketSocket.open(index, EtherType.ipv6, icmpv6Filter(types, frameSize)));
  const groups = stack.use(new MulticastMemberships(index));
  groups.join(allRouters); // Solicitations go there.
  stack.move();
  return { socket, groups };
}

function close(watched: Watched): void {
  watched.port?.groups[Symbol.dispose]();
  watched.port?.socket[Symbol.dispose]();
  watched.port = undefined;
}
