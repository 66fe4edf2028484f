/** Rings with and without encryption, for the property tests. */
import fc from "fast-check";
import { Keyring } from "../codec/keyring.ts";

export const key = Buffer.from("0123456789abcdef");
export const nonce: Uint8Array = Uint8Array.from({ length: 12 }, (_, index) => index);

/** The keys of a ring; undefined for one without encryption. */
export const anyKeyring: fc.Arbitrary<Keyring | undefined> = fc.constantFrom(
  undefined,
  new Keyring([key]),
  new Keyring([Buffer.alloc(32, 7), key]),
);
