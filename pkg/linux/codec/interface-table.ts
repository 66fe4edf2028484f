import type { InterfaceAddress, NetlinkMessage, NetworkInterface } from "./netlink.ts";
import { encodeDump } from "./netlink-requests.ts";

/**
 * An interface with its addresses. `generation` differs when the index was given to another interface meanwhile, `ipv6Generation` when all IPv6
 * addresses were gone for a moment, as where the kernel forgot all that is IPv6.
 */
export interface TrackedInterface extends NetworkInterface {
  readonly generation: number;
  readonly ipv6Generation: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** Work for the driver. */
export type InterfaceTableEffect =
  | { readonly type: "send"; readonly request: Uint8Array }
  /** The dump has ended. `complete` is false when something changed meanwhile, so that it may have missed a part. */
  | { readonly type: "loaded"; readonly complete: boolean }
  /** The dump was refused, or broke off; `errno` says why. */
  | { readonly type: "failed"; readonly errno: number };

/** `mentioned` is the latest request at the time of the last message about it. */
interface InterfaceEntry {
  readonly networkInterface: NetworkInterface;
  readonly generation: number;
  ipv6Generation: number;
  mentioned: number;
  /** With its addresses; undefined once one of these has changed. */
  tracked: TrackedInterface | undefined;
}

interface AddressEntry {
  readonly address: InterfaceAddress;
  readonly mentioned: number;
}

interface Dump {
  readonly what: "interfaces" | "addresses";
  readonly sequence: number;
  readonly complete: boolean;
}

/**
 * The interfaces and addresses of the namespace, kept by the kernel's messages: a dump has all of them, notifications have the changes.
 * Both come on one socket, in the kernel's order, so a later message is always the truer one. An interface or address that a complete
 * dump does not mention is removed. The driver sends, receives and keeps the time.
 */
export class InterfaceTable {
  readonly #interfaces = new Map<number, InterfaceEntry>(); // index -> interface
  readonly #addresses = new Map<number, Map<string, AddressEntry>>(); // index -> address, length -> address
  #dump: Dump | undefined;
  #sequence = 0;
  #generation = 0;
  #changes = 0;

  /** Grows with every change: equal numbers mean equal tables. */
  get changes(): number {
    return this.#changes;
  }

  /** Begins a dump. One that is under way is given up. @returns the request to send */
  startDump(): Uint8Array {
    return this.#request("interfaces", true);
  }

  /** Takes in one message. */
  apply(message: NetlinkMessage): InterfaceTableEffect | undefined {
    if (this.#dump?.sequence === message.sequence && message.interrupted) this.#dump = { ...this.#dump, complete: false };
    const dump = this.#dump?.sequence === message.sequence ? this.#dump : undefined;
    switch (message.type) {
      case "interfaceSet":
        this.#setInterface(message.networkInterface);
        return undefined;
      case "interfaceDeleted":
        this.#deleteInterface(message.networkInterface.index);
        return undefined;
      case "addressSet":
        this.#setAddress(message.address);
        return undefined;
      case "addressDeleted":
        this.#deleteAddress(message.address);
        return undefined;
      case "routeSet":
      case "routeDeleted":
        return undefined;
      case "done":
      case "error":
        if (dump === undefined) return undefined;
        if (message.errno === 0) return message.type === "done" ? this.#endDump(dump) : undefined;
        this.#dump = undefined;
        return { type: "failed", errno: message.errno };
      default:
        return message satisfies never;
    }
  }

  /** Every interface, lowest index first. One that has not changed is the same object as before. */
  interfaces(): TrackedInterface[] {
    return [...this.#interfaces.values()].map((entry) => this.#tracked(entry)).sort((a, b) => a.index - b.index);
  }

  #tracked(entry: InterfaceEntry): TrackedInterface {
    const { networkInterface, generation, ipv6Generation } = entry;
    const addresses = () => [...(this.#addresses.get(networkInterface.index)?.values() ?? [])].map(({ address }) => address);
    entry.tracked ??= {
      ...networkInterface,
      generation,
      ipv6Generation,
      addresses: addresses().sort((a, b) => a.address.compare(b.address)),
    };
    return entry.tracked;
  }

  #request(what: Dump["what"], complete: boolean): Uint8Array {
    this.#dump = { what, sequence: ++this.#sequence, complete };
    return encodeDump({ type: what }, this.#sequence);
  }

  #endDump({ what, sequence, complete }: Dump): InterfaceTableEffect {
    this.#dump = undefined;
    if (what === "interfaces") {
      if (complete) for (const [index, { mentioned }] of this.#interfaces) if (mentioned < sequence) this.#deleteInterface(index);
      return { type: "send", request: this.#request("addresses", complete) };
    }
    if (complete)
      for (const { address, mentioned } of [...this.#addresses.values()].flatMap((each) => [...each.values()]))
        if (mentioned < sequence) this.#deleteAddress(address);
    return { type: "loaded", complete };
  }

  #setInterface(networkInterface: NetworkInterface): void {
    const known = this.#interfaces.get(networkInterface.index);
    if (known !== undefined && isSameInterface(known.networkInterface, networkInterface)) {
      known.mentioned = this.#sequence;
      return;
    }
    const generation = known?.generation ?? ++this.#generation;
    const ipv6Generation = known?.ipv6Generation ?? 0;
    const entry = { networkInterface, generation, ipv6Generation, mentioned: this.#sequence, tracked: undefined };
    this.#interfaces.set(networkInterface.index, entry);
    this.#changes++;
  }

  #deleteInterface(index: number): void {
    if (!this.#interfaces.delete(index)) return;
    this.#addresses.delete(index);
    this.#changes++;
  }

  #setAddress(address: InterfaceAddress): void {
    const { interfaceIndex } = address;
    const ofInterface = this.#addresses.get(interfaceIndex) ?? new Map<string, AddressEntry>();
    this.#addresses.set(interfaceIndex, ofInterface);
    const key = addressKey(address);
    if (ofInterface.get(key)?.address.flags !== address.flags) this.#addressesChanged(interfaceIndex);
    ofInterface.set(key, { address, mentioned: this.#sequence });
  }

  #deleteAddress(address: InterfaceAddress): void {
    const { interfaceIndex } = address;
    const ofInterface = this.#addresses.get(interfaceIndex);
    if (!ofInterface?.delete(addressKey(address))) return;
    this.#addressesChanged(interfaceIndex);
    if (ofInterface.size === 0) this.#addresses.delete(interfaceIndex);
    const entry = this.#interfaces.get(interfaceIndex);
    const isIpv6 = ({ address: { family } }: InterfaceAddress) => family === "IPv6";
    if (entry !== undefined && isIpv6(address) && !ofInterface.values().some((one) => isIpv6(one.address)))
      entry.ipv6Generation++;
  }

  #addressesChanged(index: number): void {
    this.#changes++;
    const entry = this.#interfaces.get(index);
    if (entry !== undefined) entry.tracked = undefined;
  }
}

function addressKey({ address, prefixLength }: InterfaceAddress): string {
  return `${address}/${prefixLength}`;
}

function isSameInterface(a: NetworkInterface, b: NetworkInterface): boolean {
  return (Object.keys(a) as (keyof NetworkInterface)[]).every((key) => a[key] === b[key]);
}
