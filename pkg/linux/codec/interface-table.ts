import type { InterfaceAddress, NetlinkMessage, NetworkInterface } from "./netlink.ts";
import { encodeDump } from "./netlink-requests.ts";

/** An interface with its addresses. `generation` differs when the index was given to another interface meanwhile. */
export interface TrackedInterface extends NetworkInterface {
  readonly generation: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** Work for the driver. */
export type InterfaceTableEffect =
  | { readonly type: "send"; readonly request: Uint8Array }
  /** The dump has ended. `complete` is false when something changed meanwhile, so that it may have missed a part. */
  | { readonly type: "loaded"; readonly complete: boolean }
  /** The dump was refused; `errno` says why. */
  | { readonly type: "failed"; readonly errno: number };

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
  // `mentioned` is the latest request at the time of the last message about the entry.
  readonly #interfaces = new Map<number, { networkInterface: NetworkInterface; generation: number; mentioned: number }>(); // index -> networkInterface
  readonly #addresses = new Map<string, { address: InterfaceAddress; mentioned: number }>(); // index, address, length -> address
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
        if (this.#addresses.delete(addressKey(message.address))) this.#changes++;
        return undefined;
      case "routeSet":
      case "routeDeleted":
        return undefined;
      case "done":
        return dump && this.#endDump(dump);
      case "error":
        if (dump === undefined || message.errno === 0) return undefined;
        this.#dump = undefined;
        return { type: "failed", errno: message.errno };
      default:
        return message satisfies never;
    }
  }

  /** Every interface, lowest index first. */
  interfaces(): TrackedInterface[] {
    const addresses = Map.groupBy(this.#addresses.values(), ({ address }) => address.interfaceIndex);
    return [...this.#interfaces.values()]
      .map(({ networkInterface, generation }) => {
        const own = addresses.get(networkInterface.index)?.map(({ address }) => address) ?? [];
        return { ...networkInterface, generation, addresses: own.sort((a, b) => a.address.compare(b.address)) };
      })
      .sort((a, b) => a.index - b.index);
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
      for (const [key, { mentioned }] of this.#addresses)
        if (mentioned < sequence && this.#addresses.delete(key)) this.#changes++;
    return { type: "loaded", complete };
  }

  #setInterface(networkInterface: NetworkInterface): void {
    const known = this.#interfaces.get(networkInterface.index);
    const generation = known?.generation ?? ++this.#generation;
    this.#interfaces.set(networkInterface.index, { networkInterface, generation, mentioned: this.#sequence });
    if (known === undefined || !isSameInterface(known.networkInterface, networkInterface)) this.#changes++;
  }

  #deleteInterface(index: number): void {
    if (!this.#interfaces.delete(index)) return;
    for (const [key, { address }] of this.#addresses) if (address.interfaceIndex === index) this.#addresses.delete(key);
    this.#changes++;
  }

  #setAddress(address: InterfaceAddress): void {
    const key = addressKey(address);
    if (this.#addresses.get(key)?.address.flags !== address.flags) this.#changes++;
    this.#addresses.set(key, { address, mentioned: this.#sequence });
  }
}

function addressKey({ interfaceIndex, address, prefixLength }: InterfaceAddress): string {
  return `${interfaceIndex} ${address}/${prefixLength}`;
}

function isSameInterface(a: NetworkInterface, b: NetworkInterface): boolean {
  return (Object.keys(a) as (keyof NetworkInterface)[]).every((key) => a[key] === b[key]);
}
