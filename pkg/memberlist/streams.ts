import type { Duplex } from "node:stream";
import type { Millis } from "#pkg/clock";
import type { KnownSources } from "#pkg/connections";
import { MemberlistError } from "./codec/memberlist-error.ts";
import type { StreamMessage } from "./codec/messages.ts";
import { encodeStream, StreamDecoder, type StreamResult } from "./codec/stream.ts";
import { type MemberParts, refuse } from "./member-parts.ts";
import { endpoint, type SocketAddress } from "./transport.ts";

/** For a whole request of a known source, and for a reply to be taken. */
const timeout: Millis = 10_000;
/** For a whole request of anybody else. */
const unknownTimeout: Millis = 1000;
// Everything a member wants over TCP is over within seconds, and every member dials one other every 10 s.
const maxServed = 128;
/** Limit for sources that are not known; the other places are a reserve for known sources. */
const maxUnknownServed = 64;
const maxServedOfSource = 8;
// Streams beyond are not read until their time is over: if they were closed at once, clients would open them again, which costs more.
const maxOpen = 1024;
// A frame is authentic only once it is complete, so anybody can make us keep that much: not on every connection at once.
const maxHeld = 64 * 1024 * 1024;

interface Incoming {
  readonly stream: Duplex;
  readonly from: SocketAddress;
  readonly isKnown: boolean;
  readonly decoder: StreamDecoder;
  /** Whether it is read. */
  isServed: boolean;
  hasData: boolean;
  /** There was a request that could be understood: with keys, it is authentic. */
  isComplete: boolean;
  held: number; // Bytes.
  timer: Disposable;
}

/**
 * Streams that others opened: each brings one request and takes one reply. A client may be an attacker until a request of it is complete.
 * Until then it has a second, few streams for each source, and no part in the reserve for known sources; the oldest such streams are no
 * longer read when new ones come. A request is an event for the ring, which answers by `reply` or `close` with its number.
 */
export class IncomingStreams {
  readonly #parts: MemberParts;
  readonly #known: Pick<KnownSources, "has">;
  readonly #open = new Map<number, Incoming>(); // number -> stream, the oldest first
  #last = 0;
  #held = 0; // Bytes, by all that are open.

  /** @param known members, and nodes that may become members: they have the reserve of streams, and more time */
  constructor(parts: MemberParts, known: Pick<KnownSources, "has">) {
    this.#parts = parts;
    this.#known = known;
  }

  accept(stream: Duplex, from: SocketAddress): void {
    const number = ++this.#last;
    const isKnown = this.#known.has(from.address);
    this.#makeRoom(from, isKnown);
    const incoming: Incoming = {
      stream,
      from,
      isKnown,
      decoder: new StreamDecoder(this.#parts.keyring),
      isServed: true,
      hasData: false,
      isComplete: false,
      held: 0,
      timer: this.#deadline(stream, isKnown ? timeout : unknownTimeout),
    };
    this.#open.set(number, incoming);
    stream.on("data", (piece: Buffer) => this.#take(number, incoming, piece));
    stream.on("end", () => {
      if (!incoming.hasData)
        stream.destroy(); // A health check, maybe.
      else this.#settle(number, incoming, incoming.decoder.end());
    });
    stream.on("error", () => {}); // It closes.
    stream.on("close", () => this.#forget(number, incoming));
  }

  /** Sends a reply and closes. Nothing happens if the stream is gone by now. */
  reply(number: number, message: StreamMessage): void {
    const incoming = this.#open.get(number);
    if (incoming === undefined) return;
    incoming.timer[Symbol.dispose]();
    incoming.timer = this.#deadline(incoming.stream, incoming.isComplete ? timeout : unknownTimeout);
    // Only this half, and what still arrives is read and dropped: to close with input unread would tear the reply away.
    const { keyring, nonces } = this.#parts;
    incoming.stream.end(encodeStream(message, keyring, nonces.next()));
  }

  close(number: number): void {
    this.#open.get(number)?.stream.destroy();
  }

  /** Takes the oldest stream without a request out of service where those for such a source have as many as they may. */
  #makeRoom({ address }: SocketAddress, isKnown: boolean): void {
    const served = [...this.#open.values()].filter(({ isComplete, isServed }) => isServed && !isComplete);
    const ofSource = served.filter(({ from }) => from.address === address);
    const unknown = served.filter((one) => !one.isKnown);
    if (ofSource.length >= maxServedOfSource) suspend(ofSource[0]);
    else if (!isKnown && unknown.length >= maxUnknownServed) suspend(unknown[0]);
    else if (served.length >= maxServed) suspend(unknown[0] ?? served[0]);
    if (this.#open.size < maxOpen) return;
    const open = [...this.#open];
    this.#evict(open.find(([, { isServed }]) => !isServed) ?? open.find(([, one]) => !one.isKnown) ?? open[0]);
  }

  #evict(entry: readonly [number, Incoming] | undefined): void {
    if (entry === undefined) return;
    const [number, incoming] = entry;
    this.#forget(number, incoming);
    incoming.stream.destroy();
    this.#parts.counters.streamsEvicted++;
    this.#parts.log.evicted(incoming.from.address);
  }

  #take(number: number, incoming: Incoming, piece: Buffer): void {
    if (!this.#open.has(number)) return;
    incoming.hasData = true;
    const result = incoming.decoder.push(piece);
    this.#held += incoming.decoder.held - incoming.held;
    incoming.held = incoming.decoder.held;
    if (this.#held > maxHeld) this.#evictLargest();
    this.#settle(number, incoming, result);
  }

  /** Evicts a stream without a complete request, of unknown sources first. */
  #evictLargest(): void {
    const all = [...this.#open].filter(([, { isComplete }]) => !isComplete);
    const [largest] = all.sort(([, a], [, b]) => Number(a.isKnown) - Number(b.isKnown) || b.held - a.held);
    if (largest === undefined) return;
    const [, { from }] = largest;
    const text = `Cannot read a stream: all of them together hold ${this.#held} bytes`;
    refuse(this.#parts, from, "TCP", new MemberlistError("tooLarge", text));
    this.#evict(largest);
  }

  #settle(number: number, incoming: Incoming, result: StreamResult | undefined): void {
    if (result === undefined || !this.#open.has(number)) return;
    const { stream, from } = incoming;
    if (result.type === "message") {
      incoming.isComplete = true;
      for (const problem of result.problems) refuse(this.#parts, from, "TCP", problem);
      this.#parts.push({ type: "request", stream: number, from: endpoint(from), message: result.message });
      return;
    }
    refuse(this.#parts, from, "TCP", result.error);
    // A client that does not even encrypt gets no answer: it could not read the answer, and would keep its stream until it has it.
    if (result.answer && result.error.reason !== "plaintext") this.reply(number, { type: "error", message: result.error.reason });
    else stream.destroy();
  }

  #forget(number: number, incoming: Incoming): void {
    incoming.timer[Symbol.dispose]();
    if (this.#open.delete(number)) this.#held -= incoming.held;
  }

  #deadline(stream: Duplex, after: Millis): Disposable {
    const { clock } = this.#parts;
    return clock.schedule("incoming stream", clock.now() + after, () => stream.destroy());
  }
}

function suspend(incoming: Incoming | undefined): void {
  if (incoming === undefined) return;
  incoming.isServed = false;
  incoming.stream.pause();
}
