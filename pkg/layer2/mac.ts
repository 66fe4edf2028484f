/** A 48-bit MAC address as a number, first octet highest: comparing and storing one costs nothing. */
export type Mac = number;

export const broadcastMac: Mac = 0xffff_ffff_ffff;

/** Reads six octets in hexadecimal with colons between. @returns undefined for anything else, such as InfiniBand's 20 octets */
export function parseMac(text: string): Mac | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? Number.parseInt(text.replaceAll(":", ""), 16) : undefined;
}
