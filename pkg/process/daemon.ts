import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { type FlagSet, type FlagValues, parseFlags } from "#pkg/flags";
import { releaseProgramPages } from "#pkg/linux";
import { createLog, type Log, type LogLevel } from "#pkg/log";
import { keepSmallHeapsSmall } from "#pkg/threads";
import { machineProblem } from "./environment.ts";
import { inSource } from "./source-maps.ts";

export interface Running extends AsyncDisposable {
  /** The first step when the daemon is to stop, while everything else still runs. Ends by itself: no timeout ends it. */
  leave?(): Promise<void>;
  /** The last step, when everything was disposed: no timeout ends it either. */
  linger?(): Promise<void>;
}

export interface Daemon<S extends FlagSet> {
  /** The first lines of `--help`. */
  readonly usage: string;
  /** Has a flag `log-level`. */
  readonly flags: S;
  /** Starts everything; disposing what it returns finishes what is in flight. */
  readonly start: (values: FlagValues<S>, log: Log) => Promise<Running>;
  /** How long disposing may take before the process ends anyway. */
  readonly stopTimeoutMs: number;
  /** So long after the start, what only that needed of Node's program is given back, and `settled` is called; 15 s when unset. */
  readonly settledAfterMs?: number;
  /** It has done by then what it does only once. */
  readonly settled?: () => void;
}

const settledAfterMs = 15_000; // By then 10,000 Services have been read.
const sigtermBit = BigInt(constants.signals.SIGTERM - 1);

/**
 * Runs a daemon to its end: exit code 0 after SIGTERM or SIGINT, 1 when it cannot start or something unforeseen happens (a
 * restart is safe: all state is in the API), 2 for a command line that cannot be used. A second signal ends it at once.
 */
export async function runDaemon<S extends FlagSet>(daemon: Daemon<S>): Promise<never> {
  const parsed = parseFlags(daemon.usage, daemon.flags, process.argv.slice(2), process.env);
  if (parsed.type === "help") return print(process.stdout, parsed.text, 0);
  if (parsed.type === "error") return print(process.stderr, `${parsed.message}\n`, 2);
  const log = createLog(parsed.values["log-level"] as LogLevel);
  const crash = (error: unknown) => {
    const stack = error instanceof Error && error.stack !== undefined ? inSource(error.stack) : undefined;
    log.error("unexpected error, exiting", { op: "crash", error, stack });
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
  const problem = machineProblem();
  if (problem !== undefined) {
    log.error("cannot run on this machine", { op: "startup", problem });
    process.exit(1);
  }
  const stopping = firstSignal();
  let running: Running;
  try {
    running = await daemon.start(parsed.values, log);
  } catch (error) {
    log.error("cannot start", { op: "startup", error });
    process.exit(1);
  }
  const settle = () => {
    keepSmallHeapsSmall();
    void releaseProgramPages();
    daemon.settled?.();
  };
  setTimeout(settle, daemon.settledAfterMs ?? settledAfterMs).unref();
  log.info("stopping", { op: "shutdown", signal: await stopping });
  await running.leave?.();
  const timeout = setTimeout(() => {
    log.error("stopping took too long, exiting", { op: "shutdown" });
    process.exit(1);
  }, daemon.stopTimeoutMs);
  await running[Symbol.asyncDispose]();
  clearTimeout(timeout);
  await running.linger?.();
  log.info("stopped", { op: "shutdown" });
  process.exit(0);
}

function firstSignal(): Promise<NodeJS.Signals> {
  const isMissed = isSignalMissed(); // Before a listener hides it.
  return new Promise((resolve) => {
    let signals = 0;
    const receive = (signal: NodeJS.Signals) => {
      if (++signals > 1) process.exit(1);
      resolve(signal);
    };
    process.on("SIGTERM", receive);
    process.on("SIGINT", receive);
    if (isMissed) receive("SIGTERM");
  });
}

/**
 * Whether SIGTERM came while this program was loaded. Node handles it once from its first milliseconds on, and raises it again, which ends
 * every process but the first one of a container.
 */
function isSignalMissed(): boolean {
  const handled = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return process.pid === 1 && handled !== undefined && ((BigInt(`0x${handled}`) >> sigtermBit) & 1n) === 0n;
}

function print(stream: NodeJS.WriteStream, text: string, code: number): Promise<never> {
  return new Promise(() => stream.write(text, () => process.exit(code)));
}
