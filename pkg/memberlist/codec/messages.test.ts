import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyText } from "#pkg/text/testing";
import { nodeName, nodeNameText } from "./messages.ts";

test("nodeName has one character per octet of the UTF-8 text", () => {
  assert.equal(nodeName("node-a"), "node-a");
  assert.equal(nodeName("é"), "\u00c3\u00a9");
});

test("property: nodeNameText undoes nodeName", () => {
  fc.assert(fc.property(anyText(), (text) => assert.equal(nodeNameText(nodeName(text)), text.toWellFormed())));
});

test("nodeNameText shows octets that are no text as U+FFFD", () => {
  assert.equal(nodeNameText("a\u00ff"), "a\ufffd");
});
