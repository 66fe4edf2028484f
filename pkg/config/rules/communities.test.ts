import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCommunity, parseCommunity } from "./communities.ts";

const cases: [text: string, want: string | undefined][] = [
  ["0:0", "0:0"],
  ["65535:65535", "65535:65535"],
  ["007:08", "7:8"],
  ["large:0:0:0", "large:0:0:0"],
  ["large:4294967295:4294967295:4294967295", "large:4294967295:4294967295:4294967295"],
  ["graceful-shutdown", "65535:0"],
  ["blackhole", "65535:666"],
  ["no-export", "65535:65281"],
  ["no-advertise", "65535:65282"],
  ["no-export-subconfed", "65535:65283"],
  ["no-peer", "65535:65284"],
  ["", undefined],
  ["1", undefined],
  ["1:", undefined],
  [":1", undefined],
  ["65536:0", undefined],
  ["0:65536", undefined],
  ["1:2:3", undefined],
  ["-1:1", undefined],
  ["+1:1", undefined],
  ["1: 1", undefined],
  ["0x1:1", undefined],
  ["large:1:2", undefined],
  ["large:1:2:4294967296", undefined],
  ["large:1:2:3:4", undefined],
  ["LARGE:1:2:3", undefined],
  ["No-Export", undefined],
];
for (const [text, want] of cases) {
  test(`parseCommunity: ${JSON.stringify(text)} is ${want ?? "none"}`, () => {
    const community = parseCommunity(text);
    assert.equal(community && formatCommunity(community), want);
  });
}
