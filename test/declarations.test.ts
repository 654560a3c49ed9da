import t from 'tap'
import type { Declaration } from '../src/declaration.ts'
import { gather } from '../src/declarations.ts'
import { declared } from './helpers/declared.ts'

t.test('no two parts declare the same', async (t) => {
  const cases: Record<string, Declaration> = {
    'scope "events:read"': { scopes: ['notes:read', 'events:read'] },
    'setting "ADMIN_API_KEY"': { settings: { ADMIN_API_KEY: {} as never } },
    'event type "order.placed"': { eventTypes: [{ name: 'order.placed', domain: 'a', description: 'b' }] },
    'reserved prefix "message."': { reservedPrefixes: ['message.'] },
    'sealed column "subscriptions.sealed_secret"': {
      sealedColumns: [{ table: 'subscriptions', column: 'sealed_secret', context: () => '' }],
    },
    'topic "log.grew"': { topics: { mine: 'log.grew' } },
    'queue "deliveries"': { queues: { mine: 'deliveries' } },
    'tag "Events"': { tags: [{ name: 'Events', description: '' }] },
  }
  for (const [what, declaration] of Object.entries(cases))
    t.throws(() => gather([declaration]), {
      name: 'ConfigError',
      message: `The ${what} is declared twice: see EXTENSIONS.`,
    })
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
