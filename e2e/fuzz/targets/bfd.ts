import assert from "node:assert/strict";
import { decodeControl, encodeControl } from "../../../pkg/bfd/codec/control-codec.ts";
import { decodeEcho, encodeEcho } from "../../../pkg/bfd/codec/echo-codec.ts";
import { fromHex, packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const echo = encodeEcho({ address: Uint8Array.of(10, 0, 0, 1), discriminator: 1, token: 2 });

/** Control packets, and echo packets with their IP header. */
export const bfd: Target = {
  name: "bfd",
  maxLength: 128,
  seeds: [
    ...["20c003180000000900000007 0000c350 0000ea60 00000000", "2040051800000009 00000000 000f4240 000f4240 0000c350"].map(
      fromHex,
    ),
    echo,
    echo.with(8, 254),
    encodeEcho({ address: new Uint8Array(16).fill(1), discriminator: 1, token: 2 }).with(7, 254),
  ],
  words: [...wordsIn("pkg/bfd/codec/*.ts"), ...["45c0", "6c00", "00000000", "000f4240"].map(fromHex)],
  isText: false,
  bounds: packetBounds,
  run: (input) => {
    const control = decodeControl(input);
    if (typeof control !== "string") assert.deepEqual(decodeControl(encodeControl(control)), control);
    const packet = decodeEcho(input);
    if (packet === undefined) return;
    const again = encodeEcho(packet);
    assert.deepEqual(decodeEcho(again.with(packet.address.length === 4 ? 8 : 7, 254)), packet);
  },
};
