/** A thread for tests: posts "<start> started", then "<start> <command>" for each command, and dies of "die". */
import { PollSet } from "#pkg/linux";
import { mainThread } from "../index.ts";

const main = mainThread<number, string, string>();
const poll = new PollSet();
poll.watch([main.wakeFd]);
main.post(`${main.start} started`);
while (!main.hasStopped()) {
  poll.wait(Infinity);
  main.clearWake();
  for (let command = main.receive(); command !== undefined; command = main.receive()) {
    if (command === "die") throw new Error("died as told");
    main.post(`${main.start} ${command}`);
  }
}
