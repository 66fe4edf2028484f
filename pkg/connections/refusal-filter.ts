import { connectionFilter, connectionFilterKeys } from "#pkg/linux";
import { parseAddress } from "#pkg/net";
import type { Refusal } from "./connection-gate.ts";

/** What `TcpSocket.filter` takes for a refusal. */
export interface RefusalFilter {
  /** Undefined: all may connect. */
  readonly program: Uint8Array | undefined;
  /** Too many are known for a program to name them, so that of the others it refuses those alone which are named. */
  readonly isPartial: boolean;
}

export function refusalFilter(refusal: Refusal | undefined): RefusalFilter {
  if (refusal === undefined) return { program: undefined, isPartial: false };
  const keys = crypto.getRandomValues(new Uint32Array(connectionFilterKeys));
  const sources = refusal.sources.map(bytesOf);
  const program = connectionFilter({ sources, allBut: refusal.allBut?.map(bytesOf) }, keys);
  if (program !== undefined) return { program, isPartial: false };
  return { program: connectionFilter({ sources }, keys), isPartial: true };
}

/** @throws {RangeError} when the address is none */
function bytesOf(address: string): Uint8Array {
  const bytes = parseAddress(address)?.toBytes();
  if (bytes === undefined) throw new RangeError(`Cannot refuse connections of ${address}: it is no IP address`);
  return bytes;
}
