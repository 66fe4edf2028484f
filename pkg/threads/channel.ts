import { parentPort, receiveMessageOnPort } from "node:worker_threads";

/** How a thread that never enters its event loop talks with the main thread. */
export interface Channel<Command, Report> {
  /** The next command, if one waits. */
  receive(): Command | undefined;
  post(report: Report): void;
}

/** That of the thread that calls. @throws {Error} in the main thread */
export function mainThreadChannel<Command, Report>(): Channel<Command, Report> {
  const port = parentPort;
  if (port === null) throw new Error("Cannot talk with the main thread: not in a worker thread");
  return {
    receive: () => receiveMessageOnPort(port)?.message as Command | undefined,
    post: (report) => port.postMessage(report),
  };
}
