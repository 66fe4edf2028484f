/** Layer 2 for tests: frames of hosts that they make up themselves, challenges and proofs. */
export { Proofs } from "../engine/proofs.ts";
export { unsolicited } from "../frames/answers.ts";
export { type ArpFrame, ArpOperation, encodeArp } from "../frames/arp.ts";
export { encodeNeighbor } from "../frames/ndp.ts";
