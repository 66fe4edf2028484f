import { decodeNeighbor, encodeNeighborRequest } from "./neighbor-codec.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

/** What the kernel knows of the link-layer addresses of its neighbours (RFC 826, RFC 4861). */
export class Neighbors implements Disposable {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** @throws {SystemCallError} */
  constructor() {
    this.#socket = NetlinkSocket.open({ groups: [] });
  }

  /** The MAC address of a neighbour, 6 octets; undefined while the kernel has none. @throws {SystemCallError} */
  find(interfaceIndex: number, address: Uint8Array): Uint8Array | undefined {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeNeighborRequest(interfaceIndex, address, sequence)); // The answer is there when this returns.
    for (let answer = this.#socket.receive(); answer !== undefined; answer = this.#socket.receive()) {
      const mac = decodeNeighbor(answer, sequence);
      if (mac !== undefined) return mac;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
