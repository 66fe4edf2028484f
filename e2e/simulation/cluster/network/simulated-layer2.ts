import type { AddressSighting } from "#pkg/layer2";
import { Proofs } from "#pkg/layer2/testing";
import type { Simulation } from "#pkg/memberlist/testing";
import { Address, formatMac, parseMac } from "#pkg/net";
import type { SimulatedProcess } from "../simulated-process.ts";

/** Actions of a speaker on its LAN. */
export interface LanActions {
  /** Sends a burst of gratuitous announcements. */
  announce(address: string): void;
  /** Sends one. */
  defend(address: string): void;
  /** @param to a MAC address; undefined for all */
  probe(address: string, to: string | undefined): void;
  /** Sends a challenge or a proof. */
  send(frame: Uint8Array): void;
}

export interface SimulatedLayer2Options {
  readonly process: SimulatedProcess;
  readonly ring: Simulation;
  readonly lan: LanActions;
  /** The node's MAC address. */
  readonly mac: () => string;
  /** Told when it begins or ends to announce an address. */
  readonly onMove: (address: string, on: boolean) => void;
  readonly onSighting: (sighting: Pick<AddressSighting, "address" | "mac" | "kind">) => void;
}

const ringKey = new TextEncoder().encode("the ring's key");
const nonceLength = 16;

/** A record of answered addresses, in place of the thread that answers; proofs are the real ones. */
export class SimulatedLayer2 {
  /** Addresses that the speaker, or its kernel, answers for, and those that it only watches. */
  readonly announced = new Set<string>();
  /** Announced addresses that its kernel answers for. */
  readonly leftToKernel = new Set<string>();
  readonly watched = new Set<string>();
  readonly #options: SimulatedLayer2Options;
  readonly #proofs: Proofs;

  constructor(options: SimulatedLayer2Options) {
    this.#options = options;
    const { process, ring } = options;
    this.#proofs = new Proofs(() => Uint8Array.from({ length: nonceLength }, () => Math.floor(process.random() * 256)), ring.now);
    this.#proofs.setKeys([ringKey]);
  }

  async begin(): Promise<void> {}

  async settled(): Promise<void> {}

  announce(address: Address, { answers = true }: { readonly answers?: boolean } = {}): void {
    const { lan, onMove } = this.#options;
    this.watched.delete(`${address}`);
    if (!this.announced.has(`${address}`)) onMove(`${address}`, true);
    this.announced.add(`${address}`);
    if (answers) this.leftToKernel.delete(`${address}`);
    else this.leftToKernel.add(`${address}`);
    lan.announce(`${address}`);
  }

  listen(address: Address): void {
    this.#silence(`${address}`);
    this.watched.add(`${address}`);
  }

  withdraw(address: Address): void {
    this.#silence(`${address}`);
    this.watched.delete(`${address}`);
  }

  reannounce(address?: Address): void {
    if (address !== undefined) this.#options.lan.announce(`${address}`);
  }

  defend(address: Address): void {
    this.#options.lan.defend(`${address}`);
  }

  probe(address: Address, { to }: { readonly to?: string } = {}): void {
    this.#options.lan.probe(`${address}`, to);
  }

  challenge({ family, value }: Address, to: string): void {
    const { lan, ring, mac } = this.#options;
    const [other, from] = [parseMac(to) ?? 0, parseMac(mac()) ?? 0];
    const frames = this.#proofs.challenge(family === "IPv4" ? Number(value) : value, other, [from], ring.now);
    for (const frame of frames) lan.send(frame);
  }

  setAlone(isAlone: boolean): void {
    this.#proofs.isAlone = isAlone;
  }

  /** A challenge or a proof has come. */
  receive(frame: Uint8Array): void {
    const { process, ring, lan, mac, onSighting } = this.#options;
    process.at(ring.now, () => {
      const isAnnounced = (address: number | bigint) => this.announced.has(`${addressFrom(address)}`);
      const taken = this.#proofs.receive(frame, parseMac(mac()) ?? 0, ring.now, isAnnounced);
      if (taken === undefined) return;
      if ("answer" in taken) lan.send(taken.answer);
      else onSighting({ address: addressFrom(taken.proven.address), mac: formatMac(taken.proven.mac), kind: taken.proven.kind });
    });
  }

  /** Ends with its process. */
  end(): void {
    for (const address of [...this.announced]) this.#silence(address);
  }

  #silence(address: string): void {
    if (this.announced.delete(address)) this.#options.onMove(address, false);
  }
}

function addressFrom(address: number | bigint): Address {
  return new Address(typeof address === "bigint" ? "IPv6" : "IPv4", BigInt(address));
}
