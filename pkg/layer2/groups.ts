import { MulticastMemberships, SystemCallError } from "#pkg/linux";
import { solicitedNodeGroup } from "./ndp-codec.ts";

interface Group {
  readonly addresses: Set<bigint>;
  joined: boolean;
}

/** The groups in which an interface hears questions about some addresses. A group is left with the last address that needs it. */
export class Groups implements Disposable {
  readonly #memberships: MulticastMemberships;
  readonly #groups = new Map<bigint, Group>(); // group -> who needs it
  #error: SystemCallError | undefined;

  constructor(interfaceIndex: number) {
    this.#memberships = new MulticastMemberships(interfaceIndex);
  }

  /** Joins the group of `address` if that has not been done; one that could not be joined is tried again. */
  add(address: bigint): void {
    const key = solicitedNodeGroup(address);
    const group = this.#groups.get(key) ?? { addresses: new Set(), joined: false };
    this.#groups.set(key, group);
    group.addresses.add(address);
    if (!group.joined) this.#join(key, group);
  }

  remove(address: bigint): void {
    const key = solicitedNodeGroup(address);
    const group = this.#groups.get(key);
    if (group === undefined || !group.addresses.delete(address) || group.addresses.size > 0) return;
    this.#groups.delete(key);
    this.#memberships.leave(key);
  }

  /** The kernel may have forgotten the memberships: each is joined anew when one of its addresses is next added. */
  doubt(): void {
    for (const group of this.#groups.values()) group.joined = false;
  }

  /** Tries again to join what could not be joined. @returns why it still cannot, if so */
  retry(): SystemCallError | undefined {
    this.#error = undefined;
    for (const [key, group] of this.#groups) if (!group.joined) this.#join(key, group);
    return this.#error;
  }

  [Symbol.dispose](): void {
    this.#memberships[Symbol.dispose]();
  }

  #join(key: bigint, group: Group): void {
    try {
      this.#memberships.join(key);
      group.joined = true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#error = error;
    }
  }
}
