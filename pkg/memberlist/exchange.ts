import type { Duplex } from "node:stream";
import type { Clock, Millis } from "#pkg/clock";
import type { StreamDecoder, StreamResult } from "./stream-codec.ts";

/**
 * Sends a request on a stream that was just dialled and takes the one reply. The stream is destroyed in the end.
 * @throws {MemberlistError} when the reply cannot be understood, {Error} when there is none by `deadline`
 */
export async function exchange(
  stream: Duplex,
  request: Uint8Array,
  decoder: StreamDecoder,
  { clock, deadline }: { readonly clock: Clock; readonly deadline: Millis },
): Promise<Extract<StreamResult, { type: "message" }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<StreamResult, { type: "message" }>>();
  const settle = (result: StreamResult | undefined): void => {
    if (result?.type === "message") resolve(result);
    else if (result?.type === "error") reject(result.error);
  };
  let received = 0;
  stream.on("data", (piece: Buffer) => {
    received += piece.length;
    settle(decoder.push(piece));
  });
  stream.on("end", () => {
    if (received === 0) reject(new Error("it closed the connection without an answer"));
    else settle(decoder.end());
  });
  stream.on("error", reject);
  stream.on("close", () => reject(new Error("the connection was closed")));
  using _timer = clock.schedule("exchange", deadline, () => reject(new Error("it did not answer in time")));
  stream.write(request); // Node keeps it until the connection is there.
  try {
    return await promise;
  } finally {
    stream.destroy();
  }
}
