import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { pageFiles } from "./bundle.ts";

const maxBytes = 150 * 1024;

const files = await pageFiles();

test(`the page has less than ${maxBytes} octets, compressed`, (t) => {
  const bytes = [...files.values()].reduce((sum, { body }) => sum + gzipSync(body).length, 0);
  t.diagnostic(`${bytes} octets`);
  assert.ok(bytes < maxBytes, `${bytes} octets`);
  assert.ok(bytes > 5_000, `${bytes} octets are no page`);
});

test("the page loads nothing from elsewhere, and has no script or style of its own in the text", () => {
  const page = files.get("/")?.body ?? "";
  for (const [, target = ""] of page.matchAll(/(?:src|href)="([^"]*)"/g)) assert.ok(files.has(`/${target}`), target);
  assert.doesNotMatch(page, /<style|<script(?![^>]*\bsrc=)|\son\w+=|style=/);
  const script = files.get("/app.js")?.body ?? "";
  const style = files.get("/app.css")?.body ?? "";
  assert.doesNotMatch(style, /@import|url\(/);
  // Names of XML's namespaces, which nobody asks for anything.
  const addresses = [...script.matchAll(/https?:\/\/[^"'`\s)]+/g)].map(([address]) => address);
  assert.deepEqual(
    addresses.filter((address) => !address.startsWith("http://www.w3.org/")),
    [],
  );
});
