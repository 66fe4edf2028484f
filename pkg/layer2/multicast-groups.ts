import { MulticastMemberships, SystemCallError } from "#pkg/linux";
import { solicitedNodeGroup } from "./frames/ndp.ts";

interface Group {
  readonly addresses: Set<bigint>;
  state: "joined" | "failed" | "unknown";
}

/** The solicited-node groups that an interface joins for addresses. A group is left with the last address that needs it. */
export class MulticastGroups implements Disposable {
  readonly #memberships: MulticastMemberships;
  readonly #groups = new Map<bigint, Group>(); // group -> the addresses that need it
  #error: SystemCallError | undefined;
  #reported: string | undefined;

  constructor(interfaceIndex: number) {
    this.#memberships = new MulticastMemberships(interfaceIndex);
  }

  /** Joins the group of `address` unless that is done. */
  add(address: bigint): void {
    const key = solicitedNodeGroup(address);
    const group = this.#groups.get(key) ?? { addresses: new Set(), state: "unknown" };
    this.#groups.set(key, group);
    group.addresses.add(address);
    if (group.state !== "joined") this.#join(key, group);
  }

  remove(address: bigint): void {
    const key = solicitedNodeGroup(address);
    const group = this.#groups.get(key);
    if (group === undefined || !group.addresses.delete(address) || group.addresses.size > 0) return;
    this.#groups.delete(key);
    this.#memberships.leave(key);
  }

  /** The kernel may have dropped the memberships: each group is joined again when one of its addresses is next added. */
  forget(): void {
    for (const group of this.#groups.values()) group.state = "unknown";
  }

  /** Tries again to join groups. @returns why one cannot be joined, once for as long as the reason stays the same */
  retry(): SystemCallError | undefined {
    for (const [key, group] of this.#groups) if (group.state === "failed" && !this.#join(key, group)) break; // The rest would fail, too.
    const error = this.#error;
    this.#error = undefined;
    if (error?.message === this.#reported) return undefined;
    this.#reported = error?.message;
    return error;
  }

  [Symbol.dispose](): void {
    this.#memberships[Symbol.dispose]();
  }

  #join(key: bigint, group: Group): boolean {
    try {
      this.#memberships.join(key);
      group.state = "joined";
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      group.state = "failed";
      this.#error = error;
      return false;
    }
  }
}
