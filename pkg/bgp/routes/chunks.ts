/** Arrays by the numbers of routes are cut into chunks, since one long array is copied as it grows, for all peers at the same route. */
export const chunkBits = 8;
export const chunkSize = 1 << chunkBits;
export const offsetMask = chunkSize - 1;
