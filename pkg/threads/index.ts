/**
 * Threads that wait in the kernel instead of Node's event loop, so that whatever the main thread does delays nothing of theirs: finding
 * their code, keeping one running, and how it hears of what is wanted. What threads tell one another is each package's own.
 */
export { type Channel, mainThreadChannel } from "./channel.ts";
export { Supervisor, type Thread } from "./supervisor.ts";
export { workerFile } from "./worker-file.ts";
