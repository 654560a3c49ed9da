import { readFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '..', '..')
const DOCUMENTS = ['Outeract: Events', 'AppEngine: Events and async', 'Outreach: API events']

interface Row {
  document: string
  section: string
  statement: string
  shownBy: string
}

/** The rows of all tables of docs/conformance.md. */
function readRows(): Row[] {
  const rows: Row[] = []
  let document = ''
  let section = ''
  for (const line of readFileSync(join(ROOT, 'docs', 'conformance.md'), 'utf8').split('\n')) {
    if (line.startsWith('## ')) document = line.slice(3)
    if (line.startsWith('### ')) section = line.slice(4)
    const [, statement, shownBy, ...more] = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
    if (statement === undefined || shownBy === undefined || /^(-+|statement)$/.test(statement)) continue
    if (more.length !== 1) throw new Error(`A row with ${more.length + 1} cells: ${line}`)
    rows.push({ document, section, statement, shownBy })
  }
  return rows
}

/** Titles of the tests of a file, however they are nested; of one with places for values, what is around them. */
function titlesOf(file: string): (string | RegExp)[] {
  const text = readFileSync(join(ROOT, 'test', file), 'utf8')
  const calls = text.matchAll(
    /\.test\(\s*(?:'(?<plain>(?:[^'\\]|\\.)*)'|"(?<double>[^"]*)"|`(?<template>[^`]*)`)/g,
  )
  return [...calls].map(({ groups: { plain, double, template = '' } = {} }) => {
    const title = plain ?? double
    if (title !== undefined) return title
    const parts = template.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part))
    return new RegExp(`^${parts.join('.+')}$`)
  })
}

const hasTest = (file: string, name: string): boolean =>
  titlesOf(file).some((title) => (typeof title === 'string' ? title === name : title.test(name)))

/** What is wrong with what a row names: `file › test`, `later: page, part`, or `not ours: why`. */
function faultOf({ shownBy }: Row): string | undefined {
  if (/^(later: [a-z-]+\.md, \S.*|not ours: \S.*)$/.test(shownBy)) return undefined
  for (const proof of shownBy.split('<br>')) {
    const [, file = '', name] = /^`(\S+\.test\.ts)` › (.+)$/.exec(proof.trim()) ?? []
    if (name === undefined) return `names no test: ${proof}`
    if (!existsSync(join(ROOT, 'test', file))) return `the file is gone: ${file}`
    if (!hasTest(file, name)) return `the test is gone: ${file} › ${name}`
  }
  return undefined
}

t.test('every statement of the documents names a test that exists, or what is still to come', async (t) => {
  const rows = readRows()
  for (const document of DOCUMENTS) {
    const own = rows.filter((row) => row.document === document)
    t.ok(own.length > 15, `${document} has ${own.length} statements`)
  }
  for (const row of rows) {
    const fault = faultOf(row)
    t.equal(fault, undefined, `${row.document} › ${row.section} › ${row.statement}`)
  }
})

t.test('a test that is gone is seen', async (t) => {
  const fault = (shownBy: string) => faultOf({ document: '', section: '', statement: '', shownBy })
  t.equal(fault('`documents/outreach.test.ts` › Recovery: who missed it reads it by REST'), undefined)
  t.equal(
    fault(
      '`documents/outreach.test.ts` › Payload Schemas: InquirySubmittedMessage and nothing else, in a room',
    ),
    undefined,
    'with a value in its place',
  )
  t.match(fault('`documents/outreach.test.ts` › Recovery'), /the test is gone/)
  t.match(fault('`documents/nowhere.test.ts` › Recovery'), /the file is gone/)
  t.match(fault('Recovery'), /names no test/)
  t.match(fault('later'), /names no test/)
})
