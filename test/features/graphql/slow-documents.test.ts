import t from 'tap'
import { startService } from '../../helpers/service.ts'
import { dataOf } from './graph.ts'

const times = (count: number, part: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => part(n)).join(' ')

/** Documents of nearly four thousand words and signs whose checking takes more than their length. */
const DOCUMENTS: Record<string, string> = {
  'one field, again and again': `{ ${times(3_900, () => '__typename')} }`,
  'one name for fields that differ': `{ ${times(390, (n) => `a: event(id: ${n}) { id }`)} }`,
  'one name for objects': `{ ${times(350, () => 'events { edges { node { id } } }')} }`,
  'one name for objects with arguments': `{ ${times(300, (n) => `events(first: ${n}) { totalCount }`)} }`,
  'many fields in two places': `{ application { ${times(1_900, () => 'id')} } application { ${times(1_900, () => 'id')} } }`,
  'fragments that spread one another twice': `{ ...f0 } ${times(320, (n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`)} fragment f320 on Query { __typename }`,
  'fragments that all spread all': times(
    40,
    (n) => `fragment f${n} on Query { ${times(40, (m) => (m > n ? `...f${m}` : '__typename'))} }`,
  ).concat(' { ...f0 }'),
  'fragments in a circle': `{ ...f0 } ${times(390, (n) => `fragment f${n} on Query { ...f${(n + 1) % 390} }`)}`,
  'fragments with the same field': `{ ${times(280, (n) => `...f${n}`)} } ${times(280, (n) => `fragment f${n} on Query { events { totalCount } }`)}`,
  'inline fragments': `{ ${times(430, () => '... on Query { application { id } }')} }`,
  'nothing that exists': `{ ${times(990, (n) => `x${n} { y }`)} }`,
  directives: `{ __typename ${times(490, () => '@include(if: true) ')} }`,
  variables: `query (${times(650, (n) => `$v${n}: Int`)}) { __typename }`,
  'a literal list': `{ events(filters: { eventType: { in: [${'"a" '.repeat(3_900)}] } }) { totalCount } }`,
  'a literal object': `mutation { createEvent(eventType: "a.b", payload: { ${times(1_300, (n) => `k${n}: 1`)} }) { id } }`,
  'a literal with one key': `mutation { createEvent(eventType: "a.b", payload: { ${times(1_300, () => 'k: 1')} }) { id } }`,
  'a deep literal': `mutation { createEvent(eventType: "a.b", payload: { a: ${'['.repeat(1_980)}${']'.repeat(1_980)} }) { id } }`,
  'a deep literal of objects': `mutation { createEvent(eventType: "a.b", payload: ${'{ a: '.repeat(990)}1${'}'.repeat(990)}) { id } }`,
  'deep fields': `{ events { edges { node { ${'originEvent { '.repeat(1_300)}id${' }'.repeat(1_300)} } } } }`,
  'deep introspection': `{ __schema { types { ${'fields { type { '.repeat(300)}name${' } }'.repeat(300)} } } }`,
  'wide introspection': `{ __schema { ${times(180, (n) => `t${n}: types { fields { args { type { ofType { name } } } } }`)} } }`,
}

t.test('a document that is slow to check is answered all the same', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  for (const [what, query] of Object.entries(DOCUMENTS)) {
    const { status, body, text } = await client.post('/graphql', { query })
    t.equal(status, 200, what)
    for (const { extensions } of body.errors ?? [])
      t.ok(extensions.status < 500, `${what}: ${text.slice(0, 200)}`)
  }
  t.ok(await dataOf(client, '{ application { id } }'))
})
