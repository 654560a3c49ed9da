/**
 * A thread of an evaluator's process that ends the process when its parent is gone. The process notices by itself
 * only between two evaluations, and one that never ends would run on.
 */
const CHECK_MS = 1_000
const parent = process.ppid

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
}, CHECK_MS)
