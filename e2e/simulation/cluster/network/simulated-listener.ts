import type { Incoming } from "#pkg/bgp/testing";
import type { SessionSettings } from "#pkg/config";

interface Expected {
  readonly peer: SessionSettings;
  readonly accept: (incoming: Incoming) => void;
}

/** In place of a speaker's `BgpListener`: gives each session the connections of its router, and closes others. */
export class SimulatedListener {
  readonly #onAccepted: (peer: SessionSettings) => void;
  readonly #expected = new Map<string, Expected>(); // the router's address -> who waits for it

  constructor(onAccepted: (peer: SessionSettings) => void) {
    this.#onAccepted = onAccepted;
  }

  listens(): boolean {
    return true;
  }

  /** @throws {Error} when another peer has the same address, as the real one does */
  expect(peer: SessionSettings, accept: Expected["accept"], former?: Disposable): Disposable {
    former?.[Symbol.dispose]();
    const key = `${peer.address}`;
    if (this.#expected.has(key)) throw new Error(`Cannot take the connections of ${key} for two peers`);
    const expected = { peer, accept };
    this.#expected.set(key, expected);
    return {
      [Symbol.dispose]: () => {
        if (this.#expected.get(key) === expected) this.#expected.delete(key);
      },
    };
  }

  /** A router has connected. */
  accept(router: string, incoming: Incoming): void {
    const expected = this.#expected.get(router);
    if (expected === undefined) {
      incoming.open({ connected() {}, received() {}, closed() {} }).destroy();
      return;
    }
    this.#onAccepted(expected.peer);
    expected.accept(incoming);
  }
}
