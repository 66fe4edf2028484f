import { get } from "node:http";
import type { Clock, Millis } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import { isLinkLocal, parseAddress, urlHost } from "#pkg/net";
import { ownErrors } from "./connection-tester.ts";

export interface HealthClientOptions {
  /** Addresses of this node, as texts. */
  readonly ownAddresses: () => readonly string[];
  readonly clock: Clock;
}

/** The HTTP status; undefined without an answer; `untried` where this process lacks something to ask. */
export type HealthStatus = number | "untried" | undefined;

const loopback = "127.0.0.1";
const answerMs: Millis = 900;
const searchEveryMs: Millis = 10_000;
const maxAddresses = 16;

/**
 * Asks ports of this node for `/healthz`. kube-proxy may listen on some addresses of the node only (`nodePortAddresses`, which in mode nftables is
 * the node's own address unless it is set, and `healthzBindAddress`): where one answers is looked for now and then, and remembered.
 */
export class HealthClient {
  readonly #options: HealthClientOptions;
  readonly #hosts = new Map<string, string>(); // kind of port -> the address where one of these answered
  readonly #searches = new Map<string, Promise<void>>(); // kind of port -> the search that runs
  readonly #searchAt = new Map<string, Millis>(); // kind of port -> when the next may begin

  constructor(options: HealthClientOptions) {
    this.#options = options;
  }

  /** @param kind of port: all of a kind are at the same addresses; undefined: at the loopback address or nowhere */
  async ask(port: number, kind: string | undefined): Promise<HealthStatus> {
    const before = this.#hostOf(kind);
    const status = await ask(before, port);
    if (status !== undefined || kind === undefined) return status;
    await this.#search(port, kind);
    const host = this.#hostOf(kind);
    return host === before ? undefined : ask(host, port);
  }

  /** An address that this node has no more may be another node's by now. */
  #hostOf(kind: string | undefined): string {
    const host = kind === undefined ? undefined : this.#hosts.get(kind);
    return host !== undefined && this.#options.ownAddresses().includes(host) ? host : loopback;
  }

  #search(port: number, kind: string): Promise<void> {
    const running = this.#searches.get(kind);
    if (running !== undefined) return running;
    const { clock, ownAddresses } = this.#options;
    if (clock.now() < (this.#searchAt.get(kind) ?? -Infinity)) return Promise.resolve();
    this.#searchAt.set(kind, clock.now() + searchEveryMs);
    const hosts = [loopback, ...ownAddresses().slice(0, maxAddresses)];
    const asked = hosts.map(async (host) => (typeof (await ask(host, port)) === "number" ? [host] : []));
    const search = Promise.all(asked).then((found) => {
      const [host] = found.flat();
      if (host !== undefined) this.#hosts.set(kind, host);
      this.#searches.delete(kind);
    });
    this.#searches.set(kind, search);
    return search;
  }
}

/** Addresses of the node on these interfaces, of both families, as texts; without those that need a zone. */
export function addressesOn(interfaces: readonly Pick<InterfaceState, "addresses" | "leadsToPod">[]): readonly string[] {
  return interfaces.flatMap(({ addresses, leadsToPod }) =>
    leadsToPod
      ? []
      : addresses.flatMap((text) => {
          const address = parseAddress(text.replace(/\/.*$/, ""));
          return address === undefined || isLinkLocal(address) ? [] : `${address}`;
        }),
  );
}

function ask(host: string, port: number): Promise<HealthStatus> {
  const url = `http://${urlHost(host)}:${port}/healthz`;
  return new Promise((resolve) => {
    const request = get(url, { agent: false, signal: AbortSignal.timeout(answerMs) }, (response) => {
      resolve(response.statusCode);
      response.destroy(); // It may be endless.
    });
    request.once("error", ({ code }: NodeJS.ErrnoException) => resolve(ownErrors.has(code) ? "untried" : undefined));
  });
}
