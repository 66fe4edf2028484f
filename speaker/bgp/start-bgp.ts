import { Bfd } from "#pkg/bfd";
import { wallClock } from "#pkg/clock";
import { BgpSpeaker } from "./bgp-speaker.ts";
import { SecretValues, type SecretValuesOptions } from "./secret-values.ts";
import { BgpSessions, type BgpSessionsOptions } from "./sessions.ts";

/** What speaks with this node's routers. Disposing of it ends all sessions. */
export interface RunningBgp extends AsyncDisposable {
  readonly bgp: BgpSpeaker;
  readonly bfd: Bfd;
}

/** Listens where peers may connect. No session begins before there are routes to tell of. */
export async function startBgp(options: BgpSessionsOptions & Omit<SecretValuesOptions, "changed">): Promise<RunningBgp> {
  await using stack = new AsyncDisposableStack();
  const { cluster, namespace, clock, log } = options;
  const sessions = stack.use(new BgpSessions(options));
  await sessions.start();
  const secrets = stack.use(new SecretValues({ cluster, namespace, log, changed: () => bgp.secretsChanged() }));
  const bfd = stack.use(new Bfd({ log, date: wallClock }));
  const bgp = stack.use(new BgpSpeaker({ newSession: (session) => sessions.open(session), secrets, bfd, clock, log }));
  const running = stack.move();
  return { bgp, bfd, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
