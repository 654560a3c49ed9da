import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
  validateSchema,
} from 'graphql'
import { startService } from '../../helpers/service.ts'
import { dataOf } from './graph.ts'

const ROOT = join(import.meta.dirname, '../../..')

t.test('the published schema is that of the running service', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const introspection = await dataOf(client, getIntrospectionQuery())
  const running = printSchema(lexicographicSortSchema(buildClientSchema(introspection)))
  const published = readFileSync(join(ROOT, 'openapi/schema.graphql'), 'utf8')
  t.equal(published.trim(), running.trim())
  t.strictSame(validateSchema(buildSchema(published)), [])
})
