import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { UsageError } from "../command.ts";
import { run } from "../run.ts";
import { fakeIo, ingotctl } from "../testing/ingotctl.ts";
import { emptyModel, type Model } from "./model/rows.ts";
import { serveDashboard } from "./server.ts";
import { clusterApi, clusterProcesses, manyServices } from "./testing/cluster.ts";

const files = new Map([["/", { contentType: "text/html", body: "<p>page" }]]);

async function get(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const [response] = await once(request(url, { headers }).end(), "response");
  return response as IncomingMessage;
}

async function text(response: IncomingMessage): Promise<string> {
  return (await response.setEncoding("utf8").toArray()).join("");
}

function model(name: string, bytes = 10): Model {
  const row = { id: "about", cluster: name.padEnd(bytes, "x"), isComplete: true, everyMs: 1000 } as const;
  return Object.assign(emptyModel(), { about: new Map([[row.id, row]]) });
}

test("the page comes with headers that let it do nothing else", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  const response = await get(server.url);
  assert.equal(await text(response), "<p>page");
  assert.match(`${response.headers["content-security-policy"]}`, /default-src 'none'/);
  assert.deepEqual([response.headers["cache-control"], response.headers["referrer-policy"]], ["no-store", "no-referrer"]);
  assert.equal(response.headers["access-control-allow-origin"], undefined);
});

test("what is refused gets nothing of the page, and the same headers", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  const rebound = await get(server.url, { host: "evil.example" });
  assert.equal(rebound.statusCode, 421);
  assert.ok(rebound.headers["content-security-policy"]);
  assert.doesNotMatch(await text(rebound), /page/);
  const { origin } = new URL(server.url);
  assert.equal((await get(`${origin}/`)).statusCode, 404);
  assert.equal((await get(`${server.url}nothing`)).statusCode, 404);
});

test("a path that no URL can have is answered like any other that is not there, and the page is served on", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  const { port, pathname } = new URL(server.url);
  for (const rest of ["/", "/[", "/a:b", "//evil.example/", "\\\\["]) {
    const asked = request({ host: "127.0.0.1", port, path: `${pathname}${rest}` }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 404, rest);
    response.resume();
  }
  assert.equal((await get(server.url)).statusCode, 200);
});

test("each run has a token of its own", async () => {
  await using one = await serveDashboard({ port: 0, files, questions: {} });
  await using other = await serveDashboard({ port: 0, files, questions: {} });
  const token = (url: string) => new URL(url).pathname;
  assert.match(token(one.url), /^\/[0-9a-f]{32}\/$/);
  assert.notEqual(token(one.url), token(other.url));
});

test("a question is answered, and a problem with it is said", async () => {
  const questions = {
    "/explain": async (query: URLSearchParams) => {
      if (query.get("subject") === "bad") throw new UsageError("cannot explain it");
      if (query.get("subject") === "lost") throw new Error("no answer");
      return { about: query.get("subject") };
    },
  };
  await using server = await serveDashboard({ port: 0, files, questions });
  const ask = async (subject: string) => {
    const response = await get(`${server.url}explain?subject=${subject}`);
    return [response.statusCode, JSON.parse(await text(response))];
  };
  assert.deepEqual(await ask("svc%2Fa%2Fb"), [200, { about: "svc/a/b" }]);
  assert.deepEqual(await ask("bad"), [400, { problem: "cannot explain it" }]);
  assert.deepEqual(await ask("lost"), [502, { problem: "no answer" }]);
});

test("the stream has first the whole model, then what differs, each once", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  server.show(model("one"));
  const stream = await get(`${server.url}stream`);
  assert.equal(stream.headers["content-type"], "text/event-stream");
  let received = "";
  stream.setEncoding("utf8").on("data", (chunk) => {
    received += chunk;
  });
  while (!received.includes("onexx")) await once(stream, "data");
  server.show(model("two"));
  while (!received.includes("twoxx")) await once(stream, "data");
  const events = received.split("\n").filter((line) => line.startsWith("event: "));
  assert.deepEqual(events, ["event: model", "event: changes"]);
  stream.destroy();
});

test("for a reader that takes nothing only one message is kept, and then it gets the latest", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  const large = 8 << 20; // More than the kernel takes at once.
  server.show(model("first", large));
  const stream = await get(`${server.url}stream`);
  stream.pause();
  for (let index = 0; index < 10; index++) server.show(model(`step${index}`, large));
  server.show(model("latest"));
  let received = "";
  stream.setEncoding("utf8").on("data", (chunk) => {
    received += chunk.replaceAll(/x+/g, "x");
  });
  stream.resume();
  while (!received.includes("latest")) await once(stream, "data");
  const events = received.split("\n").filter((line) => line.startsWith("event: "));
  assert.deepEqual(events, ["event: model", "event: changes"]);
  stream.destroy();
});

test("streams and questions are bounded", async () => {
  const { promise, resolve } = Promise.withResolvers<object>();
  await using server = await serveDashboard({ port: 0, files, questions: { "/explain": () => promise } });
  const streams = await Promise.all(Array.from({ length: 7 }, () => get(`${server.url}stream`)));
  assert.deepEqual(streams.map(({ statusCode }) => statusCode).sort(), [...Array(6).fill(200), 503]);
  const asked = Array.from({ length: 8 }, () => get(`${server.url}explain`));
  while ((await get(server.url)).statusCode !== 200);
  assert.equal((await get(`${server.url}explain`)).statusCode, 503);
  resolve({});
  assert.deepEqual(
    (await Promise.all(asked)).map(({ statusCode }) => statusCode),
    Array(8).fill(200),
  );
  for (const stream of streams) stream.destroy();
});

test("ingotctl dashboard serves the cluster, by the name of its context, until it is interrupted", async () => {
  const nodes = ["n1", "n2"];
  const cluster = () => ({ nodes, services: manyServices(3, nodes), silent: {} });
  const { promise: interrupted, resolve } = Promise.withResolvers<void>();
  const io = fakeIo({ processes: clusterProcesses(cluster), api: clusterApi(cluster), interrupted });
  const running = run(["dashboard"], io);
  while (io.printed.out === "") await setImmediate();
  const { out } = io.printed;
  const stream = await get(`${/http\S+/.exec(out)}stream`);
  let said = "";
  for await (const chunk of stream) {
    said += chunk;
    if (said.includes('"cluster"')) break;
  }
  resolve();
  assert.equal(await running, 0);
  assert.match(said, /"cluster":"staging"/);
  assert.match(out, /^The dashboard is on http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/\nCtrl-C ends it\.\n$/);
});

const misused: { args: string; says: RegExp }[] = [
  { args: "dashboard now", says: /dashboard takes no argument, not 1/ },
  { args: "dashboard --port=many", says: /--port is a number up to 65535, not "many"/ },
  { args: "dashboard --port=70000", says: /--port is a number/ },
  { args: "dashboard", says: /cannot ask the cluster/ },
];
for (const { args, says } of misused)
  test(`ingotctl ${args}: is refused`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [2, ""]);
    assert.match(err, says);
  });

test("ingotctl dashboard --port: one that is in use is named", async () => {
  await using server = await serveDashboard({ port: 0, files, questions: {} });
  const { port } = new URL(server.url);
  const { status, err } = await ingotctl(`dashboard --port ${port}`);
  assert.equal(status, 2);
  assert.match(err, new RegExp(`cannot serve the dashboard on port ${port}: .*EADDRINUSE`));
});
