import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock, systemRandom } from "#pkg/clock";
import { encodeOffer, GossipStore, type OwnEntry } from "#pkg/gossip";
import { silentLog } from "#pkg/log/testing";
import {
  encodeMetadata,
  GossipDelegate,
  Keyring,
  Memberlist,
  MetadataKey,
  metallbKey,
  type OpenTransport,
} from "#pkg/memberlist";
import { parseAddress } from "#pkg/net";
import { nodeName, type PacketMessage } from "../../pkg/memberlist/codec/messages.ts";
import { decodePacket, encodePacket } from "../../pkg/memberlist/codec/packet.ts";

export interface CrowdOptions {
  /** The speakers that it stands for, each with an address that this machine has. */
  readonly members: readonly { readonly name: string; readonly address: string; readonly entries: Iterable<OwnEntry> }[];
  readonly secret: string;
  readonly port: number;
  /** The address of the real speaker. */
  readonly speaker: string;
}

const life = 1;
const meta = new Map([[MetadataKey.gossip, encodeOffer(life)]]);
const versions = [1, 5, 2, 0, 0, 0] as const;
const atOnce = 10; // members in a packet
const packetsAtOnce = 20;
const pingEveryMs = 1_000; // In a ring of any size each member is pinged as often as it pings.

/**
 * Thousands of members as one real speaker sees them: each answers pings at an address of its own, whoever is asked for the ring's view has all
 * of them and what they tell, and each second one of them pings. Among themselves they send nothing. One of them is a real member.
 */
export class RingCrowd implements AsyncDisposable {
  readonly #options: CrowdOptions;
  readonly #keyring: Keyring;
  readonly #gossip: GossipDelegate;
  readonly #first: Memberlist;
  readonly #sockets: DatagramSocket[] = [];
  readonly #nonce = new Uint8Array(12);
  #receive: (bytes: Uint8Array, address: string) => void = () => {};
  readonly #servers: Server[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;

  private constructor(options: CrowdOptions) {
    const [first] = options.members;
    if (first === undefined) throw new Error("Cannot make a crowd of nobody");
    this.#options = options;
    this.#keyring = new Keyring([metallbKey(options.secret)]);
    this.#gossip = new GossipDelegate({
      node: first.name,
      life,
      clock: new SystemClock(),
      canBroadcast: () => this.#first.running,
      broadcast: (topic, payload) => this.#first.broadcast(topic, payload),
      onEntries() {},
      onExpired() {},
    });
    this.#first = new Memberlist({
      name: first.name,
      bind: { address: first.address, port: options.port },
      keyring: this.#keyring,
      metadata: meta,
      userState: () => this.#gossip.state(),
      userDigest: () => this.#gossip.digest(),
      timing: "lan",
      clock: new SystemClock(),
      random: systemRandom,
      log: silentLog,
      openTransport: this.#openTransport,
    });
    this.#first.onEvent((event) => {
      if (event.type === "user") this.#gossip.receive(event.payload);
      else if (event.type === "member") this.#gossip.memberChanged(event.change, event.member);
    });
  }

  /** @returns a crowd whose members all know one another */
  static async start(options: CrowdOptions): Promise<RingCrowd> {
    const crowd = new RingCrowd(options);
    await crowd.#start();
    return crowd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.close();
    this.#gossip[Symbol.dispose]();
    await this.#first[Symbol.asyncDispose]();
  }

  async #start(): Promise<void> {
    const { members, port } = this.#options;
    await this.#first.start();
    for (const { name, address } of members) {
      const socket = createSocket("udp4");
      socket.on("message", (bytes, from) => this.#answer(socket, name, bytes, from.address));
      socket.bind(port, address);
      await once(socket, "listening");
      this.#sockets.push(socket);
    }
    const states = members.map(({ name, address }) => ({
      type: "alive" as const,
      node: nodeName(name),
      incarnation: 1,
      endpoint: { address: parseAddress(address)?.toBytes() ?? new Uint8Array(), port },
      meta: encodeMetadata(meta),
      versions,
    }));
    for (
      let known = new Set<string>();
      known.size < states.length;
      known = new Set(this.#first.members().map(({ name }) => name))
    ) {
      // The real member reads no more than so many packets of strangers at once.
      const missing = states.filter(({ node }) => !known.has(node)).slice(0, atOnce * packetsAtOnce);
      for (let index = 0; index < missing.length; index += atOnce)
        this.#receive(this.#seal(missing.slice(index, index + atOnce)), members[0]?.address ?? "");
      await sleep(20);
    }
    for (const { name, entries } of members) {
      if (name === members[0]?.name) this.#gossip.set(entries);
      const store = new GossipStore(name, life);
      for (const { key, value } of entries) store.set(key, value);
      this.#gossip.receive(store.state());
    }
    this.#timer = setInterval(() => this.#ping(), pingEveryMs);
  }

  /** How many members the real one of them knows. */
  get known(): number {
    return this.#first.members().length;
  }

  #openTransport: OpenTransport = async (local, events) => {
    const { members, port, speaker } = this.#options;
    this.#receive = (bytes, address) => events.packet(bytes, { address, port });
    for (const { address } of members) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const { remoteAddress = "", remotePort = 0 } = socket;
        events.stream(socket, { address: remoteAddress, port: remotePort });
      });
      server.listen(port, address);
      await once(server, "listening");
      this.#servers.push(server);
    }
    const socketOf = new Map(members.map(({ address }, index) => [address, index]));
    return {
      local,
      send: (sent, to) => {
        const bytes = Buffer.from(sent); // The sender's again once this returns.
        const index = socketOf.get(to.address);
        if (to.address === speaker) this.#sockets[0]?.send(bytes, port, speaker);
        else if (index !== undefined) setImmediate(() => this.#answerFirst(bytes, to.address));
        return undefined;
      },
      filter() {},
      dropped: () => 0,
      refuse() {},
      dial: (to) => connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true }),
      [Symbol.asyncDispose]: async () => {
        for (const server of this.#servers) server.close();
      },
    };
  };

  #seal(messages: readonly PacketMessage[]): Uint8Array {
    crypto.getRandomValues(this.#nonce);
    return encodePacket(messages, this.#keyring, { nonce: this.#nonce, checksum: false });
  }

  /** The answers of a member to a packet: acks of pings, also of pings for others, which all live. */
  #answers(bytes: Uint8Array): { readonly acks: readonly PacketMessage[]; readonly others: boolean } {
    const { messages } = decodePacket(bytes, this.#keyring);
    const asked = messages.filter(({ type }) => type === "ping" || type === "indirectPing") as readonly {
      readonly sequence: number;
    }[];
    return {
      acks: asked.map(({ sequence }) => ({ type: "ack", sequence, payload: undefined })),
      others: messages.some(({ type }) => type !== "ping" && type !== "ack"),
    };
  }

  #answer(socket: DatagramSocket, name: string, bytes: Uint8Array, from: string): void {
    if (name === this.#options.members[0]?.name) {
      this.#receive(bytes, from);
      return;
    }
    const { acks, others } = this.#answers(bytes);
    if (acks.length > 0) socket.send(this.#seal(acks), this.#options.port, from);
    if (others) this.#receive(bytes, from);
  }

  /** Another member answers the real one of them. */
  #answerFirst(bytes: Uint8Array, address: string): void {
    const { acks } = this.#answers(bytes);
    if (acks.length > 0) this.#receive(this.#seal(acks), address);
  }

  #ping(): void {
    const socket = this.#sockets[Math.floor(Math.random() * this.#sockets.length)];
    const ping = { type: "ping" as const, sequence: ++this.#sequence, node: "", source: undefined };
    socket?.send(this.#seal([ping]), this.#options.port, this.#options.speaker);
  }
}
