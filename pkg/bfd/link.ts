import type { Random } from "#pkg/clock";
import { interfaceIndexOf, SystemCallError, socketAddress, type UdpSocket } from "#pkg/linux";
import type { Family } from "#pkg/net";
import type { Order } from "./messages.ts";
import { openSender, type Ports, type Purpose, portNumbers } from "./ports.ts";

/** What a session sends from and receives at. */
export interface Link extends Disposable {
  readonly socket: UdpSocket;
  readonly destination: Uint8Array;
  /** 0 where the session is for no interface in particular. */
  readonly interfaceIndex: number;
}

/** @returns why it cannot be had now, in words */
export function openLink(order: Order, ports: Ports, random: Random): Link | string {
  const { peer, local, interfaceName } = order;
  const purpose = purposeOf(order);
  try {
    using stack = new DisposableStack();
    const interfaceIndex = interfaceName === undefined ? 0 : interfaceIndexOf(interfaceName);
    if (interfaceIndex === undefined) return `there is no interface ${interfaceName}`;
    stack.use(ports.use(familyOf(peer), purpose));
    const socket = stack.use(openSender(familyOf(peer), local, interfaceIndex, random));
    const destination = socketAddress(peer, portNumbers[purpose], interfaceIndex);
    const owned = stack.move();
    return { socket, destination, interfaceIndex, [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    return explain(error, purpose);
  }
}

/** The same link, after another interface may have got the name. */
export function renewed(link: Link, { peer, interfaceName, multihop }: Order): Link {
  const interfaceIndex = interfaceName === undefined ? 0 : interfaceIndexOf(interfaceName);
  if (interfaceIndex === undefined || interfaceIndex === link.interfaceIndex) return link;
  return { ...link, interfaceIndex, destination: socketAddress(peer, portNumbers[purposeOf({ multihop })], interfaceIndex) };
}

/** Why a port cannot be had, in words with what to do. Throws what is no refusal of the system. */
export function explain(error: unknown, purpose: Purpose): string {
  if (!(error instanceof SystemCallError)) throw error;
  if (error.code !== "EADDRINUSE") return error.message;
  const advice = "stop it there, or take bfd-profile off the peers";
  return `${error.message}: another program on this node runs BFD on port ${portNumbers[purpose]}; ${advice}`;
}

export function familyOf(address: Uint8Array): Family {
  return address.length === 4 ? "IPv4" : "IPv6";
}

function purposeOf({ multihop }: Pick<Order, "multihop">): Purpose {
  return multihop ? "multihop" : "singleHop";
}
