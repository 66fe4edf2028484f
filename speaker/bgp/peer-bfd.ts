import type { Bfd, BfdStatus, BfdWatch } from "#pkg/bfd";
import type { BfdProfile, Peer } from "#pkg/config";
import { bfdEnds, nodeSubnets } from "./bfd-ends.ts";

/** The path to one peer, watched where the configuration says how. */
export class PeerBfd implements Disposable {
  readonly #bfd: Pick<Bfd, "watch">;
  readonly #onChange: (status: BfdStatus) => void;
  #ends = "";
  #watch: BfdWatch | undefined;

  constructor(bfd: Pick<Bfd, "watch">, onChange: (status: BfdStatus) => void) {
    this.#bfd = bfd;
    this.#onChange = onChange;
  }

  /** Undefined where the path is not watched. */
  get status(): BfdStatus | undefined {
    return this.#watch?.status;
  }

  /** Goes on with other settings in the same session, unless it is between other ends. */
  configure(peer: Peer, profile: BfdProfile | undefined): void {
    if (profile === undefined) {
      this[Symbol.dispose]();
      return;
    }
    const ends = bfdEnds(peer, nodeSubnets());
    const text = JSON.stringify(ends);
    if (this.#watch === undefined || text !== this.#ends) {
      this[Symbol.dispose]();
      this.#ends = text;
      this.#watch = this.#bfd.watch(ends, profile, this.#onChange);
    } else this.#watch.configure(profile);
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }
}
