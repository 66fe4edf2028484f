import type { ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { type Config, hasOwners, isBuggyAddress, type Pool, parseConfig } from "#pkg/config";
import { parseAddress } from "#pkg/net";
import { namespace } from "../api/objects.ts";

// The longest that a controller or speaker that sees the API may act on a text of before, or on none.
const unseenMs: Millis = 20_000;

/** Whether the ConfigMap's texts ask that some node answers for an address: a pool may be announced by routes alone, or name nodes or interfaces that are absent. */
export class Configured {
  readonly #until = new Map<string, Millis>(); // text -> until when it may be in force
  #inPlace: string | undefined;

  /** For the API's changes, in their order. */
  changed({ plural, key, type, object }: ObjectChange, now: Millis): void {
    if (plural !== "configmaps" || key !== `${namespace}/config` || type === "DELETED") return;
    const text = (object.data as Readonly<Record<string, string>> | undefined)?.config;
    if (text === undefined || text === this.#inPlace || !isRead(text)) return;
    if (this.#inPlace !== undefined) this.#until.set(this.#inPlace, now + unseenMs);
    this.#inPlace = text;
    this.#until.set(text, Infinity);
  }

  /** Whether nobody has to answer for it, by some text that may be in force. */
  mayBeNobodys(address: string, now: Millis): boolean {
    for (const [text, until] of this.#until)
      if (until < now) this.#until.delete(text);
      else if (isNobodys(text, address)) return true;
    return false;
  }
}

/** Whether it is in the subnet of the nodes' NICs. */
export function isOnLan(address: string): boolean {
  return address.startsWith("192.0.2.") || address.startsWith("2001:db8::");
}

const read = new Map<string, Config | undefined>(); // The texts of histories are few.

export function configOf(text: string): Config | undefined {
  if (!read.has(text)) read.set(text, parseConfig(text).config);
  return read.get(text);
}

const found = new WeakMap<readonly Pool[], Map<string, Pool | undefined>>(); // pools -> address -> that of them which has it

/** The one of these pools that has an address, and lets a Service keep it. */
export function poolWith(pools: readonly Pool[], address: string): Pool | undefined {
  const known = found.get(pools) ?? new Map<string, Pool | undefined>();
  found.set(pools, known);
  const parsed = known.has(address) ? undefined : parseAddress(address);
  if (parsed !== undefined)
    known.set(
      address,
      pools.find(
        ({ ranges, avoidBuggyIPs }) =>
          ranges.some((range) => range.contains(parsed)) && !(avoidBuggyIPs && isBuggyAddress(parsed)),
      ),
    );
  return known.get(address);
}

function isRead(text: string): boolean {
  return (configOf(text)?.pools.length ?? 0) > 0;
}

function isNobodys(text: string, address: string): boolean {
  const pool = poolWith(configOf(text)?.pools ?? [], address);
  if (pool === undefined) return false;
  const { nodeSelectors, interfaces, kernel, layer2Advertisements: entries } = pool;
  const isForSome = entries.length > 0 && entries.every(({ services }) => services.namespaceSelectors.length > 0);
  const isRouted = !hasOwners(pool) || (kernel?.placement === "auto" && !isOnLan(address));
  return isRouted || isForSome || nodeSelectors.length > 0 || interfaces.length > 0;
}
