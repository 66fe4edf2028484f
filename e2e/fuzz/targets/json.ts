import assert from "node:assert/strict";
import { readReview } from "../../../controller/webhook/admission.ts";
import { atOnce } from "../../../pkg/clock/index.ts";
import { decode, encode } from "../../../pkg/core/index.ts";
import { parseEntry } from "../../../pkg/core/recording/entry.ts";
import { decodeGraph } from "../../../pkg/core/recording/graph.ts";
import { readRecord as readKernelRecord } from "../../../pkg/kernel/state/record.ts";
import { parseAddress } from "../../../pkg/net/index.ts";
import { pageOf, readAnswer, readRecord, sentence } from "../../../pkg/netbox/answers.ts";
import { sortRecords } from "../../../pkg/netbox/plan.ts";
import { octetsOf, type Target, textOf } from "../target.ts";
import { wordsIn } from "../words.ts";

const bounds = { work: 2_000, workPerOctet: 60, memory: 32, time: 100 };
const words = ['""', "null", "[]", "{}", "0", "-1", "1e999", "true", '"__proto__":', '"constructor":', '"192.0.2.1"'].map(
  octetsOf,
);
const jsonOf = (value: unknown) => octetsOf(JSON.stringify(value));

const record = {
  id: 7,
  address: "192.0.2.1/24",
  status: { value: "active", label: "Active" },
  description: "default/web (uid 0b0e)",
  tags: [{ id: 1, slug: "ingot" }, { slug: "lab" }],
};
const rules = { mode: "allocate", tags: ["ingot"], tenant: undefined, role: undefined, onRelease: "delete" } as const;

/** Answers of NetBox: lists, records, refusals. */
export const netbox: Target = {
  name: "netbox",
  maxLength: 4_000,
  seeds: [
    { count: 1, next: null, results: [record] },
    record,
    [record],
    { detail: "No permission." },
    { address: ["Duplicate"] },
  ].map(jsonOf),
  words: [...words, ...wordsIn("pkg/netbox/answers.ts", "pkg/netbox/plan.ts")],
  isText: true,
  bounds,
  run: (input) => {
    const said = textOf(input);
    const shown = sentence(said);
    assert.ok(shown.length <= 400 && !/\p{Cc}/u.test(shown), "what NetBox says is short, and no control characters are in it");
    const answer = readAnswer(said);
    if (answer === undefined) return;
    const records = pageOf(answer)?.records ?? [readRecord(answer)].filter((each) => each !== undefined);
    for (const { address } of records) assert.ok(parseAddress(`${address}`)?.equals(address));
    const { own, granted, foreign } = atOnce(sortRecords(records, () => true, rules));
    for (const address of granted.keys()) assert.ok(own.has(address) && !foreign.has(address));
  },
};

/** Entries of the flight recorder: a file may be anything. */
export const recording: Target = {
  name: "recording",
  maxLength: 4_000,
  seeds: [
    {
      at: 1,
      input: { type: "member", node: "a", macs: { "@map": [["a", { "@hex": "0200" }]] } },
      decisions: [{ "@ip": "192.0.2.1" }],
    },
    {
      at: 2.5,
      input: { "@net": ["2001:db8::", 64] },
      decisions: [{ "@range": ["192.0.2.1", "192.0.2.9"] }, { "@num": "Infinity" }],
    },
    {
      at: 3,
      input: { "@object": [["@a", { "@none": 0 }]] },
      decisions: [{ "@set": [{ "@big": "12" }, { "@ip": "IPv6 65535" }] }],
    },
  ].map(jsonOf),
  words: [...words, ...wordsIn("pkg/core/recording/codec.ts"), ...wordsIn("pkg/core/recording/graph.ts")],
  isText: true,
  bounds,
  run: (input) => {
    const entry = parseEntry(textOf(input));
    if (entry === undefined) return;
    for (const plain of [entry.input, ...entry.decisions]) {
      try {
        decodeGraph(plain, {});
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      }
      let value: unknown;
      try {
        value = decode(plain);
      } catch (error) {
        if (error instanceof TypeError || error instanceof RangeError) continue;
        throw error;
      }
      const again = encode(value, (secret) => secret);
      assert.deepEqual(
        encode(decode(again), (secret) => secret),
        again,
      );
    }
  },
};

const review = {
  kind: "AdmissionReview",
  request: {
    uid: "u",
    namespace: "metallb-system",
    name: "config",
    object: { metadata: { name: "config" }, data: { config: "address-pools: []" } },
    oldObject: { data: { config: "" } },
  },
};

/** Requests of the API server, or of a client in its place, to the admission webhook. */
export const admission: Target = {
  name: "admission",
  maxLength: 4_000,
  seeds: [review, { ...review, request: { uid: "u", oldObject: null } }].map(jsonOf),
  words: [...words, ...wordsIn("controller/webhook/admission.ts")],
  isText: true,
  bounds,
  run: (input) => {
    const request = readReview(textOf(input));
    if (request === undefined) return;
    for (const text of [request.uid, request.namespace, request.name]) assert.equal(typeof text, "string");
  },
};

/** The record of an earlier life of a speaker on its node about addresses in the kernel. */
export const kernelRecord: Target = {
  name: "kernel-record",
  maxLength: 4_000,
  seeds: [{ protocols: [68], tables: [254], addresses: ["192.0.2.1/32 eth0"] }].map(jsonOf),
  words: [...words, ...wordsIn("pkg/kernel/state/record.ts")],
  isText: true,
  bounds,
  run: (input) => {
    const state = { marks: new Set<number>(), tables: new Set<number>(), recorded: new Set<string>() };
    assert.equal(readKernelRecord(state, textOf(input)), state.marks.size > 0);
    for (const number of [...state.marks, ...state.tables]) assert.ok(Number.isInteger(number) && number > 0);
  },
};
