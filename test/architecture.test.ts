import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '..')
const MAX_LINES = 400
/** What only the platform talks to. */
const BACKENDS = new Set(['pg', 'bullmq', 'ioredis'])

/** Texts of source files by their path, such as `src/features/apps/index.ts`. */
type Sources = ReadonlyMap<string, string>

interface Import {
  from: string
  /** As it is written. */
  specifier: string
  /** Path of the source file, or undefined for a package. */
  target: string | undefined
}

/** `import … from '…'`, `export … from '…'`, and `import '…'`. */
const STATEMENT = /^[ \t]*(?:import|export)\s+(?:[^'"`;=()]*?\bfrom\s*)?['"](?<specifier>[^'"]+)['"]/gm
const CALL = /\b(?:import|require)\s*\(\s*['"`](?<specifier>[^'"`]+)['"`]/g

function importsOf(from: string, text: string): Import[] {
  const found = [...text.matchAll(STATEMENT), ...text.matchAll(CALL)]
  return found.map(({ groups = {} }) => {
    const { specifier = '' } = groups
    const isPath = specifier.startsWith('.')
    return {
      from,
      specifier,
      target: isPath ? posix.normalize(posix.join(dirname(from), specifier)) : undefined,
    }
  })
}

const importsIn = (sources: Sources): Import[] =>
  [...sources].flatMap(([path, text]) => importsOf(path, text))

const isPlatform = (path: string): boolean => path.startsWith('src/platform/')
const featureOf = (path: string): string | undefined => /^src\/features\/([^/]+)\//.exec(path)?.[1]
const packOf = (path: string): string | undefined => /^src\/packs\/([^/]+)\//.exec(path)?.[1]
const PACKS = 'src/packs/index.ts'
const name = ({ from, specifier }: Import): string => `${from} imports ${specifier}`

/** The platform is below everything else: it imports packages and itself. */
const platformImports = (sources: Sources): string[] =>
  importsIn(sources)
    .filter(({ from, target }) => isPlatform(from) && target !== undefined && !isPlatform(target))
    .map(name)

/** `index.ts` is a feature's only public face, but for what it declares: that is read before the rest is loaded. */
const pastIndexImports = (sources: Sources): string[] =>
  importsIn(sources)
    .filter(({ from, target = '' }) => {
      const feature = featureOf(target)
      if (feature === undefined || feature === featureOf(from)) return false
      if (from === 'src/declarations.ts' && target === `src/features/${feature}/declared.ts`) return false
      return target !== `src/features/${feature}/index.ts`
    })
    .map(name)

/** The face is all that packs have of Heliograph; of it the product knows them through their list alone. */
const packImports = (sources: Sources): string[] =>
  importsIn(sources)
    .filter(({ from, target }) => {
      const [pack, imported] = [packOf(from), packOf(target ?? '')]
      if (pack === imported) return false
      if (pack !== undefined) return target !== undefined
      return from !== PACKS && imported !== undefined
    })
    .map(name)

const backendImports = (sources: Sources): string[] =>
  importsIn(sources)
    .filter(({ from, specifier }) => !isPlatform(from) && BACKENDS.has(specifier.split('/')[0] ?? ''))
    .map(name)

/** What puts the features together; they themselves know nothing of it. */
const COMPOSITION = new Set(['features', 'service', 'api', 'worker', 'serve'].map((part) => `src/${part}.ts`))

const compositionImports = (sources: Sources): string[] =>
  importsIn(sources)
    .filter(({ from, target = '' }) => featureOf(from) !== undefined && COMPOSITION.has(target))
    .map(name)

/** Circles of features that import each other, be it for types alone, with the imports that close them. */
function featureCycles(sources: Sources): string[] {
  const between = importsIn(sources).filter(({ from, target = '' }) => {
    const [importer, imported] = [featureOf(from), featureOf(target)]
    return importer !== undefined && imported !== undefined && importer !== imported
  })
  const leadsTo = (start: string, goal: string, seen = new Set<string>()): boolean => {
    if (start === goal) return true
    if (seen.has(start)) return false
    seen.add(start)
    return between.some(
      ({ from, target = '' }) =>
        featureOf(from) === start && leadsTo(featureOf(target) as string, goal, seen),
    )
  }
  return between
    .filter(({ from, target = '' }) => leadsTo(featureOf(target) as string, featureOf(from) as string))
    .map(name)
}

const longFiles = (sources: Sources): string[] =>
  [...sources].flatMap(([path, text]) => {
    const lines = text.replace(/\n$/, '').split('\n').length
    return lines > MAX_LINES ? [`${path} has ${lines} lines`] : []
  })

async function readSources(): Promise<Sources> {
  const files = await readdir(join(ROOT, 'src'), { recursive: true })
  const entries = files
    .filter((file) => file.endsWith('.ts'))
    .map(async (file): Promise<[string, string]> => {
      return [posix.join('src', file.replaceAll('\\', '/')), await readFile(join(ROOT, 'src', file), 'utf8')]
    })
  return new Map(await Promise.all(entries))
}

t.test('the source', async (t) => {
  const sources = await readSources()
  t.ok(sources.size > 50, 'all of it was read')
  t.same(
    importsIn(sources).filter(({ target }) => target?.startsWith('src/') && !sources.has(target)),
    [],
    'every import leads to a file',
  )
  t.same(platformImports(sources), [], 'the platform imports nothing above it')
  t.same(pastIndexImports(sources), [], 'a feature is imported through its index.ts alone')
  t.same(packImports(sources), [], 'a pack imports nothing but heliograph/extension')
  t.same(backendImports(sources), [], 'only the platform imports pg, bullmq and ioredis')
  t.same(compositionImports(sources), [], 'no feature imports what puts the features together')
  t.same(featureCycles(sources), [], 'features do not import each other in a circle')
  t.same(longFiles(sources), [], `no file has more than ${MAX_LINES} lines`)
})

t.test('imports are seen in every form, and nothing else is', async (t) => {
  const text = `
import a from 'a'
import type { B } from './b.ts'
import { type C, c } from '../c.ts'
import {
  d,
  type D,
} from "d/sub"
import './e.ts'
import * as f from 'f'
import packageJson from '../package.json' with { type: 'json' }
export { g } from './g.ts'
export type { H } from './h.ts'
export * from './i.ts'
const j = await import('j')
const k = (await import(\`k\`)) as unknown
export const text = 'from'
export const list = ['not']
// it is imported from 'elsewhere'
import { late } from 'late'
`
  t.same(
    importsOf('src/x/y.ts', text).map(({ specifier, target }) => [specifier, target]),
    [
      ['a', undefined],
      ['./b.ts', 'src/x/b.ts'],
      ['../c.ts', 'src/c.ts'],
      ['d/sub', undefined],
      ['./e.ts', 'src/x/e.ts'],
      ['f', undefined],
      ['../package.json', 'src/package.json'],
      ['./g.ts', 'src/x/g.ts'],
      ['./h.ts', 'src/x/h.ts'],
      ['./i.ts', 'src/x/i.ts'],
      ['late', undefined],
      ['j', undefined],
      ['k', undefined],
    ],
  )
})

t.test('each rule finds who breaks it', async (t) => {
  const sources = new Map([
    [
      'src/platform/a.ts',
      `import type { Features } from '../features.ts'\nimport { b } from './b.ts'\nimport 'pg'\n`,
    ],
    ['src/platform/http/b.ts', `import { apps } from '../../features/apps/index.ts'\n`],
    [
      'src/features/apps/index.ts',
      `import { keys } from './keys.ts'\nimport { e } from '../events/index.ts'\n`,
    ],
    [
      'src/features/apps/keys.ts',
      `import type { Pool } from 'pg'\nimport type { R } from '../events/reads.ts'\n`,
    ],
    ['src/features/events/index.ts', `export { d } from '../deliveries/index.ts'\n`],
    [
      'src/features/events/live/tail.ts',
      `import { x } from '../../../platform/a.ts'\nimport type { F } from '../../../features.ts'\n`,
    ],
    ['src/features/deliveries/index.ts', `import { a } from '../apps/index.ts'\n`],
    ['src/features/rooms/index.ts', `import type { P } from '../presence/index.ts'\n`],
    ['src/features/presence/index.ts', `import type { R } from '../rooms/index.ts'\n`],
    ['src/features/operations/index.ts', `import { e } from '../events/index.ts'\n`],
    ['src/declarations.ts', `import { declared } from './features/apps/declared.ts'\n`],
    ['src/packs/fax/index.ts', `import { a } from 'heliograph/extension'\nimport './paper.ts'\n`],
    ['src/packs/fax/paper.ts', `import { b } from '../../platform/a.ts'\nimport '../pager/index.ts'\n`],
    ['src/packs/index.ts', `import { fax } from './fax/index.ts'\n`],
    ['src/service.ts', `import { fax } from './packs/fax/index.ts'\n`],
    ['src/config.ts', `import { declared } from './features/apps/declared.ts'\n`],
    ['src/features.ts', `import { keys } from './features/apps/keys.ts'\nimport { Queue } from 'bullmq/x'\n`],
    ['src/long.ts', 'x\n'.repeat(401)],
    ['src/just.ts', 'x\n'.repeat(400)],
  ])
  t.same(platformImports(sources), [
    'src/platform/a.ts imports ../features.ts',
    'src/platform/http/b.ts imports ../../features/apps/index.ts',
  ])
  t.same(pastIndexImports(sources), [
    'src/features/apps/keys.ts imports ../events/reads.ts',
    'src/config.ts imports ./features/apps/declared.ts',
    'src/features.ts imports ./features/apps/keys.ts',
  ])
  t.same(packImports(sources), [
    'src/packs/fax/paper.ts imports ../../platform/a.ts',
    'src/packs/fax/paper.ts imports ../pager/index.ts',
    'src/service.ts imports ./packs/fax/index.ts',
  ])
  t.same(backendImports(sources), [
    'src/features/apps/keys.ts imports pg',
    'src/features.ts imports bullmq/x',
  ])
  t.same(compositionImports(sources), ['src/features/events/live/tail.ts imports ../../../features.ts'])
  t.same(featureCycles(sources), [
    'src/features/apps/index.ts imports ../events/index.ts',
    'src/features/apps/keys.ts imports ../events/reads.ts',
    'src/features/events/index.ts imports ../deliveries/index.ts',
    'src/features/deliveries/index.ts imports ../apps/index.ts',
    'src/features/rooms/index.ts imports ../presence/index.ts',
    'src/features/presence/index.ts imports ../rooms/index.ts',
  ])
  t.same(longFiles(sources), ['src/long.ts has 401 lines'])
})
