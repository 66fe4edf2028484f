import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { KubeApi } from "./kube-api.ts";

/** An API server on loopback, and a client. */
async function apiServer(answer: RequestListener, silenceMs?: number) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const folder = await mkdtemp(join(tmpdir(), "kube-api-"));
  const kubeconfig = join(folder, "config");
  const cluster = { name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } };
  const context = { name: "c", context: { cluster: "c", user: "u" } };
  const config = { clusters: [cluster], contexts: [context], users: [{ name: "u", user: {} }], "current-context": "c" };
  await writeFile(kubeconfig, JSON.stringify(config));
  return {
    api: new KubeApi({ kubeconfig, context: undefined, ...(silenceMs !== undefined && { silenceMs }) }),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true });
    },
  };
}

const expired = JSON.stringify({
  kind: "Status",
  code: 410,
  reason: "Expired",
  message: "The provided continue parameter is too old",
});

/** Lists of which a token for the second page is good once `good` lists have begun. */
function pages(good: number) {
  const state = { begun: 0 };
  const answer: RequestListener = (asked, response) => {
    const token = new URL(asked.url ?? "", "http://localhost").searchParams.get("continue");
    if (token === null) {
      state.begun++;
      response.end(JSON.stringify({ items: [`a${state.begun}`], metadata: { continue: `${state.begun}` } }));
    } else if (Number(token) < good) response.writeHead(410).end(expired);
    else response.end(JSON.stringify({ items: [`b${token}`], metadata: {} }));
  };
  return { state, answer };
}

test("a list that expires between two pages is begun anew, and has nothing of the earlier one", async () => {
  const { state, answer } = pages(2);
  await using server = await apiServer(answer);
  assert.deepEqual(await server.api.list("/api/v1/services"), { type: "found", value: ["a2", "b2"] });
  assert.equal(state.begun, 2);
});

test("a list that expires again and again is given up, with the reason", async () => {
  const { state, answer } = pages(Infinity);
  await using server = await apiServer(answer);
  const found = await server.api.list("/api/v1/services");
  assert.deepEqual(found, { type: "unread", why: "410 The provided continue parameter is too old" });
  assert.equal(state.begun, 3);
});

test("an API server that breaks off in the middle of an answer, or says no more, is a reason, not the end of the program", async () => {
  for (const [breakOff, why] of [
    [true, /^(read ECONNRESET|aborted|socket hang up)$/],
    [false, /^no answer within 0.2 s$/],
  ] as const) {
    await using server = await apiServer((_asked, response) => {
      response.write('{"items":[');
      if (breakOff) setTimeout(() => response.socket?.resetAndDestroy(), 20);
    }, 200);
    const found = await server.api.list("/api/v1/pods");
    assert.equal(found.type, "unread");
    assert.match(found.why, why);
  }
});

test("an API server that is too busy is asked again when it says, as kubectl does, and not for ever", async () => {
  for (const [refusals, found] of [
    [2, { type: "found", value: {} }],
    [Infinity, { type: "unread", why: "429 too many" }],
  ] as const) {
    let asked = 0;
    await using server = await apiServer((_asked, response) => {
      if (++asked > refusals) response.end("{}");
      else response.writeHead(429, { "retry-after": "0" }).end("too many");
    });
    assert.deepEqual(await server.api.write("PATCH", "/api/v1/nodes/a", {}), found);
    assert.equal(asked, Math.min(refusals + 1, 10));
  }
});
