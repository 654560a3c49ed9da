import t from 'tap'
import { findLinkCode, newLinkCode } from '../../../src/features/identities/code.ts'
import { activate, idleConnection, makeCode, makePeople } from '../../helpers/platforms/people.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const FORM = /^\d{4}-\d{4}-\d{4}-\d{4}$/
const refused = { status: 422, type: 'link-code-refused' }
const sumOf = (groups: string[]): number => groups.reduce((sum, group) => sum + Number(group), 0) % 10_000

t.test('the last group of a code is the sum of the others', (t) => {
  const codes = Array.from({ length: 2000 }, newLinkCode)
  t.ok(codes.every((code) => FORM.test(code)))
  t.ok(codes.every((code) => sumOf(code.split('-').slice(0, 3)) === Number(code.split('-')[3])))
  t.equal(new Set(codes).size, codes.length, 'they are random')
  t.end()
})

t.test('a code is found in a text, in any of its forms, and no other number', (t) => {
  const code = '1234-5678-9012-5924'
  for (const text of [
    code,
    code.replaceAll('-', ' '),
    code.replaceAll('-', ''),
    `My code is ${code}.`,
    `(${code})`,
    `\n${code}\n`,
    `call 1111-2222-3333-4444, the code is ${code}`,
  ])
    t.equal(findLinkCode(text), code, JSON.stringify(text))
  t.equal(findLinkCode('9999-9999-9999-9997'), '9999-9999-9999-9997', 'modulo 10,000')
  for (const text of [
    '',
    '1234-5678-9012-5925',
    '1234-5678-9012',
    `1${code}`,
    `${code}1`,
    '1234-5678-9012-3456',
    '12345-678-9012-5924',
    '1234--5678-9012-5924',
    '１２３４-5678-9012-5924',
  ])
    t.equal(findLinkCode(text), undefined, JSON.stringify(text))
  t.end()
})

t.test('link codes', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('a code is made, with its event, read and listed', async (t) => {
    const client = await service.client()
    const [ada, bob] = await makePeople(client, await idleConnection(client), 2)
    if (!ada || !bob) throw new Error('Nobody was made.')
    const started = Date.now()
    const code = await makeCode(client, ada, { expiryMinutes: 60, maxUses: 3 })
    t.match(code.code, FORM)
    t.match(code, { platformUserId: ada.id, expiryMinutes: 60, maxUses: 3, uses: 0 })
    const lasts = Date.parse(code.expiresAt) - started
    t.ok(lasts >= 3_599_000 && lasts <= 3_720_000, `${lasts} ms`)

    const { body: event } = await client.get(`/events/${code.eventId}`)
    t.match(event, {
      type: 'link_code.generated',
      originEventId: null,
      schemaValid: true,
      status: 'completed',
    })
    t.strictSame(event.payload, {
      code: code.code,
      expiry_minutes: 60,
      max_uses: 3,
      uses: 0,
      generated_by_platform_user_id: ada.id,
    })
    t.strictSame(event.edges, [{ type: 'generated_by', targetType: 'platform_user', targetId: ada.id }])

    const plain = await makeCode(client, { id: bob.id.toUpperCase() })
    t.match(plain, { platformUserId: bob.id, expiryMinutes: 15, maxUses: 1 })
    t.strictSame((await client.get(`/link-codes/${code.id}`)).body, code)
    t.strictSame((await client.get('/link-codes')).body.data, [code, plain])
    t.strictSame((await client.get(`/link-codes?platformUserId=${bob.id}`)).body.data, [plain])
    const first = (await client.get('/link-codes?limit=1')).body
    t.strictSame(first.data, [code])
    const rest = await client.get(`/link-codes?limit=1&after=${first.pageInfo.endCursor}`)
    t.match(rest.body, { data: [plain], pageInfo: { hasNextPage: false } })

    const other = await service.client()
    expectProblem(
      t,
      await other.get(`/link-codes/${code.id}`),
      { status: 404, type: 'not-found' },
      'another app',
    )
    t.strictSame((await other.get('/link-codes')).body.data, [])
  })

  t.test('bad requests for a code are refused, and nothing is stored', async (t) => {
    const client = await service.client()
    const [ada] = await makePeople(client, await idleConnection(client), 1)
    const other = await service.client()
    const [stranger] = await makePeople(other, await idleConnection(other), 1)
    const platformUserId = ada?.id
    for (const body of [
      {},
      { platformUserId: 'ada' },
      { platformUserId, expiryMinutes: 0 },
      { platformUserId, expiryMinutes: 525_601 },
      { platformUserId, expiryMinutes: 1.5 },
      { platformUserId, maxUses: 0 },
      { platformUserId, maxUses: 1001 },
      { platformUserId, maxUses: '1' },
      { platformUserId, code: '1234-5678-9012-5924' },
    ])
      expectProblem(
        t,
        await client.post('/link-codes', body),
        { status: 400, type: 'validation-failed' },
        JSON.stringify(body),
      )
    for (const id of [crypto.randomUUID(), stranger?.id])
      expectProblem(
        t,
        await client.post('/link-codes', { platformUserId: id }),
        { status: 422, type: 'unknown-reference' },
        'a platform user that is not there',
      )
    t.strictSame((await client.get('/link-codes')).body.data, [])
    t.strictSame((await client.get('/events')).body.data, [])
  })

  t.test('what cannot be used is refused, and counts as no use', async (t) => {
    const client = await service.client()
    const connection = await idleConnection(client)
    const [ada, bob, eve] = await makePeople(client, connection, 3)
    if (!ada || !bob || !eve) throw new Error('Nobody was made.')
    const code = await makeCode(client, ada, { maxUses: 2 })
    const log = (await client.get('/events')).body.data.length

    const wrong = code.code.replace(/\d$/, (digit: string) => String((Number(digit) + 1) % 10))
    for (const text of [wrong, 'no code', '1234', code.code.slice(0, -1)])
      expectProblem(t, await activate(client, { code: text }, bob), refused, text)
    let unknown = newLinkCode()
    while (unknown === code.code) unknown = newLinkCode()
    expectProblem(t, await activate(client, { code: unknown }, bob), refused, 'a code that was never made')
    expectProblem(t, await activate(client, code, ada), refused, 'one’s own')
    for (const body of [
      {},
      { code: code.code },
      { code: '', platformUserId: bob.id },
      { code: 5, platformUserId: bob.id },
    ])
      expectProblem(
        t,
        await client.post('/link-codes/activate', body),
        { status: 400, type: 'validation-failed' },
        JSON.stringify(body),
      )
    const nobody = await activate(client, code, { id: crypto.randomUUID() })
    expectProblem(t, nobody, { status: 422, type: 'unknown-reference' }, 'nobody')
    const other = await service.client()
    const [stranger] = await makePeople(other, await idleConnection(other), 1)
    if (!stranger) throw new Error('Nobody was made.')
    expectProblem(t, await activate(other, code, stranger), refused, 'another app’s code')
    expectProblem(
      t,
      await activate(client, code, stranger),
      { status: 422, type: 'unknown-reference' },
      'another app’s',
    )

    t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 0)
    t.equal((await client.get('/events')).body.data.length, log, 'nothing was appended')

    await service.platform.pool.query('update link_codes set expires_at = now() where id = $1', [code.id])
    expectProblem(t, await activate(client, code, bob), refused, 'expired')
    await service.platform.pool.query(
      `update link_codes set expires_at = now() + interval '1 hour' where id = $1`,
      [code.id],
    )
    for (const person of [bob, eve]) t.equal((await activate(client, code, person)).status, 200)
    expectProblem(t, await activate(client, code, bob), refused, 'used up')
    t.equal((await client.get(`/link-codes/${code.id}`)).body.uses, 2)
  })
})
