import { connect } from "node:net";

export interface Exchange {
  /** Sent as soon as connected. */
  readonly request: string;
  /** Looks at the end of what has been received: whether the answer is complete, or what else is to be sent. */
  readonly next: (received: Buffer) => "complete" | "incomplete" | { readonly send: string };
}

const timeoutMs = 5_000;

/** Talks to a daemon over its Unix socket. @throws {Error} when it refuses, hangs up before it is done, or takes 5 s */
export async function exchange(path: string, { request, next }: Exchange): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let received = Buffer.alloc(0);
  const chunks: Buffer[] = [];
  const socket = connect({ path });
  const fail = (why: string): void => reject(new Error(`Cannot ask ${JSON.stringify(request)} at ${path}: ${why}`));
  socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
  socket.on("error", ({ message }) => fail(message));
  socket.on("close", () => fail("the connection was closed"));
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    received = Buffer.concat([received.subarray(-tailBytes), chunk]);
    const what = next(received);
    if (what === "complete") resolve(Buffer.concat(chunks));
    else if (what !== "incomplete") socket.write(what.send);
  });
  socket.write(request);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

const tailBytes = 256; // Enough for the end of an answer in every protocol here; whole answers may have megabytes.
