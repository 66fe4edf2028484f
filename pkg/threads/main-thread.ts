import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SystemClock } from "#pkg/clock";
import { EventFd } from "#pkg/linux";
import { Hurry } from "./hurry.ts";

/** Arguments that a `WorkerThread` gives to the thread that it starts. */
export interface ThreadStart<Start> {
  /** Becomes 1 when the thread shall end. */
  readonly stop: SharedArrayBuffer;
  /** The descriptor of an `EventFd` that is signalled for commands and for the stop. */
  readonly wake: number;
  readonly start: Start;
}

/** The main thread, as a thread sees it that never enters its event loop. */
export interface MainThread<Start, Command, Message> {
  readonly start: Start;
  /** Becomes readable when there are commands, or when it is time to end. */
  readonly wakeFd: number;
  /** To be called when `wakeFd` is readable, before `receive`. */
  clearWake(): void;
  /** Makes `wakeFd` readable again: commands were left for later. */
  wakeAgain(): void;
  hasStopped(): boolean;
  /** The next command, if one waits. */
  receive(): Command | undefined;
  post(message: Message): void;
  /** Has the main thread act on the message before all that is not real-time; it calls `calmDownSoon` then. */
  postUrgently(message: Message): void;
}

/** @throws {Error} in the main thread */
export function mainThread<Start, Command, Message>(): MainThread<Start, Command, Message> {
  const port = parentPort;
  if (port === null) throw new Error("Cannot talk with the main thread: not in a worker thread");
  const { stop, wake, start } = workerData as ThreadStart<Start>;
  const stopped = new Int32Array(stop);
  const event = new EventFd(wake);
  const hurry = new Hurry(new SystemClock());
  return {
    start,
    wakeFd: wake,
    clearWake: () => event.clear(),
    wakeAgain: () => event.signal(),
    hasStopped: () => Atomics.load(stopped, 0) !== 0,
    receive: () => receiveMessageOnPort(port)?.message as Command | undefined,
    post: (message) => port.postMessage(message),
    postUrgently: (message) => {
      port.postMessage(message);
      hurry.begin();
    },
  };
}
