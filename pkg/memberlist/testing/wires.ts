/** Every kind of ring, for the property tests. */
import fc from "fast-check";
import { type EncryptionVersion, Keyring } from "../codec/keyring.ts";
import type { Wire } from "../codec/wire.ts";

export const key = Buffer.from("0123456789abcdef");
export const nonce: Uint8Array = Uint8Array.from({ length: 12 }, (_, index) => index);

/** Settings whose nodes understand each other: no node sends plaintext that the others refuse. */
export const anyWire: fc.Arbitrary<Wire> = fc
  .record(
    {
      keyring: fc.constantFrom(undefined, new Keyring([key]), new Keyring([Buffer.alloc(32, 7), key])),
      encryptionVersion: fc.constantFrom<EncryptionVersion>(0, 1),
      verifyOutgoing: fc.boolean(),
      verifyIncoming: fc.boolean(),
      compress: fc.boolean(),
      label: fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ minLength: 1, maxLength: 255, size: "max" })),
    },
    { noNullPrototype: true },
  )
  .filter(({ verifyOutgoing, verifyIncoming }) => verifyOutgoing || !verifyIncoming);
