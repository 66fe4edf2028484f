import assert from "node:assert/strict";
import { allNodesGroup, internetChecksum } from "#pkg/net";
import {
  allRouters,
  decodeRouterFrame,
  encodeRouterFrame,
  RouterMessage,
} from "../../../pkg/router-discovery/codec/router-frames.ts";
import { fromHex, packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const mac = 0x02_00_00_00_00_01;
const source = 0xfe80_0000_0000_0000_0000_00ff_fe00_0001n;
const common = { destinationMac: 0x3333_0000_0001, sourceMac: mac, source, lifetimeSeconds: 0 };
const payloadLengthAt = 18;
const messageAt = 54;
const checksumAt = 56;

export const routerAdvertisements: Target = {
  name: "router-advertisements",
  maxLength: 256,
  seeds: [
    encodeRouterFrame({ ...common, destination: allNodesGroup, type: RouterMessage.advertisement, linkLayerAddress: mac }),
    encodeRouterFrame({ ...common, destination: allRouters, type: RouterMessage.solicitation, linkLayerAddress: undefined }),
  ],
  words: [
    ...wordsIn("pkg/router-discovery/codec/router-frames.ts"),
    ...["3aff", "8500", "8600", "0101020000000001", "0304", "0501", "0000000000000000"].map(fromHex),
  ],
  isText: false,
  bounds: packetBounds,
  repair: (input) => {
    if (input.length < messageAt + 8) return input;
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
    const frame = decodeRouterFrame(input);
    if (frame !== undefined) assert.deepEqual(decodeRouterFrame(encodeRouterFrame(frame)), frame);
  },
};
