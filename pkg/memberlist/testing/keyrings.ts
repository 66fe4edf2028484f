/** Keys of rings, and what is sealed with them. */
import fc from "fast-check";
import { Keyring } from "../codec/keyring.ts";
import { Writer } from "../codec/memberlist-error.ts";
import { MessageType } from "../codec/messages.ts";

export const key = Buffer.from("0123456789abcdef");
export const nonce: Uint8Array = Uint8Array.from({ length: 12 }, (_, index) => index);
export const keyring = new Keyring([key]);

export const anyKeyring: fc.Arbitrary<Keyring> = fc.constantFrom(keyring, new Keyring([Buffer.alloc(32, 7), key]));

/** A packet with these octets inside, which may be anything. */
export function sealed(inside: Uint8Array, by = keyring): Uint8Array {
  return by.seal(inside, nonce);
}

/** A stream of one frame with these octets inside. */
export function framed(inside: Uint8Array, by = keyring): Uint8Array {
  const head = new Writer()
    .u8(MessageType.encrypt)
    .u32(inside.length + 29)
    .finish();
  return Buffer.concat([head, by.seal(inside, nonce, head)]);
}
