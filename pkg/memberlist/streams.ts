import type { Duplex } from "node:stream";
import type { Clock, Millis } from "#pkg/clock";
import { MemberlistError } from "./codec/memberlist-error.ts";
import type { StreamMessage } from "./codec/messages.ts";
import { StreamDecoder, type StreamResult } from "./codec/stream.ts";
import type { Wire } from "./codec/wire.ts";
import type { SocketAddress } from "./transport.ts";

/** For a whole request, and again for its reply to be taken. */
const timeout: Millis = 10_000;
// A frame is authentic only once it is complete, so anybody can make us keep that much: not on every connection at once.
const maxReceived = 64 * 1024 * 1024;

export interface IncomingStreamsOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  /** Encodes what is sent back. */
  readonly encode: (message: StreamMessage) => Uint8Array;
  /** To be answered by `reply` or `close` with the same number. */
  readonly onRequest: (stream: number, from: SocketAddress, message: StreamMessage) => void;
  readonly onProblem: (from: SocketAddress, error: MemberlistError) => void;
}

interface Incoming {
  readonly stream: Duplex;
  readonly from: SocketAddress;
  readonly decoder: StreamDecoder;
  received: number; // Octets.
  timer: Disposable;
}

/** Streams that others opened: each brings one request and takes one reply, within 10 s each. */
export class IncomingStreams {
  readonly #options: IncomingStreamsOptions;
  readonly #open = new Map<number, Incoming>(); // number -> stream
  #last = 0;
  #received = 0; // Octets, on all that are open.

  constructor(options: IncomingStreamsOptions) {
    this.#options = options;
  }

  accept(stream: Duplex, from: SocketAddress): void {
    const number = ++this.#last;
    const decoder = new StreamDecoder(this.#options.wire, "dialler");
    const incoming: Incoming = { stream, from, decoder, received: 0, timer: this.#deadline(stream) };
    this.#open.set(number, incoming);
    stream.on("data", (piece: Buffer) => this.#take(number, incoming, piece));
    stream.on("end", () => {
      if (incoming.received === 0)
        stream.destroy(); // A health check, maybe.
      else this.#settle(number, incoming, decoder.end());
    });
    stream.on("error", () => {}); // It closes.
    stream.on("close", () => this.#forget(number, incoming));
  }

  /** Sends a reply and closes. Nothing happens if the stream is gone by now. */
  reply(number: number, message: StreamMessage): void {
    const incoming = this.#open.get(number);
    if (incoming === undefined) return;
    incoming.timer[Symbol.dispose]();
    incoming.timer = this.#deadline(incoming.stream);
    // Only this half, and what still arrives is read and dropped: to close with input unread would tear the reply away.
    incoming.stream.end(this.#options.encode(message));
  }

  close(number: number): void {
    this.#open.get(number)?.stream.destroy();
  }

  #take(number: number, incoming: Incoming, piece: Buffer): void {
    incoming.received += piece.length;
    this.#received += piece.length;
    if (this.#received > maxReceived) {
      const text = `Cannot read a stream: all of them together hold ${this.#received} bytes`;
      this.#settle(number, incoming, { type: "error", error: new MemberlistError("tooLarge", text), answer: false });
    } else this.#settle(number, incoming, incoming.decoder.push(piece));
  }

  #settle(number: number, { stream, from }: Incoming, result: StreamResult | undefined): void {
    if (result === undefined) return;
    if (result.type === "message") {
      for (const problem of result.problems) this.#options.onProblem(from, problem);
      this.#options.onRequest(number, from, result.message);
      return;
    }
    this.#options.onProblem(from, result.error);
    if (result.answer) this.reply(number, { type: "error", message: result.error.reason });
    else stream.destroy();
  }

  #forget(number: number, incoming: Incoming): void {
    incoming.timer[Symbol.dispose]();
    this.#received -= incoming.received;
    this.#open.delete(number);
  }

  #deadline(stream: Duplex): Disposable {
    const { clock } = this.#options;
    return clock.schedule("incoming stream", clock.now() + timeout, () => stream.destroy());
  }
}

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
