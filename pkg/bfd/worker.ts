/** The thread that keeps the sessions: it waits in the kernel, never in its event loop, so it is stopped through shared memory. */
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomePrompt } from "#pkg/linux";
import { mainThread, trimHeap } from "#pkg/threads";
import { Engine } from "./engine.ts";

using engine = new Engine(mainThread(), new SystemClock(), systemRandom);
trimHeap();
becomePrompt(); // Where it may not, it is on time as long as the machine has time.
engine.run();
