import type { Duplex } from "node:stream";
import type { Clock, Millis } from "#pkg/clock";
import { MemberlistError } from "./codec/memberlist-error.ts";
import { encodePacket } from "./codec/packet.ts";
import { encodeStream, StreamDecoder, type StreamResult } from "./codec/stream.ts";
import { type MemberParts, refuse } from "./member-parts.ts";
import type { Effect, Send } from "./ring/events.ts";
import { socketAddress, type Transport } from "./transport.ts";

/** Sends a packet. The ring is told where this machine refuses that. */
export function send(parts: MemberParts, { to, messages, checksum }: Send, transport: Transport): void {
  const { keyring, nonces, counters, log, push } = parts;
  const packet = encodePacket(messages, keyring, { nonce: nonces.next(), checksum });
  const address = socketAddress(to);
  const error = transport.send(packet, address);
  if (error === undefined) counters.packetsSent++;
  else {
    counters.sendFailures++;
    log.notSent(address.address, error);
    push({ type: "sendFailed", messages });
  }
}

/** Opens a stream for a request, and tells the ring how that ended. */
export async function exchange(parts: MemberParts, effect: Effect & { type: "exchange" }, transport: Transport): Promise<void> {
  const { exchange, message, deadline } = effect;
  const { keyring, nonces, clock, push } = parts;
  const to = socketAddress(effect.to);
  const request = encodeStream(message, keyring, nonces.next());
  const reply = replyTo(request, transport.dial(to), new StreamDecoder(keyring), { clock, deadline });
  const outcome = await reply.catch((error: Error) => error);
  if (outcome instanceof Error) {
    if (outcome instanceof MemberlistError) refuse(parts, to, "TCP", outcome);
    push({ type: "exchangeFailed", exchange, reason: outcome.message });
  } else {
    for (const problem of outcome.problems) refuse(parts, to, "TCP", problem);
    push({ type: "exchanged", exchange, message: outcome.message });
  }
}

/**
 * Sends a request on a stream that was just dialled and takes the one reply. The stream is destroyed in the end.
 * @throws {MemberlistError} when the reply cannot be understood, {Error} when no reply arrives by `deadline`
 */
export async function replyTo(
  request: Uint8Array,
  stream: Duplex,
  decoder: StreamDecoder,
  { clock, deadline }: { readonly clock: Clock; readonly deadline: Millis },
): Promise<Extract<StreamResult, { type: "message" }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<StreamResult, { type: "message" }>>();
  const settle = (result: StreamResult | undefined): void => {
    if (result?.type === "message") resolve(result);
    else if (result?.type === "error") reject(result.error);
  };
  let received = 0;
  stream.on("data", (piece: Buffer) => {
    received += piece.length;
    settle(decoder.push(piece));
  });
  stream.on("end", () => {
    if (received === 0) reject(new Error("it closed the connection without an answer"));
    else settle(decoder.end());
  });
  stream.on("error", reject);
  stream.on("close", () => reject(new Error("the connection was closed")));
  using _timer = clock.schedule("exchange", deadline, () => reject(new Error("it did not answer in time")));
  stream.write(request); // Node keeps it until the connection is there.
  try {
    return await promise;
  } finally {
    stream.destroy();
  }
}
