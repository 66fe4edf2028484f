import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { UpdateSession } from "../../../pkg/bgp/codec/attribute-rules.ts";
import { decodeMessage, encodeMessage } from "../../../pkg/bgp/codec/message-codec.ts";
import { type Frame, MessageReader } from "../../../pkg/bgp/codec/message-reader.ts";
import type { Message } from "../../../pkg/bgp/codec/messages.ts";
import { describeNotification } from "../../../pkg/bgp/codec/notification-codec.ts";
import { NotificationError } from "../../../pkg/bgp/codec/notification-error.ts";
import { fromHex, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const headerLength = 19;
const maxPiece = 100;

const sessions: readonly UpdateSession[] = [
  { internal: false, families: new Set(["IPv4", "IPv6"]), fourOctetAsn: true, extendedNextHop: true },
  { internal: true, families: new Set(["IPv4"]), fourOctetAsn: false, extendedNextHop: false },
];

/** The stream of a router, of any messages. Its first octet says in which pieces it arrives. */
export const bgp: Target = {
  name: "bgp",
  maxLength: 4_096,
  seeds: ["frr", "bird", "gobgp", "openbgpd"].flatMap(captured),
  words: [
    ...wordsIn("pkg/bgp/codec/*.ts"),
    ...[
      ...[
        "0104",
        "40010100",
        "40020602010000fde9",
        "400304c0000201",
        "80040400000000",
        "40050400000064",
        "c00804",
        "800e",
        "800f",
        "c010",
      ],
      ...[
        "c020",
        "c011",
        "c012",
        "0001",
        "00010001",
        "00020001",
        "0206",
        "4104",
        "4504",
        "4002",
        "0200",
        "0600",
        "4600",
        "0506",
        "20c0000201",
        "ff",
      ],
    ].map(fromHex),
  ],
  isText: false,
  // An attribute of two octets may be forgiven with a sentence.
  bounds: { work: 3_000, workPerOctet: 50, memory: 16, time: 50 },
  repair: (input, random) => {
    const stream = input.slice();
    for (let at = 1; at + headerLength <= stream.length; ) {
      stream.fill(0xff, at, at + 16);
      const rest = stream.length - at;
      const given = (stream[at + 16] ?? 0) * 256 + (stream[at + 17] ?? 0);
      const length = given < headerLength || given > rest ? rest : given;
      stream.set([length >> 8, length & 0xff], at + 16);
      if ((stream[at + 18] ?? 0) > 5 || stream[at + 18] === 0) stream[at + 18] = 1 + Math.floor(random() * 5);
      at += length;
    }
    return stream;
  },
  run: (input) => {
    for (const session of sessions) read(input, session);
  },
};

function read(input: Uint8Array, session: UpdateSession): void {
  const reader = new MessageReader();
  const piece = 1 + ((input[0] ?? 0) % maxPiece);
  try {
    for (let at = 1; at < input.length; at += piece) {
      reader.push(input.subarray(at, at + piece));
      for (let frame = reader.next(true); frame !== undefined; frame = reader.next(true)) readMessage(frame, session);
    }
  } catch (error) {
    if (!(error instanceof NotificationError)) throw error;
  }
}

function readMessage(frame: Frame, session: UpdateSession): void {
  try {
    check(decodeMessage(frame, session));
  } catch (error) {
    if (!(error instanceof NotificationError)) throw error;
    const { code, subcode, data } = error;
    describeNotification({ type: "notification", code, subcode, data: data ?? new Uint8Array() });
  }
}

function check(message: Message): void {
  if (message.type === "notification") describeNotification(message);
  if (message.type !== "open" && message.type !== "notification") return;
  let encoded: Uint8Array;
  try {
    encoded = encodeMessage(message);
  } catch (error) {
    if (error instanceof RangeError) return; // Some that are understood are longer than what may be sent.
    throw error;
  }
  const reader = new MessageReader();
  reader.push(encoded);
  const frame = reader.next(true);
  assert.ok(frame !== undefined);
  assert.deepEqual(decodeMessage(frame, sessions[0] as UpdateSession), message);
}

/** Messages of a router in each session, as one stream. */
function captured(router: string): Uint8Array[] {
  const text = readFileSync(new URL(`../../../pkg/bgp/codec/testdata/${router}.txt`, import.meta.url), "utf8");
  return text.split("\n\n").map((session) => {
    const lines = session.trim().split("\n").slice(1);
    const messages = lines.filter((_, index) => index % 2 === 0).map(fromHex);
    return new Uint8Array(Buffer.concat([Uint8Array.of(50), ...messages]));
  });
}
