import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { parseAddress } from "#pkg/net";
import type { ConnectionResult, ConnectionTest, SpeakerEffect, SpeakerEvent, SpeakerView } from "./core/index.ts";

export interface ConnectionTesterOptions {
  readonly view: Pick<SpeakerView, "nextConnectionTest">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
  /** The API's Service, as each container is told. */
  readonly api: { readonly host: string; readonly port: number } | undefined;
  /** Tests have their own. */
  readonly tryToConnect?: typeof tryConnection;
}

const everyMs: Millis = 1_000;
// The connections of the turn before are tried still.
const againMs: Millis = 50;
// A SYN is answered by kernels, within some milliseconds; a second one would leave after 1 s.
export const connectMs: Millis = 600;
// By then most have been answered.
const soonMs: Millis = 250;
// After so much more this process stood still, and an answer may wait in the socket.
const lateMs: Millis = 300;
/** Beyond one each second; with more none follows at once. A Service that hangs takes four, and a failure soon after it is to be found as soon. */
const maxAhead = 6;
/** More are not in the core's sample. */
const maxSlow = 100;
// While there are some beyond, turns come later by a quarter, which makes up for a quarter of one.
const paid = 0.25;

/**
 * Tries connections to Services by the node's own kernel, some at once before the speaker begins and then one each second in the long run. It tells the
 * core how they ended.
 */
export class ConnectionTester implements Disposable {
  readonly #options: ConnectionTesterOptions;
  readonly #alarm: Alarm;
  #isDisposed = false;
  #isTrying = false;
  #ahead = 0;
  /** Addresses whose last answer came late: their silence says nothing sooner. */
  readonly #slow = new Set<string>();

  constructor(options: ConnectionTesterOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "connection tests", () => this.#turn());
  }

  start(): void {
    this.#alarm.set(this.#options.clock.now());
  }

  /** Tries all of them at once, and tells the core as soon as it can begin. Answers that come later are told one by one. */
  async tryFirst({ tests, areAll }: Extract<SpeakerEffect, { readonly type: "tryFirst" }>): Promise<void> {
    const { emit } = this.#options;
    const tried: { readonly test: ConnectionTest; readonly result: ConnectionResult }[] = [];
    const unanswered = new Set(tests.map(({ family }) => family));
    let isTold = false;
    const tell = () => {
      if (!isTold && !this.#isDisposed) emit({ type: "triedFirst", tried, areAll });
      isTold = true;
    };
    const attempts = tests.map(async (test) => {
      const result = test.to === undefined || test.to === "api" ? "untried" : await this.#connect(test.to.address, test.to.port);
      if (isTold) {
        if (result === "answered" && !this.#isDisposed) emit({ type: "connected", test, result });
        return;
      }
      tried.push({ test, result });
      if (result === "answered") unanswered.delete(test.family);
      if (unanswered.size === 0) tell();
    });
    await Promise.all(attempts);
    tell();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
  }

  #turn(): void {
    const { clock } = this.#options;
    if (this.#isTrying) {
      this.#alarm.set(clock.now() + againMs);
      return;
    }
    this.#alarm.set(clock.now() + everyMs * (this.#ahead > 0 ? 1 + paid : 1));
    this.#ahead = Math.max(0, this.#ahead - paid);
    void this.#tryInTurn();
  }

  /** On a connection without an answer one that may decide follows at once; on others now and then one to a Service that is not known. */
  async #tryInTurn(): Promise<void> {
    this.#isTrying = true;
    const { view, clock } = this.#options;
    let test = view.nextConnectionTest(clock.now(), true);
    while (test !== undefined) {
      const { beside = [], isFresh } = test;
      this.#ahead += beside.length;
      const others = Promise.all(beside.map((one) => this.#try(one)));
      const isSilent = (await this.#try(test, others)) === "silent";
      const next = this.#isDisposed ? undefined : view.nextConnectionTest(clock.now(), false);
      const decides = isSilent && next?.isSuspect === true;
      const isDue = decides ? this.#ahead < maxAhead : next?.isFresh === true && !isFresh && this.#ahead <= 0;
      if (isDue) this.#ahead++;
      test = isDue ? next : undefined;
    }
    this.#isTrying = false;
  }

  /**
   * Silence that cannot decide is told soon, and taken back where the answer comes later: the next attempt, which may decide, does not wait for it.
   * @param beside attempts that end at the same time, and are told of before this one
   */
  async #try(test: ConnectionTest, beside?: Promise<unknown>): Promise<ConnectionResult> {
    const { api, clock } = this.#options;
    const ofService = typeof test.to === "object" ? { host: test.to.address, port: test.to.port } : undefined;
    const to = test.to === "api" ? api : ofService;
    const family = (to && parseAddress(to.host)?.family) ?? test.family;
    const tell = (result: ConnectionResult) => {
      const { beside: _, ...alone } = test;
      if (!this.#isDisposed) this.#options.emit({ type: "connected", test: { ...alone, family }, result });
      return result;
    };
    if (to === undefined) return tell("untried");
    const outcome = this.#connect(to.host, to.port);
    if (test.isSuspect || this.#slow.has(to.host)) {
      await beside;
      return tell(await outcome);
    }
    const waited = Promise.withResolvers<undefined>();
    using _ = clock.schedule("connection", clock.now() + soonMs, () => waited.resolve(undefined));
    const first = await Promise.race([outcome, waited.promise]);
    if (first !== undefined) return tell(first);
    void outcome.then((result) => result === "answered" && tell(result));
    return tell("silent");
  }

  async #connect(host: string, port: number): Promise<ConnectionResult> {
    const { clock, tryToConnect = tryConnection } = this.#options;
    const begun = clock.now();
    const result = await tryToConnect(host, port, clock);
    if (result === "answered" && clock.now() >= begun + soonMs && this.#slow.size < maxSlow) this.#slow.add(host);
    else if (result === "answered") this.#slow.delete(host);
    return result;
  }
}

/** Connects by the node's own kernel, and closes at once. */
async function tryConnection(host: string, port: number, clock: Clock): Promise<ConnectionResult> {
  const begun = clock.now();
  const socket = connect({ host, port });
  const outcome = new Promise<ConnectionResult>((resolve) => {
    socket.once("connect", () => resolve("answered"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(resultOf(code)));
  });
  const waited = new Promise<"waited">((resolve) => setTimeout(resolve, connectMs, "waited"));
  const first = await Promise.race([outcome, waited]);
  try {
    if (first !== "waited") return first;
    await setImmediate(); // Answers that came meanwhile are read now.
    const last = await Promise.race([outcome, setImmediate("silent" as const)]);
    return last === "silent" && clock.now() > begun + connectMs + lateMs ? "untried" : last;
  } finally {
    socket.destroy();
  }
}

// This process or its node lacks something, or forbids it: of the way to Pods that says nothing.
export const ownErrors: ReadonlySet<string | undefined> = new Set([
  "EACCES",
  "EADDRNOTAVAIL",
  "EAGAIN",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EPERM",
]);

/** The result of an attempt to connect that ended with an error. A backend that refuses has been reached. */
export function resultOf(code: string | undefined): ConnectionResult {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "answered";
  return ownErrors.has(code) ? "untried" : "silent";
}
