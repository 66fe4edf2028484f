import type { Millis } from "#pkg/clock";
import { SystemCallError, type TrackedInterface } from "#pkg/linux";
import { type Mac, parseMac } from "#pkg/net";
import { eligibility, type IneligibleReason } from "./eligibility.ts";
import { interfaceState } from "./interface-state.ts";
import type { InterfaceState, InterfaceStatus, WriteLog } from "./messages.ts";
import { FrameMemory, Port } from "./port.ts";
import type { Shared } from "./shared.ts";

const retryAfter: Millis = 1000;
const protocols = ["ARP", "NDP"] as const; // A port answers both.

interface Entry {
  readonly link: TrackedInterface;
  readonly port?: Port;
  /** Why an eligible link has no port. */
  readonly error?: SystemCallError;
}

/** The interfaces of the namespace, with a port on each that is eligible. One that fails is tried again and leaves the others alone. */
export class Interfaces implements Disposable {
  readonly #shared: Shared;
  readonly #log: WriteLog;
  readonly #memory = new FrameMemory();
  readonly #entries = new Map<number, Entry>(); // interface index -> entry
  #macs: ReadonlySet<Mac> = new Set();
  #retryAt: Millis = Infinity;

  constructor(shared: Shared, log: WriteLog) {
    this.#shared = shared;
    this.#log = log;
  }

  /** When `retry` has something to do. */
  get nextAt(): Millis {
    return this.#retryAt;
  }

  /** The MAC addresses of all interfaces, also of those that do not answer: what has one of them as its sender is from this node. */
  get macs(): ReadonlySet<Mac> {
    return this.#macs;
  }

  ports(): Port[] {
    return [...this.#entries.values()].flatMap(({ port }) => port ?? []);
  }

  report(): InterfaceState[] {
    return [...this.#entries.values()]
      .sort((a, b) => a.link.index - b.link.index)
      .map(({ link, port, error }) => interfaceState(link, status(link, port), error));
  }

  /** Makes the ports those of `links`. @returns the ports on which every address must be announced anew */
  update(links: readonly TrackedInterface[], now: Millis): Port[] {
    const current = new Map(links.map((link) => [link.index, link]));
    this.#macs = new Set(links.flatMap(({ hardwareAddress }) => parseMac(hardwareAddress) ?? []));
    for (const [index, { link: before, port }] of this.#entries) {
      const link = current.get(index);
      const reason = link === undefined || link.generation !== before.generation ? "gone" : eligibility(link);
      if (reason === "eligible") continue;
      if (port !== undefined) this.#close(port, reason);
      this.#entries.delete(index);
    }
    const anew: Port[] = [];
    for (const link of links) {
      const { port, error } = this.#entries.get(link.index) ?? {};
      if (port !== undefined) {
        if (port.update(link)) anew.push(port);
        this.#entries.set(link.index, { link, port });
      } else if (eligibility(link) === "eligible") anew.push(...this.#open(link, error, now));
      else this.#entries.set(link.index, { link });
    }
    return anew;
  }

  /** Opens what failed, when it is time. @returns like `update` */
  retry(now: Millis): Port[] {
    if (now < this.#retryAt) return [];
    this.#retryAt = Infinity;
    return [...this.#entries.values()].flatMap(({ link, error }) => (error === undefined ? [] : this.#open(link, error, now)));
  }

  /** Gives up a port that is of no more use, until the next try. */
  fail(port: Port, error: SystemCallError, now: Millis): void {
    this.#close(port, "failed");
    this.#setFailed(port.link, error, undefined, now);
  }

  [Symbol.dispose](): void {
    for (const port of this.ports()) port[Symbol.dispose]();
    this.#entries.clear();
  }

  #open(link: TrackedInterface, before: SystemCallError | undefined, now: Millis): Port[] {
    try {
      const port = new Port(link, this.#shared, this.#memory);
      for (const protocol of protocols)
        this.#log("info", `created ${protocol} responder for interface`, {
          event: `create${protocol}Responder`,
          interface: link.name,
        });
      this.#entries.set(link.index, { link, port });
      return [port];
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#setFailed(link, error, before, now);
      return [];
    }
  }

  /** Written once for as long as the error stays the same. */
  #setFailed(link: TrackedInterface, error: SystemCallError, before: SystemCallError | undefined, now: Millis): void {
    if (error.message !== before?.message) {
      const fields = { op: "createResponder", interface: link.name, error: error.message };
      this.#log("error", "requests on interface cannot be answered, trying again", fields);
    }
    this.#entries.set(link.index, { link, error });
    this.#retryAt = Math.min(this.#retryAt, now + retryAfter);
  }

  #close(port: Port, reason: IneligibleReason | "gone" | "failed"): void {
    for (const protocol of protocols) {
      const fields = { event: `delete${protocol}Responder`, interface: port.link.name, reason };
      this.#log("info", `deleted ${protocol} responder for interface`, fields);
    }
    port[Symbol.dispose]();
  }
}

function status(link: TrackedInterface, port: Port | undefined): InterfaceStatus {
  if (port !== undefined) return "answering";
  const verdict = eligibility(link);
  return verdict === "eligible" ? "failing" : verdict;
}
