import { connect } from "node:net";

// Connects to an address every 50 ms until SIGTERM; prints the longest time between two connections that were made, in milliseconds.
const [address = ""] = process.argv.slice(2);
const everyMs = 50;
const patienceMs = 200;

let last = performance.now();
let longest = 0;
let hasAnswered = false;

function attempt(): void {
  const begun = performance.now();
  const socket = connect({ host: address, port: 80, timeout: patienceMs });
  socket.once("connect", () => {
    if (!hasAnswered) console.log("connecting");
    else longest = Math.max(longest, begun - last);
    hasAnswered = true;
    last = Math.max(last, begun);
    socket.destroy();
  });
  socket.once("timeout", () => socket.destroy());
  socket.once("error", () => socket.destroy());
}

const timer = setInterval(attempt, everyMs);
process.once("SIGTERM", () => {
  clearInterval(timer);
  console.log(Math.round(longest));
  process.exit();
});
