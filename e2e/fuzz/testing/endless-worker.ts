import { workerData } from "node:worker_threads";
import { CurrentInput, type Task } from "../task.ts";

/** A parser that does not come to an end, or ends the thread: as its name says. */
const { name, inputs, shared } = workerData as Task;
const current = new CurrentInput(shared);
for (const input of inputs) {
  current.set(input);
  if (name === "greedy") {
    const all: number[][] = [];
    for (;;) all.push(new Array<number>(1 << 16).fill(1.5));
  }
  for (;;);
}
