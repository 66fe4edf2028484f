import { spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LargeRing, RingProcess as Ring, type RingProcess } from "#e2e/memberlist";
import { ProcessUsage } from "../bench/measure.ts";
import type { Scene } from "./scene.ts";

// Rings of processes on loopback, whose addresses are anybody's to send from.
const key = "30313233343536373839616263646566";
const flags = ["--timing=fast", "--thread"];
const lostEvents = ["leave", "suspect", "refute"];

/** Another address of the loopback network that a node is in. */
function beside({ address }: RingProcess, last: number): string {
  return address.replace(/\d+$/, String(last));
}

/** Losses and suspicions of members after their first `from` lines. */
function losses(ring: LargeRing, from: readonly number[]): string[] {
  return ring.nodes.flatMap(({ name, lines }, index) =>
    lines
      .slice(from[index])
      .filter(({ event }) => lostEvents.includes(event))
      .map(({ event, member }) => `${name}: ${event} ${member?.name}`),
  );
}

function isLoss(event: string): boolean {
  return event.includes(": leave ");
}

function describe(events: readonly string[]): string {
  const losses = events.filter(isLoss).length;
  return `${losses} members lost, ${events.length - losses} times suspected or refuted`;
}

/** Opens connections that say nothing, and opens another for each that is closed. @returns how to end that */
function holdIdle(target: Pick<RingProcess, "address" | "port">, from: string, count: number): () => number {
  const sockets = new Set<ReturnType<typeof connect>>();
  let opened = 0;
  let ended = false;
  const open = (): void => {
    if (ended) return;
    opened++;
    const socket = connect({ host: target.address, port: target.port, localAddress: from });
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      setTimeout(open, 10);
    });
  };
  for (let index = 0; index < count; index++) open();
  return () => {
    ended = true;
    for (const socket of sockets) socket.destroy();
    return opened;
  };
}

const idleConnections = 600;

/** The same against Serf, which has HashiCorp's library inside: what becomes of an agent that joins. Undefined where it is not installed. */
async function serfUnderIdle(network: RingProcess): Promise<string | undefined> {
  if (spawnSync("serf", ["version"]).error !== undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const agent = (name: string, last: number, ...more: string[]) => {
    const address = beside(network, last);
    const secret = Buffer.from(key, "hex").toString("base64");
    const flags = [
      `-node=${name}`,
      `-bind=${address}:7946`,
      `-rpc-addr=${address}:7373`,
      `-encrypt=${secret}`,
      "-retry-interval=1s",
    ];
    const child = spawn("serf", ["agent", ...flags, ...more], { stdio: ["ignore", "pipe", "ignore"] });
    const output = { text: "" };
    child.stdout.on("data", (piece) => (output.text += piece));
    stack.defer(async () => {
      child.kill("SIGKILL");
      await once(child, "close");
    });
    return output;
  };
  const target = { address: beside(network, 50), port: 7946 };
  agent("first", 50);
  await sleep(2000);
  const end = holdIdle(target, beside(network, 200), idleConnections);
  stack.defer(() => void end());
  await sleep(2000);
  const joiningAt = performance.now();
  const output = agent("late", 51, `-retry-join=${target.address}:7946`);
  while (!output.text.includes("EventMemberJoin: first") && performance.now() - joiningAt < 15_000) await sleep(20);
  const joined = output.text.includes("EventMemberJoin: first");
  return joined ? `joins in ${(performance.now() - joiningAt).toFixed(0)} ms, its start included` : "does not join within 15 s";
}

export const ringIdleConnections: Scene = {
  name: "ring-idle-connections",
  tried: `a host without the key holds ${idleConnections} TCP connections to port 7946 of a member, and opens each again that is closed; then a speaker joins there`,
  async run() {
    const startedAt = performance.now();
    await using ring = await LargeRing.start("ingot", 3, { key, flags });
    const [first] = ring.nodes;
    if (first === undefined) throw new Error("Cannot attack: the ring is empty");
    const from = ring.nodes.map(({ lines }) => lines.length);
    const end = holdIdle(first, beside(first, 200), idleConnections);
    await sleep(2000);
    await using late = await Ring.start("ingot", { name: "late", address: beside(first, 100), port: first.port, key, flags });
    const joiningAt = performance.now();
    const joined = await late.join(first).then(
      () => true,
      () => false,
    );
    const took = performance.now() - joiningAt;
    await sleep(3000);
    const members = (await late.members()).length;
    const opened = end();
    const lost = losses(ring, from);
    const seconds = (performance.now() - startedAt) / 1000;
    const serf = await serfUnderIdle(first);
    return {
      seconds,
      effect: `${opened} connections opened; the speaker ${joined ? `joined in ${took.toFixed(0)} ms` : "could not join"} and sees ${members} of 4 members; ${describe(lost)}; ${serf === undefined ? "Serf is not installed" : `an agent of Serf ${serf}`}`,
      holds: joined && members === 4 && !lost.some(isLoss),
    };
  },
};

const connectionsPerSecond = 11_000;
const connectionSeconds = 10;
const maxLoad = 0.1; // Share of a core.

/** Floods a node with connections while `during` runs. @returns the node's share of a core, and the flood's effect */
async function floodConnections(target: RingProcess, sources: readonly string[], during: () => Promise<void>) {
  const file = fileURLToPath(new URL("./connection-flood.ts", import.meta.url));
  const argv = [file, target.address, `${target.port}`, `${connectionsPerSecond}`, ...sources];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(child.stdout, "data"); // It begins.
    const rest = text(child.stdout);
    const usage = new ProcessUsage(target.pid);
    const [cpu, from] = [usage.cpuSeconds, performance.now()];
    await Promise.all([sleep(connectionSeconds * 1000), during()]);
    const load = (usage.cpuSeconds - cpu) / ((performance.now() - from) / 1000);
    child.kill("SIGTERM");
    return { load, did: (await rest).trim() };
  } finally {
    child.kill("SIGKILL");
  }
}

export const ringConnectionFlood: Scene = {
  name: "ring-connection-flood",
  tried: `a host without the key opens ${connectionsPerSecond.toLocaleString("en")} TCP connections/s to port 7946 of a member and resets them, from an address of its own, then in the name of another member, then from 50 addresses; each time another speaker starts, of which the member knows, and joins there`,
  async run() {
    const startedAt = performance.now();
    await using ring = await LargeRing.start("ingot", 3, { key, flags });
    const [first, second] = ring.nodes;
    if (first === undefined || second === undefined) throw new Error("Cannot attack: the ring is empty");
    const from = ring.nodes.map(({ lines }) => lines.length);
    const sources = {
      "one address": [beside(first, 200)],
      "a member's address": [second.address],
      "50 addresses": Array.from({ length: 50 }, (_, index) => beside(first, 150 + index)),
    };
    const effects: string[] = [];
    let holds = true;
    for (const [index, [name, addresses]] of Object.entries(sources).entries()) {
      const late = { name: `late-${index}`, address: beside(first, 100 + index), port: first.port, key, flags };
      // The member that is there asks it in vain, like a Pod that the API names too early.
      await first.join({ address: late.address, port: late.port }).catch(() => undefined);
      await using process = await Ring.start("ingot", late);
      let joinedIn: number | undefined;
      const { load, did } = await floodConnections(first, addresses, async () => {
        const joiningAt = performance.now();
        await process.join(first).then(
          () => (joinedIn = performance.now() - joiningAt),
          () => undefined,
        );
      });
      await process.request("leave", "left");
      const joined = joinedIn === undefined ? "a speaker could not join" : `a speaker joined in ${joinedIn.toFixed(0)} ms`;
      effects.push(`${name}: ${did}, ${(100 * load).toFixed(1)} % of a core, ${joined}`);
      holds &&= load < maxLoad && joinedIn !== undefined;
    }
    const lost = losses(ring, from).filter((event) => !event.includes("late-"));
    return {
      seconds: (performance.now() - startedAt) / 1000,
      effect: `${effects.join("; ")}; ${describe(lost)}`,
      holds: holds && !lost.some(isLoss),
    };
  },
};

const garbageSeconds = 10;
const garbagePerSecond = 40_000;

/** Sends packets at a rate for a while. @returns how many */
async function flood(sockets: readonly Socket[], to: RingProcess, seconds: number): Promise<number> {
  const startedAt = performance.now();
  const packet = Buffer.alloc(120, 1);
  let sent = 0;
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - startedAt) / 1000) {
    for (; sent < elapsed * garbagePerSecond; sent++) {
      packet.writeUInt32BE(sent, 3); // Another nonce.
      sockets[sent % sockets.length]?.send(packet, to.port, to.address);
    }
    await sleep(1);
  }
  return sent;
}

async function bound(address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

export const ringGarbage: Scene = {
  name: "ring-garbage",
  tried: `hosts without the key send a member ${garbagePerSecond.toLocaleString("en")} packets/s that look encrypted, first from 50 addresses of their own, then in the name of another member`,
  async run() {
    await using ring = await LargeRing.start("ingot", 3, { key, flags });
    const [first, second] = ring.nodes;
    if (first === undefined || second === undefined) throw new Error("Cannot attack: the ring is empty");
    const from = ring.nodes.map(({ lines }) => lines.length);
    const strangers = await Promise.all(Array.from({ length: 50 }, (_, index) => bound(beside(first, 150 + index))));
    const member = await bound(second.address);
    const startedAt = performance.now();
    const sent = (await flood(strangers, first, garbageSeconds)) + (await flood([member], first, garbageSeconds));
    const seconds = (performance.now() - startedAt) / 1000;
    await sleep(1000);
    const { packetsReceived, packetsDropped, problems } = await first.counters();
    for (const socket of [...strangers, member]) socket.close();
    const lost = losses(ring, from);
    return {
      seconds,
      effect: `${sent} packets sent, ${packetsReceived} read, ${packetsDropped} of them not looked at, ${problems.wrongKey} decrypted in vain; ${describe(lost)}`,
      holds: !lost.some(isLoss),
    };
  },
};

const replaySeconds = 10;
/** By then no member knows one as a node that left before the packets were sent. */
const forgottenAfterMillis = 40_000;

/** Passes connections on to a member, and keeps the clients' octets. */
class Tap implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #server: Server;
  #written = Buffer.alloc(0);

  private constructor(server: Server, address: string, port: number) {
    this.#server = server;
    this.address = address;
    this.port = port;
  }

  static async open(address: string, { address: host, port }: Pick<RingProcess, "address" | "port">): Promise<Tap> {
    const server = createServer((near) => {
      const far = connect({ host, port });
      near.on("data", (octets) => {
        tap.#written = Buffer.concat([tap.#written, octets]);
        far.write(octets);
      });
      far.on("data", (octets) => near.write(octets));
      near.on("end", () => far.end());
      far.on("end", () => near.end());
      for (const socket of [near, far]) socket.on("error", () => {});
    });
    const tap = new Tap(server, address, port);
    server.listen({ host: address, port });
    await once(server, "listening");
    return tap;
  }

  get written(): Buffer {
    return this.#written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
  }
}

/** Writes that to a member on a connection of its own, and waits until it is closed. */
async function say(octets: Buffer, { address, port }: Pick<RingProcess, "address" | "port">, from: string): Promise<void> {
  const socket = connect({ host: address, port, localAddress: from });
  socket.on("error", () => {});
  socket.resume();
  socket.write(octets);
  await once(socket, "close");
}

export const ringReplay: Scene = {
  name: "ring-replay",
  tried:
    "a host sends every member all packets again that a member received while another left, came back and was suspected, and when that one has left and is forgotten, what it sent on a stream when it joined; that also to a member that has just started, and knew none of them",
  async run() {
    await using stack = new AsyncDisposableStack();
    const ring = stack.use(await LargeRing.start("ingot", 3, { key, flags }));
    const [first, , third] = ring.nodes;
    if (first === undefined || third === undefined) throw new Error("Cannot attack: the ring is empty");
    const witness = { name: "witness", address: beside(first, 100), port: first.port, key };
    const captured = stack.use(await Ring.start("ingot", { ...witness, flags: ["--timing=fast", "--capture"] }));
    const tap = stack.use(await Tap.open(beside(first, 150), first));
    await captured.join(tap);
    await sleep(1000);
    await third.request("leave", "left");
    await third.kill();
    await sleep(1000);
    const { name, address, port } = third;
    const again = stack.use(await Ring.start("ingot", { name, address, port, key, flags }));
    await again.join(first);
    ring.nodes[2] = again;
    await sleep(2000);
    await captured.request("leave", "left");
    await captured.kill();
    await sleep(1000);
    const from = ring.nodes.map(({ lines }) => lines.length);
    const packets = captured.lines.flatMap(({ packet }) => (packet === undefined ? [] : [Buffer.from(packet, "hex")]));
    const attacker = await bound(beside(first, 200));
    const startedAt = performance.now();
    let sent = 0;
    for (; (performance.now() - startedAt) / 1000 < replaySeconds; await sleep(20))
      for (const node of ring.nodes)
        for (let index = 0; index < 10; index++, sent++)
          attacker.send(packets[sent % packets.length] ?? "", node.port, node.address);
    await sleep(forgottenAfterMillis);
    const late = { name: "late", address: beside(first, 101), port: first.port, key, flags };
    ring.nodes.push(stack.use(await Ring.start("ingot", late)));
    from.push(ring.nodes.at(-1)?.lines.length ?? 0);
    for (const node of ring.nodes) for (let times = 0; times < 3; times++) await say(tap.written, node, beside(first, 200));
    await sleep(1000);
    const counters = await Promise.all(ring.nodes.map((node) => node.counters()));
    attacker.close();
    const lost = losses(ring, from);
    const seen = ring.nodes.map(({ lines }, index) =>
      lines.slice(from[index]).map(({ event, member }) => `${event} ${member?.name}`),
    );
    const changes = seen.flat().filter((event) => !event.startsWith("counters") && !event.startsWith("members"));
    return {
      seconds: (performance.now() - startedAt) / 1000,
      effect: `${sent} packets sent, of ${packets.length} captured, and ${3 * ring.nodes.length} streams of ${tap.written.length} octets; ${counters.reduce((sum, { packetsReplayed }) => sum + packetsReplayed, 0)} were known; ${describe(lost)}; members changed: ${[...new Set(changes)].join(", ") || "none"}`,
      holds: changes.length === 0 && tap.written.length > 0 && packets.length > 0,
    };
  },
};
