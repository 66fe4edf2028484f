import { describeItem } from "./items.ts";
import type { KernelEntry, KernelState } from "./state.ts";

/** Wanted items that are missing, or that somebody else has put there: owner -> why. */
export function problemsOf({ owners, entries, interfaces, indexes }: KernelState): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const faulty = new Map<KernelEntry["item"], string>();
  for (const entry of entries.values()) {
    const why = whyNot(entry, indexes.has(entry.item.interface), interfaces.error);
    if (why !== undefined) faulty.set(entry.item, why);
  }
  if (faulty.size > 0)
    for (const [owner, items] of owners) {
      const [why] = items.flatMap((item) => faulty.get(item) ?? []);
      if (why !== undefined) found.set(owner, why);
    }
  return found;
}

function whyNot(
  { item, place, by, error }: KernelEntry,
  hasInterface: boolean,
  interfaceError: string | undefined,
): string | undefined {
  if (place === "held") return `interface ${by} has this address already, and it was not put there for a Service`;
  if (error !== undefined) return `the kernel refuses ${describeItem(item)}: ${error}`;
  if (place === "absent" && !hasInterface && interfaceError !== undefined)
    return `interface ${item.interface} cannot be made: ${interfaceError}`;
  return undefined;
}
