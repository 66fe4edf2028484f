import type { Family } from "#pkg/net";
import { MessageReader } from "../../codec/message-reader.ts";
import type { RouteRefresh } from "../../codec/messages.ts";
import { type ReadAttributes, type ReadUpdate, readMessage } from "../../codec/testing/update-reader.ts";
import type { Negotiated } from "../../session/state.ts";
import type { RoutesOut } from "../routes-out.ts";

/** The other end of a session: keeps received routes as a router does, marks of RFC 7313 and End-of-RIB included. */
export class Listener {
  readonly table = new Map<string, ReadAttributes>(); // prefix, with the path identifier where there is one -> the last attributes
  /** One line for each message. */
  readonly received: string[] = [];
  readonly #negotiated: Negotiated;
  readonly #stale = new Set<string>();

  constructor(negotiated: Negotiated) {
    this.#negotiated = negotiated;
  }

  /** Takes up to `max` messages. @returns whether there may be more */
  pull(routes: RoutesOut, max = Number.POSITIVE_INFINITY): boolean {
    for (let pulled = 0; pulled < max; pulled++) {
      const message = routes.next();
      if (message === undefined && routes.pending > 0) continue; // Routes have been looked at, and none of them was to be sent.
      if (message === undefined) return false;
      this.#receive(message);
    }
    return true;
  }

  #receive(octets: Uint8Array): void {
    const { extendedMessage } = this.#negotiated;
    const reader = new MessageReader();
    reader.push(octets);
    const frame = reader.next(extendedMessage);
    if (frame === undefined || reader.next(extendedMessage) !== undefined) throw new Error("Not one whole message");
    const message = readMessage(frame, { ...this.#negotiated, internal: false, pathsReceived: this.#negotiated.addPath });
    if (message.type === "routeRefresh") this.#refresh(message);
    else if (message.type === "update") this.#update(message);
    else throw new Error(`A ${message.type} is no route`);
  }

  #update(update: ReadUpdate): void {
    const { attributes, endOfRib, forgiven } = update;
    if (forgiven.length > 0) throw new Error(forgiven.join("; "));
    const withdrawn = keys(update.withdrawn, update.withdrawnPaths);
    const announced = keys(update.announced, update.announcedPaths);
    for (const key of withdrawn) if (!this.table.delete(key)) this.received.push(`unknown ${key}`);
    for (const key of announced) {
      if (attributes !== undefined) this.table.set(key, attributes);
      this.#stale.delete(key);
    }
    if (withdrawn.length > 0) this.received.push(`withdraw ${withdrawn.join(" ")}`);
    if (announced.length > 0) this.received.push(`announce ${announced.join(" ")}`);
    if (endOfRib !== undefined) this.received.push(`end of ${family(endOfRib.afi)}`);
  }

  #refresh({ afi, subtype }: RouteRefresh): void {
    this.received.push(`refresh ${subtype} ${family(afi)}`);
    const those = [...this.table.keys()].filter((prefix) => prefix.includes(":") === (afi === 2));
    if (subtype === "beginning") for (const prefix of those) this.#stale.add(prefix);
    if (subtype === "end") for (const prefix of this.#stale) this.table.delete(prefix);
    if (subtype === "end") this.#stale.clear();
  }
}

/** Prefixes; with path identifiers `10.0.0.0/8#1`. */
function keys(prefixes: ReadUpdate["announced"], paths: readonly number[]): string[] {
  return prefixes.map((prefix, index) => (paths.length === 0 ? `${prefix}` : `${prefix}#${paths[index]}`));
}

function family(afi: number): Family {
  return afi === 1 ? "IPv4" : "IPv6";
}
