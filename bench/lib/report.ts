import { execFileSync } from 'node:child_process'
import { availableParallelism, loadavg, totalmem } from 'node:os'
import type { Case, Spread } from './compare.ts'

export interface Report {
  bench: string
  commit: string
  date: string
  machine: { cores: number; memoryGiB: number; node: string; load: number[] }
  /** Length of one phase. */
  seconds: number
  cases: Case[]
}

export const makeReport = (bench: string, seconds: number, cases: Case[]): Report => ({
  bench,
  commit: commit(),
  date: new Date().toISOString().slice(0, 10),
  machine: {
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load: loadavg().map((load) => Math.round(load * 10) / 10),
  },
  seconds,
  cases,
})

/** The commit that is checked out; `+` when the source differs from it. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '../../src') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

/** The report for a person. */
export function toTable({ bench, commit: at, date, machine, seconds, cases }: Report): string {
  const { cores, memoryGiB, node, load } = machine
  const heading =
    `${bench} · ${at} · ${date} · ${cores} cores, ${memoryGiB} GiB · Node ${node} · ` +
    `load ${load.join(' ')} · phases of ${seconds} s · median (min–max)`
  return [heading, ...cases.map(caseTable)].join('\n\n')
}

function caseTable({ title, control, rows }: Case): string {
  const lines = [
    ['', 'control', 'measured', 'measured ÷ control'],
    ...rows.map((row) => [
      `${row.name} (${row.better} is better)`,
      spreadText(row.control),
      spreadText(row.measured),
      spreadText(row.ratio),
    ]),
  ]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const body = lines.map((line) => `  ${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('   ')}`)
  return [`${title}\n  control: ${control}`, ...body.map((line) => line.trimEnd())].join('\n')
}

const format = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

const spreadText = ({ median, min, max }: Spread): string =>
  Number.isNaN(median)
    ? 'not measured'
    : `${format.format(median)} (${format.format(min)}–${format.format(max)})`
