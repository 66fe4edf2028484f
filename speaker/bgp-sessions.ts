import { uptime } from "node:os";
import { BgpListener, PeerSession, type PeerSessionOptions, tcpTransport } from "#pkg/bgp";
import type { NewSession } from "./bgp.ts";
import type { BgpSession } from "./bgp-peer.ts";

export interface BgpSessionsOptions extends Pick<PeerSessionOptions, "node" | "clock" | "random" | "log"> {
  /** Where peers may connect; 0 for nowhere. */
  readonly port: number;
}

/** Sessions over TCP, of which each may also be begun by its peer where there is a port for that. */
export class BgpSessions implements Disposable {
  readonly #options: BgpSessionsOptions;
  readonly #listener: BgpListener | undefined;

  constructor(options: BgpSessionsOptions) {
    const { port, log } = options;
    this.#options = options;
    this.#listener = port === 0 ? undefined : new BgpListener({ port, log });
  }

  /** @throws {Error} when the port cannot be had */
  async start(): Promise<void> {
    await this.#listener?.start();
  }

  open({ key, settings, routes, restarting }: NewSession): BgpSession {
    const { node, clock, random, log } = this.#options;
    return new PeerSession({
      ...{ settings, routes, node, restarting, clock, random, transport: tcpTransport, listener: this.#listener },
      // The kernel forwards, whatever becomes of this process; only after a boot had it ceased to.
      forwardingPreserved: uptime() > settings.gracefulRestartSeconds,
      log: log.with({ peer: key }),
    });
  }

  [Symbol.dispose](): void {
    this.#listener?.[Symbol.dispose]();
  }
}
