/** What tests need of layer 2: frames, for hosts that they make up themselves. */
export { unsolicited } from "../frames/answers.ts";
export { type ArpFrame, ArpOperation, encodeArp } from "../frames/arp.ts";
export { encodeNeighbor } from "../frames/ndp.ts";
