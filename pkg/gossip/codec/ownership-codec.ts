import type { Address } from "#pkg/net";
import { addressOf } from "./summary-codec.ts";

const bitmapOctets = 32;
const v6Octets = 15;
const v4Octets = 3;

/** Names the page that an address is on: its family, and its octets but for the last. One octet per character. */
export function pageOf(address: Address): string {
  const octets = address.toBytes();
  return (address.family === "IPv4" ? "4" : "6") + Buffer.from(octets.subarray(0, -1)).toString("latin1");
}

export function isPage(key: string): boolean {
  return (key[0] === "4" && key.length === 1 + v4Octets) || (key[0] === "6" && key.length === 1 + v6Octets);
}

/** @param addresses of one page. @returns their last octets, ascending, or where that is shorter a bitmap of 32 octets, lowest first */
export function encodePage(addresses: Iterable<Address>): Uint8Array {
  const last = [...addresses].map(({ value }) => Number(value & 0xffn)).sort((a, b) => a - b);
  if (last.length < bitmapOctets) return Uint8Array.from(last);
  const bitmap = new Uint8Array(bitmapOctets);
  for (const octet of last) bitmap[octet >> 3] = (bitmap[octet >> 3] ?? 0) | (1 << (octet & 7));
  return bitmap;
}

/** The addresses on the page that `isPage` says `key` names; none for what is longer than a page. */
export function decodePage(key: string, value: Uint8Array): Address[] {
  const family = key[0] === "4" ? "IPv4" : "IPv6";
  const start = Buffer.from(key.slice(1), "latin1");
  const octets = value.length < bitmapOctets ? [...new Set(value)] : value.length === bitmapOctets ? bitsOf(value) : [];
  return octets.map((octet) => addressOf(family, Uint8Array.of(...start, octet)));
}

function bitsOf(bitmap: Uint8Array): number[] {
  return Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => ((bitmap[octet >> 3] ?? 0) >> (octet & 7)) & 1);
}
