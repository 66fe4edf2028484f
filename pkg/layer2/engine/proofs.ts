import { createHmac, timingSafeEqual } from "node:crypto";
import { type Millis, perSecond, SourceTokens } from "#pkg/clock";
import { formatMac, type Mac } from "#pkg/net";
import type { WireAddress } from "../frames/arp.ts";
import { decodeProof, encodeProof, ProofType, tagAt, tagLength } from "../frames/proof.ts";
import type { Sighting } from "../frames/sightings.ts";

/** So long a challenge can be answered: what is held back for longer proves nothing. */
const lifetime: Millis = 1000;
// A host that sees a challenge can send wrong answers to it.
const maxAnswers = 4;
// A node that leaves ten thousand addresses to another one asks for each every three seconds. A proof takes some microseconds.
const proofsMade = { ofSource: perSecond(5_000), all: perSecond(10_000) };

interface Challenge {
  readonly nonce: Uint8Array;
  readonly until: Millis;
  answers: number;
}

/**
 * Challenges to speakers to prove that they announce an address, and proofs that this one does: by a key that follows from the ring's, so that nobody
 * else can make them. Nonces are new each time, so that what was captured proves nothing. A frame can be relayed: a proof says that
 * the speaker with this MAC address announces the address now, on the interface that has it, and not on which link it was asked.
 */
export class Proofs {
  readonly #newNonce: () => Uint8Array;
  readonly #open = new Map<string, Challenge>(); // address and MAC address -> the last challenge, oldest first
  readonly #made: SourceTokens; // by the MAC address of the challenger
  #ofRing: readonly Uint8Array[] = [];
  #derived: readonly Uint8Array[] | undefined; // From the keys of the ring, once they are needed: until then no thread loads node:crypto.
  /** Whether this speaker has lost all others and the API, which its proofs say. */
  isAlone = false;

  /** @param newNonce of 16 octets that nobody can foresee */
  constructor(newNonce: () => Uint8Array, now: Millis) {
    this.#newNonce = newNonce;
    this.#made = new SourceTokens(proofsMade, now);
  }

  /** The ring's keys: the first makes proofs, all are accepted; without a key there is no proof. */
  setKeys(keys: readonly Uint8Array[]): void {
    this.#ofRing = keys;
    this.#derived = undefined;
  }

  get #keys(): readonly Uint8Array[] {
    this.#derived ??= this.#ofRing.map((key) => createHmac("sha256", key).update("ingot: who announces an address").digest());
    return this.#derived;
  }

  /** @param from the MAC addresses of the interfaces that ask @returns a frame for each; none without a key */
  challenge(address: WireAddress, to: Mac, from: readonly Mac[], now: Millis): Uint8Array[] {
    if (this.#ofRing.length === 0) return [];
    for (const [key, { until }] of this.#open) {
      if (until > now) break;
      this.#open.delete(key);
    }
    const key = keyOf(address, to);
    const nonce = this.#newNonce();
    this.#open.delete(key);
    this.#open.set(key, { nonce, until: now + lifetime, answers: 0 });
    return from.map((source) => encodeProof({ destination: to, source, type: ProofType.challenge, nonce, address }));
  }

  /**
   * Takes a frame that came to the interface with MAC address `mac`.
   * @param isAnnounced whether this node announces an address there
   * @returns the proof to send, or the node and the address that a proof is about
   */
  receive(
    frame: Uint8Array,
    mac: Mac,
    now: Millis,
    isAnnounced: (address: WireAddress) => boolean,
  ): { readonly answer: Uint8Array } | { readonly proven: Sighting } | undefined {
    const decoded = decodeProof(frame);
    if (decoded === undefined || decoded.destination !== mac || decoded.source === mac) return undefined;
    const { type, source, address, nonce, tag } = decoded;
    if (type === ProofType.challenge) {
      const [key] = this.#keys;
      if (key === undefined || !isAnnounced(address) || !this.#made.take(formatMac(source), now)) return undefined;
      const proof = this.isAlone ? ProofType.proofAlone : ProofType.proof;
      const answer = encodeProof({ destination: source, source: mac, type: proof, nonce, address });
      answer.set(tagOf(key, answer), tagAt);
      return { answer };
    }
    const challenge = this.#open.get(keyOf(address, source));
    if (challenge === undefined || challenge.until <= now || challenge.answers >= maxAnswers) return undefined;
    if (!timingSafeEqual(challenge.nonce, nonce)) return undefined;
    challenge.answers++;
    if (!this.#keys.some((key) => timingSafeEqual(tagOf(key, frame), tag))) return undefined;
    this.#open.delete(keyOf(address, source));
    return { proven: { address, mac: source, kind: type === ProofType.proof ? "proves" : "provesAlone" } };
  }
}

function keyOf(address: WireAddress, mac: Mac): string {
  return `${typeof address} ${address} ${formatMac(mac)}`;
}

function tagOf(key: Uint8Array, frame: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(frame.subarray(0, tagAt)).digest().subarray(0, tagLength);
}
