import { type Keyring, sealedLength } from "./keyring.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { MessageType, type StreamMessage } from "./messages.ts";
import { decodeStreamMessage, encodeStreamMessage, type ReceivedMessage } from "./stream-message.ts";
import { decodeCompressed, refuseLabel } from "./wrappers.ts";

/** Octets of an encrypted frame behind its header. */
export const maxFrameLength = 20 * 1024 * 1024;
/** Octets of a decompressed message. */
export const maxStreamLength = 40 * 1024 * 1024;

const frameHeaderLength = 5;

/**
 * Encodes the one message that an end of a stream sends, encrypted as one frame.
 * @param nonce 12 octets, never used before with the same key
 * @throws {RangeError} as `encodeMessage` does
 */
export function encodeStream(message: StreamMessage, keyring: Keyring, nonce: Uint8Array): Uint8Array {
  const body = encodeStreamMessage(message);
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
 * Takes what arrives on one stream, in pieces of any size, until there is a message. Keeps at most twice `maxFrameLength`, and only
 * what has arrived: no length makes it reserve anything. Time is proportional to what arrives.
 */
export class StreamDecoder {
  readonly #keyring: Keyring;
  readonly #input = new GrowingInput();
  #needed = 1;
  #answer = false;
  #ended = false;

  constructor(keyring: Keyring) {
    this.#keyring = keyring;
  }

  /** The result, when this piece brings it. Undefined before, and for everything that follows: streams carry one message. */
  push(piece: Uint8Array): StreamResult | undefined {
    if (this.#ended) return undefined;
    this.#input.append(piece);
    return this.#input.length < this.#needed ? undefined : this.#finish(() => this.#decode());
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

  /** Undefined while octets are missing. */
  #decode(): ReceivedMessage | undefined {
    const { octets } = this.#input;
    const [first, labelLength = 0] = octets;
    if (first === MessageType.label) {
      if (!this.#has(2) || !this.#has(2 + labelLength)) return undefined;
      refuseLabel(octets);
    }
    this.#answer = true;
    if (first !== MessageType.encrypt) throw new MemberlistError("plaintext", "Cannot decode a stream: it is not encrypted");
    if (!this.#has(frameHeaderLength)) return undefined;
    const length = new Reader(octets, 1).u32();
    if (length > maxFrameLength) throw new MemberlistError("tooLarge", `Cannot read a frame: its length is ${length}`);
    const end = frameHeaderLength + length;
    if (!this.#has(end)) return undefined;
    const plain = this.#keyring.open(octets.subarray(frameHeaderLength, end), octets.subarray(0, frameHeaderLength));
    if (plain.length === 0) throw new MemberlistError("malformed", "Cannot decode a frame: there is nothing inside");
    const body = plain[0] === MessageType.compress ? decodeCompressed(plain, maxStreamLength) : plain;
    this.#answer = false; // From here on peers only close.
    return decodeStreamMessage(body);
  }

  #has(length: number): boolean {
    this.#needed = length;
    return this.#input.length >= length;
  }
}

/** Doubles its memory as pieces arrive. */
class GrowingInput {
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
