import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { internetChecksum } from "#pkg/net";
import { Proofs } from "../../../pkg/layer2/engine/proofs.ts";
import { answerArp, answerNeighbor } from "../../../pkg/layer2/frames/answers.ts";
import { arpFrameLength, decodeArp, encodeArp } from "../../../pkg/layer2/frames/arp.ts";
import { decodeNeighbor, encodeNeighbor } from "../../../pkg/layer2/frames/ndp.ts";
import { decodeProof, encodeProof, nonceLength, ProofType, proofFrameLength } from "../../../pkg/layer2/frames/proof.ts";
import { sightingInArp, sightingInNeighbor } from "../../../pkg/layer2/frames/sightings.ts";
import { fromHex, packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const mac = 0x02_00_00_00_00_01;

export const arp: Target = {
  name: "arp",
  maxLength: 128,
  seeds: captured("arp.hex"),
  words: [...wordsIn("pkg/layer2/frames/arp.ts"), ...["ffffffffffff", "00000000", "020000000001"].map(fromHex)],
  isText: false,
  bounds: packetBounds,
  run: (input) => {
    const frame = decodeArp(input);
    if (frame === undefined) return;
    assert.deepEqual(decodeArp(encodeArp(frame)), frame);
    assert.deepEqual(Buffer.from(encodeArp(frame)), Buffer.from(input.subarray(0, arpFrameLength)));
    sightingInArp(frame);
    for (const arrival of ["host", "broadcast", "otherHost"] as const) {
      const answer = answerArp(frame, arrival, mac, (address) => address);
      if (typeof answer === "string") continue;
      const reply = decodeArp(answer.frame);
      assert.ok(reply !== undefined && reply.senderAddress === frame.targetAddress && reply.senderMac === mac);
      assert.equal(
        answerArp(reply, arrival, mac, (address) => address),
        "own",
        "nobody answers an answer",
      );
    }
  },
};

const payloadLengthAt = 18;
const messageAt = 54;
const checksumAt = 56;

export const ndp: Target = {
  name: "ndp",
  maxLength: 256,
  seeds: captured("ndp.hex"),
  words: [
    ...wordsIn("pkg/layer2/frames/ndp.ts"),
    ...["3aff", "8700", "8800", "0101020000000001", "0201020000000001", "0000000000000000"].map(fromHex),
  ],
  isText: false,
  bounds: packetBounds,
  repair: (input) => {
    if (input.length < messageAt + 24) return input;
    const frame = input.slice();
    const view = new DataView(frame.buffer);
    const length = (frame.length - messageAt) & ~1;
    view.setUint16(payloadLengthAt, length);
    view.setUint16(12, 0x86dd);
    view.setUint16(20, 0x3aff);
    view.setUint16(checksumAt, 0);
    view.setUint16(checksumAt, internetChecksum(view, 22, messageAt + length, length + 58));
    return frame;
  },
  run: (input) => {
    const frame = decodeNeighbor(input);
    if (frame === undefined) return;
    assert.deepEqual(decodeNeighbor(encodeNeighbor(frame)), frame);
    sightingInNeighbor(frame);
    for (const arrival of ["host", "multicast", "otherHost"] as const) {
      const answer = answerNeighbor(frame, arrival, mac, (address) => address);
      if (typeof answer === "string") continue;
      const reply = decodeNeighbor(answer.frame);
      assert.ok(reply !== undefined && reply.target === frame.target && reply.linkLayerAddress === mac);
    }
  },
};

const other = 0x02_00_00_00_00_02;
const nonce = new Uint8Array(nonceLength).fill(7);
const asked = [0xc000_0201, 0x2001_0db8n << 96n] as const;
const frames = [ProofType.challenge, ProofType.proof].flatMap((type) =>
  asked.map((address) => encodeProof({ destination: mac, source: other, type, nonce, address, tag: nonce })),
);
const magicAt = 12;
const magicLength = 7;

export const proof: Target = {
  name: "layer2-proof",
  maxLength: 128,
  seeds: frames,
  words: [...wordsIn("pkg/layer2/frames/proof.ts"), ...["88b5", "496e676f01", "020000000001"].map(fromHex)],
  isText: false,
  bounds: packetBounds,
  repair: (input) => {
    if (input.length < proofFrameLength) return input;
    const frame = input.slice();
    frame.set(frames[0]?.subarray(magicAt, magicAt + magicLength) ?? [], magicAt);
    frame[21] = 0;
    return frame;
  },
  run: (input) => {
    const proofs = new Proofs(() => nonce, 0);
    proofs.setKeys([nonce]);
    for (const address of asked) proofs.challenge(address, other, [mac], 0);
    const frame = decodeProof(input);
    const taken = proofs.receive(input, mac, 0, () => true);
    if (frame === undefined) return assert.equal(taken, undefined);
    assert.deepEqual(decodeProof(encodeProof(frame)), frame);
    assert.deepEqual(Buffer.from(encodeProof(frame)), Buffer.from(input.subarray(0, proofFrameLength)));
    if (taken === undefined) return;
    if ("proven" in taken) return assert.ok(asked.includes(taken.proven.address as never) && taken.proven.mac === other);
    const answer = decodeProof(taken.answer);
    assert.ok(answer?.type === ProofType.proof && answer.source === mac && answer.destination === frame.source);
    assert.equal(
      proofs.receive(taken.answer, other, 0, () => true),
      undefined,
      "a proof that nobody asked for is none",
    );
  },
};

/** The last word of each line. */
function captured(file: string): Uint8Array[] {
  const text = readFileSync(new URL(`../../../pkg/layer2/testdata/${file}`, import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => fromHex(line.split(" ").at(-1) ?? ""));
}
