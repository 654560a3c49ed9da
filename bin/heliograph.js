#!/usr/bin/env node
/*
 * The command: `heliograph [all | api | worker | migrate | rotate-encryption-key | listen …]`.
 *
 * Plain JavaScript of long ago, for it must be read by whatever Node a machine has: the rest is TypeScript, which
 * an older one cannot even parse.
 */
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const NEEDED = 24
/** The Node that comes with the packages, which npm puts first on the PATH of its scripts. */
const OWN = ['../node_modules/node/bin/node', '../node_modules/node/bin/node.exe']

const inThisFolder = (path) => fileURLToPath(new URL(path, import.meta.url))

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  // Code that is compiled already makes every start but the first quicker. Where it cannot be kept, nothing is.
  module.enableCompileCache(inThisFolder('../node_modules/.cache/heliograph'))
  await import('../src/main.ts')
} else {
  const advice = OWN.some((path) => existsSync(inThisFolder(path)))
    ? 'One comes with the packages: `npm start`, `npm run listen` and all other scripts run that.'
    : 'The one that comes with the packages is not there: run `npm ci` without --ignore-scripts and --omit=optional, or install Node 24.'
  process.stderr.write(`Heliograph needs Node ${NEEDED} or later; this is ${process.version}. ${advice}\n`)
  process.exitCode = 1
}
