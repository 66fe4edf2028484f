const nothing = (): void => {};

/** Runs pieces of work one after another, in the order in which they were given. */
export class SerialQueue {
  #last: Promise<void> = Promise.resolve();

  /** @returns what the work gives or throws, which is nobody's but the caller's: it may have megabytes, so that none of it is kept here */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.then(nothing, nothing);
    return done;
  }
}
