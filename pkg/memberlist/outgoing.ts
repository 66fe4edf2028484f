import { randomBytes } from "node:crypto";
import type { Clock } from "#pkg/clock";
import { Nonces } from "./codec/keyring.ts";
import { MemberlistError } from "./codec/memberlist-error.ts";
import type { StreamMessage } from "./codec/messages.ts";
import { encodePacket } from "./codec/packet.ts";
import { encodeStream, StreamDecoder, type StreamEnd } from "./codec/stream.ts";
import type { Wire } from "./codec/wire.ts";
import type { NetworkCounters } from "./counters.ts";
import type { Effect, Event, Send } from "./ring/events.ts";
import { exchange } from "./streams.ts";
import { type SocketAddress, socketAddress, type Transport } from "./transport.ts";

interface OutgoingOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly counters: NetworkCounters;
  /** How an exchange ended, or that a packet could not be sent. */
  readonly onEvent: (event: Event) => void;
  readonly onNotSent: (address: string, error: Error) => void;
  readonly onProblem: (from: SocketAddress, error: MemberlistError) => void;
}

/** What this member sends: packets, and streams that it opens. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #nonces = new Nonces(randomBytes);

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  send({ to, messages, checksum }: Send, transport: Transport): void {
    const { wire, counters, onEvent, onNotSent } = this.#options;
    const packet = encodePacket(messages, wire, { nonce: this.#nonces.next(), checksum });
    const address = socketAddress(to);
    transport.send(packet, address, (error) => {
      if (error === null) {
        counters.packetsSent++;
        counters.bytesSent += packet.length;
      } else {
        counters.sendFailures++;
        onNotSent(address.address, error);
        onEvent({ type: "sendFailed", messages });
      }
    });
  }

  async exchange(effect: Extract<Effect, { type: "exchange" }>, transport: Transport): Promise<void> {
    const { exchange: number, deadline } = effect;
    const { wire, clock, counters, onEvent, onProblem } = this.#options;
    const to = socketAddress(effect.to);
    const request = this.encode(effect.message, "dialler");
    counters.streamsDialled++;
    const dialled = exchange(transport.dial(to), request, new StreamDecoder(wire, "listener"), { clock, deadline });
    const outcome = await dialled.catch((error: Error) => error);
    if (outcome instanceof Error) {
      if (outcome instanceof MemberlistError) onProblem(to, outcome);
      onEvent({ type: "exchangeFailed", exchange: number, reason: outcome.message });
    } else {
      for (const problem of outcome.problems) onProblem(to, problem);
      onEvent({ type: "exchanged", exchange: number, message: outcome.message });
    }
  }

  encode(message: StreamMessage, from: StreamEnd): Uint8Array {
    return encodeStream(message, this.#options.wire, { from, nonce: this.#nonces.next() });
  }
}
