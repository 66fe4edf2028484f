import type { Log } from "#pkg/log";
import type { Controller } from "./controller.ts";

/**
 * One controller for each term of this process as the leader. It follows the API from the start, so that it knows all when its term
 * begins. When the term ends another one takes its place, which knows nothing of what was decided in it: the next leader decides on
 * its own, and what this process has not written does not count. So it is when the API was restored from a backup, too.
 */
export class Terms implements AsyncDisposable {
  readonly #create: (restored: () => void) => Controller;
  readonly #log: Log;
  #controller: Controller;
  #isLeading = false;
  #disposed = false;
  #ending: Promise<void> | undefined;

  /** @param create gets what the controller is to call when the API was restored from a backup */
  constructor(create: (restored: () => void) => Controller, log: Log) {
    this.#create = create;
    this.#log = log;
    this.#controller = create(this.#restored);
  }

  /** The one at work, or the next one. */
  get controller(): Controller {
    return this.#controller;
  }

  start(): void {
    this.#controller.start();
  }

  lead(): void {
    this.#isLeading = true;
    if (this.#ending === undefined) this.#controller.lead();
  }

  lost(): void {
    this.#isLeading = false;
    this.#ending ??= this.#end();
  }

  /** Also the configuration is another one, maybe: it has to be seen before anything is decided. */
  readonly #restored = (): void => {
    this.#log.warn("the API was restored from a backup: everything is read again", { event: "apiRestored" });
    this.#ending ??= this.#end();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#ending;
    await this.#controller[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
    if (this.#disposed) return;
    if (!this.#isLeading) this.#log.info("standing by", { event: "standingBy" });
    this.#controller = this.#create(this.#restored);
    this.#controller.start();
    this.#ending = undefined;
    if (this.#isLeading) this.#controller.lead();
  }
}
