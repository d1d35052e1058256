import { workerData } from "node:worker_threads";

const WATCH_MS = 1_000;

// A thread of the parsing process that ends it once its parent, whose process id it is given, is gone.
setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL");
}, WATCH_MS);
