import { EtherType, etherTypeFilter, PacketSocket, type ReceivedFrame, SystemCallError, type TableLink } from "#pkg/linux";
import { gratuitousFrames } from "./gratuitous.ts";
import { parseMac } from "./mac.ts";
import type { Announcement } from "./messages.ts";
import { answerArp } from "./responder.ts";
import type { Shared } from "./shared.ts";

const keptOctets = 128; // Far more than an ARP frame.
const filter = etherTypeFilter(EtherType.arp, keptOctets);
// Frames read in one turn, so that a flood on one interface does not silence the others.
const batch = 64;

/** An interface on which requests are answered. NDP, when it comes, is a second socket here. */
export class Port implements Disposable {
  readonly #socket: PacketSocket;
  readonly #shared: Shared;
  readonly #buffer = new Uint8Array(keptOctets);
  #link: TableLink;
  #burst = 0;
  #sendError: SystemCallError | undefined;

  /** @throws {SystemCallError} */
  constructor(link: TableLink, shared: Shared) {
    this.#link = link;
    this.#shared = shared;
    this.#socket = PacketSocket.open(link.index, EtherType.arp, filter);
  }

  get fd(): number {
    return this.#socket.fd;
  }

  get link(): TableLink {
    return this.#link;
  }

  /** Changes when the announcements under way no longer hold: all start again, or the port is closed. */
  get burst(): number {
    return this.#burst;
  }

  startBurst(): void {
    this.#burst++;
  }

  /** Takes in what changed. @returns whether hosts on the link may now reach this machine at another MAC or behind another port of a switch */
  update(link: TableLink): boolean {
    const before = this.#link;
    this.#link = link;
    return before.hardwareAddress !== link.hardwareAddress || (!before.running && link.running);
  }

  /** Answers what has arrived, a batch at most. @throws {SystemCallError} when the socket is of no more use */
  serve(find: (address: number) => Announcement | undefined): void {
    const mac = this.#mac();
    for (let i = 0; i < batch; i++) {
      const received = this.#receive();
      if (received === undefined) return;
      const answer = answerArp(received, mac, find);
      if (typeof answer === "string") {
        this.#shared.addTotal(answer);
        continue;
      }
      const { row } = answer.announcement;
      this.#shared.addToRow(row, "requests");
      if (this.#send(answer.frame)) this.#shared.addToRow(row, "responses");
    }
  }

  /** Tells every host on the link that the address is here. Without a carrier there is nobody to tell: all is announced when it comes. */
  announce({ address, row }: Announcement): void {
    if (!this.#link.running) return;
    for (const frame of gratuitousFrames(this.#mac(), address)) if (this.#send(frame)) this.#shared.addToRow(row, "gratuitous");
  }

  /** Frames that the kernel dropped since the last call, because they came faster than they were read. @throws {SystemCallError} */
  takeDropped(): number {
    return this.#socket.takeDropped();
  }

  /** Why the last frames could not be sent, if they could not; once. */
  takeSendError(): SystemCallError | undefined {
    const error = this.#sendError;
    this.#sendError = undefined;
    return error;
  }

  [Symbol.dispose](): void {
    this.#burst++;
    this.#socket[Symbol.dispose]();
  }

  #mac(): number {
    return parseMac(this.#link.hardwareAddress) ?? 0; // Only Ethernet links are given a port, and they have one.
  }

  #receive(): ReceivedFrame | undefined {
    try {
      return this.#socket.receive(this.#buffer);
    } catch (error) {
      // Whether a link that is down comes up again or is gone, netlink says.
      if (error instanceof SystemCallError && error.code === "ENETDOWN") return undefined;
      throw error;
    }
  }

  /** A frame that cannot be sent is lost, as on any wire: the client asks again, and an announcement is repeated. */
  #send(frame: Uint8Array): boolean {
    try {
      if (this.#socket.send(frame)) return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#sendError = error;
    }
    this.#shared.addTotal("sendFailures");
    return false;
  }
}
