import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { TProperties } from '@sinclair/typebox'
import { format, resolveConfig } from 'prettier'
import { buildApi } from '../api.ts'
import { Environment, loadConfig } from '../config.ts'
import { publishedSchema } from '../features/graphql/index.ts'
import { asyncApi } from '../features/observation/index.ts'
import { packs } from '../packs/index.ts'
import { createLog } from '../platform/log/log.ts'
import { describeSchema } from '../platform/postgres/describe-schema.ts'
import { startEmbeddedPostgres } from '../platform/postgres/embedded.ts'
import { run } from '../platform/postgres/server-account.ts'
import { buildService, type Service } from '../service.ts'
import { describeRoutes } from './route-table.ts'

const ROOT = join(import.meta.dirname, '../..')

/**
 * `npm run generate`: writes every generated file from its source: the settings, the migrations (run on a
 * Postgres of its own) and the routes. With `--check` it writes nothing and fails when a file differs.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const dataDir = await mkdtemp(join(tmpdir(), 'heliograph-generate-'))
  const say = (): void => {}
  const environment = { DATA_DIR: dataDir, LOG_LEVEL: 'error' }
  const service = await buildService({
    config: loadConfig(environment),
    environment,
    log: createLog('error', 'generate'),
    migrate: true,
    say,
    postgres: startEmbeddedPostgres({ dataDir, say, onLost: () => {} }),
  })
  try {
    const openApi = await describeApi(service)
    const files: Record<string, string> = {
      '.env.example': envExample(),
      'openapi/openapi.json': openApi,
      'docs/routes.md': await prettier(await describeRoutes(openApi, ROOT), 'markdown'),
      'openapi/asyncapi.json': `${JSON.stringify(asyncApi, null, 2)}\n`,
      'openapi/schema.graphql': publishedSchema(),
      'src/platform/postgres/tables.ts': await tables(dataDir),
      'migrations/schema.txt': await describeSchema(service.platform.db),
      ...(await browserModules()),
    }
    const differing: string[] = []
    for (const [name, content] of Object.entries(files)) {
      const current = await readFile(join(ROOT, name), 'utf8').catch(() => '')
      if (current === content) continue
      differing.push(name)
      if (values.check) continue
      await mkdir(dirname(join(ROOT, name)), { recursive: true })
      await writeFile(join(ROOT, name), content)
    }
    if (values.check && differing.length > 0) {
      throw new Error(
        `Not up to date: ${differing.join(', ')}. Run \`npm run generate\` and commit what it writes.`,
      )
    }
    process.stdout.write(
      differing.length === 0 ? 'Generated files are up to date.\n' : `Wrote ${differing.join(', ')}.\n`,
    )
  } finally {
    await service.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

function envExample(): string {
  const properties = Object.assign(
    {},
    Environment.properties,
    ...packs.map(({ settings }) => settings),
  ) as TProperties
  const settings = Object.entries(properties).map(([name, schema]) => {
    const value = String(schema.default ?? (schema.examples as unknown[] | undefined)?.[0] ?? '')
    return `# ${schema.description}\n#${name}=${value}\n`
  })
  return `# Every setting of Heliograph. Copy this file to .env and change what you need;\n# a line that stays commented out keeps the value it shows, or stays unset where that is an example.\n\n${settings.join('\n')}`
}

async function describeApi({ platform, features }: Service): Promise<string> {
  const app = await buildApi(platform, features)
  await app.ready()
  const document = JSON.stringify(app.swagger(), null, 2)
  await app.close()
  return `${document}\n`
}

/** The browser client as a browser loads it: its sources without their types. */
async function browserModules(): Promise<Record<string, string>> {
  const sources = (await readdir(join(ROOT, 'clients/browser'))).filter((name) => name.endsWith('.ts'))
  const modules = sources.map(async (name): Promise<[string, string]> => {
    const source = await readFile(join(ROOT, 'clients/browser', name), 'utf8')
    const text = stripTypeScriptTypes(source).replaceAll(/(from '\.\/\w+)\.ts'/g, "$1.js'")
    return [`clients/browser/modules/${name.replace(/ts$/, 'js')}`, await prettier(text, 'babel')]
  })
  return Object.fromEntries(await Promise.all(modules))
}

async function tables(dataDir: string): Promise<string> {
  const file = join(dataDir, 'tables.ts')
  const socketDir = encodeURIComponent(join(dataDir, 'run'))
  await run(join(ROOT, 'node_modules/.bin/kysely-codegen'), [
    '--dialect=postgres',
    `--url=postgres://heliograph@localhost/heliograph?host=${socketDir}`,
    '--default-schema=public',
    '--include-pattern=public.*',
    '--exclude-pattern=public.kysely_*',
    `--type-mapping=${JSON.stringify({ int8: 'number', json: 'string' })}`,
    `--out-file=${file}`,
  ])
  return prettier(await readFile(file, 'utf8'), 'typescript')
}

const prettier = async (text: string, parser: 'babel' | 'typescript' | 'markdown'): Promise<string> =>
  format(text, { ...(await resolveConfig(join(ROOT, 'package.json'))), parser })

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
