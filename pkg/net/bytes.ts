const empty = new Uint8Array();

/** Whether both hold the same bytes; undefined holds none. */
export function equalBytes(a: Uint8Array = empty, b: Uint8Array = empty): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
