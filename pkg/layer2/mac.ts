/** A 48-bit MAC address as a number, first octet highest: comparing and storing one costs nothing. */
export type Mac = number;

export const broadcastMac: Mac = 0xffff_ffff_ffff;

/** Reads six octets in hexadecimal with colons between. @returns undefined for anything else, such as InfiniBand's 20 octets */
export function parseMac(text: string): Mac | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? Number.parseInt(text.replaceAll(":", ""), 16) : undefined;
}

/** Six octets in hexadecimal with colons between. */
export function formatMac(mac: Mac): string {
  return mac
    .toString(16)
    .padStart(12, "0")
    .replace(/(?<=.)(?=(..)+$)/g, ":");
}

/** Whether it is one machine's: neither a group's nor all zeros. */
export function isUnicast(mac: Mac): boolean {
  return mac !== 0 && Math.floor(mac / 2 ** 40) % 2 === 0;
}

export function getMac(view: DataView, offset: number): Mac {
  return view.getUint16(offset) * 2 ** 32 + view.getUint32(offset + 2);
}

export function setMac(view: DataView, offset: number, mac: Mac): void {
  view.setUint16(offset, Math.floor(mac / 2 ** 32));
  view.setUint32(offset + 2, mac % 2 ** 32);
}
