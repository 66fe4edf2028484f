/**
 * Threads that wait in the kernel instead of Node's event loop, so that whatever the main thread does delays nothing of theirs: finding
 * their code, and keeping one running. What threads tell one another is each package's own.
 */
export { Supervisor, type SupervisorOptions, type Thread } from "./supervisor.ts";
export { workerFile } from "./worker-file.ts";
