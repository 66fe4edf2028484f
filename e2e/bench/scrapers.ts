/** Reads a page over and over: `scrapers.ts HOST PORT PATH CONNECTIONS AHEAD SECONDS`, with AHEAD requests under way on each connection. */
import { connect } from "node:net";

const [host = "", port, path, connections, ahead, seconds] = process.argv.slice(2);
const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
let received = 0;
let stopped = false;

function scrape(): void {
  const socket = connect({ host, port: Number(port) });
  let open = true;
  socket.on("connect", () => socket.write(request.repeat(Number(ahead))));
  socket.on("data", (chunk) => {
    received += chunk.length;
    const text = chunk.toString("latin1");
    const ended = text.split("HTTP/1.1 200").length - 1;
    if (ended > 0 && open && !stopped) socket.write(request.repeat(ended));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    open = false;
    if (!stopped) setTimeout(scrape, 50);
  });
  stops.push(() => socket.destroy());
}

const stops: (() => void)[] = [];
for (let i = 0; i < Number(connections); i++) scrape();
setTimeout(() => {
  stopped = true;
  for (const stop of stops) stop();
  console.log(`received ${received}`);
}, Number(seconds) * 1_000);
