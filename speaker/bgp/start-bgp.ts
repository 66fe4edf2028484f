import { uptime } from "node:os";
import { Bfd } from "#pkg/bfd";
import { BgpListener, PeerSession, type PeerSessionOptions, sourceTo, tcpTransport } from "#pkg/bgp";
import { Alarm, type Millis, Portions, wallClock } from "#pkg/clock";
import { isCentral } from "#pkg/gossip";
import { SecretValues, type SecretValuesOptions } from "#pkg/k8s";
import { RouterDiscovery, type RouterDiscoveryOptions } from "#pkg/router-discovery";
import { BgpSpeaker, type NewSession } from "./bgp-speaker.ts";
import type { BgpSession } from "./peer.ts";

// Each is a thousand routes of a peer or a batch of messages to it, and takes 2 ms at most.
const portionsPerTurn = 4;
const listenAgainMs: Millis = 5_000;

/** The part that speaks with this node's routers. Disposing of it ends all sessions. */
export interface RunningBgp extends AsyncDisposable {
  readonly bgp: BgpSpeaker;
  readonly bfd: Bfd;
}

/** Listens where peers may connect. No session starts before there are routes. */
export async function startBgp(
  options: Omit<BgpSessionsOptions, "portions"> &
    Omit<SecretValuesOptions, "use" | "changed"> &
    Pick<RouterDiscoveryOptions, "interfaces">,
): Promise<RunningBgp> {
  await using stack = new AsyncDisposableStack();
  const { cluster, namespace, interfaces, clock, random, log } = options;
  const portions = stack.use(new Portions(clock, portionsPerTurn));
  const sessions = stack.use(new BgpSessions({ ...options, portions }));
  await sessions.start();
  const secrets = stack.use(
    new SecretValues({ cluster, namespace, use: "bgp-password", log, changed: () => bgp.secretsChanged() }),
  );
  const bfd = stack.use(new Bfd({ log, date: wallClock }));
  const newSession = (session: NewSession) => sessions.open(session);
  const discovery = stack.use(
    new RouterDiscovery({
      interfaces,
      isEstablished: (name) => bgp.hasSessionOn(name),
      onChange: () => bgp.routersChanged(),
      clock,
      random,
      log,
    }),
  );
  const bgp: BgpSpeaker = stack.use(new BgpSpeaker({ newSession, secrets, bfd, discovery, sourceTo, portions, clock, log }));
  const running = stack.move();
  return { bgp, bfd, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

export interface BgpSessionsOptions extends Pick<PeerSessionOptions, "node" | "portions" | "clock" | "random" | "log"> {
  /** Where peers may connect; 0 for nowhere. */
  readonly port: number;
}

/**
 * Whether forwarding went on for all the time for which a router keeps routes of a session that was lost. The kernel forwards, also without
 * this process; only a boot interrupts that. Other nodes forward what a central speaker announces.
 */
export function keptForwarding(node: string, uptimeSeconds: number, gracefulRestartSeconds: number): boolean {
  return isCentral(node) || uptimeSeconds > gracefulRestartSeconds;
}

/** Sessions over TCP, of which each may also be begun by its peer where there is a port for that. */
export class BgpSessions implements Disposable {
  readonly #options: BgpSessionsOptions;
  readonly #listener: BgpListener | undefined;
  readonly #again: Alarm;
  #isRefused = false;

  constructor(options: BgpSessionsOptions) {
    const { port, clock, log } = options;
    this.#options = options;
    this.#listener = port === 0 ? undefined : new BgpListener({ port, clock, log });
    this.#again = new Alarm(clock, "BGP port", () => void this.start());
  }

  /**
   * Where the port cannot be had, sessions are those that this side begins: another daemon on the node is no reason to announce nothing. It is
   * tried again, because that may be a speaker that is about to end.
   */
  async start(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      await this.#listener?.start();
      if (this.#isRefused) log.info("BGP peers can connect to this node", { op: "bgpListen" });
    } catch (error) {
      if (!this.#isRefused) log.error("BGP peers cannot connect to this node, retrying", { op: "bgpListen", error });
      this.#isRefused = true;
      this.#again.set(clock.now() + listenAgainMs);
    }
  }

  open({ key, restarting, ...session }: NewSession): BgpSession {
    const { node, portions, clock, random, log } = this.#options;
    return new PeerSession({
      ...session,
      node,
      restarting,
      portions,
      clock,
      random,
      transport: tcpTransport,
      listener: this.#listener,
      forwardingPreserved: keptForwarding(node, uptime(), session.settings.gracefulRestartSeconds),
      log: log.with({ peer: key }),
    });
  }

  [Symbol.dispose](): void {
    this.#again[Symbol.dispose]();
    this.#listener?.[Symbol.dispose]();
  }
}
