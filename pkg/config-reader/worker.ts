/** Reads one configuration, and sends it in pieces, each when it is asked for. */
import { parentPort, workerData } from "node:worker_threads";
import { takeApart } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";

// The main thread puts a piece of this length together in 1 to 2 ms.
const pieceLength = 2_000;

const port = parentPort;
if (port === null) throw new Error("Cannot read a configuration: this is the main thread");
const pieces = takeApart(parseConfiguration(workerData as string), pieceLength);
const send = (): void => port.postMessage(pieces.next().value);
port.on("message", send);
send();
