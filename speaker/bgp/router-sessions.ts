import { RecentMap } from "#pkg/collections";
import type { SessionSettings } from "#pkg/config";
import { type Address, isLinkLocal } from "#pkg/net";

export type SessionEnds = Pick<SessionSettings, "address" | "interface" | "port" | "sourceAddress">;

/** Routers that advertise themselves in turn can have no more remembered. */
const maxEnds = 1_000;

/** Sessions as routers see them: several entries of the configuration may mean one router, to which their sessions are those of one neighbor. */
export class RouterSessions {
  readonly #sourceTo: (ends: SessionEnds) => Address | undefined;
  readonly #closing = new Map<Promise<void>, readonly [peer: object, router: Address | undefined]>(); // the end of a session -> whose it was
  readonly #ends = new RecentMap<string, true>(maxEnds); // The ends of all former sessions.

  /** @param sourceTo the address that a connection would come from; undefined where there is no way to the router */
  constructor(sourceTo: (ends: SessionEnds) => Address | undefined) {
    this.#sourceTo = sourceTo;
  }

  sourceOf(ends: SessionEnds): Address | undefined {
    return ends.sourceAddress ?? this.#sourceTo(ends);
  }

  established(ends: SessionEnds | undefined, source: Address | undefined): void {
    if (ends !== undefined && source !== undefined) this.#ends.set(textOf(ends, source), true);
  }

  /** Whether the router has had a session with this process, by any entry. */
  isKnown(ends: SessionEnds | undefined): boolean {
    if (ends === undefined) return false;
    const source = this.sourceOf(ends);
    return source !== undefined && this.#ends.has(textOf(ends, source));
  }

  /** A session is over, but `closed` tells when its router has closed it too. */
  close(closed: Promise<void>, peer: object, router: Address | undefined): void {
    const closing = closed.then(() => void this.#closing.delete(closing));
    this.#closing.set(closing, [peer, router]);
  }

  /**
   * Sessions of other peers with a router that it has not closed yet. A session with the same router waits for them: a connection that comes with the
   * Cease is a restart to BIRD. With its own former connections a session does the same (see `ClosingConnections`).
   */
  closingOfOthers(peer: object, router: Address | undefined): Promise<void>[] {
    return [...this.#closing].flatMap(([closing, [its, to]]) => {
      return its !== peer && router !== undefined && to?.equals(router) ? [closing] : [];
    });
  }

  /** Resolves when all are closed that there are now. */
  async allClosed(): Promise<void> {
    await Promise.all(this.#closing.keys());
  }
}

function textOf({ address, interface: device, port }: SessionEnds, source: Address): string {
  return `${source} ${address} ${isLinkLocal(address) ? device : ""} ${port}`;
}
