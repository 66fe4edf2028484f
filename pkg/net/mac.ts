/** A 48-bit MAC address as a number, first byte highest: comparing and storing one costs nothing. */
export type Mac = number;

export const broadcastMac: Mac = 0xffff_ffff_ffff;
export const macLength = 6;

/** Reads six bytes in hexadecimal with colons between. @returns undefined for anything else, such as InfiniBand's 20 bytes */
export function parseMac(text: string): Mac | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? Number.parseInt(text.replaceAll(":", ""), 16) : undefined;
}

/** Hexadecimal bytes with colons between; `mac` is a MAC address or a hardware address of any length. */
export function formatMac(mac: Mac | Uint8Array): string {
  const hex =
    typeof mac === "number"
      ? mac.toString(16).padStart(12, "0")
      : Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(?<=.)(?=(..)+$)/g, ":");
}

/** Whether it is the address of one host: neither a group nor all zeros. */
export function isUnicastMac(mac: Mac): boolean {
  return mac !== 0 && Math.floor(mac / 2 ** 40) % 2 === 0;
}

export function getMac(view: DataView, offset: number): Mac {
  return view.getUint16(offset) * 2 ** 32 + view.getUint32(offset + 2);
}

export function setMac(view: DataView, offset: number, mac: Mac): void {
  view.setUint16(offset, Math.floor(mac / 2 ** 32));
  view.setUint32(offset + 2, mac % 2 ** 32);
}

/** Six bytes. */
export function macBytes(mac: Mac): Uint8Array {
  const view = new DataView(new ArrayBuffer(macLength));
  setMac(view, 0, mac);
  return new Uint8Array(view.buffer);
}
