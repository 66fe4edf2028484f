/**
 * To be loaded into a process before its program (`node --import`): from SIGUSR2 until the next SIGUSR2 its main thread does nothing for
 * 2 s at a time, with 200 ms for its own work in between. Prints `blocked N times` in the end.
 */
import { isMainThread } from "node:worker_threads";

const blockedMs = 2_000;
const pauseMs = 200;

if (isMainThread) {
  let isOn = false;
  let times = 0;
  const block = (): void => {
    if (!isOn) return;
    for (const end = performance.now() + blockedMs; performance.now() < end; );
    times++;
    setTimeout(block, pauseMs);
  };
  process.on("SIGUSR2", () => {
    isOn = !isOn;
    if (isOn) block();
    else console.error(`blocked ${times} times`);
  });
}
