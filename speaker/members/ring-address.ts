import type { Clock, Millis } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import type { MemberlistThread } from "#pkg/memberlist";
import { isLinkLocal, parseAddress } from "#pkg/net";

// Addresses are taken away and given back when a lease is renewed or a network is set up again.
const moveMs: Millis = 500;
// An address that has been on the interface for longer than that when the ring's address goes does not replace it, but may be an address
// that wanders between nodes. The ring takes it only if the interface has no other address for that long.
const youngMs: Millis = 10_000;

/** Moves the ring to another address of this node when the node loses the ring's address. */
export class RingAddress implements Disposable {
  readonly #memberlist: Pick<MemberlistThread, "address" | "move">;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #moved: () => void;
  #home: string | undefined; // The interface that has, or had, the ring's address.
  #atHome: ReadonlyMap<string, Millis> = new Map(); // address with its length, on that interface -> since when
  #moving: Disposable | undefined;

  constructor(
    options: { readonly memberlist: Pick<MemberlistThread, "address" | "move">; readonly clock: Clock; readonly log: Log },
    moved: () => void,
  ) {
    this.#memberlist = options.memberlist;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#moved = moved;
  }

  /** To be called with each change of this node's interfaces. */
  follow(interfaces: readonly InterfaceState[]): void {
    const now = this.#clock.now();
    const home = interfaces.find((one) => hasAddress(one, this.#memberlist.address));
    this.#home = home?.name ?? this.#home;
    const there = home ?? interfaces.find(({ name }) => name === this.#home);
    this.#atHome = new Map(there?.addresses.map((one) => [one, this.#atHome.get(one) ?? now]));
    if (home !== undefined) this[Symbol.dispose]();
    else if (this.#home !== undefined) this.#moving ??= this.#moveAt(now);
  }

  [Symbol.dispose](): void {
    this.#moving?.[Symbol.dispose]();
    this.#moving = undefined;
  }

  /** Looks again until there is an address. */
  #moveAt(lostAt: Millis): Disposable {
    return this.#clock.schedule("memberlist move", this.#clock.now() + moveMs, () => {
      this.#moving = this.#hasMoved(lostAt) ? undefined : this.#moveAt(lostAt);
    });
  }

  #hasMoved(lostAt: Millis): boolean {
    const before = this.#memberlist.address;
    const there = [...this.#atHome];
    const young = there.filter(([, since]) => lostAt - since < youngMs);
    const isLong = this.#clock.now() - lostAt >= youngMs;
    const address = successorOf(before, young) ?? (isLong ? successorOf(before, there) : undefined);
    if (address === undefined) return false;
    const fields = { op: "memberlist", before, address };
    this.#log.warn("this node's address has changed, and so does its address in the speakers' ring", fields);
    this.#memberlist.move(address);
    this.#moved();
    return true;
  }
}

function hasAddress({ addresses }: InterfaceState, address: string): boolean {
  return addresses.some((one) => one.slice(0, one.indexOf("/")) === address);
}

/** The first address on an interface that can take the place of another: of its family, and in a subnet with other hosts. */
function successorOf(address: string, there: readonly (readonly [string, Millis])[]): string | undefined {
  const family = parseAddress(address)?.family;
  for (const [text] of there) {
    const [one = "", length] = text.split("/");
    const parsed = parseAddress(one);
    if (parsed !== undefined && parsed.family === family && Number(length) < parsed.bits && !isLinkLocal(parsed)) return one;
  }
  return undefined;
}
