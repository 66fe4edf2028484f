import { checkedAnswer } from "./answers.ts";

/** How the process in a Pod ended before it was started again. */
export interface Ending {
  /** Such as `it needed more memory than its limit of 100Mi (OOMKilled)`. */
  readonly how: string;
  /** ISO 8601; empty where the Pod does not say when. */
  readonly at: string;
  /** How often it has been started again. */
  readonly restarts: number;
  /** `memory`: it was killed for it; `fault`: it failed; `stop`: the process was stopped, or its node was. */
  readonly cause: "memory" | "fault" | "stop";
}

/** One controller or speaker: a Pod. */
export interface Target {
  readonly program: "controller" | "speaker";
  readonly pod: string;
  /** The node that it runs on; empty while it is on none. */
  readonly node: string;
  /** Why there is nobody to be asked, as the Pod's status says. */
  readonly notRunning: string | undefined;
  /** How the process before it in this Pod ended, where there was one. */
  readonly ending?: Ending | undefined;
}

/** The processes of one cluster, asked through the API server. */
export interface Processes extends AsyncDisposable {
  readonly targets: readonly Target[];
  /** It is the speaker on this machine alone, which knows of no other process. */
  readonly isNodeLocal?: boolean;
  /** @returns the body of a GET: under `/v1` parsed, else its text @throws {Error} that says why there is no body */
  get(target: Target, path: string): Promise<unknown>;
}

export interface ClusterOptions {
  /** The speaker on this machine alone is asked, without the API. */
  readonly isNodeLocal?: boolean;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Namespace of controller and speakers. */
  readonly systemNamespace: string;
  /** Takes what a credential plugin says to the person; standard error when unset. */
  readonly show?: ((text: string) => void) | undefined;
}

export interface Answer<T> {
  readonly target: Target;
  readonly body: T;
}

export interface Unreachable {
  readonly target: Target;
  readonly why: string;
}

export interface Answers<T> {
  readonly answers: readonly Answer<T>[];
  readonly unreachable: readonly Unreachable[];
}

// Each is a connection to the API server; kubectl opens as many at a time as people have patience for.
const atOnce = 16;
// A process that is silent for longer may hang: the next one is asked meanwhile.
const turnMs = 250;

/** Asks those of one program, or all, some at a time. A process that does not answer delays no other, and what is no answer counts as none. */
export function askAll<T>(processes: Processes, path: string, program?: Target["program"]): Promise<Answers<T>> {
  return askAny(processes, path, program, checkedAnswer) as Promise<Answers<T>>;
}

/** The same for any answers, of programs of any version. */
export async function askAny(
  processes: Processes,
  path: string,
  program?: Target["program"],
  check: typeof checkedAnswer = (_program, _path, body) => body,
): Promise<Answers<unknown>> {
  const waiting = processes.targets.filter((target) => program === undefined || target.program === program);
  const answers: Answer<unknown>[] = [];
  const unreachable: Unreachable[] = [];
  const ask = async (target: Target): Promise<void> => {
    try {
      if (target.notRunning !== undefined) throw new Error(target.notRunning);
      answers.push({ target, body: check(target.program, path, await processes.get(target, path)) });
    } catch (error) {
      unreachable.push({ target, why: (error as Error).message });
    }
  };
  const asking: Promise<void>[] = [];
  const work = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const asked = ask(target);
      asking.push(asked);
      await isSlow(asked, turnMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  await Promise.all(asking);
  const order = new Map(processes.targets.map((target, place) => [target, place]));
  const byPlace = (one: { target: Target }, other: { target: Target }) =>
    (order.get(one.target) ?? 0) - (order.get(other.target) ?? 0);
  return { answers: answers.sort(byPlace), unreachable: unreachable.sort(byPlace) };
}

/** Whether it takes longer than this. */
export async function isSlow(asking: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, true);
  const result = await Promise.race([asking.then(() => false), promise]);
  clearTimeout(timer);
  return result;
}

/** No process could announce anything. */
export function isWithoutSpeakers({ targets, isNodeLocal = false }: Pick<Processes, "targets" | "isNodeLocal">): boolean {
  return !isNodeLocal && !targets.some(({ program, notRunning }) => program === "speaker" && notRunning === undefined);
}

/** The same processes, cut down to these, over the same connections. */
export function only(processes: Processes, isWanted: (target: Target) => boolean): Processes {
  return {
    targets: processes.targets.filter(isWanted),
    get: processes.get.bind(processes),
    async [Symbol.asyncDispose]() {},
  };
}

/** Each process once, with the first reason that it gave. */
export function eachOnce(unreachable: readonly Unreachable[]): readonly Unreachable[] {
  return [...new Map([...unreachable].reverse().map((one) => [one.target, one])).values()].reverse();
}

/** The addition to a statement that something does not exist: silent processes may know of it. */
export function asFarAsKnown(unreachable: readonly Unreachable[]): string {
  return unreachable.length === 0 ? "" : ", as far as there are answers";
}

/** Whether the process answers, but has a version that does not know the question. */
export function isOtherVersion(why: string): boolean {
  return why.startsWith("it has no ");
}
