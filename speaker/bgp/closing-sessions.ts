import type { Address } from "#pkg/net";

/**
 * Sessions of all peers that are over, until their routers have closed them too. A session that another peer has with the same router waits for
 * that: a connection that comes with the Cease is a restart to BIRD. With its own former connections a session does the same (see `ClosingConnections`).
 */
export class ClosingSessions {
  readonly #all = new Map<Promise<void>, readonly [peer: object, router: Address | undefined]>(); // the end of a session -> whose it was

  add(closed: Promise<void>, peer: object, router: Address | undefined): void {
    const closing = closed.then(() => void this.#all.delete(closing));
    this.#all.set(closing, [peer, router]);
  }

  ofOthers(peer: object, router: Address | undefined): Promise<void>[] {
    return [...this.#all].flatMap(([closing, [its, to]]) => {
      return its !== peer && router !== undefined && to?.equals(router) ? [closing] : [];
    });
  }

  /** Resolves when all are closed that there are now. */
  async all(): Promise<void> {
    await Promise.all(this.#all.keys());
  }
}
