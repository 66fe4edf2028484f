import { refusalKeys, refusalProgram, sourcePortProgram, TcpSocket, withinRoom } from "#pkg/linux";
import { Address, parseAddress } from "#pkg/net";
import type { RefusedSources } from "./connection-gate.ts";

/**
 * Has the kernel drop what opens connections to a listener: it is for a second one at the same address and port, at which nobody accepts, and
 * which has no room, because one connection waits there for good.
 */
export class RefusingListener implements Disposable {
  readonly #second: TcpSocket;
  readonly #waiting: TcpSocket;

  /** @param fd of a listener, which its owner closes after this is disposed. @throws {SystemCallError} where the kernel cannot do it */
  constructor(fd: number) {
    using stack = new DisposableStack();
    const listener = TcpSocket.of(fd);
    this.#waiting = stack.use(TcpSocket.open(listener.family));
    this.#waiting.bind(Address.fromBytes(new Uint8Array(listener.family === "IPv4" ? 4 : 16)), 0);
    const ofWaiting = sourcePortProgram(this.#waiting.port);
    this.#second = stack.use(listener.listenTwice(1, ofWaiting)); // Else clients would get to where nobody accepts, and wait there.
    this.#waiting.connectTo(listener);
    this.#second.listen(0);
    this.refuse(undefined);
    stack.move();
  }

  refuse(refusal: RefusedSources | undefined): void {
    const keys = crypto.getRandomValues(new Uint32Array(refusalKeys));
    const sources = (refusal?.sources ?? []).map(bytesOf);
    const refused = { sources, allBut: refusal?.allBut?.map(bytesOf) };
    // The group has one program, from any of its sockets.
    withinRoom((optionMemory) => this.#second.choose(refusalProgram(refused, keys, optionMemory)));
  }

  [Symbol.dispose](): void {
    this.#waiting[Symbol.dispose]();
    this.#second[Symbol.dispose]();
  }
}

/** @throws {RangeError} when the address is not valid */
function bytesOf(address: string): Uint8Array {
  const bytes = parseAddress(address)?.toBytes();
  if (bytes === undefined) throw new RangeError(`Cannot refuse connections of ${address}: it is no IP address`);
  return bytes;
}
