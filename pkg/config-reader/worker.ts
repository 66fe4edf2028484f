/** Reads one configuration after another, and sends each in pieces, one whenever it is asked for. */
import { parentPort } from "node:worker_threads";
import { type Token, takeApart } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";

// The main thread puts a piece of this length together in 1 to 2 ms.
const pieceLength = 2_000;

const port = parentPort;
if (port === null) throw new Error("Cannot read a configuration: this is the main thread");
let pieces: Iterator<readonly Token[]> | undefined;
port.on("message", (message: { readonly text: string } | "next") => {
  if (message !== "next") pieces = takeApart(parseConfiguration(message.text), pieceLength);
  port.postMessage(pieces?.next().value);
});
