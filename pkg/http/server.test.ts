import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { type Route, type Routes, serve } from "#pkg/http";
import { silentLog } from "#pkg/log/testing";
import { type HttpServer, httpLimits } from "./server.ts";

const routes: Routes = {
  "/healthz": () => ({ status: 200, contentType: "text/plain", body: "ok\n" }),
  "/readyz": async () => ({ status: 503, contentType: "text/plain", body: "waiting for Services\n" }),
  "/broken": () => {
    throw new Error("broken");
  },
};
const local = { host: "127.0.0.1", port: 0, routes, log: silentLog };

const cases: { name: string; path: string; method?: string; status: number; body?: string }[] = [
  { name: "a route answers", path: "/healthz", status: 200, body: "ok\n" },
  { name: "a query is ignored", path: "/healthz?verbose", status: 200, body: "ok\n" },
  { name: "a route may take its time and say no", path: "/readyz", status: 503, body: "waiting for Services\n" },
  { name: "HEAD has no body", path: "/healthz", method: "HEAD", status: 200, body: "" },
  { name: "an unknown path is not found", path: "/", status: 404 },
  { name: "a name that every object has is not a path", path: "/constructor", status: 404 },
  { name: "other methods are refused", path: "/healthz", method: "POST", status: 405 },
  { name: "a route that throws is an internal error, and the server lives on", path: "/broken", status: 500 },
];
test("serve answers fixed paths", async (t) => {
  await using server = await serve(local);
  for (const { name, path, method, status, body } of cases) {
    await t.test(name, async () => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method: method ?? "GET" });
      const text = await response.text();
      assert.equal(response.status, status);
      if (body !== undefined) assert.equal(text, body);
    });
  }
});

test("a port in use is refused by name", async () => {
  await using first = await serve(local);
  await assert.rejects(serve({ ...local, port: first.port }), { message: `Cannot listen for HTTP on 127.0.0.1:${first.port}` });
});

test("who listens on one address of the machine is found on loopback too, and knows who asks from there", async () => {
  const asked: string[] = [];
  const seen: Routes = {
    "/who": ({ from, isLocal, query, host }) => {
      asked.push(`${from} ${isLocal} ${query.get("a")} ${host}`);
      return { status: 401, contentType: "text/plain", body: "who?\n" };
    },
  };
  await using server = await serve({ ...local, host: "127.0.0.2", routes: seen });
  for (const host of ["127.0.0.1", "127.0.0.2"]) {
    const answer = await fetch(`http://${host}:${server.port}/who?a=b`);
    assert.deepEqual([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"]);
  }
  assert.deepEqual(asked, [`127.0.0.1 true b 127.0.0.1:${server.port}`, `127.0.0.1 true b 127.0.0.2:${server.port}`]);
});

const limit = { timeout: 120_000 };
const request = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";

/** A server whose time only the test moves, with one page. */
class Scene implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly #server: HttpServer;
  readonly #clients: Client[] = [];

  static async start(page: () => Route | Promise<Route>): Promise<Scene> {
    const clock = new SimulatedClock();
    return new Scene(clock, await serve({ ...local, routes: { "/page": page }, clock }));
  }

  private constructor(clock: SimulatedClock, server: HttpServer) {
    this.clock = clock;
    this.#server = server;
  }

  /** Connects not faster than a host may. */
  async connect(from = "127.0.0.1"): Promise<Client> {
    this.clock.advanceBy(25);
    const client = this.dial(from);
    await this.until(() => client.isConnected);
    return client;
  }

  dial(from: string): Client {
    const client = new Client(this.#server.port, from);
    this.#clients.push(client);
    return client;
  }

  /** Lets I/O and due timers happen. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      this.clock.advanceBy(0);
      await setImmediate();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await this.#server[Symbol.asyncDispose]();
  }
}

class Client {
  readonly socket: Socket;
  isConnected = false;
  isClosed = false;
  received = "";

  constructor(port: number, localAddress: string) {
    this.socket = connect({ port, host: "127.0.0.1", localAddress }, () => {
      this.isConnected = true;
    });
    this.socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
  }

  get answers(): number {
    return this.received.split("HTTP/1.1 200").length - 1;
  }
}

/** An address of the loopback network. */
const hostOf = (index: number) => `127.1.${index >> 8}.${index & 255}`;
const ok = (body: string): Route => ({ status: 200, contentType: "text/plain", body });

test("requests that a client sends ahead are answered one at a time", limit, async () => {
  let [asked, underWay, most] = [0, 0, 0];
  await using scene = await Scene.start(async () => {
    asked++;
    most = Math.max(most, ++underWay);
    await setImmediate();
    underWay--;
    return ok("x".repeat(10_000));
  });
  const client = await scene.connect();
  client.socket.write(request.repeat(300));
  await scene.until(() => client.answers === 300);
  assert.deepEqual([asked, most], [300, 1]);
});

test("requests that are sent ahead wait in the socket while nobody takes the answers", limit, async () => {
  let asked = 0;
  const page = Buffer.alloc(8 << 20, "x");
  await using scene = await Scene.start(() => {
    asked++;
    return { status: 200, contentType: "text/plain", body: page };
  });
  const client = await scene.connect();
  client.socket.pause();
  client.socket.write(request.repeat(10_000));
  for (let turn = 0; turn < 200; turn++) {
    scene.clock.advanceBy(0);
    await setImmediate();
  }
  assert.equal(asked, 1);
  scene.clock.advanceBy(httpLimits.answerMs);
  client.socket.resume();
  await scene.until(() => client.isClosed);
  assert.equal(asked, 1);
});

test("when there are 64 connections the oldest idle one makes room for a new one", limit, async () => {
  const answer = Promise.withResolvers<Route>();
  await using scene = await Scene.start(() => answer.promise);
  const busy = await scene.connect();
  busy.socket.write(request);
  const idle: Client[] = [];
  while (idle.length < httpLimits.connections - 1) idle.push(await scene.connect());
  const late = await scene.connect();
  late.socket.write(request);
  await scene.until(() => idle[0]?.isClosed === true);
  answer.resolve(ok("late\n"));
  await scene.until(() => late.answers === 1 && busy.answers === 1);
  assert.deepEqual(
    idle.slice(1).filter(({ isClosed }) => isClosed),
    [],
  );
});

test("a host that keeps all connections at work gets no more, and another host gets in at its expense", limit, async () => {
  const answer = Promise.withResolvers<Route>();
  let asked = 0;
  await using scene = await Scene.start(() => {
    asked++;
    return answer.promise;
  });
  const busy: Client[] = [];
  while (busy.length < httpLimits.connections) {
    const client = await scene.connect();
    client.socket.write(request);
    busy.push(client);
  }
  await scene.until(() => asked === busy.length);
  const more = await scene.connect();
  await scene.until(() => more.isClosed);
  const other = await scene.connect("127.0.0.2");
  other.socket.write(request);
  await scene.until(() => busy[0]?.isClosed === true);
  answer.resolve(ok("here\n"));
  await scene.until(() => other.answers === 1 && busy.slice(1).every(({ answers }) => answers === 1));
});

test(
  "64 hosts with a connection each keep no other host out, and make room before a host that asks again and again does",
  limit,
  async () => {
    const answer = Promise.withResolvers<Route>();
    let asked = 0;
    await using scene = await Scene.start(() => (++asked === 1 ? ok("here\n") : answer.promise));
    const regular = await scene.connect("127.0.0.2");
    regular.socket.write(request);
    await scene.until(() => regular.answers === 1);
    const idle: Client[] = [];
    while (idle.length < httpLimits.connections - 1) idle.push(await scene.connect(hostOf(idle.length)));
    const late = await scene.connect("127.0.0.3");
    late.socket.write(request);
    await scene.until(() => asked === 2 && idle[0]?.isClosed === true);
    assert.equal(regular.isClosed, false);
    answer.resolve(ok("late\n"));
    await scene.until(() => late.answers === 1);
  },
);

test("600 connections that never end their request do not keep another one from its answer", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  const slow: Client[] = [];
  for (let i = 0; i < 600; i++) {
    const client = await scene.connect();
    client.socket.write("GET /page HTTP/1.1\r\nX: ");
    slow.push(client);
  }
  const client = await scene.connect();
  client.socket.write(request);
  await scene.until(() => client.answers === 1);
  await scene.until(() => slow.filter(({ isClosed }) => !isClosed).length < httpLimits.connections);
});

test("a request whose head does not end within 5 s ends the connection, however often a byte comes", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  const client = await scene.connect();
  client.socket.write("GET /page HTTP/1.1\r\nX: ");
  for (let ms = 0; ms < httpLimits.headMs; ms += 500) {
    assert.equal(client.isClosed, false);
    client.socket.write("y");
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    scene.clock.advanceBy(500);
  }
  await scene.until(() => client.isClosed);
});

test("a connection without a request is closed after two minutes, and serves until then", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  const client = await scene.connect();
  for (let scrape = 1; scrape <= 3; scrape++) {
    client.socket.write(request);
    await scene.until(() => client.answers === scrape);
    scene.clock.advanceBy(httpLimits.idleMs - 1);
  }
  scene.clock.advanceBy(1);
  await scene.until(() => client.isClosed);
});

test("what is no request is refused, and its connection closed", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  for (const [sent, status] of [
    ["hello\r\n\r\n", "400 Bad Request"],
    [`GET /page HTTP/1.1\r\nX: ${"y".repeat(20_000)}`, "431 Request Header Fields Too Large"],
    ["POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "413 Content Too Large"],
  ] as const) {
    const client = await scene.connect();
    client.socket.write(sent);
    await scene.until(() => client.isClosed);
    assert.ok(client.received.startsWith(`HTTP/1.1 ${status}\r\n`), client.received);
  }
});

test("a host gets 100 connections at once and the others a second later, while another host gets in", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  const flood = Array.from({ length: 101 }, () => scene.dial("127.0.0.1"));
  await scene.until(() => flood.at(-1)?.isClosed === true);
  const refused = scene.dial("127.0.0.1");
  refused.socket.write(request);
  const other = scene.dial("127.0.0.2");
  other.socket.write(request);
  await scene.until(() => other.answers === 1);
  assert.equal(refused.isConnected, false);
  scene.clock.advanceBy(1_100);
  await scene.until(() => refused.answers === 1);
});

test("while 200 hosts connect at once, a host that asked before gets in, and so does a client on this host", limit, async () => {
  await using scene = await Scene.start(() => ok("here\n"));
  const asked = await scene.connect("127.0.0.2");
  asked.socket.write(request);
  await scene.until(() => asked.answers === 1);
  scene.clock.advanceBy(1_100);
  const hosts: Client[] = [];
  while (hosts.length < 201) {
    const client = scene.dial(hostOf(hosts.length));
    hosts.push(client);
    await scene.until(() => client.isConnected);
  }
  await scene.until(() => hosts.at(-1)?.isClosed === true);
  const strange = scene.dial("127.0.0.3");
  for (const known of ["127.0.0.2", "127.0.0.1"]) {
    const client = scene.dial(known);
    client.socket.write(request);
    await scene.until(() => client.answers === 1);
  }
  assert.equal(strange.isConnected, false);
  scene.clock.advanceBy(1_100);
  await scene.until(() => strange.isConnected);
});
