import { randomInt } from "node:crypto";

/** Loopback addresses for the nodes of one ring, 127.x.y.1 to .254, by chance such that rings of several runs do not meet. */
export function ringAddresses(): (node: number) => string {
  const net = `127.${randomInt(1, 256)}.${randomInt(256)}`;
  return (node) => `${net}.${node}`;
}
