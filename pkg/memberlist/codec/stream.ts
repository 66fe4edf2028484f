import { sealedLength } from "./keyring.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { MessageType, type StreamMessage } from "./messages.ts";
import { encodeStreamMessage, type Input, passItems, type ReceivedMessage, readStreamMessage } from "./stream-message.ts";
import { outgoingKeyring, type Wire } from "./wire.ts";
import { decodeCompressed, encodeCompressed, stripLabel, writeLabel } from "./wrappers.ts";

/** Octets of an encrypted frame behind its header. */
export const maxFrameLength = 20 * 1024 * 1024;
/** Limit of the octets that are read from one stream, and of a decompressed message. */
export const maxStreamLength = 40 * 1024 * 1024;

const frameHeaderLength = 5;

/** The end of the connection: the dialler opened it. Only the dialler sends the ring's label; both authenticate it. */
export type StreamEnd = "dialler" | "listener";

export interface StreamOptions {
  readonly from: StreamEnd;
  /** 12 octets, never used before with the same key. Not looked at without encryption. */
  readonly nonce: Uint8Array;
}

/**
 * Encodes the one message that an end of a stream sends: compressed whenever the ring compresses, even if that is longer, encrypted
 * as one frame, and behind the label if it is the dialler's.
 * @throws {RangeError} as `encodeMessage` does
 */
export function encodeStream(message: StreamMessage, wire: Wire, { from, nonce }: StreamOptions): Uint8Array {
  const plain = encodeStreamMessage(message);
  const body = wire.compress ? encodeCompressed(plain) : plain;
  const writer = new Writer();
  if (from === "dialler" && wire.label.length > 0) writeLabel(writer, wire.label);
  const keyring = outgoingKeyring(wire);
  if (keyring === undefined) return writer.put(body).finish();
  const header = new Writer().u8(MessageType.encrypt).u32(sealedLength(body.length, wire.encryptionVersion)).finish();
  return writer
    .put(header)
    .put(keyring.seal(body, wire.encryptionVersion, nonce, associatedData(header, wire)))
    .finish();
}

function associatedData(header: Uint8Array, wire: Wire): Uint8Array {
  return Buffer.concat([header, wire.label]);
}

/** Final result of a stream. */
export type StreamResult =
  | ({ readonly type: "message" } & ReceivedMessage)
  | {
      readonly type: "error";
      readonly error: MemberlistError;
      /** A listener answers with an error message before it closes: the wrapping was wrong. Otherwise it just closes, as peers do. */
      readonly answer: boolean;
    };

/**
 * Takes what arrives on one stream, in pieces of any size, until there is a message. Keeps at most twice `maxStreamLength`, and only
 * what has arrived: no length makes it reserve anything. Time is proportional to what arrives.
 */
export class StreamDecoder {
  readonly #input = new GrowingInput();
  readonly #reading: Generator<number, ReceivedMessage>;
  #needed = 1;
  #answer = false;
  #ended = false;

  /** @param from whose octets these are: the other end's */
  constructor(wire: Wire, from: StreamEnd) {
    this.#reading = this.#read(wire, from);
  }

  /** The result, when this piece brings it. Undefined before, and for everything that follows: streams carry one message. */
  push(piece: Uint8Array): StreamResult | undefined {
    if (this.#ended) return undefined;
    this.#input.append(piece);
    return this.#input.length < this.#needed ? undefined : this.#finish(() => this.#advance());
  }

  /** Bytes of memory that its received octets take. */
  get held(): number {
    return this.#input.held;
  }

  /** The other end has sent all. Undefined if there was a result already; else an error, as the message is not complete. */
  end(): StreamResult | undefined {
    if (this.#ended) return undefined;
    const received = this.#input.length;
    return this.#finish(() => {
      throw new MemberlistError("malformed", `Cannot decode a stream: it ends after ${received} of ${this.#needed} octets`);
    });
  }

  #finish(work: () => ReceivedMessage | undefined): StreamResult | undefined {
    try {
      const received = work();
      if (received === undefined) return undefined;
      this.#release();
      return { type: "message", ...received };
    } catch (error) {
      if (!(error instanceof MemberlistError)) throw error;
      this.#release();
      return { type: "error", error, answer: this.#answer };
    }
  }

  /** Connections may take long to close, and must not keep memory meanwhile. */
  #release(): void {
    this.#ended = true;
    this.#input.clear();
  }

  #advance(): ReceivedMessage | undefined {
    while (this.#input.length >= this.#needed) {
      const step = this.#reading.next();
      if (step.done) return step.value;
      this.#needed = step.value;
      if (this.#needed > maxStreamLength)
        throw new MemberlistError("tooLarge", `Cannot read a stream: it has at least ${this.#needed} octets`);
    }
    return undefined;
  }

  *#read(wire: Wire, from: StreamEnd): Generator<number, ReceivedMessage> {
    const offset = from === "dialler" ? yield* readLabel(this.#input, wire) : 0;
    yield offset + 1;
    this.#answer = true;
    const body = yield* readBody(this.#input, offset, wire);
    this.#answer = false; // From here on peers only close.
    return body === undefined ? yield* readStreamMessage(this.#input, offset) : readWhole(body);
  }
}

/** @returns the offset behind the label */
function* readLabel(input: Input, wire: Wire): Generator<number, number> {
  yield 1;
  let length = 0;
  if (input.octets[0] === MessageType.label) {
    yield 2;
    length = 2 + (input.octets[1] ?? 0);
    yield length;
  }
  stripLabel(input.octets.subarray(0, length), wire.label);
  return length;
}

/** Decrypts and decompresses, one layer of each. Undefined if there is neither: the message then has no length of its own. */
function* readBody(input: Input, offset: number, wire: Wire): Generator<number, Uint8Array | undefined> {
  if (input.octets[offset] === MessageType.encrypt) {
    const plain = yield* readFrame(input, offset, wire);
    return plain[0] === MessageType.compress ? decodeCompressed(plain, maxStreamLength) : plain;
  }
  if (wire.keyring !== undefined && wire.verifyIncoming)
    throw new MemberlistError("plaintext", "Cannot decode a stream: it is not encrypted");
  if (input.octets[offset] !== MessageType.compress) return undefined;
  const end = yield* passItems(input, offset + 1, 1);
  return decodeCompressed(input.octets.subarray(offset, end), maxStreamLength);
}

function* readFrame(input: Input, offset: number, wire: Wire): Generator<number, Uint8Array> {
  const at = offset + frameHeaderLength;
  yield at;
  const length = new Reader(input.octets, offset + 1).u32();
  if (length > maxFrameLength) throw new MemberlistError("tooLarge", `Cannot read a frame: its length is ${length}`);
  if (wire.keyring === undefined)
    throw new MemberlistError("encrypted", "Cannot decode a stream: it is encrypted, and there is no key");
  yield at + length;
  const plain = wire.keyring.open(
    input.octets.subarray(at, at + length),
    associatedData(input.octets.subarray(offset, at), wire),
  );
  if (plain.length === 0) throw new MemberlistError("malformed", "Cannot decode a frame: there is nothing inside");
  return plain;
}

/** Decodes a message of which no more octets can come. */
function readWhole(octets: Uint8Array): ReceivedMessage {
  const reading = readStreamMessage({ octets }, 0);
  for (;;) {
    const step = reading.next();
    if (step.done) return step.value;
    if (step.value > octets.length)
      throw new MemberlistError("malformed", `Cannot decode a message: it has ${octets.length} of at least ${step.value} octets`);
  }
}

/** Doubles its memory as pieces arrive. */
class GrowingInput implements Input {
  #memory = new Uint8Array(0);
  #view: Uint8Array | undefined; // Made when it is asked for: pieces may be an octet each.
  length = 0;

  get octets(): Uint8Array {
    this.#view ??= this.#memory.subarray(0, this.length);
    return this.#view;
  }

  append(piece: Uint8Array): void {
    const length = this.length + piece.length;
    if (length > this.#memory.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#memory.length));
      larger.set(this.octets);
      this.#memory = larger;
    }
    this.#memory.set(piece, this.length);
    this.length = length;
    this.#view = undefined;
  }

  /** Bytes of memory. */
  get held(): number {
    return this.#memory.length;
  }

  clear(): void {
    this.#memory = new Uint8Array(0);
    this.#view = undefined;
    this.length = 0;
  }
}
