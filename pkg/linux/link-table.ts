import { encodeDumpRequest, type InterfaceAddress, type Link, type NetlinkMessage } from "./netlink.ts";

/** A link with its addresses. `generation` differs when the index was given to another link meanwhile. */
export interface TableLink extends Link {
  readonly generation: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** What the owner of the table must do. */
export type LinkTableEffect =
  | { readonly type: "send"; readonly request: Uint8Array }
  /** The dump has ended. `complete` is false when something changed meanwhile, so that it may have missed a part. */
  | { readonly type: "loaded"; readonly complete: boolean }
  /** The dump was refused; `errno` says why. */
  | { readonly type: "failed"; readonly errno: number };

interface Dump {
  readonly what: "links" | "addresses";
  readonly sequence: number;
  readonly complete: boolean;
}

/**
 * The links and addresses of the namespace, kept by the kernel's messages: a dump tells all of them, notifications tell the changes.
 * Both come on one socket, in the kernel's order, so a later message is always the truer one. What a complete dump does not mention is
 * removed. Pure: the owner sends, receives and keeps the time.
 */
export class LinkTable {
  // `mentioned` is the latest request at the time of the last message about the entry.
  readonly #links = new Map<number, { link: Link; generation: number; mentioned: number }>(); // index -> link
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
    return this.#ask("links", true);
  }

  /** Takes in one message. */
  apply(message: NetlinkMessage): LinkTableEffect | undefined {
    if (this.#dump?.sequence === message.sequence && message.interrupted) this.#dump = { ...this.#dump, complete: false };
    const dump = this.#dump?.sequence === message.sequence ? this.#dump : undefined;
    switch (message.type) {
      case "linkSet":
        this.#setLink(message.link);
        return undefined;
      case "linkDeleted":
        this.#deleteLink(message.link.index);
        return undefined;
      case "addressSet":
        this.#setAddress(message.address);
        return undefined;
      case "addressDeleted":
        if (this.#addresses.delete(addressKey(message.address))) this.#changes++;
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

  /** Every link, lowest index first. */
  links(): TableLink[] {
    const addresses = Map.groupBy(this.#addresses.values(), ({ address }) => address.interfaceIndex);
    return [...this.#links.values()]
      .map(({ link, generation }) => {
        const own = addresses.get(link.index)?.map(({ address }) => address) ?? [];
        return { ...link, generation, addresses: own.sort((a, b) => a.address.compare(b.address)) };
      })
      .sort((a, b) => a.index - b.index);
  }

  #ask(what: Dump["what"], complete: boolean): Uint8Array {
    this.#dump = { what, sequence: ++this.#sequence, complete };
    return encodeDumpRequest(what, this.#sequence);
  }

  #endDump({ what, sequence, complete }: Dump): LinkTableEffect {
    this.#dump = undefined;
    if (what === "links") {
      if (complete) for (const [index, { mentioned }] of this.#links) if (mentioned < sequence) this.#deleteLink(index);
      return { type: "send", request: this.#ask("addresses", complete) };
    }
    if (complete)
      for (const [key, { mentioned }] of this.#addresses)
        if (mentioned < sequence && this.#addresses.delete(key)) this.#changes++;
    return { type: "loaded", complete };
  }

  #setLink(link: Link): void {
    const known = this.#links.get(link.index);
    const generation = known?.generation ?? ++this.#generation;
    this.#links.set(link.index, { link, generation, mentioned: this.#sequence });
    if (known === undefined || !sameLink(known.link, link)) this.#changes++;
  }

  #deleteLink(index: number): void {
    if (!this.#links.delete(index)) return;
    for (const [key, { address }] of this.#addresses) if (address.interfaceIndex === index) this.#addresses.delete(key);
    this.#changes++;
  }

  #setAddress(address: InterfaceAddress): void {
    const key = addressKey(address);
    if (!this.#addresses.has(key)) this.#changes++;
    this.#addresses.set(key, { address, mentioned: this.#sequence });
  }
}

function addressKey({ interfaceIndex, address, prefixLength }: InterfaceAddress): string {
  return `${interfaceIndex} ${address}/${prefixLength}`;
}

function sameLink(a: Link, b: Link): boolean {
  return (Object.keys(a) as (keyof Link)[]).every((key) => a[key] === b[key]);
}
