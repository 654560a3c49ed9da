import t from 'tap'
import type { Declaration } from '../src/declaration.ts'
import { declarations } from '../src/declarations.ts'
import { packs } from '../src/packs/index.ts'
import { declared } from './helpers/declared.ts'

const all: readonly Declaration[] = [...declarations, ...packs]

const twice = (names: readonly string[]): string[] =>
  names.filter((name, index) => names.indexOf(name) !== index)

t.test('no two parts declare the same', async (t) => {
  const names: Record<string, (part: Declaration) => readonly string[]> = {
    scopes: ({ scopes = [] }) => scopes,
    settings: ({ settings = {} }) => Object.keys(settings),
    'event types': ({ eventTypes = [] }) => eventTypes.map(({ name }) => name),
    'reserved prefixes': ({ reservedPrefixes = [] }) => reservedPrefixes,
    'sealed columns': ({ sealedColumns = [] }) =>
      sealedColumns.map(({ table, column }) => `${table}.${column}`),
    topics: ({ topics = {} }) => Object.values(topics),
    queues: ({ queues = {} }) => Object.values(queues),
    tags: ({ tags = [] }) => tags.map(({ name }) => name),
  }
  for (const [kind, namesOf] of Object.entries(names)) {
    const declaredNames = all.flatMap(namesOf)
    t.ok(declaredNames.length > 0, `there are ${kind}`)
    t.strictSame(twice(declaredNames), [], kind)
  }
})

t.test('what is declared fits together', async (t) => {
  const { scopes, scopesOnRequest, eventTypes } = declared
  t.strictSame(
    scopesOnRequest.filter((scope) => !scopes.includes(scope)),
    [],
    'a scope that must be asked for is one of the scopes',
  )
  t.strictSame(
    scopes.filter((scope) => !/^[a-z-]+:[a-z-]+$/.test(scope)),
    [],
    'scopes are named alike',
  )
  t.strictSame(
    eventTypes.filter(({ rooms = [], topic }) => topic !== undefined && rooms.length === 0),
    [],
    'a topic is of messages in rooms',
  )
})
