import { type Keyring, sealedLength } from "./keyring.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { MessageType, type StreamMessage } from "./messages.ts";
import { encodeStreamMessage, type Input, passItems, type ReceivedMessage, readStreamMessage } from "./stream-message.ts";
import { decodeCompressed, refuseLabel } from "./wrappers.ts";

/** Octets of an encrypted frame behind its header. */
export const maxFrameLength = 20 * 1024 * 1024;
/** Limit of the octets that are read from one stream, and of a decompressed message. */
export const maxStreamLength = 40 * 1024 * 1024;

const frameHeaderLength = 5;

/**
 * Encodes the one message that an end of a stream sends, encrypted as one frame.
 * @param keyring of a ring that encrypts
 * @param nonce 12 octets, never used before with the same key; not looked at without encryption
 * @throws {RangeError} as `encodeMessage` does
 */
export function encodeStream(message: StreamMessage, keyring: Keyring | undefined, nonce: Uint8Array): Uint8Array {
  const body = encodeStreamMessage(message);
  if (keyring === undefined) return body;
  const header = new Writer().u8(MessageType.encrypt).u32(sealedLength(body.length)).finish();
  return Buffer.concat([header, keyring.seal(body, nonce, header)]);
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

  constructor(keyring: Keyring | undefined) {
    this.#reading = this.#read(keyring);
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

  *#read(keyring: Keyring | undefined): Generator<number, ReceivedMessage> {
    yield 1;
    if (this.#input.octets[0] === MessageType.label) {
      yield 2;
      yield 2 + (this.#input.octets[1] ?? 0);
      refuseLabel(this.#input.octets);
    }
    this.#answer = true;
    const body = yield* readBody(this.#input, keyring);
    this.#answer = false; // From here on peers only close.
    return body === undefined ? yield* readStreamMessage(this.#input, 0) : readWhole(body);
  }
}

/** Decrypts and decompresses, one layer of each. Undefined if there is neither: the message then has no length of its own. */
function* readBody(input: Input, keyring: Keyring | undefined): Generator<number, Uint8Array | undefined> {
  if (input.octets[0] === MessageType.encrypt) {
    const plain = yield* readFrame(input, keyring);
    return plain[0] === MessageType.compress ? decodeCompressed(plain, maxStreamLength) : plain;
  }
  if (keyring !== undefined) throw new MemberlistError("plaintext", "Cannot decode a stream: it is not encrypted");
  if (input.octets[0] !== MessageType.compress) return undefined;
  const end = yield* passItems(input, 1, 1);
  return decodeCompressed(input.octets.subarray(0, end), maxStreamLength);
}

function* readFrame(input: Input, keyring: Keyring | undefined): Generator<number, Uint8Array> {
  const at = frameHeaderLength;
  yield at;
  const length = new Reader(input.octets, 1).u32();
  if (length > maxFrameLength) throw new MemberlistError("tooLarge", `Cannot read a frame: its length is ${length}`);
  if (keyring === undefined)
    throw new MemberlistError("encrypted", "Cannot decode a stream: it is encrypted, and there is no key");
  yield at + length;
  const plain = keyring.open(input.octets.subarray(at, at + length), input.octets.subarray(0, at));
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
