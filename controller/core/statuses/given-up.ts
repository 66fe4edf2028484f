import type { Allocator } from "#pkg/allocator";
import { parseAddress } from "#pkg/net";
import type { Agenda } from "../agenda.ts";

// A tenant may have thousands wait for one whose status the API refuses, and each looks at all before it.
const maxChain = 100;

/**
 * Addresses that a Service has given up while its status still has them. Speakers go by the status: another one that had such an address
 * in its status, too, would be answered for on the same address until the first is written.
 */
export class GivenUp {
  private readonly allocator: Pick<Allocator, "held" | "holders">;
  private readonly agenda: Pick<Agenda, "changed">;
  private readonly addresses = new Map<string, readonly string[]>(); // Service -> what it has given up
  private readonly services = new Map<string, Set<string>>(); // address -> Services that have given it up
  private readonly waiting = new Map<string, readonly string[]>(); // Service -> those whose status it waits for

  /** @param agenda gets Services of which what they waited for may be free */
  constructor(allocator: Pick<Allocator, "held" | "holders">, agenda: Pick<Agenda, "changed">) {
    this.allocator = allocator;
    this.agenda = agenda;
  }

  /** @param addresses that may be in its status now */
  look(key: string, addresses: readonly string[]): void {
    const held = (this.allocator.held(key)?.addresses ?? []).map(String);
    this.#set(
      key,
      addresses.filter((text) => !held.includes(text)),
    );
  }

  /** @returns another Service whose status still has the address */
  by(address: string, but: string): string | undefined {
    for (const service of this.services.get(address) ?? []) if (service !== but) return service;
    return undefined;
  }

  /**
   * Lets a Service wait until the status of each of the others is another one; of none, it does not wait any more.
   * @returns whether they wait, through others maybe, for its own, or wait in a chain that is too long to tell
   */
  wait(key: string, others: readonly string[]): boolean {
    if (others.length > 0) this.waiting.set(key, others);
    else this.waiting.delete(key);
    const seen = new Set(others); // It grows while it is gone through.
    for (const other of seen) {
      if (seen.has(key) || seen.size > maxChain) return true;
      for (const next of this.waiting.get(other) ?? []) seen.add(next);
    }
    return false;
  }

  #set(key: string, addresses: readonly string[]): void {
    const before = this.addresses.get(key) ?? [];
    if (before.length === 0 && addresses.length === 0) return;
    for (const address of before) {
      const services = this.services.get(address);
      if (services?.delete(key) && services.size === 0) this.services.delete(address);
    }
    for (const address of addresses) {
      const services = this.services.get(address);
      if (services === undefined) this.services.set(address, new Set([key]));
      else services.add(key);
    }
    if (addresses.length > 0) this.addresses.set(key, addresses);
    else this.addresses.delete(key);
    for (const text of before) {
      const address = addresses.includes(text) ? undefined : parseAddress(text);
      for (const other of address === undefined ? [] : this.allocator.holders(address))
        if (this.waiting.get(other)?.includes(key)) this.agenda.changed(other);
    }
  }
}
