/**
 * Clients and a server of TCP connections. `tcp-flows.ts long ADDRESS PORT COUNT` opens so many, and asks over each every 200
 * ms; it prints `connected` when all are open, and every 200 ms a line of JSON. `new ADDRESS PORT COUNT` opens so many each second, asks once over
 * each and closes it, with a line of JSON every 200 ms. `serve PORT ADDRESS…` echoes.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface TcpFlows {
  /** Of how many there are, those that were reset or closed. */
  readonly broken: number;
  /** Why, such as ECONNRESET; each code once. */
  readonly codes: readonly string[];
  /** Answered within the last second. */
  readonly answering: number;
  /** The longest time between two answers on one that is not broken, in ms, since the line before. */
  readonly silence: number;
}

export interface NewFlows {
  readonly opened: number;
  /** Connections that had no answer within 2 s. */
  readonly lost: number;
}

interface Flow {
  isBroken: boolean;
  code: string | undefined;
  answeredAt: number;
  silence: number;
}

const everyMs = 200;
const answerMs = 2_000;
const atOnce = 20;

function serve(port: number, addresses: readonly string[]): void {
  for (const address of addresses)
    createServer((socket) => {
      socket.on("error", () => {}); // A client that is gone.
      socket.pipe(socket);
    }).listen(port, address);
}

async function ask(address: string, port: number, count: number): Promise<never> {
  const flows: Flow[] = [];
  const sockets: Socket[] = [];
  process.once("SIGTERM", () => void closed(sockets).finally(() => process.exit()));
  const openOne = async () => {
    const socket = connect({ host: address, port });
    sockets.push(socket);
    const flow: Flow = { isBroken: false, code: undefined, answeredAt: performance.now(), silence: 0 };
    socket.on("data", () => {
      flow.silence = Math.max(flow.silence, performance.now() - flow.answeredAt);
      flow.answeredAt = performance.now();
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => (flow.code = code));
    socket.on("close", () => (flow.isBroken = true));
    await new Promise<void>((resolve) => {
      socket.once("connect", () => resolve());
      socket.once("close", () => resolve());
    });
    setInterval(() => flow.isBroken || socket.writableEnded || socket.write("x"), everyMs);
    flows.push(flow);
  };
  for (let left = count; left > 0; left -= atOnce) await Promise.all(Array.from({ length: Math.min(left, atOnce) }, openOne));
  console.log("connected");
  for (;;) {
    await sleep(200);
    const whole = flows.filter(({ isBroken }) => !isBroken);
    const line: TcpFlows = {
      broken: flows.length - whole.length,
      codes: [...new Set(flows.flatMap(({ isBroken, code = "closed" }) => (isBroken ? [code] : [])))],
      answering: whole.filter(({ answeredAt }) => performance.now() - answeredAt < 1_000).length,
      silence: Math.round(Math.max(0, ...whole.map(({ silence }) => silence))),
    };
    for (const flow of flows) flow.silence = 0;
    console.log(JSON.stringify(line));
  }
}

/** Ends connections by FIN, which is sent again if it is lost. A process that just ends may send RST, which is sent once. */
async function closed(sockets: readonly Socket[]): Promise<void> {
  const ends = sockets.filter(({ destroyed }) => !destroyed).map((socket) => once(socket.end(), "close"));
  await Promise.race([Promise.all(ends), sleep(5_000)]);
}

async function openNew(address: string, port: number, perSecond: number): Promise<never> {
  let opened = 0;
  let lost = 0;
  const openOne = () => {
    opened++;
    const socket = connect({ host: address, port });
    const timeout = setTimeout(() => socket.destroy(), answerMs);
    let isAnswered = false;
    socket.on("connect", () => socket.write("x"));
    socket.on("data", () => {
      isAnswered = true;
      socket.end();
    });
    socket.on("error", () => {}); // `close` follows.
    socket.on("close", () => {
      clearTimeout(timeout);
      if (!isAnswered) lost++;
    });
  };
  setInterval(openOne, 1000 / perSecond);
  for (;;) {
    await sleep(200);
    const line: NewFlows = { opened, lost };
    console.log(JSON.stringify(line));
  }
}

if (import.meta.main) {
  const [mode, first = "", second = "", ...more] = process.argv.slice(2);
  if (mode === "serve") serve(Number(first), [second, ...more]);
  else await (mode === "new" ? openNew : ask)(first, Number(second), Number(more[0]));
}
