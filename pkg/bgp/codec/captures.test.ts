import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MessageReader } from "./message-reader.ts";
import { external, hex, octets } from "./testing/octets.ts";
import { type ReadMessage, readMessage } from "./testing/update-reader.ts";

interface Session {
  readonly title: string;
  readonly messages: readonly { readonly octets: string; readonly decoded: string }[];
}

/** See the note beside the files. */
function sessions(file: string): Session[] {
  const text = readFileSync(new URL(`./testdata/${file}`, import.meta.url), "utf8");
  return text.split("\n\n").map((block) => {
    const [title = "", ...lines] = block.trim().split("\n");
    const messages = lines.flatMap((line, index) =>
      index % 2 === 0 ? [{ octets: line, decoded: `${lines[index + 1]?.trim()}` }] : [],
    );
    return { title: title.replace("# ", ""), messages };
  });
}

function json(message: ReadMessage): string {
  // A Uint8Array has no toJSON, unlike the Buffers that it may be.
  return JSON.stringify(message, (_, value) => {
    if (typeof value === "bigint") return `0x${value.toString(16)}`;
    return value instanceof Uint8Array ? hex(value) : value;
  });
}

for (const router of ["frr", "bird", "gobgp", "openbgpd"])
  for (const { title, messages } of sessions(`${router}.txt`))
    test(`what ${router} sends is understood: session ${title}`, () => {
      const stream = octets(messages.map((one) => one.octets).join(""));
      const session = { ...external, fourOctetAsn: !title.includes("two-octet") };
      const reader = new MessageReader();
      const decoded: string[] = [];
      for (let offset = 0; offset < stream.length; offset += 100) {
        reader.push(stream.subarray(offset, offset + 100));
        for (let frame = reader.next(true); frame !== undefined; frame = reader.next(true))
          decoded.push(json(readMessage(frame, session)));
      }
      assert.deepEqual(
        decoded,
        messages.map((one) => one.decoded),
      );
    });
