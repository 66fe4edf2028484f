import type { Endpoint } from "../codec/messages.ts";

/** From this index on nodes are no nodes, but central speakers, as their names say. */
export const firstCentral = 10_000;
const central = "central/";

/** The name of a simulated node. */
export function nameOf(index: number): string {
  return index < firstCentral ? `node-${index}` : `${central}node-${index - firstCentral}`;
}

export function indexOf(name: string): number {
  return name.startsWith(central) ? firstCentral + indexOf(name.slice(central.length)) : Number(name.slice("node-".length));
}

/** The address with this number, in text. A node that was not given another has its own number. */
export function addressOf(host: number): string {
  return endpointOf(host).address.join(".");
}

export function endpointOf(host: number): Endpoint {
  return { address: Uint8Array.of(10, 0, host >> 8, host & 255), port: 7946 };
}

export function hostOfEndpoint({ address: [, , high = 0, low = 0] }: Endpoint): number {
  return high * 256 + low;
}
