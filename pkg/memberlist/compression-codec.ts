import { compressLzw, decompressLzw } from "./lzw-codec.ts";
import { MemberlistError } from "./memberlist-error.ts";
import { MessageType } from "./message-type.ts";
import { readMap, writeMap } from "./msgpack-codec.ts";
import { Reader, Writer } from "./octets.ts";

/** LZW is the only algorithm. */
const lzw = 0;
const names = new Set(["Algo", "Buf"]);

/** Wraps a message in a compress message, which may be longer. @throws {RangeError} for no octets: peers die of that */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  if (message.length === 0) throw new RangeError("Cannot compress a message: it is empty");
  const writer = new Writer().u8(MessageType.compress);
  writeMap(writer, { Algo: lzw, Buf: compressLzw(message) });
  return writer.finish();
}

/**
 * The message inside a compress message, of which `octets` begins with the type.
 * @param limit octets of the result
 * @throws {MemberlistError} `unsupported` for another algorithm; `tooLarge`; `malformed`, also when there is nothing inside
 */
export function decodeCompressed(octets: Uint8Array, limit: number): Uint8Array {
  const fields = readMap(new Reader(octets, 1), names);
  const algorithm = fields.unsigned("Algo", 0xff);
  if (algorithm !== lzw) throw new MemberlistError("unsupported", `Cannot decompress: the algorithm is ${algorithm}`);
  const message = decompressLzw(fields.view("Buf") ?? new Uint8Array(), limit);
  if (message.length === 0) throw new MemberlistError("malformed", "Cannot decompress: there is nothing inside");
  return message;
}
